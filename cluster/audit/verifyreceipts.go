package audit

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/resolver/match"
)

// errNoIndex: the files for this state did not pass, or a visit has let go what was in force so long ago, so nothing can be compared with it.
var errNoIndex = errors.New("their list files did not pass, or what was in force then takes the whole log to know")

// pending is a receipt that stands as far as the log goes: whether its state is the right one is compared when all indexes are known.
type pending struct {
	edge edgeKey
	said Receipt
}

// edgeKey is an edge with one key.
type edgeKey struct {
	name string
	key  [32]byte
}

// lookReceipts holds receipts to who is enrolled, to what each edge said before, and to the log it says it saw.
func (v *verifier) lookReceipts(m *moment) {
	if b, ok := m.body.(Receipts); ok {
		for i, s := range b.Items {
			v.receipt(m.leaf.N, s, &m.ahead.receipts[i])
		}
	}
}

func (v *verifier) receipt(leaf uint64, s SignedReceipt, a *receiptAhead) {
	h := &v.h
	h.Tally.Receipts++
	said := a.said
	if a.err != nil {
		v.fail(CheckReceipts, "leaf %d: %v", leaf, a.err)
		return
	}
	e, ok := h.edge(said.Edge)
	if !ok {
		v.fail(CheckReceipts, "leaf %d: receipt of edge %s, which was not enrolled then", leaf, said.Edge)
		return
	}
	key := h.Edges[e].Key
	if err := a.signature(s, key); err != nil {
		v.fail(CheckReceipts, "leaf %d: %v", leaf, err)
		return
	}
	i, seen := h.last(said.Edge, key)
	if !seen {
		h.Heard = slices.Insert(h.Heard, i, heard{Edge: said.Edge, Key: key})
	}
	before := h.Heard[i]
	if seen && said.Counter <= before.Counter {
		v.fail(CheckReceipts, "edge %s counter %d: replayed, counter %d came before it", said.Edge, said.Counter, before.Counter)
		return
	}
	h.Heard[i].Counter, h.Heard[i].Size, h.Heard[i].Time = said.Counter, said.Size, said.Time
	what := said.who()
	if said.Cluster != v.cluster {
		v.fail(CheckReceipts, "%s: it is of cluster %s", what, said.Cluster)
		return
	}
	if seen && said.Size < before.Size {
		v.fail(CheckReceipts, "%s: it went back from a log of size %d to %d", what, before.Size, said.Size)
		return
	}
	if said.Size > leaf || v.tree.rootAt(said.Size) != said.Root {
		v.fail(CheckReceipts, "%s: the log it saw (size %d, root %x) is not this one: the edge was shown another log", what, said.Size, said.Root[:8])
		return
	}
	v.receipts = append(v.receipts, pending{edgeKey{said.Edge, key}, said})
}

func (r Receipt) who() string { return fmt.Sprintf("edge %s counter %d", r.Edge, r.Counter) }

// checkReceipts holds the receipts of the log to the index that anyone compiles from the signed lists.
func (v *verifier) checkReceipts() {
	r := &receiptCheck{v: v, served: make(map[edgeKey]*ServedEdge)}
	for _, p := range v.receipts {
		if r.state(p.said.who(), p.said) {
			r.stands(p.edge, p.said)
		}
	}
	r.silent()
	if v.began == 0 { // else the earlier receipts are not here
		v.served, v.moments = r.result(), r.moments()
	}
	t := &v.h.Tally
	t.Direct += r.direct
	if r.unknown > 0 {
		v.skip(CheckReceipts, "%d of %d receipts: %v", r.unknown, t.Receipts, errNoIndex)
	}
	if r.direct > 0 {
		v.note("%d of %d receipts name withdrawals that edges took from the hotline while there was no quorum; each is signed by the officers' threshold", r.direct, t.Receipts)
	}
	v.pass(CheckReceipts, "%d receipts of %d edges, each of an index compiled from the signed lists", t.Receipts, len(v.h.Heard))
}

type receiptCheck struct {
	v       *verifier
	served  map[edgeKey]*ServedEdge
	unknown int    // receipts whose index cannot be recomputed
	direct  uint64 // receipts that name withdrawals beyond the log
}

// state compares what the edge says it serves with what it should serve; true when it is that.
func (r *receiptCheck) state(what string, said Receipt) bool {
	at := r.v.h.States[r.v.h.at(said.Size)]
	f := at.InForce
	want, err := r.stateOf(at)
	if len(said.Direct) > 0 {
		r.direct++
		if !at.Whole {
			r.unknown++
			return false
		}
		with, derr := r.v.direct(f, said.Direct)
		if derr != nil {
			r.v.fail(CheckReceipts, "%s: %v", what, derr)
			return false
		}
		want, err = r.compute(with)
	}
	switch {
	case err != nil:
		r.unknown++
	case want == said.State:
		return true
	default:
		if other, ok := r.find(said.State); ok {
			r.v.fail(CheckReceipts, "%s: it serves what was in force at size %d, not at size %d", what, other, said.Size)
			return false
		}
		if text := r.guess(f, said); at.Whole && text != "" {
			r.v.fail(CheckReceipts, "%s: %s, and the log does not say so", what, text)
			return false
		}
		r.v.fail(CheckReceipts, "%s: index not compiled from the signed lists, or something removed that the log does not say (state %s, it should be %s)",
			what, said.State.String()[:16], want.String()[:16])
	}
	return false
}

// guess looks for what an operator could have done to an edge behind the log's back.
func (r *receiptCheck) guess(f InForce, said Receipt) string {
	is := func(change func(f *InForce)) bool {
		g := f
		change(&g)
		id, err := r.compute(g)
		return err == nil && id == said.State
	}
	switch {
	case f.Bypass == 0 && is(func(f *InForce) { f.Bypass = 1 }):
		return "it lets everything pass"
	case f.Bypass != 0 && is(func(f *InForce) { f.Bypass = 0 }):
		return "it ignores the bypass"
	case len(f.Suppressions) > 0 && is(func(f *InForce) { f.Suppressions = nil }):
		return "it stops what is suppressed"
	case is(func(f *InForce) { f.Removals, f.Suppressions = nil, nil }):
		return "it ignores everything that was taken out"
	}
	return ""
}

// stateOf is what a receipt must name: by the indexes of the publish leaves, or, where one of them does not follow from its list, by that
// which anyone compiles.
func (r *receiptCheck) stateOf(at stateAt) (match.StateID, error) {
	if !r.v.lied || !at.Whole {
		return at.State, nil
	}
	return r.compute(at.InForce)
}

func (r *receiptCheck) compute(f InForce) (match.StateID, error) {
	return f.StateID(func(l InForceList) ([32]byte, error) {
		h, ok := r.v.indexOf(l.Edge)
		if !ok {
			return h, errNoIndex
		}
		return h, nil
	})
}

// find looks for another moment of the log at which the state would have been right.
func (r *receiptCheck) find(state match.StateID) (uint64, bool) {
	for _, s := range r.v.h.States {
		if id, err := r.stateOf(s); err == nil && id == state {
			return s.Size, true
		}
	}
	return 0, false
}

// silent notes enrolled edges that never reported, or not since the last change.
func (r *receiptCheck) silent() {
	h := &r.v.h
	for _, e := range h.Edges {
		switch i, ok := h.last(e.Name, e.Key); {
		case !ok:
			r.v.note("edge %s is enrolled and has sent no receipt", e.Name)
		case h.Heard[i].Size < h.Changed:
			r.v.note("edge %s last reported at size %d; what is in force changed at size %d", e.Name, h.Heard[i].Size, h.Changed)
		}
	}
}
