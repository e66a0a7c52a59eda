package resolver

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/wire"
)

// TestSwapUnderLoadAnswersEverythingAndLetsNothingListedThrough asks from several goroutines while sets are swapped. One
// name is in every set, one in none, one is listed in turns: after Swap returned its answer must fit the set.
func TestSwapUnderLoadAnswersEverythingAndLetsNothingListedThrough(t *testing.T) {
	g := newRig(t)
	g.up.set("*", func(q wire.Question) ([]byte, error) {
		name, _, _ := dns.UnpackDomainName(q.Name, 0)
		return reply(q, nil, name+" 300 IN A 192.0.2.1")
	})
	for i := range 20 {
		g.up.records(fmt.Sprintf("alias%d.example", i), dns.TypeA, fmt.Sprintf("alias%d.example. 300 IN CNAME always.test.", i))
	}
	sets := []*match.Set{
		makeSet(t, law(canon.KindDomain, "always.test")),
		makeSet(t, law(canon.KindDomain, "always.test"), voluntary(canon.KindHost, "turns.test")),
	}
	g.Swap(sets[0])
	var asked, wrong atomic.Int64
	ctx, stop := context.WithCancel(context.Background())
	address := func(query []byte) string {
		resp, done := g.Fast(nil, query, over(false))
		if !done {
			resp = g.slow(context.Background(), query, over(false))
		}
		var m dns.Msg
		if err := m.Unpack(resp); err != nil || len(m.Answer) != 1 {
			return fmt.Sprintf("%v %v", err, &m)
		}
		a, ok := m.Answer[0].(*dns.A)
		if !ok {
			return m.Answer[0].String()
		}
		return a.A.String()
	}
	check := func(name, want string) {
		asked.Add(1)
		if got := address(question(t, name, dns.TypeA, edns)); got != want && wrong.Add(1) < 5 {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	var work sync.WaitGroup
	for w := range 3 {
		work.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				check("www.always.test", "127.0.0.16")
				check(fmt.Sprintf("alias%d.example", i%20), "127.0.0.16")
				check("never.test", "192.0.2.1")
				check(fmt.Sprintf("n%d-%d.test", w, i%500), "192.0.2.1")
			}
		})
	}
	swaps := 300
	for i := range swaps {
		s := sets[i%2]
		g.Swap(s)
		check("turns.test", map[bool]string{true: "127.0.0.15", false: "192.0.2.1"}[i%2 == 1])
	}
	// A few more rounds with both sets, so that the workers see many swaps also on a slow machine.
	for i := 0; asked.Load() < 5000; i++ {
		g.Swap(sets[i%2])
	}
	stop()
	work.Wait()
	t.Logf("%d questions over %d swaps, %d wrong", asked.Load(), swaps, wrong.Load())
}

func TestANameListedWhileItsQuestionWaitsIsBlocked(t *testing.T) {
	g := newRig(t)
	g.Swap(makeSet(t))
	asked, answer := make(chan struct{}), make(chan struct{})
	g.up.set(key("a.test", dns.TypeA), func(q wire.Question) ([]byte, error) {
		close(asked)
		<-answer
		return reply(q, nil, "a.test. 300 IN A 192.0.2.1")
	})
	query := question(t, "a.test", dns.TypeA)
	got := make(chan []byte)
	go func() { got <- g.slow(context.Background(), query, over(false)) }()
	<-asked
	g.Swap(makeSet(t, law(canon.KindHost, "a.test")))
	close(answer)
	m := checkAnswer(t, query, <-got, false)
	if want := "a.test. 30 IN A 127.0.0.16"; len(m.Answer) != 1 || lines(m.Answer)[0] != want {
		t.Errorf("answer is %v, want %s", m.Answer, want)
	}
}

// TestWhatPassesForATimeEndsForCachedAnswersToo: a suppression and the kill switch end by the edge's own clock, without a swap.
func TestWhatPassesForATimeEndsForCachedAnswersToo(t *testing.T) {
	for name, set := range map[string]func(until uint32) *match.Set{
		"suppression": func(until uint32) *match.Set {
			return makeSetWithout(t, []match.Removal{
				{List: "hotline/main", Entry: match.EntryID{0, 0, 7}, Until: until, Kind: match.RemovalSuppress, Number: 1},
			}, law(canon.KindHost, "a.test"))
		},
		"bypass": func(until uint32) *match.Set { return makeSet(t, law(canon.KindHost, "a.test")).WithBypass(until) },
	} {
		t.Run(name, func(t *testing.T) { endsByItself(t, set) })
	}
}

func endsByItself(t *testing.T, set func(until uint32) *match.Set) {
	g := newRig(t)
	g.up.records("a.test", dns.TypeA, "a.test. 3600 IN A 192.0.2.1")
	g.Swap(set(uint32(g.clock.now().Unix()) + 100))
	for _, step := range []struct {
		wait time.Duration
		want string
	}{{0, "a.test. 3600 IN A 192.0.2.1"}, {99 * time.Second, "a.test. 3501 IN A 192.0.2.1"}, {(2 + recheck) * time.Second, "a.test. 30 IN A 127.0.0.16"}} {
		g.clock.step(step.wait)
		m := g.ask(t, question(t, "a.test", dns.TypeA), false)
		if len(m.Answer) != 1 || lines(m.Answer)[0] != step.want {
			t.Errorf("after %v more: answer is %v, want %s", step.wait, m.Answer, step.want)
		}
	}
}
