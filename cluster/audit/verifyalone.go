package audit

import (
	"slices"

	"github.com/cordon-project/cordon/listsync/trust"
)

// alone is how many entries an officer has withdrawn in a day with too few signatures beside his own: replicas refuse more than
// trust.MaxSingleWithdrawal, so that one stolen key, or one officer and an operator, cannot take a list out of force in an afternoon.
type alone struct {
	Hotline trust.HotlineID
	Officer string // key id
	Day     int64  // of the log's time
	N       int
}

const secondsADay = 24 * 60 * 60

// countAlone counts a withdrawal that verified. What comes again with more signatures on the day on which it was first said no longer
// counts; before is what it owed, if it did.
func (v *verifier) countAlone(l Leaf, b Withdraw, before *owing) {
	day := l.T / secondsADay
	v.h.Alone = slices.DeleteFunc(slices.Clone(v.h.Alone), func(a alone) bool { return a.Day != day })
	if before != nil && before.Time/secondsADay == day {
		for _, officer := range before.Signers {
			if a := v.h.aloneOf(b.Hotline, officer); a != nil {
				a.N -= before.Entries
			}
		}
	}
	if !b.Owed {
		return
	}
	for _, officer := range b.Signers {
		a := v.h.aloneOf(b.Hotline, officer)
		if a == nil {
			v.h.Alone = append(v.h.Alone, alone{Hotline: b.Hotline, Officer: officer, Day: day})
			a = &v.h.Alone[len(v.h.Alone)-1]
		}
		if a.N += len(b.Entries); a.N > trust.MaxSingleWithdrawal {
			v.fail(CheckWithdrawals, "leaf %d, withdrawal %d of list %s: officer %s has withdrawn %d entries on this day without the threshold, at most %d are allowed",
				l.N, b.Number, b.List, clip(officer), a.N, trust.MaxSingleWithdrawal)
		}
	}
}

// aloneOf finds what an officer has withdrawn on the day of the last withdrawal; nil for nothing.
func (h *history) aloneOf(id trust.HotlineID, officer string) *alone {
	i := slices.IndexFunc(h.Alone, func(a alone) bool { return a.Hotline == id && a.Officer == officer })
	if i < 0 {
		return nil
	}
	return &h.Alone[i]
}
