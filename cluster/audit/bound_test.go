package audit_test

import (
	"math"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
)

// The upper limits of the attribute sampling tables that auditors use (AICPA, 5 % risk), in percent, which are rounded up to a tenth; and those that
// have a closed form: nothing found gives 1 - (1-confidence)^(1/n).
func TestTheBoundIsThatOfPublishedTables(t *testing.T) {
	for _, c := range []struct {
		k, n  int
		limit float64
	}{
		{0, 25, 11.3}, {1, 25, 17.6}, {0, 30, 9.6}, {1, 30, 14.9}, {2, 30, 19.6}, {0, 60, 4.9}, {1, 60, 7.7}, {2, 60, 10.2}, {3, 60, 12.5},
		{0, 100, 3.0}, {1, 100, 4.7}, {2, 100, 6.2}, {3, 100, 7.6}, {0, 200, 1.5}, {1, 200, 2.4},
	} {
		if got := 100 * audit.UpperBound(c.k, c.n, 0.95); math.Abs(got-c.limit) > 0.1 {
			t.Errorf("%d of %d: got %.3f %%, the table has %.1f %%", c.k, c.n, got, c.limit)
		}
	}
	for _, n := range []int{1, 7, 60, 299, 1000} {
		for _, confidence := range []float64{0.9, 0.95, 0.99} {
			want := 1 - math.Pow(1-confidence, 1/float64(n))
			if got := audit.UpperBound(0, n, confidence); math.Abs(got-want) > 1e-9 {
				t.Errorf("0 of %d at %v: got %v, want %v", n, confidence, got, want)
			}
		}
	}
	for _, c := range []struct{ k, n int }{{5, 5}, {6, 5}, {-1, 5}, {0, 0}} {
		if got := audit.UpperBound(c.k, c.n, 0.95); got != 1 {
			t.Errorf("%d of %d: got %v, want 1", c.k, c.n, got)
		}
	}
}
