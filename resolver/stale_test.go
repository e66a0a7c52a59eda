package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
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

func TestWhoFindsNoRoomGetsAStaleAnswer(t *testing.T) {
	clock := newClock()
	g := newRigOf(t, clock, Config{Clock: clock.now, Waiting: 2})
	g.Swap(makeSet(t))
	g.up.set(key("a.test", dns.TypeA), func(q wire.Question) ([]byte, error) { return reply(q, nil, "a.test. 60 IN A 192.0.2.1") })
	query := question(t, "a.test", dns.TypeA, edns)
	g.ask(t, query, false)
	clock.step(2 * time.Minute)
	ctx, end := context.WithCancel(context.Background())
	g.up.set("*", func(wire.Question) ([]byte, error) {
		<-ctx.Done()
		return nil, upstream.ErrNoAnswer
	})
	waiting := make(chan struct{}, 2)
	for i := range 2 {
		g.Slow(ctx, question(t, fmt.Sprintf("n%d.test", i), dns.TypeA, edns), over(false), func([]byte) { waiting <- struct{}{} })
	}
	if m := g.ask(t, query, false); ede(m) != wire.EDEStale || len(m.Answer) != 1 {
		t.Errorf("with no room to wait: %v", m)
	}
	if m := g.ask(t, question(t, "never-seen.test", dns.TypeA, edns), false); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("with no room and nothing stale: %v", m)
	}
	end()
	<-waiting
	<-waiting
}

func TestPopularAnswersAreAskedForBeforeTheirTimeIsOver(t *testing.T) {
	clock := newClock()
	g := newRigOf(t, clock, Config{Clock: clock.now, Prefetch: true})
	g.Swap(makeSet(t))
	kept := make(chan struct{}, 10)
	answer := func(rr string) func(q wire.Question) ([]byte, error) {
		return func(q wire.Question) ([]byte, error) {
			defer func() { kept <- struct{}{} }()
			return reply(q, nil, rr)
		}
	}
	g.up.set(key("a.test", dns.TypeA), answer("a.test. 100 IN A 192.0.2.1"))
	query := question(t, "a.test", dns.TypeA, edns)
	fast := func(ip string) bool {
		resp, done := g.Fast(nil, query, over(false))
		return done && checkAnswer(t, query, resp, false).Answer[0].(*dns.A).A.String() == ip
	}
	g.ask(t, query, false)
	<-kept
	clock.step(89 * time.Second)
	if !fast("192.0.2.1") || g.up.calls() != 1 {
		t.Fatalf("with 11 seconds left the upstream was asked %d times", g.up.calls())
	}
	clock.step(time.Second)
	g.up.set(key("a.test", dns.TypeA), answer("a.test. 100 IN A 192.0.2.9"))
	for range 5 {
		if !fast("192.0.2.1") && !fast("192.0.2.9") {
			t.Fatal("no answer while the next one is asked for")
		}
	}
	<-kept
	for !fast("192.0.2.9") { // until it is kept
		<-time.After(time.Millisecond)
	}
	if g.up.calls() != 2 || g.Counts().Prefetch != 1 {
		t.Errorf("the upstream was asked %d times, counts are %+v", g.up.calls(), g.Counts())
	}
	// A failure takes nothing away.
	clock.step(95 * time.Second)
	failed := make(chan struct{}, 1)
	g.up.set(key("a.test", dns.TypeA), func(wire.Question) ([]byte, error) {
		defer func() { failed <- struct{}{} }()
		return nil, upstream.ErrNoAnswer
	})
	fast("192.0.2.9")
	<-failed
	for g.fair.taken.Load() != 0 {
		<-time.After(time.Millisecond)
	}
	if !fast("192.0.2.9") {
		t.Error("the answer is gone because the next one could not be had")
	}
	// Nor does it let a name through that was listed meanwhile.
	g.Swap(makeSet(t, entry{name: "a.test", basis: match.BasisLaw, kind: canon.KindHost}))
	if fast("192.0.2.9") {
		t.Error("a listed name passes")
	}
}
