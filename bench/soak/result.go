package soak

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/cordon-project/cordon/bench/load"
	"github.com/cordon-project/cordon/bench/machine"
	"github.com/cordon-project/cordon/bench/operator"
)

// Result of a soak.
type Result struct {
	Load     load.Result
	Versions int               // that came into force while questions were asked
	Slowest  time.Duration     // from the end of cordon-hotline publish until the edge stops a name that is new
	Changes  []operator.Change // what the edge says of them
	Steps    []operator.Step   // and of the making of lists
	Memory   []int64           // of the edge, without a file behind it: bytes, each second
}

// Err says what is not as it must be: a question without an answer, a failure, a wrong answer, no version in force.
func (r *Result) Err() error {
	switch {
	case r.Load.Lost > 0 || r.Load.Failed > 0 || r.Load.Wrong > 0:
		return fmt.Errorf("soak: %v", &r.Load)
	case r.Versions == 0:
		return errors.New("soak: no version came into force")
	}
	return nil
}

// Halves is the mean memory of the second and of the last quarter: the first is for caches and the runtime to find their size.
func (r *Result) Halves() (early, late int64) {
	n := len(r.Memory) / 4
	return mean(r.Memory[n : 2*n]), mean(r.Memory[len(r.Memory)-n:])
}

func mean(all []int64) (sum int64) {
	for _, m := range all {
		sum += m
	}
	return sum / max(int64(len(all)), 1)
}

func (r *Result) String() string {
	early, late := r.Halves()
	return fmt.Sprintf("%v\n%d versions came into force, the slowest %.1f s after it was published\n%s\nmemory of the edge: %d MB in the second quarter, %d MB in the last",
		&r.Load, r.Versions, r.Slowest.Seconds(), r.beside(), early>>20, late>>20)
}

// around is how long before an edge heard of a change, and after its lists were in force, a question counts as one beside the change: the
// connection that brings it, and what is cleared away.
const around = 100 * time.Millisecond

// beside says what changes took on the edge, and what questions beside them had to wait.
func (r *Result) beside() string {
	if len(r.Changes) == 0 {
		return "the edge tells of no change"
	}
	var took []time.Duration
	for _, c := range r.Changes {
		took = append(took, c.Took)
	}
	slices.Sort(took)
	beside, n := r.Load.Of(r.during)
	others, m := r.Load.Of(func(due time.Time) bool { return !r.during(due) })
	return fmt.Sprintf("%d changes took the edge, from manifest to answers: median %.0f ms, nine in ten at most %.0f, longest %.0f%s\nbeside them %d answers, %v\nall others, %d, %v",
		len(took), ms(took[len(took)/2]), ms(took[len(took)*9/10]), ms(took[len(took)-1]), r.steps(), n, beside, m, others)
}

// steps are the medians of what the edge did in a change.
func (r *Result) steps() string {
	var b strings.Builder
	for _, s := range r.Steps {
		if took := slices.Sorted(slices.Values(s.Took)); len(took) > 0 {
			fmt.Fprintf(&b, "; %s %.0f", s.Name, ms(took[len(took)/2]))
		}
	}
	return b.String()
}

func ms(d time.Duration) float64 { return d.Seconds() * 1e3 }

func (r *Result) during(due time.Time) bool {
	i := sort.Search(len(r.Changes), func(i int) bool { return !r.Changes[i].Active.Add(around).Before(due) })
	return i < len(r.Changes) && !due.Before(r.Changes[i].Active.Add(-r.Changes[i].Took-around))
}

// Markdown is the result as a page. command is what was typed.
func (r *Result) Markdown(command string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# An edge under load while its list changes\n\n")
	fmt.Fprintf(&b, "- command: `%s`\n- commit: %s\n- date: %s\n- machine: %s\n\n", command, machine.Commit(), time.Now().UTC().Format("2006-01-02 15:04 UTC"), machine.Describe())
	for l := range strings.Lines(r.String()) {
		fmt.Fprintf(&b, "- %s\n", strings.TrimSpace(l))
	}
	return b.String()
}
