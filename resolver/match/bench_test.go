package match_test

import (
	"strconv"
	"sync"
	"testing"

	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/match/locked"
)

const million = 1 << 20

// bigIndex is made once: a million records take about a second.
var bigIndex = sync.OnceValues(func() ([]byte, error) { return listtest.Index(million, 1) })

func bigSet(tb testing.TB) *match.Set { return bigSetWith(tb, listtest.Keys(1)) }

func bigSetWith(tb testing.TB, keys *match.Keys) *match.Set {
	tb.Helper()
	b, err := bigIndex()
	if err != nil {
		tb.Fatal(err)
	}
	x, err := match.OpenHead(b)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := match.NewSet([]match.Member{{Index: x, Keys: keys}}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// questions are 4-label names below the synthetic ones, "www.n123.example-3.test", side by side in memory as datagrams
// are: fetching them must not be what a lookup benchmark measures.
type questions struct {
	slab []byte
	at   []uint32
}

func ask(n int, of func(i int) int) questions {
	q := questions{at: make([]uint32, 1, n+1)}
	for i := range n {
		q.slab = listtest.AppendName(append(q.slab, "www."...), of(i))
		q.at = append(q.at, uint32(len(q.slab)))
	}
	return q
}

func (q *questions) name(i int) []byte { return q.slab[q.at[i]:q.at[i+1]] }

const asked = 1 << 16 // different names, so that the filter is read all over

func BenchmarkNameMiss(b *testing.B) { nameMiss(b, bigSet(b)) }

// On a node the keys are in locked memory, where the kernel may map small pages only.
func BenchmarkNameMissLockedKeys(b *testing.B) {
	v, err := locked.New[match.Keys]()
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	*v.Get() = *listtest.Keys(1)
	nameMiss(b, bigSetWith(b, v.Get()))
}

func nameMiss(b *testing.B, s *match.Set) {
	q := ask(asked, func(i int) int { return million + i*37 })
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if v := s.Name(q.name(i%asked), 1); v.Listed {
			b.Fatalf("Name(%s) = %+v, want not listed", q.name(i%asked), v)
		}
	}
}

func BenchmarkNameHit(b *testing.B) {
	s := bigSet(b)
	q := ask(asked, func(i int) int { return i * 13 })
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if v := s.Name(q.name(i%asked), 1); !v.Listed {
			b.Fatalf("Name(%s) = %+v, want listed", q.name(i%asked), v)
		}
	}
}

func BenchmarkPageMiss(b *testing.B) {
	s := bigSet(b)
	asked := make([][]byte, 1<<12)
	for i := range asked {
		asked[i] = []byte(listtest.Name(million+i) + "/a/b/c/page" + strconv.Itoa(i) + ".html?id=1")
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if v := s.Page(asked[i&(1<<12-1)], 1); v.Listed {
			b.Fatalf("Page(%s) = %+v, want not listed", asked[i&(1<<12-1)], v)
		}
	}
}

func BenchmarkDigest(b *testing.B) {
	keys, name := listtest.Keys(1), []byte("n123.example-3.test")
	b.ReportAllocs()
	for range b.N {
		keys.Digest(listtest.List, 1, name)
	}
}

func BenchmarkBuild(b *testing.B) {
	records := listtest.Records(million, 1)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := match.Build(listtest.Version(1), listtest.Filter(), million, func(i int) match.Record { return records[i] }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	file, err := bigIndex()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(file)))
		for range b.N {
			if _, err := match.Open(file); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("head", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			if _, err := match.OpenHead(file); err != nil {
				b.Fatal(err)
			}
		}
	})
}
