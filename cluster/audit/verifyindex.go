package audit

import (
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
)

// indexCauses is what is wrong when publish leaves name another index than the edge list compiles to.
func indexCauses(w *wanted, index [32]byte) (causes []string) {
	for _, at := range w.of {
		if at.Index != index {
			causes = append(causes, fmt.Sprintf("%s: leaf %d names an index that does not follow from the list: %x, anyone compiles %x", w, at.Leaf, at.Index[:8], index[:8]))
		}
	}
	return causes
}

// basesCauses is what is wrong when publish leaves say other counts by legal basis than the edge list has.
func basesCauses(w *wanted, e *list.Edge) (causes []string) {
	bases := BasesOf(trust.ListTarget{Bases: trust.BasesOf(list.Bases(e))})
	for _, at := range w.of {
		if !slices.Equal(at.Bases, bases) {
			causes = append(causes, fmt.Sprintf("%s has other counts by legal basis than were signed", w))
		}
	}
	return causes
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
