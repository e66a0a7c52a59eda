package period

import (
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/trust"
)

// Appeals are complaints that the operator registered, without anything about who complained.
type Appeals struct {
	Received uint64  `json:"received"` // registered in the span
	Decided  []Count `json:"decided"`  // in the span, by outcome
	Open     uint64  `json:"open"`     // at its end
	Overdue  uint64  `json:"overdue"`  // of them, those that should have been decided
}

// Openings are entries that hotlines showed to accredited reviewers.
type Openings struct {
	N       uint64 `json:"n"`
	Records uint64 `json:"records"`
}

// Pin is a hotline that the operator's officers added to the cluster.
type Pin struct {
	Hotline trust.HotlineID `json:"hotline"`
	Root    Hash            `json:"root"` // SHA-256 of its root.json
	At      Time            `json:"at"`
}

// appeals follows what is registered and decided.
type appeals struct {
	received uint64
	decided  []Count
	open     map[audit.AppealRef]audit.Appeal
	took     []int64
}

func (w *Walk) admin(l audit.Leaf, b audit.Admin, in bool) {
	a := &w.appeals
	switch said := b.Said.(type) {
	case audit.Appeal:
		if a.open == nil {
			a.open = make(map[audit.AppealRef]audit.Appeal)
		}
		a.open[said.Ref] = said
		if in {
			a.received++
		}
	case audit.Decision:
		r, err := said.Ruling()
		if err != nil {
			return // the leaf would not have decoded
		}
		was, ok := a.open[r.Ref]
		if !ok {
			return // nobody's: the verifier says so
		}
		delete(a.open, r.Ref)
		if in {
			add(&a.decided, string(r.Outcome), 1)
			a.took = append(a.took, max(r.At-was.Received, 0))
		}
	}
}

func (a *appeals) facts(to int64) (Appeals, Delay) {
	out := Appeals{Received: a.received, Decided: sorted(a.decided), Open: uint64(len(a.open))}
	for _, o := range a.open {
		if o.Due < to {
			out.Overdue++
		}
	}
	took := summary(a.took)
	took.Waiting = out.Open
	return out, took
}
