package liestest

import (
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/list/listtest"
)

var keyHistories = []History{
	{Name: "new keys, twice, and versions under each", GoOn: func(l *audittest.Log) {
		for range 2 {
			l.Epoch++
			l.Publish(46)
			l.Publish(47)
			l.Receipts(audittest.E1, audittest.E2)
		}
	}},
	{Name: "new keys announced for a version that never came, then for the next", GoOn: func(l *audittest.Log) {
		l.Epoch++
		p := l.Offer(45)
		l.SayThatKeysAreNew(p)
		p = l.Offer(46)
		p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2)
		l.SayThatKeysAreNew(p)
		l.Append(audit.Reject{Hotline: p.Hotline, List: p.List, Seq: p.Prev, Object: p.Edge, Stage: "apply", Reason: audit.ReasonSuperseded})
		l.Append(p)
	}},
}

var keyLies = []Lie{
	{Who: Operator, Name: "a list has new keys and no leaf says so", Fails: []string{audit.CheckVersions}, Says: "no leaf says that they were renewed",
		Build: func(l *audittest.Log) []byte {
			l.Epoch++
			p := l.Offer(45)
			p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2)
			l.Append(p)
			return l.Bundle()
		}},
	{Who: Operator, Name: "new keys are announced that never come", Fails: []string{audit.CheckVersions}, Says: "the log announced epoch 2",
		Build: func(l *audittest.Log) []byte {
			l.Append(audit.Rekey{Hotline: audittest.Hotline, List: listtest.List, Seq: 9, From: 1, To: 2})
			l.Publish(45)
			return l.Bundle()
		}},
	{Who: Operator, Name: "new keys come in another file than the log announces", Fails: []string{audit.CheckVersions}, Says: "sealed for this cluster in another file",
		Build: func(l *audittest.Log) []byte {
			l.Epoch++
			p := l.Offer(45)
			p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2)
			l.Append(audit.Rekey{Hotline: p.Hotline, List: p.List, Seq: p.Seq, From: 1, To: 2, Keys: [32]byte{1}})
			l.Append(p)
			return l.Bundle()
		}},
	{Who: Hotline, Name: "old keys come back with a new version", Fails: []string{audit.CheckVersions}, Says: "goes back from keys of epoch 3 to epoch 2",
		Build: func(l *audittest.Log) []byte {
			l.Epoch = 3
			l.Publish(45)
			l.Epoch = 2
			l.Publish(46)
			return l.Bundle()
		}},
	{Who: Operator, Name: "the log says that other keys were given up", Fails: []string{audit.CheckVersions}, Says: "it says that list hotline-one/main had keys of epoch 4",
		Build: func(l *audittest.Log) []byte {
			l.Epoch = 5
			p := l.Offer(45)
			p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2)
			l.Append(audit.Rekey{Hotline: p.Hotline, List: p.List, Seq: p.Seq, From: 4, To: 5})
			l.Append(p)
			return l.Bundle()
		}},
}
