package audit

import (
	"slices"

	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/match"
)

// returnAt is an order to go back to an earlier version, in the log.
type returnAt struct {
	leaf uint64
	b    order.Return
}

// stands reports whether what a return put in force still is: its files are needed then.
func (v *verifier) stands(r returnAt) bool {
	l, ok := v.h.InForce.List(r.b.List)
	if !ok || l.Edge != r.b.Edge || l.High() != r.b.High || l.Seq == l.High() {
		return false
	}
	for _, later := range v.returns {
		if later.b.List == r.b.List && later.leaf > r.leaf {
			return false
		}
	}
	return true
}

// wantEntries names the edge lists whose entries returns must be held to.
func (v *verifier) wantEntries() {
	v.entries = make(map[[32]byte][]match.EntryID)
	for _, r := range v.returns {
		v.entries[r.b.Edge], v.entries[r.b.HighEdge] = nil, nil
	}
}

// checkReturns holds each return to the files themselves: whatever members have said, it must name all that later versions left out.
func (v *verifier) checkReturns() {
	for _, r := range v.returns {
		n, b := r.leaf, r.b
		to, high := v.entries[b.Edge], v.entries[b.HighEdge]
		if b.Edge == b.HighEdge { // back to the newest: nothing is left out
			to, high = []match.EntryID{}, []match.EntryID{}
		}
		if !v.all && !v.stands(r) && (to == nil || high == nil) {
			v.note("leaf %d: the return of list %s to version %d was not held to the files, which are not in this bundle; ask for --all", n, b.List, b.Seq)
			continue
		}
		if to == nil || high == nil {
			v.fail(CheckOrders, "leaf %d: the edge lists of %s and %d did not pass, so what the return should leave out is not known", n, listSeq(b.List, b.Seq), b.High)
			continue
		}
		out := list.LeftOut(to, high)
		missing := list.LeftOut(out, b.Entries)
		switch {
		case len(missing) > 0:
			v.fail(CheckOrders, "leaf %d: the return of list %s to version %d puts %d entries back that later versions left out", n, b.List, b.Seq, len(missing))
		case !slices.Equal(out, b.Entries):
			v.fail(CheckOrders, "leaf %d: the return of list %s to version %d names entries that later versions did not leave out", n, b.List, b.Seq)
		}
	}
}
