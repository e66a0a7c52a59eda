package period_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/audit/period"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

func leaves(t *testing.T, l *audittest.Log) []audit.Leaf {
	t.Helper()
	var out []audit.Leaf
	for _, b := range l.Leaves {
		leaf, err := audit.DecodeLeaf(b)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, leaf)
	}
	return out
}

func of(t *testing.T, l *audittest.Log, from, to time.Time) period.Facts {
	t.Helper()
	f, err := period.Of(slices.Values(leaves(t, l)), from, to)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// year is a history with something of everything; begin is when its second half begins.
func year(seed string) (l *audittest.Log, from, begin, to time.Time) {
	l = audittest.New(seed)
	from = l.Now
	l.Publish(30)
	l.Receipts(audittest.E1, audittest.E2)
	l.Renew()
	l.Append(audit.Reject{Hotline: audittest.Hotline, List: listtest.List, Seq: 3, Stage: "apply", Reason: "scope", Node: "c1"})
	l.Append(audit.Reject{Hotline: audittest.Hotline, List: listtest.List, Seq: 4, Stage: "apply", Reason: "scope", Node: "c1"})
	l.Order(order.Bypass{})
	l.Tick()
	begin = l.Tick()
	l.Tick()
	l.Order(order.Bypass{Lift: true})
	l.Publish(40)
	l.Tick()
	l.Receipts(audittest.E1)
	l.Withdraw(listtest.ID(3, 1), listtest.ID(4, 1))
	l.Cosign(l.WithdrawBy([]int{0}, listtest.ID(5, 1)), 0, 1)
	l.WithdrawBy([]int{1}, listtest.ID(6, 1))
	l.Receipts(audittest.E2)
	l.Order(order.Suppress{List: listtest.List, Epoch: 1, Entries: []match.EntryID{listtest.ID(7, 1)}})
	p := l.Offer(50)
	l.Hold(p, "growth")
	l.Order(order.Policy{NeverBlock: audittest.NeverBlock, Count: 4})
	l.Return(1, nil)
	l.Append(audit.Alarm{Node: "c2", What: "disk slow", Since: l.Now.Unix()})
	l.Enrol("e3")
	return l, from, begin, l.Tick()
}

func TestWhatHappenedInASpan(t *testing.T) {
	l, _, begin, to := year("period")
	f := of(t, l, begin, to)
	if got := f.Lists; len(got) != 1 || got[0].Before == nil || got[0].Before.Seq != 1 || got[0].After == nil || got[0].After.Seq != 1 || len(got[0].Versions) != 1 || got[0].Versions[0].Seq != 2 {
		t.Fatalf("lists: got %+v", got)
	}
	if v := f.Lists[0].Versions[0]; v.Verdicts != 3 || len(v.Kinds) == 0 || v.Edge == (period.Hash{}) || f.Lists[0].Added != v.Added {
		t.Errorf("version: got %+v", v)
	}
	if len(f.Charters) != 1 || f.Charters[0].Hotline != audittest.Hotline || f.Charters[0].Leaf != f.Lists[0].Before.Leaf {
		t.Errorf("charters: got %+v", f.Charters)
	}
	if len(f.Refusals) != 0 || len(f.Hotlines) != 1 || f.Hotlines[0].Renewals != 0 {
		t.Errorf("got %+v and %+v of the span before", f.Refusals, f.Hotlines)
	}
	w := f.Withdrawals
	if w.N != 3 || w.Entries != 4 || !reflect.DeepEqual(w.Reasons, []period.Count{{Word: "error", N: 4}}) || len(w.Owed) != 1 || w.Owed[0].Number != 3 {
		t.Errorf("withdrawals: got %+v", w)
	}
	if f.Suppress.Orders != 1 || f.Suppress.Entries != 1 || f.Suppress.InForce != 1 {
		t.Errorf("suppressions: got %+v", f.Suppress)
	}
	if len(f.Holds.Open) != 1 || f.Holds.Open[0].Seq != 3 || len(f.Policies) != 1 || f.Policies[0].Names != 4 {
		t.Errorf("holds: got %+v, policies %+v", f.Holds, f.Policies)
	}
	if len(f.Returns) != 1 || f.Returns[0].From != 2 || f.Returns[0].To != 1 {
		t.Errorf("returns: got %+v", f.Returns)
	}
	if !slices.Equal(f.Nodes.Edges, []string{"e1", "e2", "e3"}) || len(f.Nodes.Control) != 3 || len(f.Nodes.Changes) != 1 {
		t.Errorf("nodes: got %+v", f.Nodes)
	}
	if v := f.Lists[0].Versions[0]; v.Index == (period.Hash{}) || len(v.Bases) == 0 {
		t.Errorf("version: got index %v and bases %v", v.Index, v.Bases)
	}
	if f.Receipts.N != 2 || f.Receipts.Right != 2 || f.Receipts.Edges != 2 || len(f.Alarms) != 1 {
		t.Errorf("receipts: got %+v, alarms %+v", f.Receipts, f.Alarms)
	}
}

func TestABypassCountsWhereItLasted(t *testing.T) {
	l, from, begin, to := year("period")
	first, second := of(t, l, from, begin), of(t, l, begin, to)
	if first.Bypass.Orders != 1 || first.Bypass.Seconds != 120 || first.Bypass.Until == 0 {
		t.Errorf("before: got %+v, want one for 2 minutes, that goes on", first.Bypass)
	}
	if second.Bypass.Orders != 0 || second.Bypass.Lifted != 1 || second.Bypass.Seconds != 120 || second.Bypass.Until != 0 {
		t.Errorf("after: got %+v, want 2 minutes of the one that began before", second.Bypass)
	}
}

func TestDelaysAreMeasuredPerEdge(t *testing.T) {
	l, from, begin, to := year("period")
	if d := of(t, l, from, begin).ToBlock; d.N != 2 || d.Waiting != 0 || d.Median != 60 || d.Worst != 60 {
		t.Errorf("first version: got %+v, want both edges after a minute", d)
	}
	f := of(t, l, begin, to)
	// the second version: e1 after two minutes, e2 after seven; the return: nobody yet
	if d := f.ToBlock; d.N != 2 || d.Waiting != 2 || d.Median != 120 || d.P95 != 420 || d.Worst != 420 {
		t.Errorf("second version: got %+v", d)
	}
	if d := f.ToLog; d.N != 3 || d.Worst != 0 {
		t.Errorf("withdrawals to the log: got %+v", d)
	}
	// e2 has all three, e1 has sent nothing since; e3 came later
	if d := f.ToUnblock; d.N != 3 || d.Waiting != 3 || d.Worst != 240 {
		t.Errorf("withdrawals: got %+v", d)
	}
}

func TestAVersionSettlesTheSecondSignatureThatWasOwed(t *testing.T) {
	l := audittest.New("settled")
	from := l.Now
	l.Publish(30)
	for number, last := range []uint64{1, 2} { // one about version 1, one about version 2 too
		l.Cosign(trust.Withdrawal{
			List: listtest.List, Entries: []match.EntryID{listtest.ID(number, 1)}, SeqFrom: 1, SeqTo: last, Number: uint64(number) + 1,
			Issued: l.Now.Unix(), Expires: l.Now.Add(time.Hour).Unix(), Reason: "error",
		}, 0)
	}
	if w := of(t, l, from, l.Tick()).Withdrawals; len(w.Owed) != 2 {
		t.Errorf("before the next version %+v are owed, want both", w.Owed)
	}
	l.Publish(40)
	if w := of(t, l, from, l.Tick()).Withdrawals; w.N != 2 || len(w.Owed) != 1 || w.Owed[0].Number != 2 {
		t.Errorf("%d withdrawals, %+v owed, want the second: the officers' threshold has signed the list since", w.N, w.Owed)
	}
}

func TestAnEdgeThatTookAWithdrawalFromTheHotlineIsNotLate(t *testing.T) {
	l := audittest.New("direct")
	l.Publish(30)
	l.Receipts(audittest.E1, audittest.E2)
	begin := l.Tick()
	w := trust.Withdrawal{
		List: listtest.List, Entries: []match.EntryID{listtest.ID(3, 1)}, SeqFrom: 1, SeqTo: 9, Number: 1,
		Issued: l.Now.Unix(), Expires: l.Now.Add(time.Hour).Unix(), Reason: "error",
	}
	raw := l.Hotline.Withdraw(w, 0, 1)
	id, err := trust.StatementID(raw)
	if err != nil {
		t.Fatal(err)
	}
	l.Tick()
	r := l.Receipt(audittest.E1)
	r.Direct = [][32]byte{id}
	l.Tick()
	early := audit.SignReceipt(r, l.Edges[audittest.E1])
	for _, order := range []string{"its receipt is logged before the withdrawal", "after it"} {
		h := *l
		h.Leaves = slices.Clone(l.Leaves)
		receipts := func() { h.Append(audit.Receipts{Items: []audit.SignedReceipt{early}}) }
		if order != "after it" {
			receipts()
		}
		said, signers, err := trust.VerifyWithdrawal(h.Hotline.OfficerKeys(), raw, h.Now)
		if err != nil {
			t.Fatal(err)
		}
		h.Append(audit.NewWithdraw(raw, said, signers, h.Hotline.OfficerKeys()))
		if order == "after it" {
			receipts()
		}
		if d := of(t, &h, begin, h.Now.Add(time.Minute)).ToUnblock; d.N != 1 || d.Waiting != 1 || d.Worst != 60 {
			t.Errorf("%s: got %+v, want e1 after a minute, e2 waiting", order, d)
		}
	}
}

func TestAReceiptOfAnotherStateIsNotRight(t *testing.T) {
	l, from, _, _ := year("period")
	before := of(t, l, from, l.Now.Add(time.Minute)).Receipts
	r := l.Receipt(audittest.E1)
	r.State[0] ^= 1
	l.Append(audit.Receipts{Items: []audit.SignedReceipt{audit.SignReceipt(r, l.Edges[audittest.E1])}})
	l.Receipts(audittest.E2)
	if f := of(t, l, from, l.Now.Add(time.Minute)).Receipts; f.N != before.N+2 || f.Right != before.Right+1 || before.Right != before.N {
		t.Errorf("got %+v, before %+v", f, before)
	}
}

func TestAppealsAreCountedByOutcome(t *testing.T) {
	l := audittest.New("appeals")
	from := l.Now
	var refs []audit.AppealRef
	for range 3 {
		l.Tick()
		ref := audit.NewAppealRef()
		refs = append(refs, ref)
		l.Append(audit.NewAdmin("ops", audittest.C1, audit.Appeal{Ref: ref, Entry: []byte{}, Received: l.Now.Unix(), Due: l.Now.Add(time.Hour).Unix()}))
	}
	l.Now = l.Now.Add(30 * time.Minute)
	r := audit.Ruling{Cluster: l.Desc.ID(), Ref: refs[0], Outcome: audit.OutcomeUpheld, At: l.Now.Unix()}
	l.Append(audit.NewAdmin("ops", audittest.C1, audit.SignRuling(r, audittest.O1, l.Officers[audittest.O1])))
	f := of(t, l, from, l.Now.Add(29*time.Minute+30*time.Second))
	if a := f.Appeals; a.Received != 3 || a.Open != 2 || a.Overdue != 1 || !reflect.DeepEqual(a.Decided, []period.Count{{Word: "upheld", N: 1}}) {
		t.Errorf("got %+v", a)
	}
	if d := f.ToDecide; d.N != 1 || d.Waiting != 2 || d.Worst != 32*60 {
		t.Errorf("got %+v", d)
	}
	if a := of(t, l, l.Now.Add(time.Minute), l.Now.Add(2*time.Minute)).Appeals; a.Received != 0 || a.Open != 2 || len(a.Decided) != 0 {
		t.Errorf("a span later: got %+v", a)
	}
}

// Whoever computes the facts later gets the same: what comes behind the span is not in them.
func TestLaterLeavesChangeNothing(t *testing.T) {
	l, from, begin, to := year("period")
	all := leaves(t, l)
	for n := range all {
		for _, end := range []time.Time{begin, to} {
			if n > 0 && time.Unix(all[n].T, 0).Before(end) {
				continue
			}
			short, err := period.Of(slices.Values(all[:n]), from, end)
			if err != nil {
				t.Fatal(err)
			}
			if long := of(t, l, from, end); n > 0 && !reflect.DeepEqual(short, long) {
				t.Fatalf("%d of %d leaves until %v:\n%+v\n%+v", n, len(all), end, short, long)
			}
		}
	}
}

func TestFactsReadBack(t *testing.T) {
	l, from, _, to := year("period")
	for _, f := range []period.Facts{of(t, l, from, to), of(t, audittest.New("empty"), from, to)} {
		b, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var back period.Facts
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(f, back) {
			t.Errorf("got  %+v\nwant %+v", back, f)
		}
		var raw map[string]any
		if err := json.Unmarshal(b, &raw); err != nil {
			t.Fatal(err)
		}
		for key, v := range raw {
			if v == nil {
				t.Errorf("%s is null", key)
			}
		}
	}
}

func TestNoSpanAndNoLogAreRefused(t *testing.T) {
	l, from, _, to := year("period")
	for _, c := range [][2]time.Time{{to, from}, {from, from}, {time.Unix(-5, 0), to}, {from, time.Unix(1<<37, 0)}} {
		if _, err := period.Of(slices.Values(leaves(t, l)), c[0], c[1]); !errors.Is(err, period.ErrSpan) {
			t.Errorf("from %v to %v: got %v", c[0], c[1], err)
		}
	}
	all := leaves(t, l)
	if _, err := period.Of(slices.Values(all[1:]), from, to); !errors.Is(err, audit.ErrFormat) {
		t.Errorf("a log that begins with leaf 1: got %v", err)
	}
	all[8], all[9] = all[9], all[8]
	if _, err := period.Of(slices.Values(all), from, to); !errors.Is(err, audit.ErrFormat) {
		t.Errorf("leaves out of order: got %v", err)
	}
}
