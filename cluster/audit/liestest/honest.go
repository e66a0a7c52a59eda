package liestest

import (
	"crypto/ed25519"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

// Histories are all honest ones.
func Histories() []History {
	return slices.Concat(histories, publicHistories, pinHistories, keyHistories, lifeHistories, registerHistories, certificateHistories)
}

var histories = []History{
	{Name: "nothing but genesis", GoOn: nil},
	{Name: "the authority rotates a root key", GoOn: func(l *audittest.Log) {
		l.Hotline.RotateRoot(l.Tick())
		l.Publish(45)
		l.Hotline.RotateRoot(l.Tick())
		l.Renew()
		l.Publish(46)
	}},
	{Name: "the authority rotates more often than one publication can carry", GoOn: func(l *audittest.Log) {
		for range 2*trust.MaxRootSteps + 1 {
			l.Hotline.RotateRoot(l.Tick())
			l.Renew()
		}
		l.Publish(45)
	}},
	{Name: "new online keys, whose versions count anew", GoOn: func(l *audittest.Log) {
		l.Hotline.Break(trusttest.Version("timestamp", 1<<20))
		l.Renew()
		l.Hotline.Mend()
		l.Hotline.RotateRoot(l.Tick())
		l.Publish(45)
	}},
	{Name: "a narrower charter", GoOn: func(l *audittest.Log) {
		l.Hotline.Charter.Kinds = l.Hotline.Charter.Kinds[2:] // host and domain only
		l.Hotline.Accredit(l.Now)
		l.Publish(45)
		l.Receipts(audittest.E1, "e3")
	}},
	{Name: "a month without a new list, then one", GoOn: func(l *audittest.Log) {
		l.Now = l.Now.AddDate(0, 1, 0)
		l.Publish(45)
		l.Receipts(audittest.E1)
	}},
	{Name: "withdrawn entries leave with the next version", GoOn: func(l *audittest.Log) {
		l.Withdraw(listtest.ID(7, 1))
		l.Publish(45)
		l.Receipts(audittest.E1, audittest.E2, "e3")
	}},
	{Name: "entries of two versions are opened to a reviewer", GoOn: func(l *audittest.Log) {
		l.Open(nil, 0, 2)
		l.Publish(45)
		l.Open(func(o *trust.Opening) { o.Seq = 1 }, 1, 2)
		l.Open(nil, 0, 1, 2)
	}},
	{Name: "two of three witnesses have seen the log", GoOn: func(l *audittest.Log) { l.Publish(45) }, Look: func(c *Case, l *audittest.Log) {
		c.Bundle = seenBy(c.Bundle, l.Now, nil, 0, 2)
		askTwo("")(c, l)
	}},
	{Name: "a public log told two stories, and the cluster took nothing more from it", GoOn: func(l *audittest.Log) {
		l.Append(told(l, keepsLog(l)))
		l.Receipts(audittest.E1, audittest.E2)
	}},
	{Name: "an edge that reports late", GoOn: func(l *audittest.Log) {
		r := l.Receipt(audittest.E2) // signed before the next version came
		l.Publish(45)
		l.Append(audit.Receipts{Items: []audit.SignedReceipt{audit.SignReceipt(r, l.Edges[audittest.E2])}})
	}},
	{Name: "an edge is stopped and comes back with a new key", GoOn: func(l *audittest.Log) {
		drop := audit.Member{Action: audit.ActionDrop, Role: audit.RoleEdge, Name: "e3", By: "operator-1"}
		l.Append(drop)
		l.Publish(45)
		l.Edges["e3"] = audittest.Key("e3", "new")
		l.Append(audit.Member{Action: audit.ActionAdd, Role: audit.RoleEdge, Name: "e3", Key: [32]byte(l.Edges["e3"].Public().(ed25519.PublicKey))})
		l.Counters["e3"] = 0
		l.Receipts("e3")
	}},
	{Name: "refusals and alarms", GoOn: func(l *audittest.Log) {
		l.Append(audit.Reject{Hotline: audittest.Hotline, List: listtest.List, Seq: 3, Stage: "apply", Reason: "scope", Node: "c1"})
		l.Append(audit.Alarm{Node: "c2", What: "disk slow", Since: l.Now.Unix()})
	}},
	{Name: "lists of canonicalisation rules that this build does not have, then of ours", GoOn: func(l *audittest.Log) {
		l.Canon = [32]byte{1}
		l.Publish(45)
		l.Receipts(audittest.E1)
		l.Renew()
		l.Canon = [32]byte{}
		l.Publish(46)
	}},
	{Name: "a version is held, approved, held again, approved again and comes into force", GoOn: func(l *audittest.Log) {
		p := l.Offer(50)
		l.Hold(p, "never_block")
		l.Order(approve(p, "never_block"))
		l.Hold(p, "growth", audittest.C2, audittest.C3)
		l.Order(approve(p, "growth", "never_block"))
		p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2)
		l.Append(p)
		l.Receipts(audittest.E1, audittest.E2)
	}},
	{Name: "a held version is never approved, and the next one needs no approval", GoOn: func(l *audittest.Log) {
		held := l.Offer(50)
		l.Hold(held, "growth")
		p := l.Offer(51)
		p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2)
		l.Append(audit.Reject{Hotline: p.Hotline, List: p.List, Seq: p.Prev, Object: p.Edge, Stage: "apply", Reason: audit.ReasonSuperseded})
		l.Append(p)
	}},
	{Name: "a policy, and versions after it", GoOn: func(l *audittest.Log) {
		l.Order(order.Policy{NeverBlock: audittest.NeverBlock, Count: 4})
		l.Publish(50)
	}},
	{Name: "a suppression that ends by itself, and one that is lifted", GoOn: func(l *audittest.Log) {
		l.Order(suppress(7))
		l.Receipts(audittest.E1)
		lift := suppress(8)
		l.Order(lift)
		l.Publish(45)
		l.Receipts(audittest.E1, audittest.E2)
		lift.Lift = true
		l.Order(lift)
		l.Receipts(audittest.E1)
		l.Now = l.Now.Add(2 * time.Hour)
		l.Receipts(audittest.E1) // of what was in force before its leaf, which ends the other
		l.Receipts(audittest.E1, audittest.E2)
	}},
	{Name: "a bypass that ends by itself, and one that is lifted", GoOn: func(l *audittest.Log) {
		l.Order(order.Bypass{})
		l.Receipts(audittest.E1)
		l.Now = l.Now.Add(2 * time.Hour)
		l.Append(audit.Alarm{Node: "c1", What: "test"})
		l.Receipts(audittest.E1)
		l.Order(order.Bypass{})
		l.Order(order.Bypass{Lift: true})
		l.Receipts(audittest.E1, audittest.E2)
	}},
	{Name: "exemptions of analysts: one that ends by itself, one in the place of another, one that is lifted", GoOn: func(l *audittest.Log) {
		l.Order(exempt(1))
		l.Receipts(audittest.E1, audittest.E2)
		l.Now = l.Now.Add(2 * time.Hour)
		l.Append(audit.Alarm{Node: "c1", What: "test"})
		l.Order(exempt(2))
		l.Order(exempt(3))
		l.Publish(45)
		l.Receipts(audittest.E1)
		l.Order(order.Exempt{Lift: true})
		l.Receipts(audittest.E1, audittest.E2)
		l.Order(exempt(4))
	}},
	{Name: "a return to an earlier version, then another, then the next version", GoOn: func(l *audittest.Log) {
		l.Publish(20)
		l.Publish(10)
		l.Receipts(audittest.E1, audittest.E2)
		l.Return(2, nil)
		l.Receipts(audittest.E1, audittest.E2)
		l.Renew()
		l.Return(3, nil)
		l.Receipts(audittest.E1)
		l.Return(2, nil)
		l.Return(4, nil)
		l.Receipts(audittest.E1)
		l.Return(1, nil)
		l.Publish(45)
		l.Receipts(audittest.E1, audittest.E2)
	}},
	{Name: "one member down", GoOn: func(l *audittest.Log) {
		l.PublishWith(45, func(p audit.Publish) audit.Publish { p.Verdicts = p.Verdicts[1:]; return p })
		l.Signers = []string{audittest.C2, audittest.C3}
	}},
	{Name: "a log of several tiles", GoOn: func(l *audittest.Log) {
		for range 600 {
			l.Append(audit.Alarm{Node: "c1", What: "test"})
		}
		l.Receipts(audittest.E1)
	}},
}
