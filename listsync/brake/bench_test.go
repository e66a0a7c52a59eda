package brake

import (
	"context"
	"os"
	"strconv"
	"testing"

	"github.com/cordon-project/cordon/listsync/list/listtest"
)

// size is how many names and entries the benchmarks take: 100,000, or CORDON_BENCH_NAMES.
func size() int {
	if n, err := strconv.Atoi(os.Getenv("CORDON_BENCH_NAMES")); err == nil {
		return n
	}
	return 100_000
}

func BenchmarkReadPopularity(b *testing.B) {
	file, vkey := signed(b, many(size()), nil, today)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadPopularity(file, []string{vkey}, today); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerdict asks an index of as many entries about as many popular names, public suffixes and the shipped names.
func BenchmarkVerdict(b *testing.B) {
	file, vkey := signed(b, many(size()), nil, today)
	p, err := ReadPopularity(file, []string{vkey}, today)
	if err != nil {
		b.Fatal(err)
	}
	q := &Question{
		List: indexOf(b, edgeOf(b, 1, 3, listtest.Entries(size(), 3)), listtest.Keys(3)), Names: NewNames(p),
		Numbers: Numbers{First: true}, Limits: Default,
	}
	b.ReportAllocs()
	for b.Loop() {
		if r, err := Ask(context.Background(), q); err != nil || len(r.Held) > 0 {
			b.Fatal(r, err)
		}
	}
}

func BenchmarkSuffixes(b *testing.B) {
	q := &Question{List: indexOf(b, edgeOf(b, 1, 3, listtest.Entries(size(), 3)), listtest.Keys(3)), Names: &Names{}}
	for b.Loop() {
		a := asker{q: q, ctx: context.Background(), report: &Report{}}
		if err := a.suffixes(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPlain lets as many entries pass as there are popular names, and asks about them all.
func BenchmarkPlain(b *testing.B) {
	file, vkey := signed(b, many(size()), nil, today)
	p, err := ReadPopularity(file, []string{vkey}, today)
	if err != nil {
		b.Fatal(err)
	}
	names, all := NewNames(p), listtest.Entries(size(), 3)
	b.ReportAllocs()
	for b.Loop() {
		plain := names.Plain()
		for i := range all {
			plain.Add(&all[i])
		}
		if r, err := Ask(context.Background(), &Question{List: plain, Names: names, Numbers: Numbers{First: true}, Limits: Default}); err != nil || len(r.Held) > 0 {
			b.Fatal(r, err)
		}
	}
}
