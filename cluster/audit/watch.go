package audit

import (
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Watch is for callers who want to see what a verification sees, beside its report. Nothing in it decides anything. Each function may be nil;
// they are called one at a time, and what they are given says nothing before the report passes.
type Watch struct {
	// Signed is called at each publish leaf with what the hotline's officers signed about the version, once their signatures have verified.
	Signed func(l Leaf, p Publish, t trust.ListTarget)
	// EdgeList is called for each edge list of the bundle that passed, with its file hash. The list is only good until the function returns.
	EdgeList func(file [32]byte, e *list.Edge)
}

func (v *verifier) watchSigned(l Leaf, p Publish, t trust.ListTarget) {
	if w := v.o.Watch; w != nil && w.Signed != nil {
		w.Signed(l, p, t)
	}
}

func (v *verifier) watchEdge(m *made) {
	if w := v.o.Watch; w != nil && w.EdgeList != nil {
		w.EdgeList(m.w.hash, m.e)
	}
}

// Moment is a state that edges had to serve whose log had From to To leaves, To not included.
type Moment struct {
	From, To uint64 // To is 0 for what is in force now
	State    match.StateID
	Known    bool // the indexes of its lists are known, and so is State
	Bypass   bool // everything passes
}

// Moments are the states that were right at some time of the log, oldest first; nil when the verification did not come as far.
func (r *Report) Moments() []Moment { return r.moments }

func (r *receiptCheck) moments() []Moment {
	states := r.v.h.States
	out := make([]Moment, len(states))
	for i, s := range states {
		out[i] = Moment{From: s.Size, Bypass: s.InForce.Bypass != 0}
		if i+1 < len(states) {
			out[i].To = states[i+1].Size
		}
		if id, err := r.stateOf(s); err == nil {
			out[i].State, out[i].Known = id, true
		}
	}
	return out
}
