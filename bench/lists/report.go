package lists

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cordon-project/cordon/bench/hotline"
	"github.com/cordon-project/cordon/bench/machine"
)

// Report is a table of figures, in the order in which they were measured.
type Report struct {
	Entries int       `json:"entries"`
	Delta   int       `json:"delta"`
	Machine string    `json:"machine"`
	Load    string    `json:"load"`           // average before and after: what else the machine did
	Busy    string    `json:"busy,omitempty"` // what to think of the times then
	Commit  string    `json:"commit"`
	Date    time.Time `json:"date"`
	Rows    []Row     `json:"rows"`
}

// Row is one figure. Target is empty where there is none; Missed says that it is not reached.
type Row struct {
	What   string `json:"what"`
	Figure string `json:"figure"`
	Target string `json:"target,omitempty"`
	Missed bool   `json:"missed,omitempty"`
	Note   string `json:"note,omitempty"`
}

// targets are what the product promises at a size; between the two sizes the larger one counts, and outside of them nothing is promised.
type targets struct {
	entries        int
	publish        time.Duration // import, both signatures, publish
	full, delta    time.Duration // an edge: from the file to the swapped pointer
	lookup         float64       // ns
	touched, times float64       // bytes a lookup touches of each entry's record; peak memory in file sizes
}

var allTargets = []targets{
	{1_000_000, 15 * time.Second, 1500 * time.Millisecond, 200 * time.Millisecond, 300, 26, 1.5},
	{10_000_000, 120 * time.Second, 15 * time.Second, 3 * time.Second, 700, 26, 1.5},
}

// target gives the promise at this size, all zero where there is none.
func (r *Report) target() targets {
	for _, t := range allTargets {
		if r.Entries >= allTargets[0].entries && r.Entries <= t.entries {
			return t
		}
	}
	return targets{}
}

func newReport(c Config) *Report {
	return &Report{Entries: c.Entries, Delta: c.Delta, Machine: machine.Describe(), Load: machine.Load(), Commit: machine.Commit(), Date: time.Now().UTC()}
}

func (r *Report) finish() {
	if before, err := strconv.ParseFloat(r.Load, 64); err == nil && before > 3 {
		r.Busy = busy
	}
	r.Load += " before, " + machine.Load() + " after"
}

const busy = "Other work had most of this machine: times are not those of the programs alone. What they had of the processors is beside them."

// add takes a figure and its target in the same unit; a target of 0 is none.
func (r *Report) add(what string, got, target float64, format func(float64) string, note string) {
	row := Row{What: what, Figure: format(got), Note: note}
	if target > 0 {
		row.Target, row.Missed = "≤ "+format(target), got > target
	}
	r.Rows = append(r.Rows, row)
}

func (r *Report) used(what string, u hotline.Usage) {
	r.add(what, u.Took.Seconds(), 0, seconds, spent(u))
}

// total is the sum of a version's steps. The target is that of a first version, where everything is new.
func (r *Report) total(what string, u hotline.Usage, promised bool) {
	target := 0.0
	if promised {
		target = r.target().publish.Seconds()
	}
	r.add(what, u.Took.Seconds(), target, seconds, spent(u))
}

// edge takes the figures of both ways to a version.
func (r *Report) edge(full, delta *EdgeResult) {
	t := r.target()
	median := fmt.Sprintf("median of %d", edgeRuns)
	r.add("edge, full file: hash and verify", full.Verify.Seconds(), 0, seconds, median+", "+bytesOf(full.File))
	r.add("edge, full file: compile the index", full.Compile.Seconds(), 0, seconds, median+", "+bytesOf(full.Index))
	r.add("edge, full file: verify, compile, swap", full.Swap.Seconds(), t.full.Seconds(), seconds, median+", "+seconds(full.CPU.Seconds())+" of processors")
	r.add("edge, full file: peak memory in file sizes", float64(full.Peak)/float64(full.File), t.times, plain, fmt.Sprintf("%s, of it %s without a file behind it", bytesOf(full.Peak), bytesOf(full.Anon)))
	r.add(fmt.Sprintf("edge, delta of %d: apply", r.Delta), delta.Verify.Seconds(), 0, seconds, median+", "+bytesOf(delta.Delta))
	r.add(fmt.Sprintf("edge, delta of %d: index", r.Delta), delta.Compile.Seconds(), 0, seconds, median)
	r.add(fmt.Sprintf("edge, delta of %d: apply, index, swap", r.Delta), delta.Swap.Seconds(), t.delta.Seconds(), seconds, median+", "+seconds(delta.CPU.Seconds())+" of processors")
	r.add(fmt.Sprintf("edge, delta of %d: peak memory in file sizes", r.Delta), float64(delta.Peak)/float64(delta.File), 0, plain,
		fmt.Sprintf("%s with both versions mapped, of it %s without a file behind it", bytesOf(delta.Peak), bytesOf(delta.Anon)))
	n := float64(full.Records)
	r.add("what lookups touch, bytes a record", (float64(full.Index)+16*n+float64(full.Blocks))/n, t.touched, plain, fmt.Sprintf("%d records: filter, digests, block starts", full.Records))
	r.add("lookup of an unlisted 4-label name", full.Lookup, t.lookup, nanoseconds, "hashing included, 65,536 names in turn, median of 11 rounds")
	allocs := Row{What: "allocations a lookup", Figure: plain(full.Allocs), Target: "0", Missed: full.Allocs > 0}
	r.Rows = append(r.Rows, allocs)
}

func seconds(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%.0f ms", s*1000)
	}
	return fmt.Sprintf("%.1f s", s)
}

func nanoseconds(n float64) string { return fmt.Sprintf("%.0f ns", n) }

func plain(n float64) string { return fmt.Sprintf("%.4g", n) }

func bytesOf(n int64) string {
	if n < 10<<20 {
		return fmt.Sprintf("%.0f KB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.0f MB", float64(n)/1e6)
}

// Markdown is the report as a page.
func (r *Report) Markdown(command string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Lists of %d entries\n\n", r.Entries)
	fmt.Fprintf(&b, "Synthetic rows: half of them pages, eight rows to a host; a second version adds %d. One run, except where a median is named.\n\n", r.Delta)
	fmt.Fprintf(&b, "- command: `%s`\n- commit: %s\n- date: %s\n- machine: %s\n- load average: %s\n\n", command, r.Commit, r.Date.Format("2006-01-02 15:04 UTC"), r.Machine, r.Load)
	if r.Busy != "" {
		fmt.Fprintf(&b, "**%s**\n\n", r.Busy)
	}
	fmt.Fprintln(&b, "| what | measured | target | |\n|---|---|---|---|")
	for _, row := range r.Rows {
		note := row.Note
		if row.Missed {
			note = "**missed**; " + note
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", row.What, row.Figure, row.Target, strings.TrimSuffix(note, "; "))
	}
	return b.String()
}

// Text is the report for a terminal.
func (r *Report) Text() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%d entries, commit %s, load average %s\n%s\n\n", r.Entries, r.Commit, r.Load, r.Machine)
	if r.Busy != "" {
		fmt.Fprintf(w, "%s\n\n", r.Busy)
	}
	for _, row := range r.Rows {
		verdict := ""
		if row.Target != "" {
			verdict = map[bool]string{true: "MISSED", false: "ok"}[row.Missed]
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", row.What, row.Figure, row.Target, verdict, row.Note)
	}
	w.Flush()
	return b.String()
}
