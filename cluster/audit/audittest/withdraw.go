package audittest

import (
	"crypto/sha256"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

func (l *Log) Withdraw(entries ...match.EntryID) { l.WithdrawBy([]int{0, 1}, entries...) }

// WithdrawBy is Withdraw, signed by these officers. It gives what Cosign takes.
func (l *Log) WithdrawBy(officers []int, entries ...match.EntryID) trust.Withdrawal {
	now := l.Tick()
	l.number++
	w := trust.Withdrawal{
		List: listtest.List, Entries: entries, SeqFrom: 1, SeqTo: l.seq + 100, Number: l.number,
		Issued: now.Unix(), Expires: now.Add(time.Hour).Unix(), Reason: "error",
	}
	l.withdraw(w, officers)
	return w
}

// Cosign logs a withdrawal again, signed by these officers.
func (l *Log) Cosign(w trust.Withdrawal, officers ...int) {
	l.Tick()
	l.withdraw(w, officers)
}

func (l *Log) withdraw(w trust.Withdrawal, officers []int) {
	raw := l.Hotline.Withdraw(w, officers...)
	w, signers, err := trust.VerifyWithdrawal(l.Hotline.OfficerKeys(), raw, l.Now)
	check(err)
	l.Append(audit.NewWithdraw(raw, w, signers, l.Hotline.OfficerKeys()))
}

// Open logs that entries of the newest version were shown to a reviewer, signed by these officers of the hotline. change may alter what
// they sign. Nothing verifies it.
func (l *Log) Open(change func(*trust.Opening), officers ...int) {
	now := l.Tick()
	o := trust.Opening{
		Cluster: l.Desc.ID(), List: listtest.List, Seq: l.seq, Request: sha256.Sum256([]byte("request")), Count: 5,
		File: sha256.Sum256([]byte("file")), Recipient: audit.RecipientHash("age1reviewer"), Issued: now.Unix(), Expires: now.Add(time.Hour).Unix(),
	}
	if change != nil {
		change(&o)
	}
	raw, err := trust.SignOpening(o, l.Hotline.Officers[officers[0]])
	for _, n := range officers[1:] {
		check(err)
		raw, err = trust.CosignOpening(raw, l.Hotline.Officers[n])
	}
	check(err)
	o, signers, err := trust.OpeningSigners(l.Hotline.OfficerKeys(), raw)
	check(err)
	l.Append(audit.NewOpen(raw, o, signers))
}

// Order logs the next order of its kind, for the next hour, signed by these officers, both when none is named. Nothing verifies it.
func (l *Log) Order(b order.Body, by ...string) {
	now := l.Tick()
	l.orders[b.Kind()]++
	if len(by) == 0 {
		by = []string{O1, O2}
	}
	o := order.Order{Cluster: l.Desc.ID(), Number: l.orders[b.Kind()], Issued: now.Unix(), Expires: now.Add(time.Hour).Unix(), Reason: "error", Body: b}
	raw, err := order.Sign(o, by[0], l.Officers[by[0]])
	check(err)
	for _, name := range by[1:] {
		raw, err = order.Countersign(raw, name, l.Officers[name])
		check(err)
	}
	o, signers, err := order.Decode(raw)
	check(err)
	l.Append(audit.NewOrdered(raw, o, signers))
}
