package audit_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// direct is a withdrawal that the log does not have, signed by these officers.
func direct(t *testing.T, l *audittest.Log, number uint64, officers ...int) ([]byte, trust.Withdrawal, [32]byte) {
	t.Helper()
	w := trust.Withdrawal{
		List: listtest.List, Entries: []match.EntryID{{byte(number), 1}}, SeqFrom: 1, SeqTo: 1000, Number: number,
		Issued: l.Now.Unix(), Expires: l.Now.Add(time.Hour).Unix(), Reason: "error",
	}
	raw := l.Hotline.Withdraw(w, officers...)
	id, err := trust.StatementID(raw)
	if err != nil {
		t.Fatal(err)
	}
	return raw, w, id
}

// marked is e1's receipt of what is in force and these withdrawals.
func marked(t *testing.T, l *audittest.Log, ids [][32]byte, ws ...trust.Withdrawal) {
	t.Helper()
	l.Tick()
	f := l.InForce
	for _, w := range ws {
		next, err := f.With(w)
		if err != nil || len(next.Removals) == len(f.Removals) {
			t.Fatalf("with withdrawal %d: %v", w.Number, err)
		}
		f = next
	}
	slices.SortFunc(ids, func(a, b [32]byte) int { return slices.Compare(a[:], b[:]) })
	r := l.Receipt(audittest.E1)
	r.State, r.Direct = l.State(f), ids
	l.Append(audit.Receipts{Items: []audit.SignedReceipt{audit.SignReceipt(r, l.Edges[audittest.E1])}})
}

func TestAReceiptMayNameWithdrawalsBeyondTheLog(t *testing.T) {
	l := audittest.Honest("direct")
	one, w1, id1 := direct(t, l, 90, 0, 1)
	_, w2, id2 := direct(t, l, 91, 2, 1)
	marked(t, l, [][32]byte{id1, id2}, w1, w2)
	l.Cosign(w2, 0, 1) // the log got only one of them in time
	b := l.Bundle()
	r := verify(t, l, b)
	if c, _ := r.Check(audit.CheckReceipts); c.Pass || !strings.Contains(c.Detail, "give it with --statement") {
		t.Errorf("a statement that nobody has shown: %+v", c)
	}
	given := func(raw []byte) func(*audit.Options) {
		return func(o *audit.Options) { o.Statements = [][]byte{raw} }
	}
	if r := verify(t, l, b, given(one)); !r.Pass || !strings.Contains(strings.Join(r.Notes, "\n"), "1 of ") {
		t.Errorf("with the statement: %v, notes %q", r.Pass, r.Notes)
	}
	alone, _, _ := direct(t, l, 90, 0)
	again := l.Hotline.Withdraw(w1, 0)
	for name, raw := range map[string][]byte{"another one of that number": alone, "one officer alone": again, "nonsense": {0xa0}} {
		if r := verify(t, l, b, given(raw)); r.Pass {
			t.Errorf("%s: it passes", name)
		}
	}
}

func TestWithdrawalsBeyondTheLogExcuseNothingElse(t *testing.T) {
	for name, lie := range map[string]func(l *audittest.Log){
		"a state without the entry, and nothing named": func(l *audittest.Log) {
			_, w, _ := direct(t, l, 90, 0, 1)
			marked(t, l, nil, w)
			l.Cosign(w, 0, 1)
		},
		"named and not removed": func(l *audittest.Log) {
			_, w, id := direct(t, l, 90, 0, 1)
			marked(t, l, [][32]byte{id})
			l.Cosign(w, 0, 1)
		},
		"more removed than named": func(l *audittest.Log) {
			_, w, id := direct(t, l, 90, 0, 1)
			_, other, _ := direct(t, l, 91, 0, 1)
			marked(t, l, [][32]byte{id}, w, other)
			l.Cosign(w, 0, 1)
			l.Cosign(other, 0, 1)
		},
		"one officer alone": func(l *audittest.Log) {
			_, w, id := direct(t, l, 90, 0)
			marked(t, l, [][32]byte{id}, w)
			l.Cosign(w, 0)
		},
	} {
		l := audittest.Honest("direct lies")
		lie(l)
		if c, _ := verify(t, l, l.Bundle()).Check(audit.CheckReceipts); c.Pass || len(c.Causes) == 0 {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestTheFormOfMarkedReceipts(t *testing.T) {
	l := audittest.Honest("direct form")
	good := func() audit.Receipt { return l.Receipt(audittest.E1) }
	a, b := [32]byte{1}, [32]byte{2}
	many := make([][32]byte, audit.MaxDirect)
	for i := range many {
		many[i] = [32]byte{byte(i)}
	}
	for name, c := range map[string]struct {
		ids [][32]byte
		ok  bool
	}{
		"none": {nil, true}, "one": {[][32]byte{a}, true}, "two": {[][32]byte{a, b}, true}, "as many as may be": {many, true},
		"twice": {[][32]byte{a, a}, false}, "not in order": {[][32]byte{b, a}, false}, "one too many": {append(many, [32]byte{99}), false},
	} {
		r := good()
		r.Direct = c.ids
		s := audit.SignReceipt(r, l.Edges[audittest.E1])
		got, err := s.Receipt()
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if want := map[bool]int{false: 1, true: 2}[len(c.ids) > 0]; err == nil && got.V != want {
			t.Errorf("%s: version %d, want %d", name, got.V, want)
		}
		if _, err := audit.DecodeSignedReceipt(s.Encode()); (err == nil) != c.ok {
			t.Errorf("%s, encoded: %v", name, err)
		}
	}
}
