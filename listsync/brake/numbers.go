package brake

import (
	"fmt"
	"time"
)

// Numbers are a version's, beside those of the version that is in force.
type Numbers struct {
	Entries int
	Broad   int // host and domain entries among them
	// First: nothing is in force, so nothing can be compared. A first list may have any size up to the limit.
	First          bool
	Before         int // entries in force
	BroadBefore    int
	Added, Removed int
	BroadAdded     int
	// Recent are the steps that led to the version in force.
	Recent []Step
	Now    time.Time
}

// Step is one earlier version that came into force.
type Step struct {
	At     time.Time `json:"at"`
	Before int       `json:"before"` // entries before it
	Added  int       `json:"added"`
	// Seen: people have overruled a brake on numbers for it. They saw what had been added until then, so a sum begins after it.
	Seen bool `json:"seen,omitempty"`
}

// Limits say how much a version may change. Percentages are of the version before.
type Limits struct {
	MaxEntries       int // of the list; 0: no limit but the format's
	MinChange        int // this many entries may always be added or removed
	MaxChangePercent int // added in one step
	MaxWindowPercent int // added in Window, in any number of steps
	MaxBroadPercent  int // whole sites added in one step, of those before
	MaxRemovePercent int // removed in one step: less stops nobody, and yet nobody honest unlists most of a list at once
}

// Span is the sliding window in which small steps are summed up.
const Span = 7 * 24 * time.Hour

// windowMin times MinChange may always be added in a window: a young list grows by more than its size in a week.
const windowMin = 5

// growth: no limit lets a list of some size more than double in one step without people looking at it.
const growth = 2

// Default are the limits of whoever sets none.
var Default = Limits{MinChange: 1000, MaxChangePercent: 25, MaxWindowPercent: 50, MaxBroadPercent: 50, MaxRemovePercent: 50}

// Filled is l with the fields of Default where l has zero.
func (l Limits) Filled() Limits {
	for _, f := range []struct {
		to   *int
		from int
	}{
		{&l.MaxEntries, Default.MaxEntries}, {&l.MinChange, Default.MinChange}, {&l.MaxChangePercent, Default.MaxChangePercent},
		{&l.MaxWindowPercent, Default.MaxWindowPercent}, {&l.MaxBroadPercent, Default.MaxBroadPercent}, {&l.MaxRemovePercent, Default.MaxRemovePercent},
	} {
		if *f.to == 0 {
			*f.to = f.from
		}
	}
	return l
}

// share is percent of n, and at least least.
func share(n, percent, least int) int {
	return max(least, n/100*percent+n%100*percent/100)
}

const look = "compare the version with the one before; when the number is right, people overrule it with a written reason"

func (n *Numbers) held(l *Limits) []Held {
	var out []Held
	hold := func(w Word, format string, a ...any) {
		out = append(out, Held{Brake: w, Text: fmt.Sprintf(format, a...), Do: look})
	}
	if l.MaxEntries > 0 && n.Entries > l.MaxEntries {
		hold(Size, "the list has %d entries, more than the limit of %d", n.Entries, l.MaxEntries)
	}
	if n.First {
		return out
	}
	most := share(n.Before, l.MaxChangePercent, l.MinChange)
	switch { // the first says more than the second
	case n.Before >= l.MinChange && n.Before+n.Added-n.Removed > growth*n.Before: // a young list may grow by any factor
		hold(Growth, "there would be %d entries, more than %d times the %d before", n.Before+n.Added-n.Removed, growth, n.Before)
	case n.Added > most:
		hold(Change, "the version adds %d entries, more than %d (%d%% of %d, at least %d)", n.Added, most, l.MaxChangePercent, n.Before, l.MinChange)
	}
	if most := share(n.Before, l.MaxRemovePercent, l.MinChange); n.Removed > most {
		hold(Change, "the version removes %d entries, more than %d (%d%% of %d, at least %d)", n.Removed, most, l.MaxRemovePercent, n.Before, l.MinChange)
	}
	if held, ok := n.window(l); ok {
		out = append(out, held)
	}
	if most := share(n.BroadBefore, l.MaxBroadPercent, l.MinChange); n.BroadAdded > most {
		hold(Broad, "the version adds %d whole sites, more than %d (%d%% of %d, at least %d)", n.BroadAdded, most, l.MaxBroadPercent, n.BroadBefore, l.MinChange)
	}
	return out
}

// window sums the entries added in the last days, this version's among them, against the list as it was before the first of those
// steps: ten steps of nine percent are one of ninety. What people have looked at is not counted again.
func (n *Numbers) window(l *Limits) (Held, bool) {
	from := n.Now.Add(-Span)
	for _, s := range n.Recent {
		if s.Seen && s.At.After(from) && !s.At.After(n.Now) {
			from = s.At
		}
	}
	sum, steps, before, first := n.Added, 1, n.Before, n.Now
	for _, s := range n.Recent {
		if s.Seen || s.At.Before(from) || s.At.After(n.Now) || s.Before == 0 {
			continue // a first version has nothing before it
		}
		sum, steps = sum+s.Added, steps+1
		if s.At.Before(first) {
			first, before = s.At, s.Before
		}
	}
	most := share(before, l.MaxWindowPercent, windowMin*l.MinChange)
	if steps == 1 || sum <= most {
		return Held{}, false
	}
	return Held{Brake: Window, Do: look, Text: fmt.Sprintf("%d versions of %d days add %d entries, more than %d (%d%% of %d, at least %d)",
		steps, int(Span.Hours()/24), sum, most, l.MaxWindowPercent, before, windowMin*l.MinChange)}, true
}
