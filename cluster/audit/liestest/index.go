package liestest

import (
	"crypto/sha256"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/match"
)

var indexLies = []Lie{
	{Who: Operator, Name: "members agree on an index that is not the list's", Fails: []string{audit.CheckLists}, Says: "an index that does not follow from the list",
		Build: func(l *audittest.Log) []byte {
			publishIndex(l)
			return l.Bundle()
		}},
	{Who: Operator, Name: "members agree on another index and edges serve it", Fails: []string{audit.CheckLists, audit.CheckReceipts}, Says: "an index that does not follow from the list",
		Build: func(l *audittest.Log) []byte {
			p := publishIndex(l)
			l.Indexes[p.Edge] = p.Index
			l.Receipts(audittest.E1)
			return l.Bundle()
		}},
	{Who: Node, Name: "the leaf names another index than the members did", Fails: []string{audit.CheckLists, audit.CheckVerdicts}, Says: "an index that does not follow from the list",
		Build: func(l *audittest.Log) []byte {
			l.PublishWith(50, func(p audit.Publish) audit.Publish { p.Index = sha256.Sum256([]byte("another")); return p })
			return l.Bundle()
		}},
	{Who: Operator, Name: "the leaf counts other legal bases than the hotline signed", Fails: []string{audit.CheckLists, audit.CheckMetadata}, Says: "other counts by legal basis",
		Build: func(l *audittest.Log) []byte {
			l.PublishWith(50, func(p audit.Publish) audit.Publish {
				p.Bases = []audit.BasisCount{{Basis: "law", N: 51}}
				p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2, audittest.C3)
				return p
			})
			return l.Bundle()
		}},
}

// publishIndex publishes with an index that every member says it compiled, and nobody can.
func publishIndex(l *audittest.Log) audit.Publish {
	return l.PublishWith(50, func(p audit.Publish) audit.Publish {
		p.Index = sha256.Sum256([]byte("another"))
		p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2, audittest.C3)
		return p
	})
}

// indexOf compiles an edge list.
func indexOf(edge []byte) [32]byte {
	e, err := list.OpenEdge(edge)
	check(err)
	b, err := match.Compile(e)
	check(err)
	ix, err := match.Open(b)
	check(err)
	return ix.Hash()
}
