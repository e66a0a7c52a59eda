package list_test

import (
	"maps"
	"testing"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
)

func TestBasesCountEntriesAndNothingElse(t *testing.T) {
	entries := listtest.Entries(97, 1)
	want := map[string]int{}
	for _, e := range entries {
		want[e.Basis.String()]++
	}
	edge, _, sum, err := list.Build(listtest.Version(1), entries, []string{"decoy.example-1.test"}, listtest.Keys(1), listtest.OpenKey(1))
	if err != nil {
		t.Fatal(err)
	}
	e, err := list.OpenEdge(edge)
	if err != nil {
		t.Fatal(err)
	}
	if got := list.Bases(e); len(want) < 2 || !maps.Equal(got, want) || !maps.Equal(sum.Bases, want) {
		t.Errorf("bases %v, summary %v, want %v", got, sum.Bases, want)
	}
}

func BenchmarkBases(b *testing.B) {
	edge, _, _, err := list.Build(listtest.Version(1), listtest.Entries(100_000, 1), nil, listtest.Keys(1), listtest.OpenKey(1))
	if err != nil {
		b.Fatal(err)
	}
	e, err := list.OpenEdge(edge)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		list.Bases(e)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*e.Len()), "ns/record")
}
