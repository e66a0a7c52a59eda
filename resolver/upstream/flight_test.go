package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/upstream/upstreamtest"
	"github.com/cordon-project/cordon/resolver/wire"
)

func TestTheSpellingIsPartOfTheSecret(t *testing.T) {
	const asked = "abcdefghijklmnopqrstuvwxyz.test"
	s := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		lie := upstreamtest.Change(q, func(m *dns.Msg) {
			m.Question[0].Name = strings.ToLower(m.Question[0].Name)
			m.Answer[0].(*dns.A).A[3] = 66
		})
		if q.TCP {
			return upstreamtest.Plain(q)
		}
		return lie
	})
	p := pool(t, upstream.Config{}, s)
	m, err := exchange(p, asked, dns.TypeA)
	if err != nil || m.Answer[0].(*dns.A).A[3] == 66 || m.Question[0].Name != asked+"." {
		t.Fatalf("a reply in another spelling: got %v, %v", m, err)
	}
	spelled := map[string]bool{}
	for _, q := range s.Seen() {
		spelled[q.Question[0].Name] = true
	}
	if spelled[asked+"."] || p.Counts().TCP != 1 {
		t.Errorf("asked as %v, %+v", spelled, p.Counts())
	}
}

func TestAServerThatDoesNotEchoIsAskedInLowerCase(t *testing.T) {
	s := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		return upstreamtest.Change(q, func(m *dns.Msg) { m.Question[0].Name = strings.ToLower(m.Question[0].Name) })
	})
	p := pool(t, upstream.Config{}, s)
	for i := range 5 {
		if m, err := exchange(p, fmt.Sprintf("quite-a-long-name-%d.test", i), dns.TypeA); err != nil || len(m.Answer) != 1 {
			t.Fatalf("got %v, %v", m, err)
		}
	}
	if c := p.Counts(); c.TCP != 1 || c.Failures != 0 {
		t.Errorf("five questions: %+v, want one over TCP", c)
	}
}

// And with it again later: one FORMERR of another cause must not cost its clients DNSSEC until the next restart.
func TestAServerThatKnowsNoEDNSIsAskedWithoutForATime(t *testing.T) {
	var mended atomic.Bool
	s := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		return upstreamtest.Change(q, func(m *dns.Msg) {
			if q.IsEdns0() != nil && !mended.Load() {
				m.Rcode, m.Answer, m.Extra = dns.RcodeFormatError, nil, nil
			}
		})
	})
	var now atomic.Int64
	now.Store(1_900_000_000)
	p := pool(t, upstream.Config{Clock: func() time.Time { return time.Unix(now.Load(), 0) }}, s)
	for i := range 3 {
		if m, err := exchange(p, fmt.Sprintf("n%d.test", i), dns.TypeA); err != nil || len(m.Answer) != 1 {
			t.Fatalf("got %v, %v", m, err)
		}
	}
	if got := len(s.Seen()); got != 4 {
		t.Errorf("three questions took %d queries, want 4", got)
	}
	mended.Store(true)
	now.Add(3600)
	if m, err := exchange(p, "later.test", dns.TypeA); err != nil || len(m.Answer) != 1 {
		t.Fatalf("got %v, %v", m, err)
	}
	if all := s.Seen(); all[len(all)-1].IsEdns0() == nil {
		t.Error("an hour later it is still asked without EDNS")
	}
}

// TestARefusalOfOneQuestionCostsNobodyDNSSEC: a server whose FORMERR or NOTIMP has an OPT record knows EDNS, and does not like the question. Nor is
// it EDNS that it does not like when it says the same without.
func TestARefusalOfOneQuestionCostsNobodyDNSSEC(t *testing.T) {
	for _, c := range []struct {
		rcode int
		opt   bool
	}{{dns.RcodeFormatError, true}, {dns.RcodeNotImplemented, true}, {dns.RcodeFormatError, false}, {dns.RcodeNotImplemented, false}} {
		s := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
			return upstreamtest.Change(q, func(m *dns.Msg) {
				if strings.EqualFold(q.Question[0].Name, "odd.test.") {
					m.Rcode, m.Answer, m.Extra = c.rcode, nil, nil
					if c.opt {
						m.SetEdns0(1232, false)
					}
				}
			})
		})
		p := pool(t, upstream.Config{}, s)
		if m, err := exchange(p, "odd.test", dns.TypeA); err != nil || m.Rcode != c.rcode {
			t.Errorf("%+v: got %v, %v", c, m, err)
		}
		if m, err := exchange(p, "a.test", dns.TypeA); err != nil || len(m.Answer) != 1 {
			t.Errorf("got %v, %v", m, err)
		}
		for _, q := range s.Seen() {
			if q.IsEdns0() == nil && (c.opt || !strings.EqualFold(q.Question[0].Name, "odd.test.")) {
				t.Errorf("%+v: %s is asked without EDNS", c, q.Question[0].Name)
			}
		}
	}
}

// TestNobodyIsAskedWhoIsNotReady: neither a question that comes then, nor one that had no answer before.
func TestNobodyIsAskedWhoIsNotReady(t *testing.T) {
	var ready, silent atomic.Bool
	mute := new(silence)
	s := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		if silent.Load() {
			ready.Store(false)
			return mute.handle(q)
		}
		return upstreamtest.Plain(q)
	})
	p := pool(t, upstream.Config{Ready: ready.Load}, s)
	mute.pool.Store(p)
	if m, err := exchange(p, "a.test", dns.TypeA); !errors.Is(err, upstream.ErrNetwork) || len(s.Seen()) != 0 {
		t.Errorf("not ready: %v, %v, %d queries", m, err, len(s.Seen()))
	}
	ready.Store(true)
	if m, err := exchange(p, "a.test", dns.TypeA); err != nil || len(m.Answer) != 1 {
		t.Errorf("ready: %v, %v", m, err)
	}
	silent.Store(true)
	if m, err := exchange(p, "b.test", dns.TypeA); !errors.Is(err, upstream.ErrNoAnswer) || len(s.Seen()) != 2 {
		t.Errorf("no longer ready: %v, %v, %d queries in all, want 2", m, err, len(s.Seen()))
	}
}

func TestASecondServerIsAskedWhenTheFirstIsSlowerThanUsual(t *testing.T) {
	release := make(chan struct{})
	first := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		<-release
		return upstreamtest.Plain(q)
	})
	defer close(release)
	second := upstreamtest.Start(t, upstreamtest.Plain)
	p := pool(t, upstream.Config{Attempt: time.Minute, Total: time.Minute}, first, second)
	for i := range 2 { // as after many questions, however slow this machine is
		p.Know(i, time.Millisecond)
	}
	if m, err := exchange(p, "late.test", dns.TypeA); err != nil || len(m.Answer) != 1 {
		t.Fatalf("got %v, %v", m, err)
	}
	if c := p.Counts(); c.Hedges == 0 || c.Failures != 0 {
		t.Errorf("counts are %+v, want a hedge and no failure", c)
	}
}

func TestManyQuestionsShareSockets(t *testing.T) {
	s := upstreamtest.Start(t, upstreamtest.Plain)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2)) // how many ports there are depends on it, and on how many questions come in a tenth of a second
	p := pool(t, upstream.Config{}, s)
	p.OneSpan()
	var work sync.WaitGroup
	const n, together = 600, 64 // more would not fit the server's socket
	room := make(chan struct{}, together)
	work.Add(n)
	var failed atomic.Int64
	for i := range n {
		room <- struct{}{}
		p.Ask(context.Background(), wire.Question{Name: name(fmt.Sprintf("n%d.test", i)), Type: dns.TypeA, Class: 1}, func(reply []byte, err error) {
			if err != nil || len(reply) < wire.HeaderLen {
				failed.Add(1)
			}
			<-room
			work.Done()
		})
	}
	work.Wait()
	ports, pairs := map[uint16]bool{}, map[[2]uint16]bool{}
	for _, q := range s.Seen() {
		ports[q.From.Port()] = true
		pairs[[2]uint16{q.From.Port(), q.Id}] = true
	}
	if failed.Load() != 0 || len(ports) > n/2 || len(ports) < 20 {
		t.Errorf("%d of %d failed, over %d ports", failed.Load(), n, len(ports))
	}
	if len(pairs) < n {
		t.Errorf("%d questions had %d pairs of port and id", n, len(pairs))
	}
}

func TestAWaiterWhoseContextEndsLeaves(t *testing.T) {
	release := make(chan struct{})
	s := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		<-release
		return upstreamtest.Plain(q)
	})
	p := pool(t, upstream.Config{Attempt: time.Minute, Total: time.Minute}, s)
	ctx, cancel := context.WithCancel(context.Background())
	left, stayed := make(chan error, 1), make(chan error, 1)
	q := wire.Question{Name: name("a.test"), Type: dns.TypeA, Class: 1}
	p.Ask(ctx, q, func(_ []byte, err error) { left <- err })
	p.Ask(context.Background(), q, func(_ []byte, err error) { stayed <- err })
	cancel()
	if err := <-left; err != context.Canceled {
		t.Errorf("who left got %v", err)
	}
	close(release)
	if err := <-stayed; err != nil {
		t.Errorf("who stayed got %v", err)
	}
	if c := p.Counts(); c.Questions != 1 {
		t.Errorf("counts are %+v", c)
	}
}

func TestASilentServerTakesABoundedNumberOfSockets(t *testing.T) {
	s := upstreamtest.Start(t, func(upstreamtest.Query) upstreamtest.Reply { return upstreamtest.Reply{} })
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	p := pool(t, upstream.Config{}, s)
	if n := p.Spread(100); n != 8*64 {
		t.Errorf("800 lone questions without an answer hold %d sockets, want 512", n)
	}
}

// A socket that is not the current one any more closes with its last question, also when there were too many to take new ones.
func TestSocketsOfAFloodAreClosed(t *testing.T) {
	s := upstreamtest.Start(t, func(upstreamtest.Query) upstreamtest.Reply { return upstreamtest.Reply{} })
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	p := pool(t, upstream.Config{}, s)
	if n := p.Flood(100_000); n > 1 {
		t.Errorf("after a flood %d sockets are open, want the current one alone", n)
	}
}
