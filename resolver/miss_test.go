package resolver

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/cache"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

// queue is an upstream that keeps questions until they are answered by hand.
type queue struct {
	fakeUpstream
	waiting []upstream.Waiter
	sums    []wire.Summary
	flushed int
}

func (u *queue) Ask(context.Context, wire.Question, func([]byte, error)) { panic("asked one by one") }
func (u *queue) Queue(_ context.Context, _ wire.Question, w upstream.Waiter) {
	u.waiting = append(u.waiting, w)
}
func (u *queue) Flush() { u.flushed++ }

// answer is what upstream.Pool does with the replies of one call.
func (u *queue) answer(replies ...[]byte) {
	for len(u.sums) < len(u.waiting) {
		u.sums = append(u.sums, wire.Summary{})
	}
	for i, w := range u.waiting {
		if err := wire.Scan(replies[i], &u.sums[i]); err != nil {
			panic(err)
		}
		w.Told(replies[i], &u.sums[i], nil)
	}
	for i, w := range u.waiting {
		w.Flush()
		u.waiting[i] = nil
	}
	u.waiting = u.waiting[:0]
}

// taker is a client that waits.
type taker struct {
	got              []byte
	answers, flushes int
}

func (c *taker) Answer(resp []byte) {
	c.answers++
	c.got = append(c.got[:0], resp...)
}
func (c *taker) Flush() { c.flushes++ }

func newQueueRig(t testing.TB) (*Resolver, *queue, *fakeClock) {
	t.Helper()
	u, clock := &queue{}, newClock()
	r, err := New(Config{Stop: testStop, Upstream: u, Cache: cache.New(cache.Config{Bytes: 1 << 20, MaxStale: 3600}), Clock: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	return r, u, clock
}

// askUpstream asks a batch that the cache has nothing for.
func askUpstream(t testing.TB, w *Worker, batch []wire.Ask) {
	t.Helper()
	w.Answer(batch)
	for _, a := range batch {
		if a.Done {
			t.Fatalf("%x was answered at once: %x", a.Query, a.Resp)
		}
	}
	w.Slow(context.Background(), batch)
}

// What was found out before the wait must not let pass what was listed during it, nor hold for longer than a cached answer's clearance.
func TestWhatIsListedDuringTheWaitOfABatchDoesNotPass(t *testing.T) {
	before := func(t *testing.T) (*Resolver, *queue, *fakeClock, []wire.Ask, []*taker) {
		r, u, clock := newQueueRig(t)
		until := uint32(clock.now().Unix()) + recheck
		r.Swap(makeSetWithout(t, []match.Removal{{List: "hotline/main", Entry: match.EntryID{0, 0, 7}, Until: until, Kind: match.RemovalSuppress, Number: 1}}, law(canon.KindDomain, "later.test"), law(canon.KindDomain, "bad.test")))
		var batch []wire.Ask
		var takers []*taker
		for i := range 3 {
			c := &taker{}
			takers = append(takers, c)
			batch = append(batch, wire.Ask{Query: question(t, fmt.Sprintf("www%d.later.test", i), dns.TypeA, edns), From: over(false), Later: c})
		}
		askUpstream(t, r.Worker(), batch)
		if len(u.waiting) != 3 || u.flushed != 1 {
			t.Fatalf("%d questions wait, flushed %d times", len(u.waiting), u.flushed)
		}
		return r, u, clock, batch, takers
	}
	for _, test := range []struct {
		name string
		then func(r *Resolver, clock *fakeClock)
		want string
	}{
		{"nothing", func(*Resolver, *fakeClock) {}, "192.0.2.1"},
		{"a new set", func(r *Resolver, _ *fakeClock) { r.Swap(makeSet(t, law(canon.KindDomain, "later.test"))) }, testStop.LawIPv4.String()},
		{"the end of a removal", func(_ *Resolver, clock *fakeClock) { clock.step((recheck + 1) * time.Second) }, testStop.LawIPv4.String()},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, u, clock, batch, takers := before(t)
			test.then(r, clock)
			var replies [][]byte
			for i := range batch {
				q := batch[i].Query
				b, err := reply(wire.Question{Name: q[wire.HeaderLen : wire.HeaderLen+len("-www0-later-test-")], Type: dns.TypeA, Class: 1}, nil,
					fmt.Sprintf("www%d.later.test. 300 IN A 192.0.2.1", i))
				if err != nil {
					t.Fatal(err)
				}
				replies = append(replies, b)
			}
			u.answer(replies...)
			for i, c := range takers {
				m := checkAnswer(t, batch[i].Query, c.got, false)
				if len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != test.want || c.answers != 1 || c.flushes != 1 {
					t.Errorf("question %d: got %v, %d answers, %d flushes; want %s once", i, m.Answer, c.answers, c.flushes, test.want)
				}
			}
		})
	}
}

// A question that an upstream is asked costs the memory of its answer in the cache, and no more.
func TestAMissAllocatesItsAnswerAlone(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector makes sync.Pool drop what it holds: nothing is measured")
		return
	}
	const n = 16
	r, u, _ := newQueueRig(t)
	r.Swap(makeSet(t, law(canon.KindDomain, "bad.test")))
	w := r.Worker()
	batch, replies, takers := make([]wire.Ask, n), make([][]byte, n), make([]taker, n)
	queries := make([][]byte, n)
	for i := range n {
		name := fmt.Sprintf("n%02d-00000.example", i)
		queries[i] = question(t, name, dns.TypeA, edns)
		replies[i], _ = reply(wire.Question{Name: queries[i][wire.HeaderLen : wire.HeaderLen+len(name)+2], Type: dns.TypeA, Class: 1}, nil, name+". 300 IN A 192.0.2.1")
	}
	round := 0
	if got := testing.AllocsPerRun(200, func() {
		round++
		for i := range n {
			for at, x := 8, round; at > 3; at, x = at-1, x/10 {
				queries[i][wire.HeaderLen+1+at] = byte('0' + x%10)
			}
			copy(replies[i][wire.HeaderLen:], queries[i][wire.HeaderLen:wire.HeaderLen+10])
			batch[i] = wire.Ask{Query: queries[i], From: over(false), Resp: batch[i].Resp[:0], Later: &takers[i]}
		}
		askUpstream(t, w, batch)
		u.answer(replies...)
	}); got != n {
		t.Errorf("%v allocations for %d questions, want one each", got, n)
	}
	for i := range takers {
		if !bytes.Contains(takers[i].got, []byte{192, 0, 2, 1}) || takers[i].answers != takers[i].flushes {
			t.Fatalf("question %d: got %x, %d answers, %d flushes", i, takers[i].got, takers[i].answers, takers[i].flushes)
		}
	}
}
