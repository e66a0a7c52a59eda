package audit

import (
	"fmt"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/match"
)

// reviewLife is the 180 days that an entry may live without being assessed again, and a day for clocks that differ. Members refuse what
// lives longer (cluster/brakes.go); members that do not, an auditor finds.
const reviewLife = 181 * 24 * time.Hour

// reviewCauses finds entries that were signed to outlive their review: whatever their officers and members say, no entry lives for ever.
func reviewCauses(w *wanted, e *list.Edge) (causes []string) {
	for _, at := range w.of {
		latest, n, last := at.Time+int64(reviewLife/time.Second), 0, uint32(0)
		for i := range e.Len() {
			if m := e.Meta(i); m.Flags&match.FlagDecoy == 0 && int64(m.ReviewBy) > latest {
				n, last = n+1, max(last, m.ReviewBy)
			}
		}
		if n > 0 {
			causes = append(causes, fmt.Sprintf("%s: %d records are signed to live without a new assessment until %s, at most 180 days are allowed", w, n, stamp(int64(last))))
		}
	}
	return causes
}
