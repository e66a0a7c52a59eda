package publish

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/match"
)

// HoldOptions are an authority's request.
type HoldOptions struct {
	Until     string // a day, at most 90 days ahead and not after the entry's review_by
	Authority string
	Reference string // of the authority's request
}

// HoldBack keeps entries out of every version until a day. An entry that is held back already gets a new end. Nothing is held back when
// one of those named is no entry.
func (h *Hotline) HoldBack(o HoldOptions, which ...string) ([]HeldBack, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	until, err := o.check(s.now)
	if err != nil {
		return nil, err
	}
	held, n, err := s.namedWithHolds(which)
	if err != nil {
		return nil, err
	}
	var all, fresh []*heldEntry
	for _, old := range held {
		if n[old.ID] {
			all = append(all, &heldEntry{holdLine: old.holdLine, entry: old.entry})
		}
	}
	if _, err := scanEntries(s.path("entries.jsonl"), func(e *list.Entry) error {
		if n[e.ID] {
			keep := *e
			keep.Expression = strings.Clone(e.Expression)
			fresh = append(fresh, &heldEntry{holdLine: holdLine{row: toRow(&keep)}, entry: keep})
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for _, h := range append(all, fresh...) {
		if h.entry.ReviewBy.Before(until) {
			return nil, sentence(CodeInput, nil, "assess it again first with reattest, or name an earlier day",
				"nothing is held back: the %s entry %s has to be assessed again by %s, before the hold would end", h.Kind, h.Expr, day(h.entry.ReviewBy))
		}
		h.Until, h.Authority, h.Reference = until.Unix(), o.Authority, o.Reference
	}
	all = append(all, fresh...)
	if len(held)+len(fresh) > maxHeld {
		return nil, sentence(CodeInput, nil, "lift some first", "%d entries are the most that can be held back at once", maxHeld)
	}
	if err := s.logHolds(actHold, all...); err != nil {
		return nil, err
	}
	return shown(all), s.moveOut(fresh)
}

func (o *HoldOptions) check(now time.Time) (time.Time, error) {
	until, err := parseDay(o.Until)
	switch {
	case err != nil:
		return until, sentence(CodeUsage, nil, "give --until a day", "%q cannot be the end: %s", printable(o.Until), err)
	case !until.After(now):
		return until, sentence(CodeUsage, nil, "give --until a day to come", "%s is not in the future", day(until))
	case until.Sub(now) > maxHold:
		return until, sentence(CodeUsage, nil, "name an earlier day; the hold can be given again before it ends", "an entry is held back for at most 90 days at a time, until %s", now.Add(maxHold).Format(time.DateOnly))
	}
	for flag, text := range map[string]string{"--authority": o.Authority, "--reference": o.Reference} {
		if text == "" || len(text) > maxAuthority || printable(text) != text {
			return until, sentence(CodeUsage, nil, fmt.Sprintf("give %s 1 to %d characters on one line", flag, maxAuthority), "%s cannot be used", flag)
		}
	}
	return until, nil
}

// namedWithHolds gives what is held back, and the ids that were named among these and the working set.
func (s *session) namedWithHolds(which []string) ([]*heldEntry, map[match.EntryID]bool, error) {
	if len(which) == 0 {
		return nil, nil, sentence(CodeUsage, nil, "name entries by address or by id", "no entry is named")
	}
	held, err := s.heldEntries(nil)
	if err != nil {
		return nil, nil, err
	}
	n := newNamed(which)
	for _, h := range held {
		n.see(&h.entry)
	}
	if _, err := scanEntries(s.path("entries.jsonl"), func(e *list.Entry) error { n.see(e); return nil }); err != nil {
		return nil, nil, err
	}
	ids, unknown := n.found()
	if len(unknown) > 0 {
		return nil, nil, s.noEntry(which[unknown[0]])
	}
	return held, ids, nil
}

// LiftHoldback brings entries back before their day.
func (h *Hotline) LiftHoldback(which ...string) ([]HeldBack, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	held, err := s.heldEntries(nil)
	if err != nil {
		return nil, err
	}
	n := newNamed(which)
	for _, h := range held {
		n.see(&h.entry)
	}
	ids, unknown := n.found()
	switch {
	case len(which) == 0:
		return nil, sentence(CodeUsage, nil, "name entries by address or by id", "no entry is named")
	case len(unknown) > 0:
		return nil, sentence(CodeInput, errNoEntry, "see holdback --list", "%q is not held back", printable(which[unknown[0]]))
	}
	held = slices.DeleteFunc(held, func(h *heldEntry) bool { return !ids[h.ID] })
	return shown(held), s.comeBack(actLift, held)
}

// Holdbacks lists what is held back.
func (h *Hotline) Holdbacks() ([]HeldBack, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	held, err := s.heldEntries(nil)
	return shown(held), err
}

// CameBack is an entry that was held back and is in the list again.
type CameBack struct {
	ID         match.EntryID `json:"id"`
	Kind       string        `json:"kind"`
	Expression string        `json:"expression"`
	At         time.Time     `json:"at"`
	Why        string        `json:"why"`
}

// statusHolds says what is held back, and what has come back since the last version.
func (s *session) statusHolds(st *Status) error {
	st.CameBack = []CameBack{}
	held, err := s.heldEntries(func(l holdLine) {
		if l.Seq < s.st.Seq { // a version was made of the list since
			return
		}
		why := "and its day has come"
		if l.Act == actLift {
			why = "and the hold was lifted"
		}
		st.CameBack = append(st.CameBack, CameBack{ID: l.ID, Kind: l.Kind, Expression: l.Expr, At: time.Unix(l.At, 0).UTC(), Why: why})
	})
	st.HeldBack = shown(held)
	return err
}

// stillThere takes those out that have left the list again since.
func (st *Status) stillThere(there map[match.EntryID]bool) {
	st.CameBack = slices.DeleteFunc(st.CameBack, func(b CameBack) bool { return !there[b.ID] })
}
