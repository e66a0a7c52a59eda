package audit

import (
	"slices"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
)

// follows holds what publish leaves say of an edge list to the list itself: the index it compiles to, and its entries by legal basis.
func (v *verifier) follows(w *wanted, e *list.Edge) {
	bases := BasesOf(trust.ListTarget{Bases: trust.BasesOf(list.Bases(e))})
	index, compiled := v.indexes[w.hash]
	for _, at := range w.of {
		if compiled && at.Index != index {
			v.fail(CheckLists, "%s: leaf %d names an index that does not follow from the list: %x, anyone compiles %x", w, at.Leaf, at.Index[:8], index[:8])
		}
		if !slices.Equal(at.Bases, bases) {
			v.fail(CheckLists, "%s has other counts by legal basis than were signed", w)
		}
	}
}

// indexOf is the hash of the index of an edge list that the log names: compiled from the list where the bundle has it, else as the
// publish leaf says, which a quorum of members signed after they compiled it.
func (v *verifier) indexOf(edge [32]byte) ([32]byte, bool) {
	if h, ok := v.indexes[edge]; ok {
		return h, true
	}
	for _, all := range [][]version{v.versions, v.h.Versions} {
		for i := range all {
			if all[i].Edge == edge {
				return all[i].Index, true
			}
		}
	}
	return [32]byte{}, false
}
