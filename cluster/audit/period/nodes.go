package period

import (
	"maps"
	"slices"

	"github.com/cordon-project/cordon/cluster/audit"
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
	Last  Time   `json:"last"`
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
