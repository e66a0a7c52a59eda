package lists

import (
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/bench/hotline"
)

func TestAFigureAboveItsTargetIsMissed(t *testing.T) {
	for _, tt := range []struct {
		name    string
		entries int
		took    time.Duration
		target  string
		missed  bool
	}{
		{"reached", 1_000_000, 14 * time.Second, "≤ 15.0 s", false},
		{"missed", 1_000_000, 16 * time.Second, "≤ 15.0 s", true},
		{"the larger size's", 1_000_001, 16 * time.Second, "≤ 120.0 s", false},
		{"nothing promised below", 20_000, time.Hour, "", false},
		{"nothing promised above", 20_000_000, time.Hour, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &Report{Entries: tt.entries}
			r.total("all", hotline.Usage{Took: tt.took}, true)
			if row := r.Rows[0]; row.Target != tt.target || row.Missed != tt.missed {
				t.Errorf("got %+v", row)
			}
			if got := strings.Contains(r.Markdown("command"), "missed"); got != tt.missed {
				t.Errorf("the page says missed: %t", got)
			}
		})
	}
}
