package audittest

import (
	"crypto/sha256"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/resolver/match"
)

// Hold logs that members hold a version back; all of them when none is named.
func (l *Log) Hold(p audit.Publish, brake string, members ...string) {
	l.Tick()
	if len(members) == 0 {
		members = []string{C1, C2, C3}
	}
	h := audit.Hold{Hotline: p.Hotline, List: p.List, Seq: p.Seq, Edge: p.Edge, Metadata: p.Metadata, Brake: brake, Node: C1}
	for _, m := range members {
		h.Verdicts = append(h.Verdicts, audit.SignVerdict(audit.Verdict{
			Cluster: l.Desc.ID(), Node: m, List: p.List, Seq: p.Seq, Edge: p.Edge, Audit: p.Audit, EntriesRoot: p.EntriesRoot,
			Index: p.Index, NeverBlock: NeverBlock, Result: brake,
		}, l.Members[m]))
	}
	l.Append(h)
}

// NeverBlock is the hash of the never-block list that verdicts are about.
var NeverBlock = sha256.Sum256([]byte("never-block"))

// Enrol adds an edge.
func (l *Log) Enrol(name string) {
	l.Tick()
	l.Edges[name] = Key(name)
	l.Append(audit.Member{Action: audit.ActionAdd, Role: audit.RoleEdge, Name: name, Key: [32]byte(public(l.Edges[name])), By: "operator-1"})
}

// Receipts logs an honest receipt of each edge, all in one leaf.
func (l *Log) Receipts(edges ...string) {
	l.Tick()
	var items []audit.SignedReceipt
	for _, e := range edges {
		items = append(items, audit.SignReceipt(l.Receipt(e), l.Edges[e]))
	}
	l.Append(audit.Receipts{Items: items})
}

// Receipt is the honest next receipt of an edge, not yet signed.
func (l *Log) Receipt(edge string) audit.Receipt {
	l.Counters[edge]++
	size, root := l.Tree().Head()
	return audit.Receipt{
		Cluster: l.Desc.ID(), Edge: edge, Counter: l.Counters[edge], State: l.State(l.InForce),
		Size: size, Root: root, Time: l.Now.Unix(),
	}
}

// State is the state id of what is in force.
func (l *Log) State(f audit.InForce) match.StateID {
	id, err := f.StateID(func(il audit.InForceList) ([32]byte, error) { return l.Indexes[il.Edge], nil })
	check(err)
	return id
}

// Verdicts are these members' approvals of a version.
func (l *Log) Verdicts(p audit.Publish, members ...string) []audit.SignedVerdict {
	var out []audit.SignedVerdict
	for _, m := range members {
		out = append(out, audit.SignVerdict(audit.Verdict{
			Cluster: l.Desc.ID(), Node: m, List: p.List, Seq: p.Seq, Edge: p.Edge, Audit: p.Audit,
			EntriesRoot: p.EntriesRoot, Index: p.Index, NeverBlock: NeverBlock, Result: audit.ResultOK,
		}, l.Members[m]))
	}
	return out
}
