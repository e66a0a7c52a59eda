package audit_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/list/listtest"
)

// servedBy verifies the log's bundle and gives what its receipts say, with the edge's part.
func servedBy(t *testing.T, l *audittest.Log, edge string) (*audit.Report, *audit.Served, audit.ServedEdge) {
	t.Helper()
	r, err := audit.Verify(t.Context(), bytes.NewReader(l.Bundle()), l.TrustFile(), audit.Options{Now: l.Now})
	if err != nil || r.Served() == nil {
		t.Fatalf("got %v and %v", r, err)
	}
	s := r.Served()
	i := slices.IndexFunc(s.Edges, func(e audit.ServedEdge) bool { return e.Edge == edge })
	if i < 0 {
		t.Fatalf("got %+v, want an edge %s", s.Edges, edge)
	}
	return r, s, s.Edges[i]
}

func TestReceiptsSayWhatEachEdgeServesSinceWhen(t *testing.T) {
	l := audittest.New("served")
	l.Publish(20)
	l.Receipts(audittest.E1)
	first := l.Now
	l.Publish(30)
	l.Receipts(audittest.E1)
	second := l.Now
	l.Receipts(audittest.E1)
	l.Withdraw(listtest.ID(3, 1))
	withdrawn := l.Now
	_, s, e1 := servedBy(t, l, audittest.E1)
	if len(s.Lists) != 1 || s.Lists[0].Seq != 2 || len(s.Edges) != 2 || s.Edges[1].Edge != audittest.E2 || !s.Edges[1].At.IsZero() || len(s.Edges[1].Lists) != 0 {
		t.Fatalf("got %+v", s)
	}
	if v, ok := e1.List(listtest.List); !ok || v.Seq != 2 || !v.Since.Equal(second.UTC()) || v.Edge != s.Lists[0].Edge {
		t.Errorf("got %+v, want sequence 2 since %v (the first was served since %v)", v, second, first)
	}
	if len(s.Withdrawals) != 1 || s.Withdrawals[0].Number != 1 || !s.Withdrawals[0].At.Equal(withdrawn.UTC()) {
		t.Fatalf("got %+v", s.Withdrawals)
	}
	if since, ok := e1.Carried(s.Withdrawals[0].Leaf); ok {
		t.Errorf("the withdrawal is carried out since %v, before any receipt said so", since)
	}
	l.Receipts(audittest.E1)
	confirmed := l.Now
	l.Receipts(audittest.E1)
	_, s, e1 = servedBy(t, l, audittest.E1)
	if since, ok := e1.Carried(s.Withdrawals[0].Leaf); !ok || !since.Equal(confirmed.UTC()) {
		t.Errorf("carried out since %v (%t), want %v", since, ok, confirmed)
	}
	if v, _ := e1.List(listtest.List); !v.Since.Equal(second.UTC()) || !e1.At.Equal(confirmed.Add(time.Minute).UTC()) {
		t.Errorf("got %+v of %v", v, e1.At)
	}
}

func TestAReceiptThatDoesNotStandSaysNothing(t *testing.T) {
	l := audittest.New("served")
	l.Publish(20)
	l.Receipts(audittest.E1)
	stood := l.Now
	l.Publish(30)
	lie := l.Receipt(audittest.E1)
	lie.State[0] ^= 1
	l.Append(audit.Receipts{Items: []audit.SignedReceipt{audit.SignReceipt(lie, l.Edges[audittest.E1])}})
	r, _, e1 := servedBy(t, l, audittest.E1)
	if v, _ := e1.List(listtest.List); r.Pass || v.Seq != 1 || !e1.At.Equal(stood.UTC()) {
		t.Errorf("got pass %t and %+v", r.Pass, e1)
	}
}
