package liestest

import (
	"bytes"
	"context"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

// broken publishes a version through faults of the hotline's metadata, which control nodes that lie have let in.
func broken(faults ...trusttest.Fault) func(*audittest.Log) []byte {
	return func(l *audittest.Log) []byte {
		l.Hotline.Break(faults...)
		l.Hotline.Accredit(l.Now)
		l.Publish(50)
		return l.Bundle()
	}
}

// chainLies are a hotline's or an authority's: signed with real keys, against a rule of the trust chain.
var chainLies = []Lie{
	{Who: Hotline, Name: "a list signed by somebody who is no officer", Fails: []string{audit.CheckMetadata}, Says: "verify list role",
		Build: broken(trusttest.ListSignedBy(audittest.Key("stranger"), audittest.Key("another")))},
	{Who: Hotline, Name: "a timestamp that is good for a year, to withhold what comes", Fails: []string{audit.CheckMetadata}, Says: "more than 192h0m0s ahead",
		Build: broken(trusttest.TimestampLives(365 * 24 * time.Hour))},
	{Who: Hotline, Name: "a list role that delegates further", Fails: []string{audit.CheckMetadata}, Says: "delegat", Build: broken(trusttest.ListDelegates())},
	{Who: Hotline, Name: "a target that lies in another hotline's path", Fails: []string{audit.CheckMetadata}, Says: "path",
		Build: broken(trusttest.MovedTarget("csam/other/main.3.edge"))},
	{Who: Authority, Name: "a hotline whose lists one officer signs", Fails: []string{audit.CheckMetadata}, Says: "threshold", Build: broken(trusttest.ListThreshold(1))},
	{Who: Authority, Name: "a hotline of two officers", Fails: []string{audit.CheckMetadata}, Says: "minimum", Build: broken(trusttest.FewerOfficers(2))},
	{Who: Authority, Name: "a delegation of more than the hotline's own lists", Fails: []string{audit.CheckMetadata}, Says: "delegat", Build: broken(trusttest.DelegatedPaths("csam/*"))},
	{Who: Authority, Name: "a second delegation beside the hotline's", Fails: []string{audit.CheckMetadata}, Says: "delegat", Build: broken(trusttest.ExtraDelegation())},
	{Who: Hotline, Name: "the officers accredit their own charter", Fails: []string{audit.CheckMetadata}, Says: "verify targets", Build: broken(trusttest.CharterByOfficers())},
	{Who: Operator, Name: "a throw-away authority's list in a real cluster", Fails: []string{audit.CheckMetadata}, Says: "development keys", Build: func(l *audittest.Log) []byte {
		*l = *audittest.Begin("lies", trusttest.New("lies", audittest.Hotline, trusttest.Now, trusttest.Development()))
		l.Publish(50)
		return l.Bundle()
	}},
}

// directed logs a receipt of e1 that goes beyond the log by a statement, signed by these officers, and gives the statement.
func directed(l *audittest.Log, name bool, officers ...int) []byte {
	w := trust.Withdrawal{
		List: listtest.List, Entries: []match.EntryID{listtest.ID(9, 1)}, SeqFrom: 1, SeqTo: 1000, Number: 90,
		Issued: l.Now.Unix(), Expires: l.Now.Add(time.Hour).Unix(), Reason: "error",
	}
	raw := l.Hotline.Withdraw(w, officers...)
	id, err := trust.StatementID(raw)
	check(err)
	f, err := l.InForce.With(w)
	check(err)
	r := l.Receipt(audittest.E1)
	r.State = l.State(f)
	if name {
		r.Direct = [][32]byte{id}
	}
	l.Append(audit.Receipts{Items: []audit.SignedReceipt{audit.SignReceipt(r, l.Edges[audittest.E1])}})
	return raw
}

// longOrder is a suppression for longer than any may last, signed by both officers.
func longOrder(l *audittest.Log) []byte {
	o := order.Order{Cluster: l.Desc.ID(), Number: 1, Issued: l.Now.Unix(), Expires: l.Now.Add(30 * 24 * time.Hour).Unix(), Reason: "error", Body: suppress(7)}
	raw, err := order.Sign(o, audittest.O1, l.Officers[audittest.O1])
	check(err)
	raw, err = order.Countersign(raw, audittest.O2, l.Officers[audittest.O2])
	check(err)
	return raw
}

// removalLies are about what leaves the list without the log, or stays in it.
var removalLies = []Lie{
	{Who: Edge, Name: "an edge removes what a withdrawal says that nobody has seen", Fails: []string{audit.CheckReceipts}, Says: "which the log does not have",
		Build: func(l *audittest.Log) []byte { directed(l, true, 0, 1); return l.Bundle() }},
	{Who: Edge, Name: "an edge removes on one officer's word, without the log", Fails: []string{audit.CheckReceipts}, Says: "lacks the officers' threshold",
		Look: func(c *Case, l *audittest.Log) {
			c.Statements = [][]byte{directed(audittest.Honest("lies"), true, 0)}
		},
		Build: func(l *audittest.Log) []byte { directed(l, true, 0); return l.Bundle() }},
	{Who: Edge, Name: "an edge removes an entry and names no withdrawal", Fails: []string{audit.CheckReceipts}, Says: "something removed that the log does not say",
		Build: func(l *audittest.Log) []byte { directed(l, false, 0, 1); return l.Bundle() }},
	{Who: Operator, Name: "a withdrawal is logged and not carried out", Fails: []string{audit.CheckReplay}, Says: "removals are left out",
		Build: func(l *audittest.Log) []byte {
			l.Withdraw(listtest.ID(9, 1))
			f := l.InForce
			f.Removals = nil
			relog(l, func(leaves []audit.Leaf) []audit.Leaf { leaves[len(leaves)-1].F = f.Hash(); return leaves })
			return l.Bundle()
		}},
	{Who: Operator, Name: "a withdrawal of a month ago is logged now", Fails: []string{audit.CheckWithdrawals}, Says: "expired",
		Build: func(l *audittest.Log) []byte {
			old := l.Now
			w := trust.Withdrawal{List: listtest.List, Entries: []match.EntryID{listtest.ID(9, 1)}, SeqFrom: 1, SeqTo: 1000, Number: 90,
				Issued: old.Unix(), Expires: old.Add(time.Hour).Unix(), Reason: "error"}
			raw := l.Hotline.Withdraw(w, 0, 1)
			w, signers, err := trust.VerifyWithdrawal(l.Hotline.OfficerKeys(), raw, l.Now)
			check(err)
			l.Now = l.Now.AddDate(0, 1, 0)
			l.Append(audit.NewWithdraw(raw, w, signers, l.Hotline.OfficerKeys()))
			return l.Bundle()
		}},
	{Who: Operator, Name: "a withdrawal that one officer signed is logged as complete", Fails: []string{audit.CheckWithdrawals}, Says: "other signers than the statement has",
		Build: func(l *audittest.Log) []byte {
			l.WithdrawBy([]int{0}, listtest.ID(9, 1))
			rewrite(l, last(l, audit.KindWithdraw), func(w audit.Withdraw) audit.Withdraw { w.Owed = false; return w })
			return l.Bundle()
		}},
	{Who: Hotline, Name: "one officer takes out more in a day than one may", Fails: []string{audit.CheckWithdrawals}, Says: "has withdrawn 24 entries on this day without the threshold, at most 20 are allowed",
		Build: func(l *audittest.Log) []byte {
			for i := range 3 {
				var out []match.EntryID
				for n := range 8 {
					out = append(out, listtest.ID(8*i+n+5, 1))
				}
				l.WithdrawBy([]int{0}, order.SortEntries(out)...)
			}
			return l.Bundle()
		}},
	{Who: Operator, Name: "a suppression is logged a month after it was decided", Fails: []string{audit.CheckOrders}, Says: "expired or not yet valid",
		Build: func(l *audittest.Log) []byte {
			raw := longOrder(l)
			l.Now = l.Now.AddDate(0, 2, 0)
			o, signers, err := order.Decode(raw)
			check(err)
			l.Append(audit.NewOrdered(raw, o, signers))
			return l.Bundle()
		}},
	{Who: Operator, Name: "an order that officers signed for another cluster", Fails: []string{audit.CheckOrders}, Says: "it is for another cluster",
		Build: func(l *audittest.Log) []byte {
			o := order.Order{Cluster: audittest.Honest("another").Desc.ID(), Number: 1, Issued: l.Now.Unix(), Expires: l.Now.Add(time.Hour).Unix(), Reason: "error", Body: suppress(7)}
			raw, err := order.Sign(o, audittest.O1, l.Officers[audittest.O1])
			check(err)
			raw, err = order.Countersign(raw, audittest.O2, l.Officers[audittest.O2])
			check(err)
			o, signers, err := order.Decode(raw)
			check(err)
			l.Append(audit.NewOrdered(raw, o, signers))
			return l.Bundle()
		}},
	{Who: Node, Name: "a version checked by a member that had left", Fails: []string{audit.CheckVerdicts}, Says: "checked and signed by 1 of 2 members (c1), 2 are needed",
		Build: func(l *audittest.Log) []byte {
			l.Append(audit.Member{Action: audit.ActionDrop, Role: audit.RoleControl, Name: audittest.C3, By: "operator-1"})
			l.PublishWith(50, func(p audit.Publish) audit.Publish {
				p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C3)
				return p
			})
			return l.Bundle()
		}},
}

// visited is what an auditor keeps of a visit to the log as it is now.
func visited(l *audittest.Log) *audit.Visit {
	r, err := audit.Verify(context.Background(), bytes.NewReader(l.Bundle()), l.TrustFile(), audit.Options{Now: l.Now})
	check(err)
	return r.Visit()
}

// visitLies are told to an auditor who was here before, by those who can sign everything anew.
var visitLies = []Lie{
	{Who: Operator, Name: "a leaf that the auditor has seen is changed and all that follows is signed anew", Fails: []string{audit.CheckConsistency}, Says: "fork: the first 15 leaves are not those of the last visit",
		Look: func(c *Case, l *audittest.Log) { c.Before = visited(audittest.Honest("lies")) },
		Build: func(l *audittest.Log) []byte {
			rewrite(l, last(l, audit.KindMember), func(m audit.Member) audit.Member { m.By = "operator-2"; return m })
			l.Leaves = l.Leaves[:len(l.Leaves)-1] // the receipt behind it is of the log that was
			l.Counters["e3"] = 0
			l.Receipts("e3")
			l.Receipts("e3")
			return l.Bundle()
		}},
	{Who: Mirror, Name: "the log as it was before the last visit", Fails: []string{audit.CheckConsistency}, Says: "rollback: the log has 15 leaves, at the last visit it had 16",
		Look: func(c *Case, l *audittest.Log) {
			later := audittest.Honest("lies")
			later.Publish(50)
			c.Before = visited(later)
		},
		Build: func(l *audittest.Log) []byte { return l.Bundle() }},
}

// lifeHistories are what the life of a cluster brings besides.
var lifeHistories = []History{
	{Name: "twenty versions", GoOn: func(l *audittest.Log) {
		for i := range 20 {
			l.Publish(45 + i%7)
		}
		l.Receipts(audittest.E1, audittest.E2, "e3")
	}},
	{Name: "one officer withdraws, the second signs later, and another's second never comes but the next version does", GoOn: func(l *audittest.Log) {
		w := l.WithdrawBy([]int{0}, listtest.ID(9, 1))
		l.Receipts(audittest.E1)
		l.Cosign(w, 0, 1)
		l.WithdrawBy([]int{2}, listtest.ID(10, 1))
		l.Publish(45)
		l.Receipts(audittest.E1, audittest.E2)
	}},
	{Name: "an edge takes a withdrawal from the hotline while there is no quorum", GoOn: func(l *audittest.Log) { directed(l, true, 0, 1) },
		Look: func(c *Case, l *audittest.Log) {
			c.Statements = [][]byte{directed(audittest.Honest("histories"), true, 0, 1)}
		}},
	{Name: "edges report what they took from the hotline, and the log has it later", GoOn: func(l *audittest.Log) {
		raw := directed(l, true, 1, 2)
		w, signers, err := trust.VerifyWithdrawal(l.Hotline.OfficerKeys(), raw, l.Now)
		check(err)
		l.Append(audit.NewWithdraw(raw, w, signers, l.Hotline.OfficerKeys()))
		l.Receipts(audittest.E1, audittest.E2)
	}},
	{Name: "the second visit finds what the first one saw, and more", GoOn: func(l *audittest.Log) { l.Publish(45); l.Receipts(audittest.E1) },
		Look: func(c *Case, l *audittest.Log) { c.Before = visited(audittest.Honest("histories")) }},
	{Name: "nothing for ten weeks but renewals, and a new accreditation", GoOn: func(l *audittest.Log) {
		for week := range 10 {
			l.Now = l.Now.AddDate(0, 0, 7)
			if week == 5 {
				l.Hotline.Accredit(l.Now)
			}
			l.Renew()
		}
	}},
}
