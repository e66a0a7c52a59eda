package publish

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
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
func byExpression(a, b *list.Entry) int {
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

// keep copies an entry that a reader has lent.
func keep(e *list.Entry) list.Entry {
	k := *e
	k.Expression = strings.Clone(e.Expression)
	return k
}

// scanEntries calls each for every entry of the file, in order; what each gets is as entryReader.next gives it.
func scanEntries(path string, each func(*list.Entry) error) ([32]byte, error) {
	in, err := openEntries(path, nil)
	if err != nil {
		return [32]byte{}, err
	}
	defer in.close()
	for {
		e, err := in.next()
		if err != nil {
			return [32]byte{}, err
		}
		if e == nil {
			return in.sum(), nil
		}
		if err := each(e); err != nil {
			return [32]byte{}, in.bad(err)
		}
	}
}

// entryReader gives the entries of a file one by one, in order, and keeps a few megabytes of it. It decodes on all processors. It has one
// user and must be closed.
type entryReader struct {
	path   string
	file   *os.File // nil when there is none: an empty set
	hash   hash.Hash
	blocks *ordered[entryBlock]
	spare  chan []list.Entry
	block  entryBlock
	at     int        // next entry of block
	line   int        // of the entry that next gave last
	last   list.Entry // of the block before
}

// entryBlock is what came of a textBlock: the entries up to the first bad line, and what is wrong with that.
type entryBlock struct {
	entries []list.Entry
	bad     error
}

const entriesDo = "put the file back from your backup; no command edits it in place"

// openEntries opens the file. beside sees its bytes as they are read; nil means nobody does.
func openEntries(path string, beside io.Writer) (*entryReader, error) {
	r := &entryReader{path: path, hash: sha256.New()}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, fault(CodeFailure, err, entriesDo, "cannot read the entries in %s", path)
	}
	if beside == nil {
		beside = io.Discard
	}
	r.spare = make(chan []list.Entry, 8)
	r.file, r.blocks = f, inOrder(blocksOf(f, io.MultiWriter(r.hash, beside)), r.decoder)
	return r, nil
}

// decoder makes a worker. Slices of entries come back when they have been read: ten million would leave 2 GB to the collector.
func (r *entryReader) decoder() func(textBlock) entryBlock {
	rows := newRowReader()
	return func(b textBlock) entryBlock {
		var done entryBlock
		select {
		case done.entries = <-r.spare:
		default:
			done.entries = make([]list.Entry, 0, len(b.text)/200)
		}
		b.lines(maxEntryLine, func(_ int, line string, err error) bool {
			var e list.Entry
			if err == nil {
				e, err = rows.read(line)
			}
			if err != nil {
				done.bad = err
				return false
			}
			done.entries = append(done.entries, e)
			return true
		})
		return done
	}
}

// next gives the next entry, nil at the end. The entry is the reader's until the next call, and its expression keeps half a megabyte of text
// in memory: whoever keeps it for long clones it. Entries that are not in order, or too many, are an error that names the line.
func (r *entryReader) next() (*list.Entry, error) {
	if r.file == nil {
		return nil, nil
	}
	for r.at == len(r.block.entries) {
		if r.block.bad != nil {
			r.line++
			return nil, r.bad(r.block.bad)
		}
		if r.at > 0 {
			r.last = keep(&r.block.entries[r.at-1])
			clear(r.block.entries)
			select {
			case r.spare <- r.block.entries[:0]:
			default:
			}
		}
		r.at = 0
		var err error
		if r.block, err = r.blocks.next(); errors.Is(err, io.EOF) {
			return nil, nil
		} else if err != nil {
			return nil, fault(CodeFailure, err, "check the disk", "cannot read the entries in %s", r.path)
		}
	}
	e, last := &r.block.entries[r.at], &r.last
	if r.at > 0 {
		last = &r.block.entries[r.at-1]
	}
	r.at++
	r.line++
	if r.line > 1 && byExpression(last, e) >= 0 {
		return nil, r.bad(errors.New("entries are not in order"))
	}
	if r.line > maxEntries {
		return nil, r.bad(fmt.Errorf("more than %d entries", maxEntries))
	}
	return e, nil
}

// bad is a fault about the line that next has read last.
func (r *entryReader) bad(err error) error {
	return fault(CodeInput, err, entriesDo, "cannot read the entries in %s, line %d", r.path, r.line)
}

// sum is the SHA-256 of the file. It may be asked once, after the end.
func (r *entryReader) sum() [32]byte { return [32]byte(r.hash.Sum(nil)) }

// close stops what reads ahead, and waits for it.
func (r *entryReader) close() {
	if r.file != nil {
		r.blocks.close()
		r.file.Close()
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

// entryWriter writes an entries file beside the present one and then takes its place, so that a reader, a crash or a full disk meets the
// old file or the new one.
type entryWriter struct {
	path string
	file *renameio.PendingFile
	buf  []byte
}

func createEntries(path string) (*entryWriter, error) {
	f, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o600), renameio.IgnoreUmask())
	if err != nil {
		return nil, cannotWrite(err, path)
	}
	return &entryWriter{path: path, file: f, buf: make([]byte, 0, writeBlock+maxEntryLine)}, nil
}

const writeBlock = 1 << 20

func cannotWrite(err error, path string) error {
	return fault(CodeFailure, err, "make room or check the disk; nothing has changed", "cannot write %s", path)
}

// add writes the next entry; the caller has them in order.
func (w *entryWriter) add(e *list.Entry) error {
	if w.buf = appendRow(w.buf, e); len(w.buf) >= writeBlock {
		return w.flush()
	}
	return nil
}

func (w *entryWriter) flush() error {
	_, err := w.file.Write(w.buf)
	w.buf = w.buf[:0]
	if err != nil {
		return cannotWrite(err, w.path)
	}
	return nil
}

// replace puts the file in its place, after its bytes are on disk.
func (w *entryWriter) replace() error {
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.file.CloseAtomicallyReplace(); err != nil {
		return cannotWrite(err, w.path)
	}
	return nil
}

// abort drops what was written, unless it has taken its place already.
func (w *entryWriter) abort() { _ = w.file.Cleanup() } // a leftover has a name of its own and is in nobody's way
