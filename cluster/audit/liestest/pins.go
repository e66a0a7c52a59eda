package liestest

import (
	"crypto/sha256"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

// secondHotline is one that the cluster file does not name.
func secondHotline(seed string) *trusttest.Hotline {
	return trusttest.New(seed, "hotline-two", trusttest.Now)
}

func pin(h *trusttest.Hotline, as trust.HotlineID) order.Pin {
	return order.Pin{Hotline: as, Root: sha256.Sum256(h.Pinned), Document: h.Pinned}
}

// accredited lets the auditor's trust file name a hotline beyond the cluster's.
func accredited(h *trusttest.Hotline) func(*Case, *audittest.Log) {
	return func(c *Case, l *audittest.Log) {
		t := audit.NewTrustFile(l.Desc, "")
		t.Hotlines = []audit.HotlineAnchor{{ID: h.ID, Root: h.Pinned}}
		c.Trust = t.Encode()
	}
}

var pinLies = []Lie{
	{Who: Operator, Name: "the officers add a hotline that nobody accredits", Fails: []string{audit.CheckHotlines},
		Says: "hotline hotline-two was added by the operator and nobody you trust accredits it",
		Build: func(l *audittest.Log) []byte {
			l.Order(pin(secondHotline("own"), "hotline-two"))
			return l.Bundle()
		}},
	{Who: Operator, Name: "the officers add a hotline with a root of their own", Fails: []string{audit.CheckHotlines},
		Says: "hotline hotline-two was added by the operator with root", Look: accredited(secondHotline("accredited")),
		Build: func(l *audittest.Log) []byte {
			l.Order(pin(secondHotline("own"), "hotline-two"))
			return l.Bundle()
		}},
	{Who: Officer, Name: "one officer adds a hotline", Fails: []string{audit.CheckOrders}, Says: "signed by 1, 2 are needed", Look: accredited(secondHotline("accredited")),
		Build: func(l *audittest.Log) []byte {
			l.Order(pin(secondHotline("accredited"), "hotline-two"), audittest.O1)
			return l.Bundle()
		}},
	{Who: Operator, Name: "the officers give a hotline another root", Fails: []string{audit.CheckOrders}, Says: "hotline hotline-one is pinned already",
		Build: func(l *audittest.Log) []byte {
			l.Order(pin(secondHotline("own"), audittest.Hotline))
			return l.Bundle()
		}},
	{Who: Operator, Name: "the officers add a hotline twice, with two roots", Fails: []string{audit.CheckOrders}, Says: "hotline hotline-two is pinned already", Look: accredited(secondHotline("accredited")),
		Build: func(l *audittest.Log) []byte {
			l.Order(pin(secondHotline("accredited"), "hotline-two"))
			l.Order(pin(secondHotline("own"), "hotline-two"))
			return l.Bundle()
		}},
}

var pinHistories = []History{
	{Name: "a hotline is added that the trust file names too", Look: accredited(secondHotline("accredited")), GoOn: func(l *audittest.Log) {
		l.Order(pin(secondHotline("accredited"), "hotline-two"))
		l.Publish(45)
		l.Receipts(audittest.E1)
	}},
}
