package audit

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/resolver/match"
)

// errNoIndex: the files for this state did not pass, so nothing can be compared with it.
var errNoIndex = errors.New("its list files did not pass")

// checkReceipts holds each receipt in the log to the index that anyone compiles from the signed lists.
func (v *verifier) checkReceipts() {
	r := &receiptCheck{v: v, cluster: v.trust.Cluster.ID(), last: make(map[edgeKey]Receipt), served: make(map[edgeKey]*ServedEdge), states: make(map[int]match.StateID)}
	for _, n := range v.receipts {
		body, err := v.leaves[n].Body()
		if err != nil {
			panic(fmt.Sprintf("audit: leaf %d decoded before and not now: %v", n, err))
		}
		for _, s := range body.(Receipts).Items {
			r.one(uint64(n), s)
		}
	}
	r.silent()
	v.served = r.result()
	if r.unknown > 0 {
		v.skip(CheckReceipts, "%d of %d receipts: %v", r.unknown, r.count, errNoIndex)
	}
	if r.direct > 0 {
		v.note("%d of %d receipts name withdrawals that edges took from the hotline while there was no quorum; each is signed by the officers' threshold", r.direct, r.count)
	}
	v.pass(CheckReceipts, "%d receipts of %d edges, each of an index compiled from the signed lists", r.count, len(r.last))
}

// edgeKey is an edge with one key: one that is enrolled anew with another key counts from the beginning.
type edgeKey struct {
	name string
	key  [32]byte
}

type receiptCheck struct {
	v       *verifier
	cluster string
	last    map[edgeKey]Receipt
	served  map[edgeKey]*ServedEdge
	states  map[int]match.StateID // by index into verifier.states
	count   int
	unknown int // receipts whose index cannot be recomputed
	direct  int // receipts that name withdrawals beyond the log
}

func (r *receiptCheck) one(leaf uint64, s SignedReceipt) {
	v := r.v
	r.count++
	said, err := s.Receipt()
	if err != nil {
		v.fail(CheckReceipts, "leaf %d: %v", leaf, err)
		return
	}
	key, ok := v.enrolledAt(leaf)[said.Edge]
	if !ok {
		v.fail(CheckReceipts, "leaf %d: receipt of edge %s, which was not enrolled then", leaf, said.Edge)
		return
	}
	if _, err := VerifyReceipt(s, key[:]); err != nil {
		v.fail(CheckReceipts, "leaf %d: %v", leaf, err)
		return
	}
	edge := edgeKey{said.Edge, key}
	before, seen := r.last[edge]
	if seen && said.Counter <= before.Counter {
		v.fail(CheckReceipts, "edge %s counter %d: replayed, counter %d came before it", said.Edge, said.Counter, before.Counter)
		return
	}
	r.last[edge] = said
	what := fmt.Sprintf("edge %s counter %d", said.Edge, said.Counter)
	if said.Cluster != r.cluster {
		v.fail(CheckReceipts, "%s: it is of cluster %s", what, said.Cluster)
		return
	}
	if seen && said.Size < before.Size {
		v.fail(CheckReceipts, "%s: it went back from a log of size %d to %d", what, before.Size, said.Size)
		return
	}
	root, err := v.tree.RootAt(said.Size)
	if err != nil || said.Size > leaf || root != said.Root {
		v.fail(CheckReceipts, "%s: the log it saw (size %d, root %x) is not this one: the edge was shown another log", what, said.Size, said.Root[:8])
		return
	}
	if r.state(what, said) {
		r.stands(edge, said)
	}
}

// state compares what the edge says it serves with what it should serve; true when it is that.
func (r *receiptCheck) state(what string, said Receipt) bool {
	i, f := r.v.at(said.Size)
	want, err := r.stateOf(i, f)
	if len(said.Direct) > 0 {
		r.direct++
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
		if text := r.guess(f, said); text != "" {
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

func (r *receiptCheck) stateOf(i int, f InForce) (match.StateID, error) {
	if id, ok := r.states[i]; ok {
		return id, nil
	}
	id, err := r.compute(f)
	if err == nil {
		r.states[i] = id
	}
	return id, err
}

func (r *receiptCheck) compute(f InForce) (match.StateID, error) {
	return f.StateID(func(l InForceList) ([32]byte, error) {
		h, ok := r.v.indexes[l.Edge]
		if !ok {
			return h, errNoIndex
		}
		return h, nil
	})
}

// find looks for another moment of the log at which the state would have been right.
func (r *receiptCheck) find(state match.StateID) (uint64, bool) {
	for i, s := range r.v.states {
		if id, err := r.stateOf(i, s.f); err == nil && id == state {
			return s.size, true
		}
	}
	return 0, false
}

// silent notes enrolled edges that never reported, or not since the last change.
func (r *receiptCheck) silent() {
	v := r.v
	edges := v.enrolledAt(v.cp.Size)
	names := make([]string, 0, len(edges))
	for name := range edges {
		names = append(names, name)
	}
	slices.Sort(names)
	changed := v.states[len(v.states)-1].size
	for _, name := range names {
		switch last, ok := r.last[edgeKey{name, edges[name]}]; {
		case !ok:
			v.note("edge %s is enrolled and has sent no receipt", name)
		case last.Size < changed:
			v.note("edge %s last reported at size %d; what is in force changed at size %d", name, last.Size, changed)
		}
	}
}
