package publish

import (
	"io"

	"github.com/cordon-project/cordon/listsync/list"
)

// Imported says what an import did.
type Imported struct {
	Rows      int `json:"rows"`
	Added     int `json:"added"`
	Updated   int `json:"updated"`   // an entry of the same kind and expression was there; it keeps its id
	Unchanged int `json:"unchanged"` // the same in every field
	Entries   int `json:"entries"`   // in the working set now

	HeldBack int  `json:"held_back,omitempty"` // rows of entries that are held back: they take effect when these come back
	DryRun   bool `json:"dry_run,omitempty"`   // nothing was changed: this is what would be
	SetAside int  `json:"set_aside,omitempty"` // bad rows that are in the file of errors and not in these counts

	PutBackCount int       `json:"put_back"`                 // added ones that had been withdrawn, or removed for a reason that speaks against them
	PutBack      []PutBack `json:"put_back_lines,omitempty"` // the first of them
}

// Import is ImportWith without options: all rows or none.
func (h *Hotline) Import(r io.Reader) (Imported, error) { return h.ImportWith(r, ImportOptions{}) }

// ImportWith takes the rows of a CSV or JSON file into the working set: all of them or, when one is bad, none (a *Fault with a *RowErrors
// in its chain). With TakeGood it takes the good ones, and gives both what was done and that Fault. Entries get a random id; one of the
// same kind and expression keeps its id and the day it was first listed.
func (h *Hotline) ImportWith(r io.Reader, o ImportOptions) (Imported, error) {
	if err := o.check(); err != nil {
		return Imported{}, err
	}
	s, err := h.begin()
	if err != nil {
		return Imported{}, err
	}
	defer s.release()
	acc, err := s.accredited()
	if err != nil {
		return Imported{}, err
	}
	rows, err := readRows(h.c.readsOf(r, "reading the rows"), &rules{filter: acc.charter.Filter(), canary: s.set.Canary, now: s.now, errors: o.Errors, takeGood: o.TakeGood}, s.dir)
	if err != nil {
		return Imported{}, err
	}
	defer rows.close()
	held, err := s.heldByKey()
	if err != nil {
		return Imported{}, err
	}
	done := Imported{DryRun: o.DryRun}
	to, err := s.merge(rows, held, &done)
	if err != nil {
		return Imported{}, err
	}
	defer to.abort()
	bad, err := rows.end()
	switch {
	case err != nil:
		return Imported{}, err
	case !rows.wanted(), bad != nil && done.Rows == 0:
		return Imported{}, o.wrong(bad, nil)
	case done.Entries > maxEntries:
		return Imported{}, sentence(CodeInput, nil, "take entries out first", "the list would have %d entries, more than %d", done.Entries, maxEntries)
	case o.DryRun:
	case done.Added+done.Updated > 0:
		if err := to.replace(); err != nil {
			return Imported{}, err
		}
		fallthrough
	default:
		if err := s.importHeld(held); err != nil {
			return Imported{}, err
		}
	}
	if bad != nil {
		done.SetAside = bad.rows
		return done, o.wrong(bad, &done)
	}
	return done, nil
}

// lineSize is about the bytes of a line of entries.jsonl.
const lineSize = 270

// merge writes the working set with the rows in it to the file that is to take its place, and counts. Both are sorted, and pass once. When
// the rows are not wanted any more it only sees to the end of them. A row of an entry that is held back goes there and nowhere else.
func (s *session) merge(rows *importReader, held map[entryKey]*heldEntry, done *Imported) (_ *entryWriter, err error) {
	before, err := s.takenOut()
	if err != nil {
		return nil, err
	}
	told := every{Progress: s.c.progress(), units: lineSize}
	told.Begin("sorting the rows in", sizes(s.path("entries.jsonl"))+int64(rows.rows)*lineSize)
	set, err := s.openWorkingSet(passed{told})
	if err != nil {
		return nil, err
	}
	defer set.close()
	to, err := createEntries(s.path("entries.jsonl"))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			to.abort()
		}
	}()
	old, err := set.next()
	for err == nil {
		row, err := rows.next()
		if err != nil {
			return nil, err
		}
		if row == nil {
			break
		}
		told.one()
		if !rows.wanted() {
			continue
		}
		for old != nil && byExpression(old, &row.Entry) < 0 {
			if old, err = done.keep(to, old, set); err != nil {
				return nil, err
			}
		}
		done.Rows++
		if h := held[row.key()]; h != nil {
			done.HeldBack++
			h.renew(&row.Entry)
			continue
		}
		if old != nil && byExpression(old, &row.Entry) == 0 {
			row.ID, row.Since = old.ID, old.Since
			if row.Entry == *old {
				done.Unchanged++
			} else {
				done.Updated++
			}
			if old, err = set.next(); err != nil {
				return nil, err
			}
		} else {
			done.Added++
			if err := s.c.random(row.ID[:]); err != nil {
				return nil, fault(CodeFailure, err, "", "cannot make an entry id")
			}
			if b, ok := before[row.key()]; ok {
				done.putBack(row.line, b)
			}
		}
		if done.Entries++; done.Entries > maxEntries {
			break // Import says so
		}
		if err := to.add(&row.Entry); err != nil {
			return nil, err
		}
	}
	for err == nil && old != nil && rows.wanted() {
		old, err = done.keep(to, old, set)
	}
	done.sortPutBack()
	return to, err
}

// keep writes an entry of the working set that no row touches, and gives the next one.
func (i *Imported) keep(to *entryWriter, e *list.Entry, set *entryReader) (*list.Entry, error) {
	i.Entries++
	if err := to.add(e); err != nil {
		return nil, err
	}
	return set.next()
}
