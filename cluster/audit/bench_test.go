package audit_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

// BenchmarkVerifyLog verifies a log of 100,000 leaves, 20,000 of them with a receipt.
func BenchmarkVerifyLog(b *testing.B) {
	l := audittest.Honest("bench")
	r := l.Receipt(audittest.E1)
	for i := range 100_000 - len(l.Leaves) {
		if i%5 == 0 {
			r.Counter++
			l.Append(audit.Receipts{Items: []audit.SignedReceipt{audit.SignReceipt(r, l.Edges[audittest.E1])}})
		} else {
			l.Append(audit.Alarm{Node: "c1", What: "test"})
		}
	}
	bundle, trust := l.Bundle(), l.TrustFile()
	b.SetBytes(int64(len(bundle)))
	b.ReportAllocs()
	for b.Loop() {
		rep, err := audit.Verify(context.Background(), bytes.NewReader(bundle), trust, audit.Options{Now: l.Now})
		if err != nil || !rep.Pass {
			b.Fatal(err, rep)
		}
	}
}
