package publish

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// maxEntries bounds a working set: what fits an edge list when every entry is a page with its steer record.
const maxEntries = match.MaxRecords / 2

// maxEntryLine bounds one line of entries.jsonl: an expression, a reason and the fields around them, all escaped.
const maxEntryLine = 64 << 10

// row is an entry as it lies in entries.jsonl: the hotline's own plain text, one entry a line, sorted by expression and kind.
type row struct {
	ID    match.EntryID `json:"id"`
	Kind  string        `json:"kind"`
	Expr  string        `json:"expression"`
	Cat   string        `json:"category"`
	Basis string        `json:"basis"`
	Jur   string        `json:"jurisdiction"`
	Since int64         `json:"since"`
	Until int64         `json:"review_by"`
	One   string        `json:"assessor_1"`
	Two   string        `json:"assessor_2"`
	Why   string        `json:"reason,omitempty"`
}

func toRow(e *list.Entry) row {
	return row{
		ID: e.ID, Kind: e.Kind.String(), Expr: e.Expression, Cat: e.Category.String(), Basis: e.Basis.String(), Jur: e.Jurisdiction,
		Since: e.Since.Unix(), Until: e.ReviewBy.Unix(), One: e.Assessors[0], Two: e.Assessors[1], Why: e.Reason,
	}
}

func (r *row) entry() (list.Entry, error) {
	k, err := canon.ParseKind(r.Kind)
	if err != nil {
		return list.Entry{}, err
	}
	c, err := match.ParseCategory(r.Cat)
	if err != nil {
		return list.Entry{}, err
	}
	b, err := match.ParseBasis(r.Basis)
	if err != nil {
		return list.Entry{}, err
	}
	return list.Entry{
		ID: r.ID, Kind: k, Expression: r.Expr, Category: c, Basis: b, Jurisdiction: r.Jur,
		Since: time.Unix(r.Since, 0).UTC(), ReviewBy: time.Unix(r.Until, 0).UTC(), Assessors: [2]string{r.One, r.Two}, Reason: r.Why,
	}, nil
}

// byExpression is the order of entries.jsonl: expression, then kind. No two entries are equal in it.
func byExpression(a, b list.Entry) int {
	if c := strings.Compare(a.Expression, b.Expression); c != 0 {
		return c
	}
	return int(a.Kind) - int(b.Kind)
}

// entryKey is what makes two rows the same entry.
type entryKey struct {
	kind canon.Kind
	expr string
}

func keyOf(e *list.Entry) entryKey { return entryKey{e.Kind, e.Expression} }

// readEntries reads a whole entries file in order, and the SHA-256 of its bytes. A file that is not there is an empty set.
func readEntries(path string) ([]list.Entry, [32]byte, error) {
	var all []list.Entry
	sum, err := scanEntries(path, func(e list.Entry) error {
		if len(all) >= maxEntries {
			return fmt.Errorf("more than %d entries", maxEntries)
		}
		if n := len(all); n > 0 && byExpression(all[n-1], e) >= 0 {
			return errors.New("entries are not in order")
		}
		all = append(all, e)
		return nil
	})
	return all, sum, err
}

// scanEntries calls each for every entry of the file, in order.
func scanEntries(path string, each func(list.Entry) error) ([32]byte, error) {
	do := "put the file back from your backup; no command edits it in place"
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return sha256.Sum256(nil), nil
	}
	if err != nil {
		return [32]byte{}, fault(CodeFailure, err, do, "cannot read the entries in %s", path)
	}
	defer f.Close()
	h := newHashReader(f)
	in := newLineReader(h, maxEntryLine)
	rows := newRowReader()
	for {
		line, err := in.next()
		if errors.Is(err, io.EOF) {
			return h.Sum(), nil
		}
		var e list.Entry
		if err == nil {
			e, err = rows.read(line)
		}
		if err == nil {
			err = each(e)
		}
		if err != nil {
			h.Sum()
			return [32]byte{}, fault(CodeInput, err, do, "cannot read the entries in %s, line %d", path, max(in.line, 1))
		}
	}
}

// entriesSum is the SHA-256 of the entries file, without decoding it.
func entriesSum(path string) ([32]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return sha256.Sum256(nil), nil
	}
	if err != nil {
		return [32]byte{}, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return [32]byte{}, err
	}
	return [32]byte(h.Sum(nil)), nil
}

// writeEntries sorts the entries and replaces the file.
func writeEntries(path string, entries []list.Entry) error {
	slices.SortFunc(entries, byExpression)
	f, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o600), renameio.IgnoreUmask())
	if err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot write %s", path)
	}
	defer f.Cleanup()
	w := bufio.NewWriterSize(f, 1<<20)
	var line []byte
	for i := range entries {
		line = appendRow(line[:0], &entries[i])
		if _, err := w.Write(line); err != nil {
			return fault(CodeFailure, err, "check the disk", "cannot write %s", path)
		}
	}
	err = w.Flush()
	if err == nil {
		err = f.CloseAtomicallyReplace()
	}
	if err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot write %s", path)
	}
	return nil
}
