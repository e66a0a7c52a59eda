package period

import (
	"cmp"
	"maps"
	"slices"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/resolver/match"
)

// Nodes are the cluster's control nodes and edges.
type Nodes struct {
	Control []string `json:"control"` // at the end
	Edges   []string `json:"edges"`   // enrolled at the end
	Changes []Change `json:"changes"` // in the span
}

// Change is a node that came or went.
type Change struct {
	Action string `json:"action"`
	Role   string `json:"role"`
	Name   string `json:"name"`
	At     Time   `json:"at"`
}

// Receipts are what edges signed about what they serve.
type Receipts struct {
	N     uint64 `json:"n"`
	Edges uint64 `json:"edges"` // different ones, of those that are enrolled at the end
	Right uint64 `json:"right"` // name the state that follows from the log they say they saw: indexes of its lists, removals, charters
	Ahead uint64 `json:"ahead"` // name withdrawals beyond that log, taken from a hotline while there was no quorum; not compared here
	Last  Time   `json:"last"`
}

// state is what edges must serve whose log has this size or more, until the next.
type state struct {
	size uint64
	id   match.StateID
}

// change takes in that something else is in force from a size of the log on. A list that no leaf has published with an index cannot be.
func (w *Walk) change(size uint64) {
	id, err := w.inForce.StateID(func(l audit.InForceList) ([32]byte, error) { return w.lists.byLeaf[l.Leaf].Index, nil })
	if err == nil {
		w.states = append(w.states, state{size, id})
	}
}

// right is the state of the log of a size.
func (w *Walk) right(size uint64) match.StateID {
	i, ok := slices.BinarySearchFunc(w.states, size, func(s state, size uint64) int { return cmp.Compare(s.size, size) })
	if !ok {
		i--
	}
	if i < 0 {
		id, _ := audit.Genesis().StateID(nil) // no list, so nobody is asked for an index
		return id
	}
	return w.states[i].id
}

// nodes follows who is enrolled.
type nodes struct {
	control map[string]bool
	edges   map[string]*edge
	changes []Change
}

// edge is one enrolled edge with one key.
type edge struct {
	key      [32]byte
	in       bool               // it reported in the span
	direct   map[[32]byte]int64 // withdrawals that it took from the hotline: when it first said so
	awaiting []waiting          // by leaf
}

func (n *nodes) begin() {
	n.control, n.edges = make(map[string]bool), make(map[string]*edge)
}

func (w *Walk) member(l audit.Leaf, b audit.Member, in bool) {
	n := &w.nodes
	switch {
	case b.Role == audit.RoleControl && b.Action == audit.ActionAdd:
		n.control[b.Name] = true
	case b.Role == audit.RoleControl:
		delete(n.control, b.Name)
	case b.Action == audit.ActionAdd:
		if e := n.edges[b.Name]; e == nil || e.key != b.Key {
			n.edges[b.Name] = &edge{key: b.Key}
		}
	default:
		delete(n.edges, b.Name)
	}
	if in {
		n.changes = append(n.changes, Change{b.Action, b.Role, b.Name, Time(l.T)})
	}
}

func (n *nodes) facts() Nodes {
	return Nodes{
		Control: orEmpty(slices.Sorted(maps.Keys(n.control))), Edges: orEmpty(slices.Sorted(maps.Keys(n.edges))), Changes: orEmpty(slices.Clone(n.changes)),
	}
}

func (n *nodes) reported() uint64 {
	count := uint64(0)
	for _, e := range n.edges {
		if e.in {
			count++
		}
	}
	return count
}

func (w *Walk) receipts(l audit.Leaf, b audit.Receipts, in bool) {
	for _, item := range b.Items {
		said, err := item.Receipt()
		if err != nil {
			continue // the leaf would not have decoded
		}
		e := w.nodes.edges[said.Edge]
		if e == nil {
			continue // nobody's: the verifier says so
		}
		if in {
			w.f.Receipts.N++
			w.f.Receipts.Last = Time(l.T)
			e.in = true
			switch {
			case len(said.Direct) > 0:
				w.f.Receipts.Ahead++
			case said.State == w.right(said.Size):
				w.f.Receipts.Right++
			}
		}
		for _, id := range said.Direct {
			if e.direct == nil {
				e.direct = make(map[[32]byte]int64)
			}
			if _, ok := e.direct[id]; !ok && len(e.direct) < maxDirect {
				e.direct[id] = said.Time
			}
		}
		w.delays.settle(e, said, l.T)
	}
}

// maxDirect bounds what is remembered of one edge.
const maxDirect = 4096
