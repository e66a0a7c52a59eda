package liestest

import (
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/certificate"
	"github.com/cordon-project/cordon/cluster/audit/order"
)

// certify has these officers, else two, certify the hour until now by the document that leaves make, after change.
func certify(l *audittest.Log, leaves []audit.Leaf, change func(*certificate.Document), by ...string) {
	to := l.Tick()
	d, err := certificate.Of(l.Desc, slices.Values(leaves), to.Add(-time.Hour), to)
	check(err)
	if change != nil {
		change(&d)
	}
	l.Order(order.Certificate{From: int64(d.From), To: int64(d.To), Size: d.End.Size, Hash: d.Hash()}, by...)
}

// certificateLies are about what officers certify of their own log.
var certificateLies = []Lie{
	{Who: Operator, Name: "a certificate counts more than the log", Fails: []string{audit.CheckCertificates}, Says: "certified is the document",
		Build: func(l *audittest.Log) []byte {
			certify(l, leavesOf(l), func(d *certificate.Document) { d.Facts.Receipts.N++; d.Facts.Receipts.Right++ })
			return l.Bundle()
		}},
	{Who: Officer, Name: "a certificate is signed by one officer", Fails: []string{audit.CheckOrders}, Says: "signed by 1, 2 are needed",
		Build: func(l *audittest.Log) []byte {
			certify(l, leavesOf(l), nil, audittest.O1)
			return l.Bundle()
		}},
	{Who: Operator, Name: "a certificate leaves the last leaf of its time out", Fails: []string{audit.CheckCertificates}, Says: "it is of 15 leaves, and 16 are dated before its end",
		Build: func(l *audittest.Log) []byte {
			l.Order(order.Bypass{})
			all := leavesOf(l)
			certify(l, all[:len(all)-1], nil)
			return l.Bundle()
		}},
	{Who: Operator, Name: "a certificate is made from other leaves", Fails: []string{audit.CheckCertificates}, Says: "certified is the document",
		Build: func(l *audittest.Log) []byte {
			l.Append(audit.Alarm{Node: "c1", What: "test"})
			other := leavesOf(l)
			n := len(other) - 1
			calm, err := audit.NewLeaf(other[n].N, other[n].T, audit.Alarm{Node: "c2", What: "test"})
			check(err)
			calm.F, other[n] = other[n].F, calm
			certify(l, other, nil)
			return l.Bundle()
		}},
}

var certificateHistories = []History{
	{Name: "two times are certified, and the log goes on", GoOn: func(l *audittest.Log) {
		certify(l, leavesOf(l), nil)
		l.Publish(45)
		l.Receipts(audittest.E1)
		certify(l, leavesOf(l), nil)
		l.Publish(46)
	}},
}
