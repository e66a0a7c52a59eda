package match_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

func smallIndex(tb testing.TB) []byte {
	tb.Helper()
	e, err := match.OpenEdge(smallEdge(tb))
	if err != nil {
		tb.Fatal(err)
	}
	b, err := match.Compile(e)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestIndexSaysWhatItWasCompiledFrom(t *testing.T) {
	x, err := match.Open(smallIndex(t))
	if err != nil {
		t.Fatal(err)
	}
	e, err := match.OpenEdge(smallEdge(t))
	if err != nil {
		t.Fatal(err)
	}
	if x.Header() != smallHeader || x.EdgeHash() != e.Hash() {
		t.Errorf("Header = %+v, EdgeHash = %x, want %+v, %x", x.Header(), x.EdgeHash(), smallHeader, e.Hash())
	}
}

func TestTheCharterKeepsRecordsOut(t *testing.T) {
	m := memberOf(t, "one/main", 1, smallTexts...)
	m.Filter.Kinds = []canon.Kind{canon.KindHost}
	s := setOf(t, nil, m)
	if v := s.Name([]byte("host.test"), listed); !v.Listed {
		t.Errorf("Name(host.test) = %+v, want listed", v)
	}
	if v := s.Name([]byte("domain.test"), listed); v != (match.Verdict{}) {
		t.Errorf("Name(domain.test) = %+v, want nothing: the charter allows hosts only", v)
	}
	if v := s.Name([]byte("page.test"), listed); v.Steer {
		t.Errorf("Name(page.test) = %+v, want no steering: the charter allows no page entries", v)
	}
	if v := s.Page([]byte("page.test/a/b?x=1"), listed); v.Listed {
		t.Errorf("Page = %+v, want nothing", v)
	}
	whole := memberOf(t, "one/main", 1, smallTexts...)
	if a, b := s.Lists()[0], setOf(t, nil, whole).Lists()[0]; a.IndexHash != b.IndexHash || a.FilterHash == b.FilterHash {
		t.Errorf("state of the list %+v, without the filter %+v: want the same index, another filter", a, b)
	}
}

// TestEveryFlippedByteOfAnIndexIsRefused flips each bit of each byte of an index; none may open.
func TestEveryFlippedByteOfAnIndexIsRefused(t *testing.T) {
	good := smallIndex(t)
	if _, err := match.Open(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for bit := range 8 {
			b := slices.Clone(good)
			b[i] ^= 1 << bit
			if _, err := match.Open(b); err == nil {
				t.Fatalf("byte %d bit %d flipped: opened", i, bit)
			}
		}
	}
	for n := range good {
		if _, err := match.Open(slices.Clone(good[:n])); err == nil {
			t.Fatalf("cut to %d bytes: opened", n)
		}
	}
	if _, err := match.Open(append(slices.Clone(good), 0)); err == nil {
		t.Fatal("a byte added: opened")
	}
}

// TestResealedIndexIsAnother flips each byte and makes the hashes fit again: then it is refused, or it is another index
// with another hash, which no state id that anyone computes has in it.
func TestResealedIndexIsAnother(t *testing.T) {
	good := smallIndex(t)
	x, err := match.Open(good)
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	for i := range good {
		b := slices.Clone(good)
		b[i] ^= 0x41
		reseal(b, 1)
		if bytes.Equal(b, good) {
			continue // the byte was part of a hash
		}
		y, err := match.Open(b)
		if err != nil {
			continue
		}
		opened++
		if y.Hash() == x.Hash() {
			t.Fatalf("byte %d changed: the hash did not", i)
		}
	}
	if opened == 0 {
		t.Error("no changed index opened: the test does not reach behind the hashes")
	}
}

// TestRecompileGivesWhatCompileGives changes lists of sizes around the steps of the filter, a little and a lot.
func TestRecompileGivesWhatCompileGives(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	all := listtest.Records(6000, 1)
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	edge := func(records []match.Record) *match.Edge {
		e, err := match.WriteEdge(listtest.Version(1), records)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	index := func(b []byte, err error) *match.Index {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		x, err := match.Open(b)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, n := range []int{0, 1, 16, 100, 512, 513, 3000, 4096, 5900} {
		for _, change := range []int{0, 1, 20, 90} {
			out := min(change/2, n)
			from, to := edge(all[:n]), edge(all[out:n+change-out])
			var changed []uint64
			for _, r := range append(slices.Clone(all[:out]), all[n:n+change-out]...) {
				changed = append(changed, r.Gate)
			}
			old := index(match.Compile(from))
			got := index(match.Recompile(old, from, to, changed))
			if want := index(match.Compile(to)); got.Hash() != want.Hash() {
				t.Errorf("%d records, %d changed: Recompile gives another index than Compile", n, change)
			}
			if change > 0 {
				if _, err := match.Recompile(old, to, from, changed); !errors.Is(err, match.ErrHash) {
					t.Errorf("old index of another list: %v, want %v", err, match.ErrHash)
				}
			}
		}
	}
}

func FuzzOpenIndex(f *testing.F) {
	good := smallIndex(f)
	f.Add(good, false)
	f.Add(good, true)
	f.Add([]byte("CORDIDX2"), false)
	f.Fuzz(func(t *testing.T, b []byte, fit bool) {
		b = append(make([]byte, 0, len(b)+64), b...) // aligned, and ours
		if fit {
			reseal(b, 1)
		}
		x, err := match.Open(b)
		if err != nil {
			return
		}
		// Whatever it says, it only ever says "certainly not" or "ask": put it in front of its own list if there is one.
		if e, err := match.OpenEdge(smallEdge(t)); err == nil && x.EdgeHash() == e.Hash() {
			s := setOf(t, nil, match.Member{Edge: e, Index: x, Filter: listtest.Filter(), Keys: listtest.Keys(1)})
			if v := s.Name([]byte("unlisted.test"), listed); v != (match.Verdict{}) {
				t.Errorf("an unlisted name is %+v", v)
			}
		}
	})
}
