package list

import (
	"bytes"
	"slices"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// EntryIDs are the ids of a list's entries, ascending, each once; decoys are no entries. It takes 16 bytes of memory a record.
func EntryIDs(e *Edge) []match.EntryID {
	ids := make([]match.EntryID, 0, e.Len())
	for i := range e.Len() {
		if r := e.Record(i); r.Flags&match.FlagDecoy == 0 {
			ids = append(ids, r.EntryID)
		}
	}
	slices.SortFunc(ids, compareIDs)
	return slices.Compact(ids)
}

// Bases counts a list's entries by legal basis, those that have any. A page entry's steer record and decoys are no entries.
// It takes about 40 ns a record: BenchmarkBases.
func Bases(e *Edge) map[string]int {
	var n [256]int
	for i := range e.Len() {
		if m := e.Meta(i); m.Flags&match.FlagDecoy == 0 && m.Kind != canon.KindSteer {
			n[m.Basis]++
		}
	}
	out := make(map[string]int)
	for b, n := range n {
		if n > 0 {
			out[match.Basis(b).String()] = n
		}
	}
	return out
}

// LeftOut are the ids of a that b does not have, both as EntryIDs gives them.
func LeftOut(a, b []match.EntryID) []match.EntryID {
	out := []match.EntryID{}
	for _, id := range a {
		for len(b) > 0 && compareIDs(b[0], id) < 0 {
			b = b[1:]
		}
		if len(b) == 0 || b[0] != id {
			out = append(out, id)
		}
	}
	return out
}

func compareIDs(a, b match.EntryID) int { return bytes.Compare(a[:], b[:]) }
