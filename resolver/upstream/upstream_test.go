package upstream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/upstream/upstreamtest"
	"github.com/cordon-project/cordon/resolver/wire"
)

// patience is for what must come: a machine may stand still for seconds.
const patience = time.Minute

// pool asks servers, each once for a question unless its test lets time pass.
func pool(t *testing.T, c upstream.Config, servers ...*upstreamtest.Server) *upstream.Pool {
	t.Helper()
	for _, s := range servers {
		c.Servers = append(c.Servers, s.Addr())
	}
	if c.Attempt == 0 {
		c.Attempt, c.Total = patience, 10*patience
	}
	p, err := upstream.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// silence answers nothing, and whoever asks it need not wait: as soon as a question is there its time is over.
type silence struct{ pool atomic.Pointer[upstream.Pool] }

func (s *silence) handle(upstreamtest.Query) upstreamtest.Reply {
	s.pool.Load().Pass(patience)
	return upstreamtest.Reply{}
}

func name(s string) []byte {
	b := make([]byte, 256)
	n, err := dns.PackDomainName(dns.Fqdn(s), b, 0, nil, false)
	if err != nil {
		panic(err)
	}
	return b[:n]
}

func exchange(p *upstream.Pool, n string, typ uint16) (*dns.Msg, error) {
	b, err := p.Exchange(context.Background(), wire.Question{Name: name(n), Type: typ, Class: 1})
	if err != nil {
		return nil, err
	}
	m := new(dns.Msg)
	return m, m.Unpack(b)
}

func TestAnHonestServerIsForwarded(t *testing.T) {
	s := upstreamtest.Start(t, upstreamtest.Plain)
	p := pool(t, upstream.Config{}, s)
	m, err := exchange(p, "cname-to--www.a.test", dns.TypeA)
	if err != nil || len(m.Answer) != 2 {
		t.Fatalf("got %v, %v", m, err)
	}
	q := s.Seen()[0]
	opt := q.IsEdns0()
	if !q.RecursionDesired || opt == nil || opt.UDPSize() != 1232 || len(opt.Option) != 1 || opt.Option[0].Option() != dns.EDNS0COOKIE {
		t.Errorf("the server was asked %v", q.Msg)
	}
	if m, err := exchange(p, "a.invalid", dns.TypeA); err != nil || m.Rcode != dns.RcodeNameError {
		t.Errorf("a.invalid: %v, %v", m, err)
	}
}

func TestIDsAndPortsAreFresh(t *testing.T) {
	s := upstreamtest.Start(t, upstreamtest.Plain)
	p := pool(t, upstream.Config{}, s)
	for i := range 40 {
		if _, err := exchange(p, fmt.Sprintf("n%d.test", i), dns.TypeA); err != nil {
			t.Fatal(err)
		}
	}
	ids, ports := map[uint16]bool{}, map[uint16]bool{}
	for _, q := range s.Seen() {
		ids[q.Id] = true
		ports[q.From.Port()] = true
	}
	if len(ids) < 35 || len(ports) < 30 {
		t.Errorf("40 queries used %d ids and %d ports", len(ids), len(ports))
	}
}

func TestWhatDoesNotAnswerTheQuestionIsSteppedOver(t *testing.T) {
	lie := func(q upstreamtest.Query, f func(m *dns.Msg)) []byte {
		return upstreamtest.Change(q, f).Packets[0]
	}
	s := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		good := upstreamtest.Plain(q)
		poison := func(m *dns.Msg) { m.Answer[0].(*dns.A).A = net.IPv4(203, 0, 113, 66) }
		return upstreamtest.Reply{Packets: [][]byte{
			lie(q, func(m *dns.Msg) { m.Id++; poison(m) }),
			lie(q, func(m *dns.Msg) { m.Question[0].Name = "other.test."; poison(m) }),
			lie(q, func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA; poison(m) }),
			lie(q, func(m *dns.Msg) { m.Response = false; poison(m) }),
			{1, 2, 3},
			good.Packets[0],
		}}
	})
	p := pool(t, upstream.Config{}, s)
	m, err := exchange(p, "a.test", dns.TypeA)
	if err != nil || m.Answer[0].(*dns.A).A[0] != 192 {
		t.Errorf("got %v, %v", m, err)
	}
	if got := p.Counts().Strays; got != 5 {
		t.Errorf("%d strays, want 5", got)
	}
}

func TestAFloodOfGuessesMovesTheQuestionToTCP(t *testing.T) {
	s := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		if q.TCP {
			return upstreamtest.Plain(q)
		}
		wrong := upstreamtest.Change(q, func(m *dns.Msg) { m.Id++ }).Packets[0]
		return upstreamtest.Reply{Packets: [][]byte{wrong, wrong, wrong, wrong, wrong, wrong, wrong, wrong, wrong, wrong,
			wrong, wrong, wrong, wrong, wrong, wrong, wrong, wrong, wrong, wrong}}
	})
	p := pool(t, upstream.Config{}, s)
	if m, err := exchange(p, "a.test", dns.TypeA); err != nil || len(m.Answer) != 1 || p.Counts().TCP != 1 {
		t.Errorf("got %v, %v, %+v", m, err, p.Counts())
	}
}

func TestTruncatedRepliesAreFetchedOverTCP(t *testing.T) {
	s := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		return upstreamtest.Change(q, func(m *dns.Msg) {
			if !q.TCP {
				m.Truncated, m.Answer = true, nil
			}
		})
	})
	p := pool(t, upstream.Config{}, s)
	if m, err := exchange(p, "big--a.test", dns.TypeTXT); err != nil || m.Truncated || len(m.Answer) != 1 || m.Len() < 2000 {
		t.Errorf("got %v, %v", m, err)
	}
}

func TestTheNextServerIsTried(t *testing.T) {
	silent := new(silence)
	garbage := func(q upstreamtest.Query) upstreamtest.Reply {
		r := upstreamtest.Plain(q)
		r.Packets[0] = r.Packets[0][:len(r.Packets[0])-20]
		return r
	}
	fails := func(q upstreamtest.Query) upstreamtest.Reply {
		return upstreamtest.Change(q, func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeServerFailure, nil })
	}
	for what, handle := range map[string]func(upstreamtest.Query) upstreamtest.Reply{"silent": silent.handle, "garbage": garbage, "servfail": fails} {
		bad, good := upstreamtest.Start(t, handle), upstreamtest.Start(t, upstreamtest.Plain)
		p := pool(t, upstream.Config{}, bad, good)
		silent.pool.Store(p)
		if m, err := exchange(p, "a.test", dns.TypeA); err != nil || len(m.Answer) != 1 {
			t.Errorf("%s: got %v, %v", what, m, err)
		}
	}
}

func TestADeadServerIsAskedLastUntilItsBackoffEnds(t *testing.T) {
	var dead atomic.Bool
	dead.Store(true)
	silent := new(silence)
	first := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		if dead.Load() {
			return silent.handle(q)
		}
		return upstreamtest.Plain(q)
	})
	second := upstreamtest.Start(t, upstreamtest.Plain)
	var now atomic.Int64
	p := pool(t, upstream.Config{Clock: func() time.Time { return time.Unix(now.Load(), 0) }}, first, second)
	silent.pool.Store(p)
	for i := range 6 {
		if _, err := exchange(p, fmt.Sprintf("n%d.test", i), dns.TypeA); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(first.Seen()); got != 3 {
		t.Errorf("the dead server was asked %d times, want 3", got)
	}
	dead.Store(false)
	now.Store(10)
	for i := range 3 {
		if _, err := exchange(p, fmt.Sprintf("m%d.test", i), dns.TypeA); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(first.Seen()); got != 6 {
		t.Errorf("the server that came back was asked %d times, want 6", got)
	}
}

func TestFailuresSayWhichKindTheyAre(t *testing.T) {
	silent := new(silence)
	p := pool(t, upstream.Config{}, upstreamtest.Start(t, silent.handle))
	silent.pool.Store(p)
	if _, err := exchange(p, "secret.test", dns.TypeA); !errors.Is(err, upstream.ErrNoAnswer) {
		t.Errorf("silent server: %v, want %v", err, upstream.ErrNoAnswer)
	}
	p = pool(t, upstream.Config{Servers: []netip.AddrPort{upstreamtest.Closed(t)}})
	_, err := exchange(p, "secret.test", dns.TypeA)
	if !errors.Is(err, upstream.ErrNetwork) {
		t.Errorf("closed port: %v, want %v", err, upstream.ErrNetwork)
	}
	for _, s := range []string{"secret", "127.0.0.1"} {
		if bytes.Contains([]byte(err.Error()), []byte(s)) {
			t.Errorf("error %q holds %q", err, s)
		}
	}
}

func TestIdenticalQuestionsAreAskedOnceAndThoseInFlightAreBounded(t *testing.T) {
	release := make(chan struct{})
	s := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		<-release
		return upstreamtest.Plain(q)
	})
	p := pool(t, upstream.Config{InFlight: 1}, s)
	const n = 20
	same, ended := wire.Question{Name: name("same.test"), Type: dns.TypeA, Class: 1}, make(chan error, n)
	var asking sync.WaitGroup
	for range n {
		asking.Go(func() { p.Ask(context.Background(), same, func(_ []byte, err error) { ended <- err }) })
	}
	asking.Wait() // all have asked, and none has an answer
	if _, err := exchange(p, "other.test", dns.TypeA); !errors.Is(err, upstream.ErrBusy) {
		t.Errorf("a second question: %v, want %v", err, upstream.ErrBusy)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Exchange(ctx, same); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	close(release)
	for range n {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if got := p.Counts(); got.Questions != 1 {
		t.Errorf("%d questions for %d identical ones", got.Questions, n)
	}
}

func TestCloseEndsQuestionsInFlight(t *testing.T) {
	s := upstreamtest.Start(t, func(upstreamtest.Query) upstreamtest.Reply { return upstreamtest.Reply{} })
	p := pool(t, upstream.Config{}, s)
	ended := make(chan error)
	go func() {
		_, err := exchange(p, "a.test", dns.TypeA)
		ended <- err
	}()
	for len(s.Seen()) == 0 {
		<-time.After(time.Millisecond)
	}
	_ = p.Close()
	if err := <-ended; err == nil {
		t.Error("a question in flight was answered after Close")
	}
	if _, err := exchange(p, "b.test", dns.TypeA); !errors.Is(err, upstream.ErrBusy) {
		t.Errorf("after Close: %v, want %v", err, upstream.ErrBusy)
	}
}

func TestOpenRefusesNonsense(t *testing.T) {
	for _, c := range []upstream.Config{{}, {Servers: []netip.AddrPort{{}}}, {Servers: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}}} {
		if _, err := upstream.Open(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}
