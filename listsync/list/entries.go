package list

import (
	"bytes"
	"slices"

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
