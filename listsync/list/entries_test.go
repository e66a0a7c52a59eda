package list_test

import (
	"slices"
	"testing"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/match"
)

func TestWhatALaterVersionLeavesOut(t *testing.T) {
	ids := func(seq uint64, n int, decoys ...string) []match.EntryID {
		t.Helper()
		edge, _, _, err := list.Build(listtest.Version(seq), listtest.Entries(n, 1), decoys, listtest.Keys(1), listtest.OpenKey(1))
		if err != nil {
			t.Fatal(err)
		}
		e, err := list.OpenEdge(edge)
		if err != nil {
			t.Fatal(err)
		}
		return list.EntryIDs(e)
	}
	large, small := ids(1, 40, "decoy.example-1.test"), ids(2, 30)
	if len(large) != 40 || len(small) != 30 {
		t.Fatalf("%d and %d ids, want 40 and 30: an entry with two records counts once, a decoy not at all", len(large), len(small))
	}
	out := list.LeftOut(large, small)
	if len(out) != 10 || !slices.IsSortedFunc(out, func(a, b match.EntryID) int { return slices.Compare(a[:], b[:]) }) {
		t.Errorf("left out: %d ids, want 10 in order", len(out))
	}
	for _, id := range out {
		if slices.Contains(small, id) {
			t.Errorf("%x is in both", id)
		}
	}
	if out := list.LeftOut(small, large); len(out) != 0 {
		t.Errorf("the other way round: %d ids, want none", len(out))
	}
	if out := list.LeftOut(small, nil); len(out) != 30 {
		t.Errorf("against nothing: %d ids, want all 30", len(out))
	}
}
