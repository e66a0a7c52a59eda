package audit_test

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

func verify(t *testing.T, l *audittest.Log, bundle []byte, change ...func(*audit.Options)) *audit.Report {
	t.Helper()
	o := audit.Options{Now: l.Now.Add(time.Minute)}
	for _, c := range change {
		c(&o)
	}
	r, err := audit.Verify(context.Background(), bytes.NewReader(bundle), l.TrustFile(), o)
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	return r
}

func TestAnHonestHistoryPasses(t *testing.T) {
	l := audittest.Honest("honest")
	r := verify(t, l, l.Bundle())
	if testing.Verbose() || !r.Pass {
		if err := r.WriteText(os.Stdout); err != nil {
			t.Fatal(err)
		}
	}
	if !r.Pass {
		t.Fatal("an honest bundle fails")
	}
}
