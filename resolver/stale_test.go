package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

func TestWhoWaitsTooLongGetsTheStaleAnswerAndTheNextOneTheNew(t *testing.T) {
	clock := newClock()
	g := newRigOf(t, clock, Config{Clock: clock.now, Patience: time.Millisecond})
	g.Swap(makeSet(t))
	answer := func(ip string) func(q wire.Question) ([]byte, error) {
		return func(q wire.Question) ([]byte, error) { return reply(q, nil, "a.test. 60 IN A "+ip) }
	}
	g.up.set(key("a.test", dns.TypeA), answer("192.0.2.1"))
	query := question(t, "a.test", dns.TypeA, edns)
	g.ask(t, query, false)
	clock.step(2 * time.Minute)
	release, kept := make(chan struct{}), make(chan struct{})
	g.up.set(key("a.test", dns.TypeA), func(q wire.Question) ([]byte, error) {
		<-release
		defer close(kept)
		return answer("192.0.2.9")(q)
	})
	if m := g.ask(t, query, false); ede(m) != wire.EDEStale || len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != "192.0.2.1" {
		t.Fatalf("while the upstream is silent: %v", m)
	}
	close(release)
	<-kept
	for {
		resp, done := g.Fast(nil, query, over(false))
		if done {
			if m := checkAnswer(t, query, resp, false); m.Answer[0].(*dns.A).A.String() != "192.0.2.9" {
				t.Errorf("after the upstream's answer: %v", m)
			}
			break
		}
		<-time.After(time.Millisecond) // until it is kept
	}
	if c := g.Counts(); c.Stale != 1 {
		t.Errorf("counts are %+v, want one stale answer", c)
	}
}

func TestAFloodOfOneClientLeavesRoomForOthers(t *testing.T) {
	clock := newClock()
	g := newRigOf(t, clock, Config{Clock: clock.now, Waiting: 64})
	g.Swap(makeSet(t))
	ctx, end := context.WithCancel(context.Background())
	g.up.set("*", func(wire.Question) ([]byte, error) {
		<-ctx.Done()
		return nil, upstream.ErrNoAnswer
	})
	answers := make(chan int, 1000)
	flood := func(addr string, n int) {
		for i := range n {
			query := question(t, fmt.Sprintf("n%d-%s.test", i, addr), dns.TypeA, edns)
			g.Slow(ctx, query, wire.Client{Addr: netip.MustParseAddr(addr)}, func(resp []byte) { answers <- len(resp) })
		}
	}
	flood("192.0.2.1", 500)
	if c := g.Counts(); c.Crowded != 500-32 {
		t.Errorf("a flood of 500: %d refused, want all but half of the room", c.Crowded)
	}
	g.up.set(key("good.example", dns.TypeA), func(q wire.Question) ([]byte, error) {
		return reply(q, nil, "good.example. 60 IN A 192.0.2.1")
	})
	if m := g.ask(t, question(t, "good.example", dns.TypeA, edns), false); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
		t.Errorf("another client meanwhile: %v", m)
	}
	end()
	for range 500 {
		<-answers
	}
	if n := g.fair.taken.Load(); n != 0 {
		t.Errorf("%d places are still taken", n)
	}
}
