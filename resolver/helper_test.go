package resolver

import (
	"cmp"
	"context"
	"crypto/sha256"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/cache"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

// entry is one line of a test list.
type entry struct {
	basis  match.Basis
	kind   canon.Kind
	name   string
	canary bool
}

func law(kind canon.Kind, name string) entry {
	return entry{basis: match.BasisLaw, kind: kind, name: name}
}
func voluntary(kind canon.Kind, name string) entry {
	return entry{basis: match.BasisVoluntary, kind: kind, name: name}
}

// makeSet builds a real set in memory.
func makeSet(t testing.TB, entries ...entry) *match.Set {
	t.Helper()
	return makeSetWithout(t, nil, entries...)
}

// makeSetWithout builds one with removals; entry i has the id {i, 0, 7}.
func makeSetWithout(t testing.TB, removals []match.Removal, entries ...entry) *match.Set {
	t.Helper()
	const list = match.ListID("hotline/main")
	keys := &match.Keys{Match: sha256.Sum256([]byte("match")), Gate: [16]byte{1, 2, 3}}
	keys.Prepare()
	filter := match.Filter{
		Kinds:         []canon.Kind{canon.KindURL, canon.KindPrefix, canon.KindHost, canon.KindDomain},
		Bases:         []match.Basis{match.BasisLaw, match.BasisOrder, match.BasisVoluntary},
		Jurisdictions: []string{"XX"},
	}
	records := make([]match.Record, len(entries))
	for i, e := range entries {
		r := match.Record{
			Digest: keys.Digest(list, canon.ClassName, []byte(e.name)),
			Gate:   keys.Gate64(canon.ClassName, []byte(e.name)),
			Meta: match.Meta{
				Kind: e.kind, Category: match.CategoryBaseline, Basis: e.basis,
				Jurisdiction: [2]byte{'X', 'X'}, ReviewBy: 4_000_000_000,
			},
		}
		r.EntryID = match.EntryID{byte(i), byte(i >> 8), 7}
		if e.canary {
			r.Flags = match.FlagCanary
		}
		records[i] = r
	}
	edge, err := match.WriteEdge(match.Header{List: list, Seq: 1, Epoch: 1, CanonID: canon.ID()}, records)
	if err != nil {
		t.Fatalf("write edge list: %v", err)
	}
	b, err := match.Compile(edge)
	if err != nil {
		t.Fatalf("compile index: %v", err)
	}
	ix, err := match.Open(b)
	if err != nil {
		t.Fatalf("open index: %v", err)
	}
	s, err := match.NewSet([]match.Member{{Edge: edge, Index: ix, Filter: filter, Keys: keys}}, removals)
	if err != nil {
		t.Fatalf("make set: %v", err)
	}
	return s
}

// fakeClock is moved by hand.
type fakeClock struct{ at atomic.Int64 }

func newClock() *fakeClock {
	c := new(fakeClock)
	c.at.Store(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	return c
}
func (c *fakeClock) now() time.Time       { return time.Unix(0, c.at.Load()) }
func (c *fakeClock) step(d time.Duration) { c.at.Add(int64(d)) }

// fakeUpstream answers from replies set by the test; what it does not know gets ErrNoAnswer.
type fakeUpstream struct {
	mu      sync.Mutex // guards all
	replies map[string]func(q wire.Question) ([]byte, error)
	asked   []string
	held    chan struct{}       // closed by release: what hold waits for
	first   map[string][]string // lies that come before the reply, over the wire

	holds chan struct{} // a value for each question that hold keeps waiting
}

// hold keeps a question waiting until release. It does not end with the question's context.
func (u *fakeUpstream) hold() {
	u.mu.Lock()
	if u.held == nil {
		u.held = make(chan struct{})
	}
	held := u.held
	u.mu.Unlock()
	u.holds <- struct{}{}
	<-held
}

func (u *fakeUpstream) release() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.held != nil {
		close(u.held)
		u.held = nil
	}
}

func key(name string, typ uint16) string {
	return strings.ToLower(dns.Fqdn(name)) + " " + dns.TypeToString[typ]
}

func (u *fakeUpstream) Exchange(ctx context.Context, q wire.Question) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name, _, err := dns.UnpackDomainName(q.Name, 0)
	if err != nil {
		panic("resolver asked for a name that cannot be unpacked")
	}
	u.mu.Lock()
	k := key(name, q.Type)
	if u.replies[k] == nil && u.replies["*"] != nil {
		k = "*"
	}
	u.asked = append(u.asked, key(name, q.Type))
	f := u.replies[k]
	u.mu.Unlock()
	if f == nil {
		return nil, upstream.ErrNoAnswer
	}
	return f(q)
}

func (u *fakeUpstream) set(k string, f func(q wire.Question) ([]byte, error)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.replies == nil {
		u.replies = make(map[string]func(q wire.Question) ([]byte, error))
	}
	u.replies[k] = f
}

func (u *fakeUpstream) calls() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.asked)
}

// reply makes the message an upstream would send for q.
func reply(q wire.Question, change func(m *dns.Msg), rrs ...string) ([]byte, error) {
	name, _, _ := dns.UnpackDomainName(q.Name, 0)
	m := new(dns.Msg)
	m.SetQuestion(name, q.Type)
	m.Question[0].Qclass = q.Class
	m.Response, m.RecursionAvailable, m.Compress = true, true, true
	for _, s := range rrs {
		to := &m.Answer
		if rest, ok := strings.CutPrefix(s, "authority "); ok {
			s, to = rest, &m.Ns
		} else if rest, ok := strings.CutPrefix(s, "additional "); ok {
			s, to = rest, &m.Extra
		}
		rr, err := dns.NewRR(s)
		if err != nil {
			return nil, err
		}
		*to = append(*to, rr)
	}
	if change != nil {
		change(m)
	}
	return m.Pack()
}

func (u *fakeUpstream) records(name string, typ uint16, rrs ...string) {
	u.set(key(name, typ), func(q wire.Question) ([]byte, error) { return reply(q, nil, rrs...) })
}

var testStop = Stop{
	LawIPv4: netip.MustParseAddr("127.0.0.16"), LawIPv6: netip.MustParseAddr("fd00::16"),
	VoluntaryIPv4: netip.MustParseAddr("127.0.0.15"),
}

// rig is a resolver with its fakes.
type rig struct {
	*Resolver
	up    *fakeUpstream
	clock *fakeClock
}

func newRig(t testing.TB) *rig {
	t.Helper()
	clock := newClock()
	return newRigAt(t, clock, clock.now)
}

func newRigAt(t testing.TB, clock *fakeClock, now func() time.Time) *rig {
	t.Helper()
	return newRigOf(t, clock, Config{Clock: now})
}

// newRigOf is a rig with more in its configuration.
func newRigOf(t testing.TB, clock *fakeClock, c Config) *rig {
	t.Helper()
	g := &rig{up: &fakeUpstream{holds: make(chan struct{})}, clock: clock}
	c.Patience = cmp.Or(c.Patience, time.Hour) // an upstream that answers at once is not slow because this machine is
	c.Stop, c.NSID, c.Upstream, c.Cache = testStop, true, g.up, cache.New(cache.Config{Bytes: 1 << 20, MaxStale: 3600})
	r, err := New(c)
	if err != nil {
		t.Fatalf("make resolver: %v", err)
	}
	g.Resolver = r
	return g
}

// question packs a query.
func question(t testing.TB, name string, typ uint16, change ...func(m *dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), typ)
	for _, f := range change {
		f(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatalf("pack %v: %v", m, err)
	}
	return b
}

func edns(m *dns.Msg) { m.SetEdns0(dns.DefaultMsgSize, false) }

// ask gives a query to Fast and, where that says so, to Slow; it checks what holds for every answer.
func (g *rig) ask(t testing.TB, query []byte, tcp bool) *dns.Msg {
	t.Helper()
	resp, done := g.Fast(nil, query, over(tcp))
	if !done {
		resp = g.slow(context.Background(), query, over(tcp))
	}
	return checkAnswer(t, query, resp, tcp)
}

// checkAnswer asks the oracle whether the answer can be read, and compares it with the query.
func checkAnswer(t testing.TB, query, resp []byte, tcp bool) *dns.Msg {
	t.Helper()
	var q, m dns.Msg
	if err := m.Unpack(resp); err != nil {
		t.Fatalf("the oracle cannot read the answer %x to %x: %v", resp, query, err)
	}
	if err := q.Unpack(query); err != nil {
		t.Fatalf("the oracle cannot read the query %x: %v", query, err)
	}
	if !m.Response || m.Id != q.Id || m.Authoritative || m.RecursionDesired != q.RecursionDesired {
		t.Errorf("header is %+v, query was %+v", m.MsgHdr, q.MsgHdr)
	}
	if len(m.Question) == 1 && len(q.Question) == 1 && m.Question[0] != q.Question[0] {
		t.Errorf("question is %v, want %v in the same case", m.Question[0], q.Question[0])
	}
	limit := dns.MinMsgSize
	opt := q.IsEdns0()
	if opt != nil {
		limit = min(max(int(opt.UDPSize()), limit), wire.MaxUDP)
	}
	if !tcp && len(resp) > limit {
		t.Errorf("answer has %d bytes, want at most %d", len(resp), limit)
	}
	if got := m.IsEdns0(); len(m.Question) == 1 && (got != nil) != (opt != nil) {
		t.Errorf("answer has OPT: %v, query has: %v", got != nil, opt != nil)
	} else if got != nil && opt != nil && got.Do() != opt.Do() {
		t.Errorf("DO is %v, want %v", got.Do(), opt.Do())
	}
	return &m
}

// ede is the Extended DNS Error code of m, 0 when there is none.
func ede(m *dns.Msg) uint16 {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				return e.InfoCode
			}
		}
	}
	return 0
}

// lines are the records of a section as text, sorted.
func lines(rrs []dns.RR) []string {
	out := []string{}
	for _, rr := range rrs {
		if rr.Header().Rrtype != dns.TypeOPT {
			out = append(out, strings.Join(strings.Fields(rr.String()), " "))
		}
	}
	slices.Sort(out)
	return out
}

// over is a client of UDP, or of a stream.
func over(stream bool) wire.Client {
	c := wire.Client{Addr: netip.MustParseAddr("192.0.2.77")}
	if stream {
		c.Via = wire.TCP
	}
	return c
}

// slow is Slow for who waits.
func (r *Resolver) slow(ctx context.Context, query []byte, from wire.Client) []byte {
	said := make(chan []byte, 1)
	r.Slow(ctx, query, from, func(resp []byte) { said <- append([]byte(nil), resp...) })
	return <-said
}
