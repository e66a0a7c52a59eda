package publish

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// reasons is the closed set of reasons for taking an entry out; other carries a text: "other(text)".
var reasons = []string{"content_gone", "error", "appeal", "court", "law_enforcement", "duplicate"}

// checkReason wants a word of the closed set. The text of other goes into operators' public logs, so it has no character that an
// address needs; trust holds withdrawals to the same rule.
func checkReason(s string) error {
	if slices.Contains(reasons, s) {
		return nil
	}
	text, ok := strings.CutPrefix(s, "other(")
	text, closed := strings.CutSuffix(text, ")")
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == ' ' || r == ',' || r == '-'
	}
	if ok && closed && text != "" && len(text) <= 120 && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return nil
	}
	return sentence(CodeUsage, nil, "give --reason one of: "+strings.Join(reasons, ", ")+", or other(WHY) with letters, digits, spaces, commas and hyphens",
		"%q is not a reason for taking an entry out", printable(s))
}

// removalLine is a line of removals.jsonl: what went out of the working set, when and why.
type removalLine struct {
	row
	At         int64  `json:"at"`
	Removed    string `json:"removed"`              // the reason
	Withdrawal uint64 `json:"withdrawal,omitempty"` // number of the statement, when it was urgent
}

// Removed is an entry that was taken out.
type Removed struct {
	ID         match.EntryID `json:"id"`
	Kind       string        `json:"kind"`
	Expression string        `json:"expression"`
}

// Remove takes entries out of the working set, named by id or by expression; the next version is without them. reason is of the
// closed set. Nothing is removed when one of them is not there.
func (h *Hotline) Remove(reason string, which ...string) ([]Removed, error) {
	if err := checkReason(reason); err != nil {
		return nil, err
	}
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	set, err := s.openWorkingSet(nil)
	if err != nil {
		return nil, err
	}
	defer set.close()
	out, err := s.find(set.next, which)
	if err != nil {
		return nil, err
	}
	return s.takeOut(out, reason, 0)
}

// RemoveExpired takes every entry out whose review_by has passed.
func (h *Hotline) RemoveExpired() ([]Removed, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	if err := s.notEmptied(); err != nil {
		return nil, err
	}
	out, err := s.pick(func(e *list.Entry) bool { return !e.ReviewBy.After(s.now) })
	if err != nil {
		return nil, err
	}
	return s.takeOut(out, "other(review date has passed)", 0)
}

// pick gives the entries of entries.jsonl that are wanted.
func (s *session) pick(wanted func(*list.Entry) bool) (all []list.Entry, err error) {
	_, err = scanEntries(s.path("entries.jsonl"), func(e *list.Entry) error {
		if wanted(e) {
			all = append(all, keep(e))
		}
		return nil
	})
	return all, err
}

// Why find finds nothing.
var (
	errNoEntry = errors.New("no such entry")
	errCanary  = errors.New("the canary stays")
)

// isCanary reports whether w names the canary, by address or by id.
func (s *session) isCanary(w string) bool {
	if id, err := match.ParseEntryID(w); err == nil {
		return id == s.set.CanaryID
	}
	host, err := canon.Expression(canon.KindHost, w)
	return err == nil && host == s.set.Canary
}

// find gives the named entries, as named has them, of those that next gives.
func (s *session) find(next func() (*list.Entry, error), which []string) ([]list.Entry, error) {
	if len(which) == 0 {
		return nil, sentence(CodeUsage, nil, "name entries by address or by id", "no entry is named")
	}
	n := newNamed(which)
	var seen []list.Entry // those that may be meant
	for {
		e, err := next()
		if err != nil {
			return nil, err
		}
		if e == nil {
			break
		}
		if n.see(e) {
			seen = append(seen, keep(e))
		}
	}
	out, unknown := n.found()
	if len(unknown) > 0 {
		return nil, s.noEntry(which[unknown[0]])
	}
	return slices.DeleteFunc(seen, func(e list.Entry) bool { return !out[e.ID] }), nil
}

// noEntry says why nothing is found for w.
func (s *session) noEntry(w string) error {
	if s.isCanary(w) {
		return sentence(CodeInput, errCanary, "name other entries",
			"%q is this hotline's canary and cannot be taken out: the tool puts the harmless name into every version, and operators and auditors ask for it to see that the list is in force",
			printable(w))
	}
	if held, err := s.heldEntries(nil); err == nil {
		n := newNamed([]string{w})
		for _, h := range held {
			n.see(&h.entry)
			if ids, _ := n.found(); len(ids) > 0 {
				return sentence(CodeInput, errNoEntry, "bring it back first with holdback --lift", "%q is not in the list: it is %s", printable(w), h.heldBack().Words())
			}
		}
	}
	return sentence(CodeInput, errNoEntry, "check the spelling, or name the entry by its id", "no entry is %q", printable(w))
}

// takeOut takes entries out of the working set and leaves a line for each in removals.jsonl. The lines go first: a crash between the two
// leaves a line too many, not a removal without a trace.
func (s *session) takeOut(entries []list.Entry, reason string, number uint64) ([]Removed, error) {
	done, out := []Removed{}, map[match.EntryID]bool{}
	var lines []byte
	for i := range entries {
		e := &entries[i]
		b, err := json.Marshal(removalLine{row: toRow(e), At: s.now.Unix(), Removed: reason, Withdrawal: number})
		if err != nil {
			return nil, err
		}
		lines = append(append(lines, b...), '\n')
		done, out[e.ID] = append(done, Removed{ID: e.ID, Kind: e.Kind.String(), Expression: e.Expression}), true
	}
	if len(done) == 0 {
		return done, nil
	}
	if err := appendFile(s.path("removals.jsonl"), lines); err != nil {
		return nil, fault(CodeFailure, err, "check the disk", "cannot write %s", s.path("removals.jsonl"))
	}
	return done, s.rewrite(out, nil)
}

// appendFile adds whole lines to a log of this hotline.
func appendFile(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// canaryEntry is the entry that every version carries: a harmless host of the hotline's own.
func (s *session) canaryEntry(built time.Time) list.Entry {
	f := s.acc.charter.Filter()
	basis := match.BasisVoluntary
	if !slices.Contains(f.Bases, basis) {
		basis = f.Bases[0]
	}
	return list.Entry{
		ID: s.set.CanaryID, Kind: canon.KindHost, Expression: s.set.Canary, Category: match.CategoryBaseline, Basis: basis, Jurisdiction: f.Jurisdictions[0],
		Since: time.Unix(s.set.Created, 0).UTC(), ReviewBy: built.Add(maxReview), Assessors: [2]string{"canary", "canary"}, Canary: true,
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// article puts the article before a word.
func article(word string) string {
	if word != "" && strings.ContainsRune("aeiou", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}
