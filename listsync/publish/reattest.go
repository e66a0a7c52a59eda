package publish

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/match"
)

// ReattestOptions say who has assessed which entries again, and until when that holds.
type ReattestOptions struct {
	ReviewBy  string    // a day, or an RFC 3339 time, at most 180 days ahead
	Assessors [2]string // two different people

	Before string   // every entry whose review_by is before this day or time; or
	File   string   // a CSV whose first column is an id, as review --csv writes it; or
	Which  []string // entries by id or by address
	DryRun bool     // say what would be done and change nothing
}

// Reattested says what a re-attestation did.
type Reattested struct {
	ReviewBy  time.Time `json:"review_by"`
	Assessor1 string    `json:"assessor_1"`
	Assessor2 string    `json:"assessor_2"`
	Named     int       `json:"named"`               // entries that it is about
	Changed   int       `json:"changed"`             // the others were like this already
	Shortened int       `json:"shortened,omitempty"` // had a later review_by before
	DryRun    bool      `json:"dry_run,omitempty"`
	Unknown   []Unknown `json:"unknown"` // what no entry is; then nothing is done
}

// Unknown is a name or id that no entry has.
type Unknown struct {
	Line int    `json:"line,omitempty"` // of the file
	Text string `json:"text"`
}

// attestation is a line of attestations.jsonl: two people have assessed these entries again. One act may have several lines.
type attestation struct {
	At       int64           `json:"at"`
	ReviewBy int64           `json:"review_by"`
	One      string          `json:"assessor_1"`
	Two      string          `json:"assessor_2"`
	IDs      []match.EntryID `json:"ids"`
}

// attestationIDs bounds the ids of a line: it stays far below maxEntryLine.
const attestationIDs = 1000

// Reattest gives entries a new review_by and the two people who have assessed them again. A line of attestations.jsonl says who, when and
// which; it is written first, so that a crash leaves a line too many and not an attestation without a trace. When something named is no
// entry, nothing is done: the result lists it, and comes with a *Fault.
func (h *Hotline) Reattest(o ReattestOptions) (*Reattested, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	done := &Reattested{Assessor1: strings.TrimSpace(o.Assessors[0]), Assessor2: strings.TrimSpace(o.Assessors[1]), DryRun: o.DryRun, Unknown: []Unknown{}}
	if done.ReviewBy, err = parseReview(o.ReviewBy, s.now); err != nil {
		return nil, sentence(CodeUsage, nil, "give --review-by a day", "%q cannot be the day of the next review: %s", printable(o.ReviewBy), err)
	}
	if i, why := twoPeople([2]string{done.Assessor1, done.Assessor2}); why != "" {
		return nil, sentence(CodeUsage, nil, "give --assessor twice, for two different people", "assessor_%d cannot be used: %s", i+1, why)
	}
	ids, err := s.toReattest(&o, done)
	if err != nil {
		return done, err
	}
	changed, err := s.reattested(ids, done)
	if err != nil || len(changed) == 0 || o.DryRun {
		return done, err
	}
	return done, s.writeReattested(changed, done)
}

// toReattest gives the ids that the options name.
func (s *session) toReattest(o *ReattestOptions, done *Reattested) (map[match.EntryID]bool, error) {
	sorts := 0
	for _, given := range []bool{o.Before != "", o.File != "", len(o.Which) > 0} {
		if given {
			sorts++
		}
	}
	if sorts != 1 {
		return nil, sentence(CodeUsage, nil, "give either --expires-before DAY, or --from FILE.csv, or the entries themselves", "%s", map[bool]string{true: "no entry is named", false: "entries are named in more than one way"}[sorts == 0])
	}
	if o.Before != "" {
		before, err := parseDay(o.Before)
		if err != nil {
			return nil, sentence(CodeUsage, nil, "give --expires-before a day", "%q cannot be used: %s", printable(o.Before), err)
		}
		ids := map[match.EntryID]bool{}
		_, err = scanEntries(s.path("entries.jsonl"), func(e *list.Entry) error {
			if e.ReviewBy.Before(before) {
				ids[e.ID] = true
			}
			return nil
		})
		return ids, err
	}
	which, lines := o.Which, []int(nil)
	if o.File != "" {
		var err error
		if which, lines, err = readIDs(o.File); err != nil {
			return nil, err
		}
	}
	n := newNamed(which)
	if _, err := scanEntries(s.path("entries.jsonl"), func(e *list.Entry) error { n.see(e); return nil }); err != nil {
		return nil, err
	}
	ids, unknown := n.found()
	for _, i := range unknown {
		u := Unknown{Text: printable(which[i])}
		if lines != nil {
			u.Line = lines[i]
		}
		done.Unknown = append(done.Unknown, u)
	}
	if len(unknown) > 0 {
		return nil, sentence(CodeInput, errNoEntry, "take them out of what you name: they may have been removed or withdrawn since", "nothing is changed: %d of %d %s no entry", len(unknown), len(which), plural(len(unknown), "is", "are"))
	}
	return ids, nil
}

// readIDs reads the first column of a CSV, and the line of each; a first line that begins with "id" is a header.
func readIDs(path string) (ids []string, lines []int, err error) {
	do := "name a file whose first column is an entry's id, as review --csv writes it"
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fault(CodeInput, err, do, "cannot open %s", path)
	}
	defer f.Close()
	in := newLineReader(f, maxRow)
	for {
		raw, err := in.next()
		if errors.Is(err, io.EOF) {
			return ids, lines, nil
		}
		if err != nil {
			return nil, nil, fault(CodeInput, err, do, "cannot use %s, line %d", path, max(in.line, 1))
		}
		text := strings.TrimPrefix(string(raw), "\uFEFF")
		id := strings.TrimLeft(text, "\" ")
		id = id[:strings.IndexAny(id+",", ",;\t\" ")]
		switch {
		case id == "" && strings.Trim(text, ",;\t\" ") == "", id == "id" && in.line == 1:
			continue
		case len(ids) >= maxReviewed:
			return nil, nil, sentence(CodeInput, nil, "split it", "%s has more than %d lines", path, maxReviewed)
		}
		if _, err := match.ParseEntryID(id); err != nil {
			return nil, nil, sentence(CodeInput, nil, do, "line %d of %s does not begin with an entry's id", in.line, path)
		}
		ids, lines = append(ids, strings.Clone(id)), append(lines, in.line) // not the whole line with it
	}
}

// reattested counts, and gives the ids of entries that change, in the order of the list.
func (s *session) reattested(ids map[match.EntryID]bool, done *Reattested) (changed []match.EntryID, err error) {
	_, err = scanEntries(s.path("entries.jsonl"), func(e *list.Entry) error {
		if !ids[e.ID] {
			return nil
		}
		done.Named++
		if e.ReviewBy.Equal(done.ReviewBy) && e.Assessors == [2]string{done.Assessor1, done.Assessor2} {
			return nil
		}
		if e.ReviewBy.After(done.ReviewBy) {
			done.Shortened++
		}
		done.Changed++
		changed = append(changed, e.ID)
		return nil
	})
	return changed, err
}

// writeReattested writes the record and then the entries.
func (s *session) writeReattested(changed []match.EntryID, done *Reattested) error {
	var lines []byte
	for ids := range slices.Chunk(changed, attestationIDs) {
		b, err := json.Marshal(attestation{At: s.now.Unix(), ReviewBy: done.ReviewBy.Unix(), One: done.Assessor1, Two: done.Assessor2, IDs: ids})
		if err != nil {
			return err
		}
		lines = append(append(lines, b...), '\n')
	}
	if err := appendFile(s.path("attestations.jsonl"), lines); err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot write %s", s.path("attestations.jsonl"))
	}
	set := make(map[match.EntryID]bool, len(changed))
	for _, id := range changed {
		set[id] = true
	}
	w, err := createEntries(s.path("entries.jsonl"))
	if err != nil {
		return err
	}
	defer w.abort()
	if _, err := scanEntries(s.path("entries.jsonl"), func(e *list.Entry) error {
		if set[e.ID] {
			e.ReviewBy, e.Assessors = done.ReviewBy, [2]string{done.Assessor1, done.Assessor2}
		}
		return w.add(e)
	}); err != nil {
		return err
	}
	return w.replace()
}

// Write puts it in plain words.
func (r *Reattested) Write(w io.Writer) error {
	for _, u := range r.Unknown {
		if u.Line > 0 {
			fmt.Fprintf(w, "line %d: no entry is %s\n", u.Line, u.Text)
		} else {
			fmt.Fprintf(w, "no entry is %s\n", u.Text)
		}
	}
	if len(r.Unknown) > 0 {
		return nil
	}
	if r.DryRun {
		fmt.Fprint(w, "nothing is changed; it would be: ")
	}
	_, err := fmt.Fprintf(w, "%d %s assessed again by %s and %s, until %s (%d %s like this already); sign and publish the next version\n",
		r.Changed, plural(r.Changed, "entry", "entries"), r.Assessor1, r.Assessor2, day(r.ReviewBy), r.Named-r.Changed, plural(r.Named-r.Changed, "was", "were"))
	if r.Shortened > 0 && err == nil {
		_, err = fmt.Fprintf(w, "note: %d of them %s good for longer before\n", r.Shortened, plural(r.Shortened, "was", "were"))
	}
	return err
}
