package resolver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"
	"weak"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/wire"
)

// Whatever stands in a batch, in whatever order, and whatever stood there before: each answer is the one that Fast gives.
func TestABatchSaysWhatFastSays(t *testing.T) {
	g := newRig(t)
	var queries [][]byte
	for _, q := range hotRig(t, g) {
		queries = append(queries, q)
	}
	for i := range 30 {
		queries = append(queries,
			question(t, fmt.Sprintf("host%d.test", i), dns.TypeA, edns), question(t, fmt.Sprintf("_443._https.host%d.test", i), dns.TypeHTTPS),
			question(t, fmt.Sprintf("new%d.example", i), dns.TypeA), question(t, fmt.Sprintf("a.b.c.d.e.f.g.h.www%d.bad.test", i), dns.TypeAAAA))
	}
	queries = append(queries, nil, make([]byte, 5), question(t, "hot.example", dns.TypeMX, edns))
	sets := []func(){
		func() { g.Swap(makeSet(t, law(canon.KindDomain, "bad.test"), law(canon.KindHost, "host3.test"))) },
		func() { g.Swap(makeSet(t, voluntary(canon.KindDomain, "example"))) },
		func() { g.Swap(nil) },
		func() { g.clock.step(recheck * time.Second) },
		func() {},
	}
	w := g.Worker()
	r := rand.New(rand.NewPCG(1, 2))
	kinds := map[bool]int{}
	for round := range 200 {
		sets[r.IntN(len(sets))]()
		if round%10 == 0 {
			g.Swap(makeSet(t, law(canon.KindDomain, "bad.test")))
		}
		batch := make([]wire.Ask, r.IntN(70))
		for i := range batch {
			batch[i] = wire.Ask{Query: queries[r.IntN(len(queries))], From: over(r.IntN(4) == 0), Resp: []byte{1, 2}}
		}
		w.Answer(batch)
		for i, a := range batch {
			want, done := g.Fast([]byte{1, 2}, a.Query, a.From)
			if string(a.Resp) != string(want) || a.Done != done {
				t.Fatalf("round %d, question %d of %d (%x): got %x, %v, want %x, %v", round, i, len(batch), a.Query, a.Resp, a.Done, want, done)
			}
			kinds[done]++
		}
	}
	if kinds[true] < 1000 || kinds[false] < 100 {
		t.Errorf("answered or not: %v: too few of one", kinds)
	}
}

func TestABatchDoesNotAllocate(t *testing.T) {
	g := newRig(t)
	batch := hotBatch(t, g, 64)
	w := g.Worker()
	if n := testing.AllocsPerRun(100, func() { answer(t, w, batch) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// A set that is swapped in is in force for the batch after it.
func TestABatchIsAnsweredUnderTheSetInForce(t *testing.T) {
	g := newRig(t)
	batch := hotBatch(t, g, 8)
	w := g.Worker()
	for i := range 10 {
		var stops uint64
		if i%2 == 0 {
			g.Swap(makeSet(t, law(canon.KindDomain, "example"), law(canon.KindDomain, "test")))
			stops = 8
		} else {
			g.Swap(makeSet(t, law(canon.KindDomain, "other.test")))
		}
		before := g.Counts().Listed()
		for j := range batch {
			batch[j].Query = question(t, "hot.example", dns.TypeA, edns)
			batch[j].Resp = batch[j].Resp[:0]
		}
		w.Answer(batch)
		if got := g.Counts().Listed() - before; got != stops {
			t.Fatalf("swap %d: %d of 8 stopped, want %d", i, got, stops)
		}
	}
}

// A worker that was asked under a set long ago, with more questions at once than since, keeps nothing of it: an index is as large as its list.
func TestAWorkerKeepsNoSetAlive(t *testing.T) {
	g := newRig(t)
	w := g.Worker()
	before := func() weak.Pointer[match.Set] {
		set := makeSet(t, law(canon.KindDomain, "bad.test"))
		g.Swap(set)
		var batch []wire.Ask
		for i := range 64 { // listed, not listed and unknown: none in the cache
			batch = append(batch, wire.Ask{Query: question(t, fmt.Sprintf("www%d.%s.test", i, []string{"bad", "good"}[i%2]), dns.TypeA, edns), From: over(false)})
		}
		w.Answer(batch)
		w.Slow(t.Context(), batch)
		return weak.Make(set)
	}()
	g.Swap(makeSet(t, law(canon.KindDomain, "other.test")))
	runtime.GC()
	if before.Value() != nil {
		t.Error("the set before is still in memory")
	}
	runtime.KeepAlive(w)
}

// hotBatch is n questions that need no upstream, of each kind in turn, with room for their answers.
func hotBatch(t testing.TB, g *rig, n int) (batch []wire.Ask) {
	for len(batch) < n {
		for _, q := range hotRig(t, g) {
			batch = append(batch, wire.Ask{Query: q, From: over(false), Resp: make([]byte, 0, wire.MaxUDP)})
		}
	}
	return batch[:n]
}

func answer(t testing.TB, w *Worker, batch []wire.Ask) {
	for i := range batch {
		batch[i].Resp = batch[i].Resp[:0]
	}
	w.Answer(batch)
	for i := range batch {
		if !batch[i].Done {
			t.Fatalf("question %d is not answered", i)
		}
	}
}

// 64 questions at a time out of 1,500 cached names, as a listener has them; ns/op is of one question.
func BenchmarkBatchCached(b *testing.B) {
	g := newRigAt(b, nil, time.Now)
	g.Swap(makeSet(b, law(canon.KindDomain, "bad.test")))
	asks := make([]wire.Ask, 1500)
	for i := range asks {
		name := fmt.Sprintf("www%d.hot.example", i)
		g.up.records(name, dns.TypeA, name+". 3000 IN A 192.0.2.1")
		asks[i] = wire.Ask{Query: question(b, name, dns.TypeA), From: over(false), Resp: make([]byte, 0, wire.MaxUDP)}
		g.slow(context.Background(), asks[i].Query, over(false))
	}
	// A bucket of the cache may have overflown.
	asks = slices.DeleteFunc(asks, func(a wire.Ask) bool { _, done := g.Fast(nil, a.Query, a.From); return !done })
	benchmarkBatch(b, g.Worker(), asks)
}

func BenchmarkBatchListed(b *testing.B) {
	g := newRigAt(b, nil, time.Now)
	entries, asks := make([]entry, 10_000), make([]wire.Ask, 10_000)
	for i := range asks {
		name := fmt.Sprintf("www%d.bad.test", i)
		entries[i] = law(canon.KindHost, name)
		asks[i] = wire.Ask{Query: question(b, name, dns.TypeA), From: over(false), Resp: make([]byte, 0, wire.MaxUDP)}
	}
	g.Swap(makeSet(b, entries...))
	benchmarkBatch(b, g.Worker(), asks)
}

func benchmarkBatch(b *testing.B, w *Worker, asks []wire.Ask) {
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += 64 {
		at := i % (len(asks) - 64)
		answer(b, w, asks[at:at+64])
	}
}
