package match_test

import (
	"flag"
	"strconv"
	"sync"
	"testing"

	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/match/locked"
)

const million = 1 << 20

// size is how many records the benchmarks are about.
var size = flag.Int("records", million, "records of the list in benchmarks")

// big is made once: a million records take about a second.
var big = sync.OnceValue(func() *match.Edge {
	e, err := match.WriteEdge(listtest.Version(1), listtest.Records(*size, 1))
	if err != nil {
		panic(err)
	}
	return e
})

func bigSet(tb testing.TB) *match.Set { return bigSetWith(tb, listtest.Keys(1)) }

func bigSetWith(tb testing.TB, keys *match.Keys) *match.Set {
	tb.Helper()
	m, err := listtest.Member(big(), 1)
	if err != nil {
		tb.Fatal(err)
	}
	m.Keys = keys
	s, err := match.NewSet([]match.Member{m}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// questions are 4-label names below the synthetic ones, "www.n123.example-3.test", side by side in memory as datagrams
// are: fetching them must not be what a lookup benchmark measures. Behind each is the byte that a lookup may write to.
type questions struct {
	slab []byte
	at   []uint32
}

func ask(n int, of func(i int) int) questions {
	q := questions{at: make([]uint32, 1, n+1)}
	for i := range n {
		q.slab = append(listtest.AppendName(append(q.slab, "www."...), of(i)), 0)
		q.at = append(q.at, uint32(len(q.slab)))
	}
	return q
}

func (q *questions) name(i int) []byte { return q.slab[q.at[i] : q.at[i+1]-1 : q.at[i+1]] }

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
	q := ask(asked, func(i int) int { return *size + i*37 })
	b.ReportAllocs()
	b.ResetTimer()
	defer listtest.CPU(b)()
	for i := range b.N {
		if v := s.Name(q.name(i%asked), 1); v.Listed {
			b.Fatalf("Name(%s) = %+v, want not listed", q.name(i%asked), v)
		}
	}
}

func BenchmarkNameHit(b *testing.B) {
	s := bigSet(b)
	q := ask(asked, func(i int) int { return i * 13 % *size })
	b.ReportAllocs()
	b.ResetTimer()
	defer listtest.CPU(b)()
	for i := range b.N {
		if v := s.Name(q.name(i%asked), 1); !v.Listed {
			b.Fatalf("Name(%s) = %+v, want listed", q.name(i%asked), v)
		}
	}
}

// A batch of names in steps, as a listener has them: ns/op is of one name.
func BenchmarkNamesAtOnce(b *testing.B) {
	for _, listed := range []bool{false, true} {
		b.Run(map[bool]string{false: "miss", true: "hit"}[listed], func(b *testing.B) {
			s := bigSet(b)
			q := ask(asked, func(i int) int {
				if listed {
					return i * 13 % *size
				}
				return *size + i*37
			})
			batch := make([]match.Lookup, 64)
			b.ReportAllocs()
			b.ResetTimer()
			defer listtest.CPU(b)()
			for i := 0; i < b.N; i += len(batch) {
				for j := range batch {
					batch[j].Begin(s, q.name((i+j)%asked))
				}
				for range match.Steps {
					for j := range batch {
						batch[j].Step()
					}
				}
				for j := range batch {
					if v := batch[j].Verdict(1); v.Listed != listed {
						b.Fatalf("%s: %+v, want listed %v", q.name((i+j)%asked), v, listed)
					}
				}
			}
		})
	}
}

func BenchmarkPageMiss(b *testing.B) {
	s := bigSet(b)
	asked := make([][]byte, 1<<12)
	for i := range asked {
		asked[i] = []byte(listtest.Name(*size+i) + "/a/b/c/page" + strconv.Itoa(i) + ".html?id=1")
	}
	b.ReportAllocs()
	b.ResetTimer()
	defer listtest.CPU(b)()
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

func BenchmarkCompile(b *testing.B) {
	e := big()
	b.ReportAllocs()
	b.ResetTimer()
	defer listtest.CPU(b)()
	for range b.N {
		if _, err := match.Compile(e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenEdge(b *testing.B) {
	file := big().Bytes()
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(file)))
		defer listtest.CPU(b)()
		for range b.N {
			if _, err := match.OpenEdge(file); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("head", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			if _, err := match.OpenEdgeHead(file); err != nil {
				b.Fatal(err)
			}
		}
	})
}
