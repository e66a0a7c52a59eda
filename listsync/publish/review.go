package publish

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/match"
)

// Review says which entries end when. Each entry counts once in All and ByKind, and once for each of its two assessors.
type Review struct {
	At         time.Time        `json:"at"`
	Within     int              `json:"within_days"`
	All        Ends             `json:"all"`
	ByKind     map[string]*Ends `json:"by_kind"`
	ByAssessor map[string]*Ends `json:"by_assessor"`
	Entries    []ReviewEntry    `json:"entries"`        // those that end within Within days, or have ended, the soonest first
	More       int              `json:"more,omitempty"` // further ones that are not listed
}

// Ends counts entries by when they end. No entry is in two counts.
type Ends struct {
	Past  int `json:"past"`      // out of force
	In7   int `json:"in_7_days"` // from now to 7 days ahead
	In14  int `json:"in_14_days"`
	In30  int `json:"in_30_days"`
	Later int `json:"later"`
}

func (e *Ends) add(left time.Duration) {
	const day = 24 * time.Hour
	switch {
	case left <= 0:
		e.Past++
	case left <= 7*day:
		e.In7++
	case left <= 14*day:
		e.In14++
	case left <= 30*day:
		e.In30++
	default:
		e.Later++
	}
}

// ReviewEntry is one entry that ends soon.
type ReviewEntry struct {
	ID         match.EntryID `json:"id"`
	Kind       string        `json:"kind"`
	Expression string        `json:"expression"`
	ReviewBy   time.Time     `json:"review_by"`
	DaysLeft   int           `json:"days_left"` // whole days; below zero when it has ended
	Assessor1  string        `json:"assessor_1"`
	Assessor2  string        `json:"assessor_2"`
}

// maxReviewed bounds the entries that a review lists.
const maxReviewed = 1_000_000

// Review reads the working set and counts which entries end when; it lists those that end within so many days.
func (h *Hotline) Review(within int) (*Review, error) {
	if within < 0 || within > 180 {
		return nil, sentence(CodeUsage, nil, "give a number from 0 to 180; an entry ends within 180 days", "%d days cannot be looked ahead", within)
	}
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	r := &Review{At: s.now, Within: within, ByKind: map[string]*Ends{}, ByAssessor: map[string]*Ends{}, Entries: []ReviewEntry{}}
	count := func(in map[string]*Ends, key string, left time.Duration) {
		if in[key] == nil {
			in[strings.Clone(key)] = &Ends{}
		}
		in[key].add(left)
	}
	until := s.now.AddDate(0, 0, within)
	_, err = scanEntries(s.path("entries.jsonl"), func(e *list.Entry) error {
		left := e.ReviewBy.Sub(s.now)
		r.All.add(left)
		count(r.ByKind, e.Kind.String(), left)
		count(r.ByAssessor, e.Assessors[0], left)
		count(r.ByAssessor, e.Assessors[1], left)
		switch {
		case e.ReviewBy.After(until):
		case len(r.Entries) >= maxReviewed:
			r.More++
		default:
			r.Entries = append(r.Entries, ReviewEntry{
				ID: e.ID, Kind: e.Kind.String(), Expression: strings.Clone(e.Expression), ReviewBy: e.ReviewBy, DaysLeft: wholeDays(left),
				Assessor1: strings.Clone(e.Assessors[0]), Assessor2: strings.Clone(e.Assessors[1]),
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(r.Entries, func(a, b ReviewEntry) int { return a.ReviewBy.Compare(b.ReviewBy) })
	return r, nil
}

// wholeDays rounds down, so that an entry that ended an hour ago has -1 days left.
func wholeDays(d time.Duration) int {
	n := int(d / (24 * time.Hour))
	if d < 0 && d%(24*time.Hour) != 0 {
		n--
	}
	return n
}

// Write puts the counts in a table, and at most limit entries below it (0 means all).
func (r *Review) Write(w io.Writer, limit int) error {
	out := bufio.NewWriter(w)
	width := len("all entries")
	for _, in := range []map[string]*Ends{r.ByKind, r.ByAssessor} {
		for k := range in {
			width = max(width, len(k)+2)
		}
	}
	row := func(name string, e *Ends) {
		fmt.Fprintf(out, "%-*s %8d %8d %8d %8d %8d\n", width, name, e.Past, e.In7, e.In14, e.In30, e.Later)
	}
	fmt.Fprintf(out, "%-*s %8s %8s %8s %8s %8s\n", width, "review by", "past", "7 days", "14 days", "30 days", "later")
	row("all entries", &r.All)
	for _, part := range []struct {
		title string
		of    map[string]*Ends
	}{{"by kind", r.ByKind}, {"by assessor (each entry counts for two)", r.ByAssessor}} {
		if len(part.of) == 0 {
			continue
		}
		fmt.Fprintln(out, part.title)
		for _, k := range slices.Sorted(maps.Keys(part.of)) {
			row("  "+k, part.of[k])
		}
	}
	for i, e := range r.Entries {
		if limit > 0 && i == limit {
			fmt.Fprintf(out, "... and %d more; --all shows every line, --csv writes a file for reattest\n", len(r.Entries)-limit+r.More)
			break
		}
		when := fmt.Sprintf("%d %s left", e.DaysLeft, plural(e.DaysLeft, "day", "days"))
		if !e.ReviewBy.After(r.At) {
			when = "out of force"
		}
		fmt.Fprintf(out, "%s  %-13s %s %s (%s)\n", day(e.ReviewBy), when, e.Kind, e.Expression, e.ID)
	}
	if r.All.Past > 0 {
		fmt.Fprintf(out, "%d %s out of force: assess %s again (reattest), or remove --expired\n", r.All.Past, plural(r.All.Past, "entry is", "entries are"), plural(r.All.Past, "it", "them"))
	}
	return out.Flush()
}

// WriteCSV writes the listed entries; the first column is the id, which reattest reads back.
func (r *Review) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	err := out.Write([]string{"id", "kind", "expression", "review_by", "days_left", "assessor_1", "assessor_2"})
	for i := 0; err == nil && i < len(r.Entries); i++ {
		e := &r.Entries[i]
		err = out.Write([]string{e.ID.String(), e.Kind, e.Expression, e.ReviewBy.UTC().Format(time.RFC3339), strconv.Itoa(e.DaysLeft), e.Assessor1, e.Assessor2})
	}
	out.Flush()
	return cmp.Or(err, out.Error())
}
