package publish

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// An authority that investigates may ask that a site stays reachable for a time. A hold takes an entry out of the working set, and so
// out of the next version, until a day; then it comes back by itself. Nothing of it is in what is published.
//
// holdbacks.jsonl is the record and the state: each line is an act, and the last one of an entry says how it stands. The line "hold" comes
// before the entry leaves entries.jsonl and "held" after, so a command that was cut off is finished by the next one; on the way back
// the entry comes into entries.jsonl first.

const (
	maxHold      = 90 * 24 * time.Hour // at a time; it may be given again
	maxHeld      = 10_000              // entries held back at once
	maxAuthority = 200                 // bytes of an authority's name, and of its reference
)

// The acts of holdbacks.jsonl.
const (
	actHold = "hold" // begun, or given a new end
	actHeld = "held" // out of entries.jsonl
	actNew  = "new"  // imported again meanwhile: the row that will come back
	actLift = "lift" // back in entries.jsonl by a person
	actEnd  = "end"  // back in entries.jsonl because the day came
	actOut  = "out"  // withdrawn meanwhile: it does not come back
)

// holdLine is a line of holdbacks.jsonl: the entry as it was, and the act.
type holdLine struct {
	row
	At        int64  `json:"at"`
	Seq       uint64 `json:"seq"` // the version that was published then
	Act       string `json:"act"`
	Until     int64  `json:"until"`
	Authority string `json:"authority"`
	Reference string `json:"reference"`
}

// heldEntry is an entry that is held back now.
type heldEntry struct {
	holdLine
	entry   list.Entry
	moved   bool // out of entries.jsonl
	renewed bool // by an import, and not written yet
}

// HeldBack is an entry that is held back.
type HeldBack struct {
	ID         match.EntryID `json:"id"`
	Kind       string        `json:"kind"`
	Expression string        `json:"expression"`
	Until      time.Time     `json:"until"`
	Authority  string        `json:"authority"`
	Reference  string        `json:"reference"`
	CoveredBy  string        `json:"covered_by,omitempty"` // an entry of the list that stops it all the same
}

func (h *heldEntry) heldBack() HeldBack {
	return HeldBack{ID: h.ID, Kind: h.Kind, Expression: h.Expr, Until: time.Unix(h.Until, 0).UTC(), Authority: h.Authority, Reference: h.Reference}
}

// Words says until when and for whom.
func (h HeldBack) Words() string {
	return fmt.Sprintf("held back until %s for %s, %s", h.Until.Format(time.DateOnly), h.Authority, h.Reference)
}

// heldEntries reads what is held back, by expression. back, when not nil, gets what came back, with the act and when.
func (s *session) heldEntries(back func(holdLine)) ([]*heldEntry, error) {
	path := s.path("holdbacks.jsonl")
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault(CodeFailure, err, "check the disk", "cannot read %s", path)
	}
	defer f.Close()
	now := map[match.EntryID]*heldEntry{}
	in := newLineReader(f, maxEntryLine)
	for {
		raw, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		var l holdLine
		if err == nil {
			err = decodeJSON(raw, &l)
		}
		if err == nil {
			err = applyHold(now, l)
		}
		if err != nil {
			return nil, fault(CodeInput, err, "put the file back from your backup", "cannot read %s, line %d", path, max(in.line, 1))
		}
		if back != nil && (l.Act == actLift || l.Act == actEnd) {
			back(l)
		}
	}
	all := make([]*heldEntry, 0, len(now))
	for _, h := range now {
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b *heldEntry) int { return byExpression(&a.entry, &b.entry) })
	return all, nil
}

func applyHold(now map[match.EntryID]*heldEntry, l holdLine) error {
	h := now[l.ID]
	if h == nil && l.Act != actHold {
		return fmt.Errorf("act %q on an entry that is not held back", l.Act)
	}
	switch l.Act {
	case actHold, actNew:
		e, err := l.entry()
		if err != nil {
			return err
		}
		now[l.ID] = &heldEntry{holdLine: l, entry: e, moved: h != nil && h.moved}
	case actHeld:
		h.moved = true
	case actLift, actEnd, actOut:
		delete(now, l.ID)
	default:
		return fmt.Errorf("act %q is unknown", l.Act)
	}
	return nil
}

// logHolds adds a line for each hold.
func (s *session) logHolds(act string, holds ...*heldEntry) error {
	var lines []byte
	for _, h := range holds {
		l := h.holdLine
		l.At, l.Seq, l.Act = s.now.Unix(), s.st.Seq, act
		b, err := json.Marshal(l)
		if err != nil {
			return err
		}
		lines = append(append(lines, b...), '\n')
	}
	if err := appendFile(s.path("holdbacks.jsonl"), lines); err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot write %s", s.path("holdbacks.jsonl"))
	}
	return nil
}

// finishHolds finishes what was cut off, and brings back what has come to its end.
func (s *session) finishHolds() error {
	all, err := s.heldEntries(nil)
	if err != nil || len(all) == 0 {
		return err
	}
	var out, due []*heldEntry
	for _, h := range all {
		switch {
		case h.Until <= s.now.Unix():
			due = append(due, h)
		case !h.moved:
			out = append(out, h)
		}
	}
	if err := s.moveOut(out); err != nil {
		return err
	}
	if len(due) > 0 && s.notEmptied() != nil {
		return nil // later: a withdrawal does not wait for a backup, and what needs the working set says what is wrong with it
	}
	return s.comeBack(actEnd, due)
}

// moveOut takes entries out of entries.jsonl and says so in the log. It may be repeated.
func (s *session) moveOut(holds []*heldEntry) error {
	if len(holds) == 0 {
		return nil
	}
	out := map[match.EntryID]bool{}
	for _, h := range holds {
		out[h.ID] = true
	}
	if err := s.rewrite(out, nil); err != nil {
		return err
	}
	return s.logHolds(actHeld, holds...)
}

// comeBack puts entries back into entries.jsonl and says so in the log. It may be repeated: an entry that is there already stays as it is.
// An entries.jsonl that is lost stays so: with one entry in it nobody would be told that the others are missing.
func (s *session) comeBack(act string, holds []*heldEntry) error {
	if len(holds) == 0 {
		return nil
	}
	if err := s.notEmptied(); err != nil {
		return err
	}
	if err := s.rewrite(nil, holds); err != nil {
		return err
	}
	return s.logHolds(act, holds...)
}

// rewrite writes entries.jsonl anew without some entries and with others, which are in order.
func (s *session) rewrite(out map[match.EntryID]bool, with []*heldEntry) error {
	path := s.path("entries.jsonl")
	w, err := createEntries(path)
	if err != nil {
		return err
	}
	defer w.abort()
	before := func(e *list.Entry) error { // those that come before e; e nil means all
		for len(with) > 0 {
			c := -1
			if e != nil {
				c = byExpression(&with[0].entry, e)
			}
			if c > 0 {
				return nil
			}
			if c < 0 {
				if err := w.add(&with[0].entry); err != nil {
					return err
				}
			}
			with = with[1:]
		}
		return nil
	}
	_, err = scanEntries(path, func(e *list.Entry) error {
		if out[e.ID] {
			return nil
		}
		if err := before(e); err != nil {
			return err
		}
		return w.add(e)
	})
	if err = cmp.Or(err, before(nil)); err != nil {
		return err
	}
	return w.replace()
}

func shown(all []*heldEntry) []HeldBack {
	out := []HeldBack{}
	for _, h := range all {
		out = append(out, h.heldBack())
	}
	return out
}

// withdrawHeld forgets holds on entries that are withdrawn, so that they do not come back, and leaves their line in removals.jsonl.
func (s *session) withdrawHeld(out map[match.EntryID]bool, reason string, number uint64) error {
	held, err := s.heldEntries(nil)
	if err != nil {
		return err
	}
	held = slices.DeleteFunc(held, func(h *heldEntry) bool { return !out[h.ID] })
	if len(held) == 0 {
		return nil
	}
	var lines []byte
	for _, h := range held {
		b, err := json.Marshal(removalLine{row: h.row, At: s.now.Unix(), Removed: reason, Withdrawal: number})
		if err != nil {
			return err
		}
		lines = append(append(lines, b...), '\n')
	}
	if err := appendFile(s.path("removals.jsonl"), lines); err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot write %s", s.path("removals.jsonl"))
	}
	return s.logHolds(actOut, held...)
}

// heldByKey is what is held back, for an import.
func (s *session) heldByKey() (map[entryKey]*heldEntry, error) {
	all, err := s.heldEntries(nil)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	held := make(map[entryKey]*heldEntry, len(all))
	for _, h := range all {
		held[keyOf(&h.entry)] = h
	}
	return held, nil
}

// renew takes an imported row in: it takes effect when the entry comes back. The entry stays good for as long as it is held.
func (h *heldEntry) renew(row *list.Entry) {
	e := *row
	e.ID, e.Since, e.Expression = h.entry.ID, h.entry.Since, h.entry.Expression
	if e.ReviewBy.Unix() < h.Until {
		e.ReviewBy = h.entry.ReviewBy
	}
	if h.renewed = e != h.entry; h.renewed {
		h.entry, h.row = e, toRow(&e)
	}
}

// importHeld writes what an import has renewed.
func (s *session) importHeld(held map[entryKey]*heldEntry) error {
	var fresh []*heldEntry
	for _, h := range held {
		if h.renewed {
			fresh = append(fresh, h)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	slices.SortFunc(fresh, func(a, b *heldEntry) int { return byExpression(&a.entry, &b.entry) })
	return s.logHolds(actNew, fresh...)
}

// coverage looks for entries of the list that stop an address although its own entry is held back.
type coverage struct {
	held []HeldBack
	by   map[entryKey][]int
}

func newCoverage(all []*heldEntry) *coverage {
	c := &coverage{held: shown(all), by: map[entryKey][]int{}}
	for i, h := range all {
		asked := h.Expr
		if h.entry.Kind.Class() == canon.ClassName {
			asked += "/" // the host's page; the canonical text of a name has no path
		}
		covers, err := canon.Expressions(asked)
		if err != nil {
			continue // nothing can be asked for it
		}
		for _, e := range covers {
			c.by[entryKey{e.Kind, e.Text}] = append(c.by[entryKey{e.Kind, e.Text}], i)
		}
	}
	return c
}

// see shows it an entry of the list.
func (c *coverage) see(e *list.Entry) {
	for _, i := range c.by[keyOf(e)] {
		if c.held[i].CoveredBy == "" {
			c.held[i].CoveredBy = e.Kind.String() + " " + e.Expression
		}
	}
}
