package figures

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Sum adds statements up.
type Sum struct {
	From    time.Time `json:"from"` // not before this hour
	To      time.Time `json:"to"`   // before this one
	Edges   []string  `json:"edges"`
	Hours   int       `json:"hours"`   // statements: hours of edges
	Seconds int64     `json:"seconds"` // of them in which an edge counted
	Rows    []Total   `json:"rows"`    // by list and basis
	Epsilon string    `json:"epsilon"` // for one answer

	seen map[key]bool
}

// Total is the sum of a list and basis over edges and hours.
type Total struct {
	Row
	Error95 uint64 `json:"error_95"` // the noise of the sum is within this in 95 of 100 cases, about
	Said    int    `json:"said"`     // numbers that are in it
	Unsaid  int    `json:"unsaid"`   // numbers that were hidden: each below the threshold, and 0 here
}

type key struct {
	edge string
	hour int64
}

// NewSum begins a sum of the hours that begin from from on and before to.
func NewSum(from, to time.Time) *Sum {
	return &Sum{From: from.UTC(), To: to.UTC(), Edges: []string{}, Rows: []Total{}, Epsilon: fmt.Sprintf("%d/%d", EpsilonNum, EpsilonDen), seen: map[key]bool{}}
}

// Add takes one statement in, verified by whoever calls. It is false for one that is outside of the time, or that is there already.
func (s *Sum) Add(f Figures) bool {
	at := key{f.Edge, f.Hour}
	if f.Hour < s.From.Unix() || f.Hour >= s.To.Unix() || s.seen[at] {
		return false
	}
	s.seen[at] = true
	if !slices.Contains(s.Edges, f.Edge) {
		s.Edges = append(s.Edges, f.Edge)
		slices.Sort(s.Edges)
	}
	s.Hours++
	s.Seconds += f.Seconds
	for _, r := range f.Rows {
		i, ok := slices.BinarySearchFunc(s.Rows, r, func(t Total, r Row) int { return t.compare(r) })
		if !ok {
			s.Rows = slices.Insert(s.Rows, i, Total{Row: Row{List: r.List, Basis: r.Basis}})
		}
		t := &s.Rows[i]
		if r.Hidden {
			t.Unsaid++
			continue
		}
		t.N += r.N
		t.Said++
		t.Error95 = errorOf(t.Said)
	}
	return true
}

// errorOf is 1.96 standard deviations of the noise of n numbers, rounded up; of one number the exact bound.
func errorOf(n int) uint64 {
	if n == 1 {
		return Error95
	}
	square := uint64(n) * Variance * 384 / 100 // 1.96^2
	root := uint64(0)
	for root*root < square {
		root++
	}
	return root
}

// WriteText writes the sums for people, with how wrong they may be.
func (s *Sum) WriteText(w io.Writer) error {
	var b strings.Builder
	if s.From.IsZero() && s.To.IsZero() {
		b.WriteString("There is no statement of figures in it.\n")
	} else {
		fmt.Fprintf(&b, "Answers for listed names, %s until %s (UTC). Edges: %d; their hours together: %d.\n",
			s.From.Format("2006-01-02 15:04"), s.To.Format("2006-01-02 15:04"), len(s.Edges), s.Hours)
	}
	if s.Hours == 0 {
		b.WriteString("Nothing was handed in for this time. Edges do so at the end of each hour.\n")
	}
	for _, t := range s.Rows {
		if t.Said == 0 {
			fmt.Fprintf(&b, "  %s %-9s  nothing to publish: hours of edges that were each below %[4]d: %[3]d\n", t.List, t.Basis, t.Unsaid, Threshold)
			continue
		}
		fmt.Fprintf(&b, "  %s %-9s  %d, give or take %d", t.List, t.Basis, t.N, t.Error95)
		if t.Unsaid > 0 {
			fmt.Fprintf(&b, "; not in it: %d hours that were each below %d", t.Unsaid, Threshold)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "Noise was added by each edge, epsilon %s for one answer; numbers below %d are hidden. It hides one answer, not one person.\n", s.Epsilon, Threshold)
	_, err := io.WriteString(w, b.String())
	return err
}
