package audit

import (
	"slices"
	"time"

	"github.com/cordon-project/cordon/resolver/match"
)

// Served is what receipts say, as far as they stand: which edge serves which version of each list since when, and since when each
// withdrawal is carried out there. A receipt that any check refused, or whose index could not be recomputed, is in none of it.
type Served struct {
	Lists       []ServedList       // in force now, by list
	Edges       []ServedEdge       // enrolled now, by name
	Withdrawals []ServedWithdrawal // in the log, oldest first
}

// ServedList is a list version in force.
type ServedList struct {
	List  match.ListID
	Seq   uint64
	Edge  [32]byte  // SHA-256 of its edge list
	Since time.Time // of its leaf
}

// ServedEdge is what an edge has said last.
type ServedEdge struct {
	Edge   string
	At     time.Time     // of its last receipt; zero when it has sent none
	Size   uint64        // of the log it had seen
	Bypass bool          // everything passes
	State  match.StateID // that it signed
	Direct [][32]byte    // withdrawals that it carries out beyond that log (trust.StatementID)
	Lists  []ServedList  // what it serves; Since is the receipt that first said so
	seen   []seenAt      // its receipts, oldest first
}

// ServedWithdrawal is a withdrawal in the log.
type ServedWithdrawal struct {
	List   match.ListID
	Number uint64
	SeqTo  uint64 // later versions are without its entries
	Leaf   uint64
	At     time.Time
}

type seenAt struct {
	size uint64
	at   int64
}

// Carried says since when an edge serves a log of more than this leaf: a withdrawal of that leaf is carried out there. False when it has
// not said so.
func (e *ServedEdge) Carried(leaf uint64) (time.Time, bool) {
	i, _ := slices.BinarySearchFunc(e.seen, leaf+1, func(s seenAt, size uint64) int {
		if s.size < size {
			return -1
		}
		return 1 // the first of equal sizes
	})
	if i == len(e.seen) {
		return time.Time{}, false
	}
	return time.Unix(e.seen[i].at, 0).UTC(), true
}

// List is what an edge serves of one list; false when it has not said so.
func (e *ServedEdge) List(id match.ListID) (ServedList, bool) {
	for _, l := range e.Lists {
		if l.List == id {
			return l, true
		}
	}
	return ServedList{}, false
}

// Served is what receipts say; nil when the verification did not come as far as to check them, and when
// it went on from an earlier visit.
func (r *Report) Served() *Served { return r.served }

// stands takes a receipt in that passed every check.
func (r *receiptCheck) stands(edge edgeKey, said Receipt) {
	e := r.served[edge]
	if e == nil {
		e = &ServedEdge{Edge: edge.name}
		r.served[edge] = e
	}
	e.At, e.Size, e.Direct, e.State = time.Unix(said.Time, 0).UTC(), said.Size, said.Direct, said.State
	if n := len(e.seen); n == 0 || e.seen[n-1].size < said.Size { // the first of each size is enough
		e.seen = append(e.seen, seenAt{said.Size, said.Time})
	}
	f := r.v.h.States[r.v.h.at(said.Size)].InForce
	e.Bypass = f.Bypass != 0
	lists := make([]ServedList, 0, len(f.Lists))
	for _, l := range f.Lists {
		now := ServedList{List: l.List, Seq: l.Seq, Edge: l.Edge, Since: e.At}
		if before, ok := e.List(l.List); ok && before.Seq == l.Seq && before.Edge == l.Edge {
			now.Since = before.Since
		}
		lists = append(lists, now)
	}
	e.Lists = lists
}

// result gathers what the receipts say about those who are enrolled now.
func (r *receiptCheck) result() *Served {
	v := r.v
	s := &Served{Withdrawals: v.withdrawals}
	for _, l := range v.h.InForce.Lists {
		at := ServedList{List: l.List, Seq: l.Seq, Edge: l.Edge}
		if p := v.h.version(l.Edge); p != nil {
			at.Since = time.Unix(p.Time, 0).UTC()
		}
		s.Lists = append(s.Lists, at)
	}
	for _, e := range v.h.Edges {
		if said := r.served[edgeKey{e.Name, e.Key}]; said != nil {
			s.Edges = append(s.Edges, *said)
		} else {
			s.Edges = append(s.Edges, ServedEdge{Edge: e.Name})
		}
	}
	return s
}
