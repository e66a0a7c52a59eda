package liestest

import (
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/trust"
)

// opened tells an opening that is changed, signed by these officers of the hotline.
func opened(change func(*trust.Opening), officers ...int) func(*audittest.Log) []byte {
	return func(l *audittest.Log) []byte {
		l.Open(change, officers...)
		return l.Bundle()
	}
}

// openingLies are about what a hotline showed to reviewers.
var openingLies = []Lie{
	{Who: Hotline, Name: "entries are opened by one officer", Fails: []string{audit.CheckOpenings}, Says: "signed by 1, 2 are needed", Build: opened(nil, 0)},
	{Who: Operator, Name: "an opening is of another operator's log", Fails: []string{audit.CheckOpenings}, Says: "signed for the log of cluster 0",
		Build: opened(func(o *trust.Opening) { o.Cluster = "00000000000000000000000000000000" }, 0, 1)},
	{Who: Operator, Name: "an opening is of a version that never was", Fails: []string{audit.CheckOpenings}, Says: "no leaf before it brought that version into force",
		Build: opened(func(o *trust.Opening) { o.Seq = 77 }, 0, 1)},
	{Who: Operator, Name: "an opening is logged twice", Fails: []string{audit.CheckOpenings}, Says: "is leaf 15 already",
		Build: func(l *audittest.Log) []byte {
			l.Open(nil, 0, 1)
			l.Append(Last[audit.Open](l, audit.KindOpen))
			return l.Bundle()
		}},
	{Who: Operator, Name: "an opening is logged after its time", Fails: []string{audit.CheckOpenings}, Says: "expired or not yet valid",
		Build: opened(func(o *trust.Opening) { o.Issued -= 7200; o.Expires -= 7200 }, 0, 1)},
	{Who: Operator, Name: "an opening's leaf names others than have signed", Fails: []string{audit.CheckOpenings}, Says: "other signers",
		Build: func(l *audittest.Log) []byte {
			l.Open(nil, 0, 1)
			rewrite(l, last(l, audit.KindOpen), func(o audit.Open) audit.Open { o.Signers = o.Signers[:1]; return o })
			return l.Bundle()
		}},
}
