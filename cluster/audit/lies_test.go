package audit_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/liestest"
)

// look verifies what an auditor was handed.
func look(t *testing.T, c liestest.Case, change ...func(*audit.Options)) *audit.Report {
	t.Helper()
	o := c.Options()
	for _, f := range change {
		f(&o)
	}
	r, err := audit.Verify(context.Background(), bytes.NewReader(c.Bundle), c.Trust, o)
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	return r
}

func reportText(r *audit.Report) string {
	var text bytes.Buffer
	_ = r.WriteText(&text)
	return text.String()
}

func TestEachLieFailsItsCheck(t *testing.T) {
	for _, x := range someLies() {
		t.Run(x.Name, func(t *testing.T) {
			t.Parallel()
			r := look(t, x.Tell())
			var failed []string
			for _, c := range r.Checks {
				if !c.Pass && !c.Skipped {
					failed = append(failed, c.Name)
				}
			}
			slices.Sort(failed)
			want := slices.Sorted(slices.Values(x.Fails))
			if !slices.Equal(failed, want) || r.Pass {
				t.Fatalf("failed checks: got %v, want %v\n%s", failed, want, reportText(r))
			}
			c, _ := r.Check(x.Fails[0])
			if !strings.Contains(strings.Join(c.Causes, "\n"), x.Says) {
				t.Errorf("cause: got %q, want it to say %q", c.Causes, x.Says)
			}
		})
	}
}
