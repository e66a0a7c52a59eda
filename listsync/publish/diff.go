package publish

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
)

// Change is one entry that a new version adds, removes or changes.
type Change struct {
	Kind       string `json:"kind"`
	Expression string `json:"expression"`
	ID         string `json:"id"`
	Words      string `json:"words"`            // what it does, in plain words
	Before     string `json:"before,omitempty"` // of an addition: how it was taken out before, such as "withdrawn before: error"
}

// Diff is the change since the last published version. The counts are of all of it; of each sort of change the first maxChanges are
// listed, what was taken out before first, then the broadest, unless all were asked for.
type Diff struct {
	From         uint64         `json:"from"` // 0 when nothing is published
	Before       int            `json:"before"`
	After        int            `json:"after"`
	AddedCount   int            `json:"added"`
	RemovedCount int            `json:"removed"`
	ChangedCount int            `json:"changed"`
	ByKind       map[string]int `json:"added_by_kind"`
	Added        []Change       `json:"additions"`
	Removed      []Change       `json:"removals"`
	Changed      []Change       `json:"changes"`
	PutBack      int            `json:"put_back"`  // additions that were taken out before: those with Before
	HeldBack     []HeldBack     `json:"held_back"` // entries that are kept out of this version for an authority

	before                  map[entryKey]takenOut
	added, removed, changed changes
}

// maxChanges bounds the changes of a sort that are kept in memory: a first version adds millions.
const maxChanges = 10_000

// changes keeps the first of many changes: those of the lowest rank, and within a rank those that came first.
type changes struct {
	keep   int
	ranked [8][]Change
}

// full reports that one more change of this rank would not be kept: making its words is saved.
func (c *changes) full(rank int) bool { return len(c.ranked[rank]) >= c.keep }

func (c *changes) add(rank int, one Change) { c.ranked[rank] = append(c.ranked[rank], one) }

func (c *changes) list() []Change {
	all := []Change{}
	for _, some := range c.ranked {
		all = append(all, some[:min(len(some), c.keep-len(all))]...)
	}
	return all
}

// Empty reports that the working set is what is published.
func (d *Diff) Empty() bool { return d.AddedCount+d.RemovedCount+d.ChangedCount == 0 && d.From > 0 }

// Diff compares the working set with the last published version.
func (h *Hotline) Diff() (*Diff, error) { return h.diff(false) }

// DiffAll is Diff with every change listed.
func (h *Hotline) DiffAll() (*Diff, error) { return h.diff(true) }

func (h *Hotline) diff(all bool) (*Diff, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	d, _, err := s.compare(all, onlookers{})
	return d, err
}

// onlookers look on while compare passes the entries, so that these are read once. An entry is theirs until they return.
type onlookers struct {
	now func(*list.Entry) error // at each entry of the working set, in order
	was func(*list.Entry) error // at each entry of the last published version, in order
}

// compare walks the working set and the published entries side by side; both are sorted. It gives the SHA-256 of the working set. It
// refuses a record of the published entries that was changed, and a working set that is empty by mistake. An onlooker's error ends it.
func (s *session) compare(all bool, on onlookers) (*Diff, [32]byte, error) {
	d := &Diff{From: s.st.Seq, ByKind: map[string]int{}}
	for _, c := range []*changes{&d.added, &d.removed, &d.changed} {
		if c.keep = maxChanges; all {
			c.keep = math.MaxInt
		}
	}
	var err error
	if d.before, err = s.takenOut(); err != nil {
		return nil, [32]byte{}, err
	}
	held, err := s.heldEntries(nil)
	if err != nil {
		return nil, [32]byte{}, err
	}
	cover := newCoverage(held)
	d.HeldBack = cover.held
	step := "reading the entries"
	if s.st.Seq > 0 {
		step = "comparing with " + versionName(s.st.Seq)
	}
	s.c.progress().Begin(step, sizes(s.path("entries.jsonl"), s.recordPath(s.st.Seq)))
	beside := passed{s.c.progress()}
	set, err := s.openWorkingSet(beside)
	if err != nil {
		return nil, [32]byte{}, err
	}
	defer set.close()
	record, err := s.openRecord(beside)
	if err != nil {
		return nil, [32]byte{}, err
	}
	defer record.close()
	now := func() (*list.Entry, error) { return counted(set.next, on.now, &d.After) }
	was := func() (*list.Entry, error) { return counted(record.next, on.was, &d.Before) }
	e, err := now()
	var old *list.Entry
	if err == nil {
		old, err = was()
	}
	for err == nil && (e != nil || old != nil) {
		if e != nil {
			cover.see(e)
		}
		switch c := order(e, old); {
		case c < 0:
			d.add(e)
			e, err = now()
		case c > 0:
			d.remove(old)
			old, err = was()
		default:
			d.change(old, e)
			if e, err = now(); err == nil {
				old, err = was()
			}
		}
	}
	if err != nil {
		return nil, [32]byte{}, err
	}
	d.Added, d.Removed, d.Changed = d.added.list(), d.removed.list(), d.changed.list()
	return d, set.sum(), nil
}

// counted takes the next entry, nil at the end, counts it and shows it to who looks on.
func counted(next func() (*list.Entry, error), look func(*list.Entry) error, n *int) (*list.Entry, error) {
	e, err := next()
	if err != nil || e == nil {
		return nil, err
	}
	if look != nil {
		if err := look(e); err != nil {
			return nil, err
		}
	}
	*n++
	return e, nil
}

// order is byExpression; nil, the end, comes after every entry.
func order(a, b *list.Entry) int {
	switch {
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return byExpression(a, b)
}

func (d *Diff) add(e *list.Entry) {
	d.AddedCount++
	d.ByKind[e.Kind.String()]++
	b, again := d.before[keyOf(e)]
	rank := breadth(e.Kind)
	if again {
		d.PutBack++
		rank -= 4 // before all others: no limit hides it
	}
	if d.added.full(rank) {
		return
	}
	c := change(e, words(e))
	if again {
		c.Before = b.String()
		c.Words += " (" + c.Before + ")"
	}
	d.added.add(rank, c)
}

func (d *Diff) remove(e *list.Entry) {
	d.RemovedCount++
	if rank := breadth(e.Kind); !d.removed.full(rank) {
		d.removed.add(rank, change(e, words(e)))
	}
}

func (d *Diff) change(old, e *list.Entry) {
	if *old == *e {
		return
	}
	if old.ID != e.ID { // taken out and imported again: a new assessment
		d.remove(old)
		d.add(e)
		return
	}
	d.ChangedCount++
	if d.changed.full(0) {
		return
	}
	var what []string
	for _, f := range [][3]string{
		{"category", old.Category.String(), e.Category.String()},
		{"basis", old.Basis.String(), e.Basis.String()},
		{"jurisdiction", old.Jurisdiction, e.Jurisdiction},
		{"review_by", day(old.ReviewBy), day(e.ReviewBy)},
		{"assessor_1", old.Assessors[0], e.Assessors[0]},
		{"assessor_2", old.Assessors[1], e.Assessors[1]},
		{"reason", old.Reason, e.Reason},
	} {
		if f[1] != f[2] {
			what = append(what, fmt.Sprintf("%s %q now %q", f[0], f[1], f[2]))
		}
	}
	d.changed.add(0, change(e, words(e)+": "+strings.Join(what, ", ")))
}

func change(e *list.Entry, words string) Change {
	return Change{Kind: e.Kind.String(), Expression: strings.Clone(e.Expression), ID: e.ID.String(), Words: words}
}

// breadth is a rank from 4 on: the broadest first.
func breadth(k canon.Kind) int {
	switch k {
	case canon.KindDomain:
		return 4
	case canon.KindHost:
		return 5
	case canon.KindPrefix:
		return 6
	}
	return 7
}

// words says what an entry does to subscribers.
func words(e *list.Entry) string {
	switch e.Kind {
	case canon.KindDomain:
		return "whole site " + e.Expression + " and everything below (domain)"
	case canon.KindHost:
		return "whole site " + e.Expression + ", this host name only (host)"
	case canon.KindPrefix:
		return "this path and everything below it " + e.Expression + " (prefix)"
	}
	return "this page only " + e.Expression + " (url)"
}

// Write puts the difference in plain words, at most limit lines of each sort (0 means all that are listed), the broadest entries first.
// It may have come with a request: nothing in it moves the cursor of who reads it.
func (d *Diff) Write(w io.Writer, limit int) error {
	out := bufio.NewWriter(w)
	if d.From == 0 {
		fmt.Fprintf(out, "nothing is published yet; version 1 would have %d %s\n", d.After, plural(d.After, "entry", "entries"))
	} else {
		fmt.Fprintf(out, "compared with version %d (%d %s)\n", d.From, d.Before, plural(d.Before, "entry", "entries"))
	}
	for _, part := range []struct {
		mark string
		of   []Change
		n    int
	}{{"+", d.Added, d.AddedCount}, {"-", d.Removed, d.RemovedCount}, {"~", d.Changed, d.ChangedCount}} {
		if limit > 0 {
			part.of = part.of[:min(limit, len(part.of))]
		}
		for _, c := range part.of {
			fmt.Fprintf(out, "%s %s\n", part.mark, printable(c.Words))
		}
		if more := part.n - len(part.of); more > 0 {
			fmt.Fprintf(out, "%s ... and %d more\n", part.mark, more)
		}
	}
	if n := d.ByKind["domain"] + d.ByKind["host"]; n > 0 {
		fmt.Fprintf(out, "%d of the added entries %s a whole site\n", n, plural(n, "blocks", "block"))
	}
	if d.PutBack > 0 {
		fmt.Fprintf(out, "%d of the added entries %s taken out before: assess %s again\n", d.PutBack, plural(d.PutBack, "was", "were"), plural(d.PutBack, "it", "them"))
	}
	for i, h := range d.HeldBack {
		if limit > 0 && i == limit {
			fmt.Fprintf(out, "= ... and %d more\n", len(d.HeldBack)-limit)
			break
		}
		fmt.Fprintf(out, "= not in this version: %s\n", printable(h.Kind+" "+h.Expression+", "+h.Words()))
		if h.CoveredBy != "" {
			fmt.Fprintf(out, "  but the %s entry stops it all the same\n", printable(h.CoveredBy))
		}
	}
	fmt.Fprintf(out, "%d added, %d removed, %d changed, %d in all\n", d.AddedCount, d.RemovedCount, d.ChangedCount, d.After)
	return out.Flush()
}
