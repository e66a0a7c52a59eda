package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/cache"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/guard"
	"github.com/cordon-project/cordon/resolver/wire"
)

// guarded is a rig with a guard. 10.0.0.0/8 are clients.
func guarded(t testing.TB, c guard.Config) *rig {
	t.Helper()
	g := &rig{up: new(fakeUpstream), clock: newClock()}
	gate, err := guard.New(c)
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(Config{Stop: testStop, Upstream: g.up, Guard: gate, Cache: cache.New(cache.Config{Bytes: 1 << 20}), Clock: g.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	g.Resolver = r
	g.up.set("*", func(q wire.Question) ([]byte, error) {
		name, _, _ := dns.UnpackDomainName(q.Name, 0)
		return reply(q, nil, name+" 300 IN A 192.0.2.1")
	})
	return g
}

// from asks as a client; nil when nothing is sent.
func (g *rig) from(t testing.TB, addr string, via wire.Transport, query []byte) *dns.Msg {
	t.Helper()
	c := wire.Client{Addr: netip.MustParseAddr(addr), Via: via}
	resp, done := g.Fast(nil, query, c)
	if !done {
		resp = g.slow(context.Background(), query, c)
	}
	if len(resp) == 0 {
		return nil
	}
	return checkAnswer(t, query, resp, via.Stream())
}

func TestStrangersAreRefusedAndLearnNothing(t *testing.T) {
	g := guarded(t, guard.Config{})
	for _, set := range []bool{false, true} {
		if set {
			g.Swap(makeSet(t, law(canon.KindHost, "bad.test")))
		}
		for _, via := range []wire.Transport{wire.UDP, wire.TCP} {
			for _, name := range []string{"bad.test", "good.test"} {
				m := g.from(t, "198.51.100.7", via, question(t, name, dns.TypeA, edns))
				if m == nil || m.Rcode != dns.RcodeRefused || len(m.Answer) != 0 || ede(m) != 0 {
					t.Errorf("%s with a set %v: got %v, want a bare REFUSED", name, set, m)
				}
			}
			if m := g.from(t, "198.51.100.7", via, question(t, "a.test", dns.TypeA)[:20]); m == nil || m.Rcode != dns.RcodeFormatError {
				t.Errorf("malformed: got %v", m)
			}
		}
	}
	if n := g.up.calls(); n != 0 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

// TestASourceAboveItsBudgetIsTreatedAlike: what is slowed down is the source. What is still answered is what it always was: a listed name is
// stopped, an unlisted one passes, and of each as many get through.
func TestASourceAboveItsBudgetIsTreatedAlike(t *testing.T) {
	g := guarded(t, guard.Config{Questions: 800, Budget: 10})
	entries := []entry{}
	for i := range 60 {
		entries = append(entries, voluntary(canon.KindDomain, fmt.Sprintf("bad%d.test", i)))
	}
	g.Swap(makeSet(t, entries...))
	for i := range 15 { // also over an alias, and of types without an address
		name := fmt.Sprintf("www.bad%d.test", i)
		switch i % 3 {
		case 0:
			alias := fmt.Sprintf("alias%d.example", i)
			g.up.records(alias, dns.TypeA, alias+". 300 IN CNAME "+name+".", name+". 300 IN A 192.0.2.9")
			g.from(t, "10.0.0.1", wire.UDP, question(t, alias, dns.TypeA))
		case 1:
			g.from(t, "10.0.0.1", wire.UDP, question(t, name, dns.TypeHTTPS))
		default:
			g.from(t, "10.0.0.1", wire.UDP, question(t, name, dns.TypeA))
		}
	}
	through := map[string]int{}
	for i := range 20_000 { // 20 seconds at a thousand a second
		g.clock.step(time.Millisecond)
		kind, name, want := "unlisted", fmt.Sprintf("n%d.example", i%50), "192.0.2.1"
		if i/2%2 == 0 {
			kind, name, want = "listed", fmt.Sprintf("www.bad%d.test", i%15), testStop.VoluntaryIPv4.String()
		}
		m := g.from(t, "10.0.0.1", wire.UDP, question(t, name, dns.TypeA))
		if m == nil {
			continue
		}
		if len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != want {
			t.Fatalf("%s: got %v, want %s", name, m, want)
		}
		through[kind]++
		if m := g.from(t, "10.0.0.2", wire.UDP, question(t, name, dns.TypeA)); i%20 == 0 && m == nil {
			t.Fatalf("a neighbour gets no answer")
		}
	}
	total := through["listed"] + through["unlisted"]
	if total < 1500 || total > 2600 { // an eighth of 800 a second for 20 s, and what was ahead
		t.Errorf("%v got through, want about 2000 and a burst", through)
	}
	if l := through["listed"]; l < total/3 || l > total*2/3 {
		t.Errorf("%v got through: not alike", through)
	}
}

func TestMailOfAListedNameAndCanariesCostNoBudget(t *testing.T) {
	g := guarded(t, guard.Config{Budget: 1})
	g.Swap(makeSet(t, law(canon.KindDomain, "a.test"), law(canon.KindDomain, "b.test"), law(canon.KindDomain, "c.test"),
		entry{basis: law(0, "").basis, kind: canon.KindHost, name: "canary1.test", canary: true}, entry{basis: law(0, "").basis, kind: canon.KindHost, name: "canary2.test", canary: true},
		entry{basis: law(0, "").basis, kind: canon.KindHost, name: "canary3.test", canary: true}))
	for _, name := range []string{"a.test", "b.test", "c.test"} {
		g.from(t, "10.0.0.1", wire.UDP, question(t, name, dns.TypeMX))
		g.from(t, "10.0.0.1", wire.UDP, question(t, name, dns.TypeTXT))
	}
	for _, name := range []string{"canary1.test", "canary2.test", "canary3.test"} {
		g.from(t, "10.0.0.1", wire.UDP, question(t, name, dns.TypeA))
	}
	if c := g.config.Guard.Counts(); c.Sources != 0 {
		t.Errorf("counts are %+v", c)
	}
	for _, name := range []string{"a.test", "b.test", "c.test"} {
		g.from(t, "10.0.0.1", wire.UDP, question(t, name, dns.TypeA))
	}
	if c := g.config.Guard.Counts(); c.Sources == 0 {
		t.Errorf("three listed names of a budget of one: counts are %+v", c)
	}
}

// TestReflectionSendsFewLargeAnswers: whoever forges a victim's address does not get more sent there than the victim can be sent by an honest
// client, and the victim itself is answered over TCP.
func TestReflectionSendsFewLargeAnswers(t *testing.T) {
	g := guarded(t, guard.Config{Large: 10, Slip: 2})
	g.Swap(makeSet(t))
	var rrs []string
	for i := range 40 {
		rrs = append(rrs, fmt.Sprintf("big.test. 300 IN A 192.0.2.%d", i))
	}
	g.up.records("big.test", dns.TypeA, rrs...)
	query := question(t, "big.test", dns.TypeA, edns)
	c := wire.Client{Addr: netip.MustParseAddr("10.0.0.1")}
	whole, cut, sent := 0, 0, 0
	for range 5000 { // five seconds of a thousand a second
		g.clock.step(time.Millisecond)
		resp, done := g.Fast(nil, query, c)
		if !done {
			resp = g.slow(context.Background(), query, c)
		}
		if len(resp) == 0 {
			continue
		}
		sent += len(resp)
		if m := checkAnswer(t, query, resp, false); m.Truncated {
			cut++
		} else if whole++; len(m.Answer) != 40 {
			t.Fatalf("got %v", m)
		}
	}
	if whole < 85 || whole > 95 || cut < 2400 || cut > 2500 {
		t.Errorf("%d whole and %d truncated answers of 5000, want 90 and half of the rest", whole, cut)
	}
	unlimited, _ := g.Fast(nil, query, wire.Client{Addr: netip.MustParseAddr("127.0.0.1")})
	t.Logf("%d bytes sent for %d received; without the guard %d", sent, 5000*len(query), 5000*len(unlimited))
	if asked := 5000 * len(query); sent > asked {
		t.Errorf("%d bytes sent for %d received", sent, asked)
	}
	if m := g.from(t, "10.0.0.1", wire.TCP, query); m == nil || len(m.Answer) != 40 {
		t.Errorf("over TCP: got %v", m)
	}
	if m := g.from(t, "10.0.0.1", wire.UDP, question(t, "small.test", dns.TypeA, edns)); m == nil || len(m.Answer) != 1 {
		t.Errorf("an answer of the usual size: got %v", m)
	}
}

// TestABusyResolverReflectsNothingEither: a flood under a forged source is what fills the room for questions that wait.
func TestABusyResolverReflectsNothingEither(t *testing.T) {
	g := guarded(t, guard.Config{Errors: 10, Slip: 2})
	g.Swap(makeSet(t))
	query := question(t, "new.test", dns.TypeA, edns)
	busy := func(addr string, via wire.Transport) (whole, cut int) {
		for range 1000 { // at one time: four seconds of the rate pass
			resp := g.Busy(nil, query, wire.Client{Addr: netip.MustParseAddr(addr), Via: via})
			if len(resp) == 0 {
				continue
			}
			m := checkAnswer(t, query, resp, via.Stream())
			if m.Rcode != dns.RcodeServerFailure {
				t.Fatalf("got %v", m)
			}
			if m.Truncated {
				cut++
			} else if whole++; ede(m) != wire.EDENetworkError {
				t.Fatalf("got %v", m)
			}
		}
		return whole, cut
	}
	for _, tt := range []struct {
		name       string
		addr       string
		via        wire.Transport
		whole, cut int
	}{
		{"a client over UDP", "10.0.0.1", wire.UDP, 40, 480},
		{"over TCP, where a source cannot be forged", "10.0.0.2", wire.TCP, 1000, 0},
		{"who is exempt", "127.0.0.1", wire.UDP, 1000, 0},
	} {
		if whole, cut := busy(tt.addr, tt.via); whole != tt.whole || cut != tt.cut {
			t.Errorf("%s: %d whole and %d truncated answers of 1000, want %d and %d", tt.name, whole, cut, tt.whole, tt.cut)
		}
	}
}

// A batch is guarded as its questions one after the other are: by each one's client, and with what those before it left.
func TestABatchIsGuardedAsItsQuestionsAre(t *testing.T) {
	c := guard.Config{Questions: 10, Errors: 5}
	together, alone := guarded(t, c), guarded(t, c)
	set := makeSet(t, law(canon.KindHost, "bad.test"))
	together.Swap(set)
	alone.Swap(set)
	clients := []string{"10.0.0.1", "10.0.0.2", "198.51.100.7", "127.0.0.1", "fd00::1", "2001:db8::1"}
	batch := make([]wire.Ask, 300)
	for i := range batch {
		from := wire.Client{Addr: netip.MustParseAddr(clients[i*i%7%len(clients)]), Via: wire.UDP}
		if i%5 == 0 {
			from.Via = wire.TCP
		}
		batch[i] = wire.Ask{Query: question(t, "bad.test", dns.TypeA), From: from}
	}
	together.Worker().Answer(batch)
	kinds := map[int]int{}
	for i, a := range batch {
		want, done := alone.Fast(nil, a.Query, a.From)
		if string(a.Resp) != string(want) || a.Done != done {
			t.Fatalf("question %d of %v: got %x, want %x", i, a.From.Addr, a.Resp, want)
		}
		kind := -1
		if len(want) > 0 {
			kind = int(want[3] & 15)
		}
		kinds[kind]++
	}
	if got, want := together.config.Guard.Counts(), alone.config.Guard.Counts(); got != want || kinds[-1] == 0 || kinds[0] == 0 || kinds[wire.RcodeRefused] == 0 {
		t.Errorf("counts are %+v, want %+v; codes %v", got, want, kinds)
	}
}

func TestGuardedFastDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		return
	}
	g := guarded(t, guard.Config{Questions: 100, Large: 5, Budget: 1, Clients: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	queries := hotRig(t, g)
	dst := make([]byte, 0, 1500)
	for _, addr := range []string{"10.0.0.1", "198.51.100.1", "127.0.0.1"} {
		c := wire.Client{Addr: netip.MustParseAddr(addr)}
		for name, q := range queries {
			if n := testing.AllocsPerRun(500, func() {
				g.clock.step(time.Millisecond)
				if _, done := g.Fast(dst, q, c); !done {
					t.Fatalf("%s: Fast did not answer", name)
				}
			}); n != 0 {
				t.Errorf("%s from %s: %v allocations, want 0", name, addr, n)
			}
		}
	}
}
