package publish

import (
	"bufio"
	"fmt"
	"io"
	"slices"
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

	broad int // order: what was taken out before, then whole sites
}

// Diff is the change since the last published version.
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
	PutBack      int            `json:"put_back"` // additions that were taken out before: those with Before

	before map[entryKey]takenOut
}

// Empty reports that the working set is what is published.
func (d *Diff) Empty() bool { return d.AddedCount+d.RemovedCount+d.ChangedCount == 0 && d.From > 0 }

// Diff compares the working set with the last published version.
func (h *Hotline) Diff() (*Diff, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	set, _, err := s.workingSet()
	if err != nil {
		return nil, err
	}
	return s.compare(set, nil)
}

// compare walks the published entries and the working set side by side; both are sorted. It refuses a record of the published entries
// that was changed. also, when not nil, gets every published entry.
func (s *session) compare(set []list.Entry, also func(list.Entry)) (*Diff, error) {
	d := &Diff{From: s.st.Seq, After: len(set), ByKind: map[string]int{}, Added: []Change{}, Removed: []Change{}, Changed: []Change{}}
	var err error
	if d.before, err = s.takenOut(); err != nil {
		return nil, err
	}
	i := 0
	if s.st.Seq > 0 {
		err := s.scanRecord(func(old list.Entry) error {
			d.Before++
			if also != nil {
				also(old)
			}
			for i < len(set) && byExpression(set[i], old) < 0 {
				d.add(&set[i])
				i++
			}
			switch {
			case i == len(set) || byExpression(set[i], old) > 0:
				d.remove(&old)
			default:
				d.change(&old, &set[i])
				i++
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for ; i < len(set); i++ {
		d.add(&set[i])
	}
	for _, c := range [][]Change{d.Added, d.Removed} { // stable: within a kind, the order of expressions stays
		slices.SortStableFunc(c, func(a, b Change) int { return a.broad - b.broad })
	}
	return d, nil
}

func (d *Diff) add(e *list.Entry) {
	d.AddedCount++
	d.ByKind[e.Kind.String()]++
	c := change(e, words(e))
	if b, ok := d.before[keyOf(e)]; ok {
		d.PutBack++
		c.Before = b.String()
		c.Words += " (" + c.Before + ")"
		c.broad -= 10 // before all others: no limit hides it
	}
	d.Added = append(d.Added, c)
}

func (d *Diff) remove(e *list.Entry) {
	d.RemovedCount++
	d.Removed = append(d.Removed, change(e, words(e)))
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
	d.ChangedCount++
	d.Changed = append(d.Changed, change(e, words(e)+": "+strings.Join(what, ", ")))
}

func change(e *list.Entry, words string) Change {
	broad := map[canon.Kind]int{canon.KindDomain: 0, canon.KindHost: 1, canon.KindPrefix: 2, canon.KindURL: 3}[e.Kind]
	return Change{Kind: e.Kind.String(), Expression: e.Expression, ID: e.ID.String(), Words: words, broad: broad}
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

// Write puts the difference in plain words, at most limit lines of each sort (0 means all), the broadest entries first.
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
	}{{"+", d.Added}, {"-", d.Removed}, {"~", d.Changed}} {
		for i, c := range part.of {
			if limit > 0 && i == limit {
				fmt.Fprintf(out, "%s ... and %d more\n", part.mark, len(part.of)-limit)
				break
			}
			fmt.Fprintf(out, "%s %s\n", part.mark, c.Words)
		}
	}
	if n := d.ByKind["domain"] + d.ByKind["host"]; n > 0 {
		fmt.Fprintf(out, "%d of the added entries %s a whole site\n", n, plural(n, "blocks", "block"))
	}
	if d.PutBack > 0 {
		fmt.Fprintf(out, "%d of the added entries %s taken out before: assess %s again\n", d.PutBack, plural(d.PutBack, "was", "were"), plural(d.PutBack, "it", "them"))
	}
	fmt.Fprintf(out, "%d added, %d removed, %d changed, %d in all\n", d.AddedCount, d.RemovedCount, d.ChangedCount, d.After)
	return out.Flush()
}
