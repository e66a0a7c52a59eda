package publish

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// rowSorter takes rows of an import in any order and gives them back in the order of entries.jsonl, rows of one entry in the order of
// lines. It keeps two runs in memory, whatever the number of rows; what is more lies in a file without a name in dir, which
// the kernel takes away when the process ends. It has one user and must be closed.
type rowSorter struct {
	dir  string
	size int // bytes of a run
	run  sortRun
	file *os.File // of full runs; nil while there is none
	ends []int64  // of each run in file
	busy chan error
}

// runSize is the size of runs outside of tests. 10 million rows are about 50 runs.
const runSize = 32 << 20

// sortRun is rows one behind the other, each as appendSortRow writes it, and an index of them.
type sortRun struct {
	rows  []byte
	index []sortItem
}

// sortItem finds a row of a run. Most rows differ in head, the first bytes of their key.
type sortItem struct {
	head uint64
	at   uint32
}

// importRow is a row that was judged good, and where it stood.
type importRow struct {
	list.Entry
	line, entry int
	fields      []string // as they came, when bad rows are set aside: what is a twin shows only when all are sorted
}

func (r *importRow) key() entryKey { return keyOf(&r.Entry) }

// add takes a row. The first bytes of what it appends are a key whose order as bytes is expression, kind, line: no expression has a zero byte.
func (r *sortRun) add(row *importRow) {
	at := len(r.rows)
	b := binary.BigEndian.AppendUint32(r.rows, 0) // the row's size, below
	b = binary.BigEndian.AppendUint16(b, uint16(len(row.Expression)+sortKeyTail))
	b = append(append(b, row.Expression...), 0, byte(row.Kind))
	b = binary.BigEndian.AppendUint64(b, uint64(row.line))
	b = binary.AppendUvarint(b, uint64(row.entry))
	b = append(b, byte(row.Category), byte(row.Basis))
	b = binary.AppendVarint(b, row.ReviewBy.Unix())
	for _, s := range []string{row.Jurisdiction, row.Assessors[0], row.Assessors[1], row.Reason} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	for _, s := range row.fields {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at))
	r.rows, r.index = b, append(r.index, sortItem{headOf(b[at:]), uint32(at)})
}

const sortKeyTail = 1 + 1 + 8 // the zero byte, the kind, the line

// keyOfRow is the key of a row in a run.
func keyOfRow(row []byte) []byte { return row[6 : 6+binary.BigEndian.Uint16(row[4:])] }

// headOf is the first 8 bytes of the key.
func headOf(row []byte) uint64 { return binary.BigEndian.Uint64(row[6:]) } // a key has at least 10

// append adds the rows of o.
func (r *sortRun) append(o *sortRun) {
	base := uint32(len(r.rows))
	r.rows = append(r.rows, o.rows...)
	for _, i := range o.index {
		r.index = append(r.index, sortItem{i.head, i.at + base})
	}
}

func (r *sortRun) row(i int) []byte {
	at := r.index[i].at
	return r.rows[at : at+binary.BigEndian.Uint32(r.rows[at:])]
}

// lastLine is the line of the row that was added last, 0 for none.
func (r *sortRun) lastLine() int {
	if len(r.index) == 0 {
		return 0
	}
	key := keyOfRow(r.row(len(r.index) - 1))
	return int(binary.BigEndian.Uint64(key[len(key)-8:]))
}

func (r *sortRun) sort() {
	slices.SortFunc(r.index, func(a, b sortItem) int {
		if c := cmp.Compare(a.head, b.head); c != 0 {
			return c
		}
		return bytes.Compare(keyOfRow(r.rows[a.at:]), keyOfRow(r.rows[b.at:]))
	})
}

// add takes the rows of a run that is the caller's again afterwards.
func (s *rowSorter) add(some *sortRun) error {
	s.run.append(some)
	if len(s.run.rows) < s.size {
		return nil
	}
	if err := s.wait(); err != nil {
		return err
	}
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, ".import-*")
		if err == nil {
			s.file = f
			err = os.Remove(f.Name())
		}
		if err != nil {
			return cannotSort(err, s.dir)
		}
	}
	full := s.run
	s.run = sortRun{rows: make([]byte, 0, cap(full.rows)), index: make([]sortItem, 0, cap(full.index))}
	s.busy = make(chan error, 1)
	go func() { s.busy <- s.spill(full) }() // wait waits for it
	return nil
}

// spill sorts a run and writes it to the file.
func (s *rowSorter) spill(run sortRun) error {
	run.sort()
	out := bufio.NewWriterSize(s.file, writeBlock)
	end := int64(0)
	if n := len(s.ends); n > 0 {
		end = s.ends[n-1]
	}
	for i := range run.index {
		n, err := out.Write(run.row(i))
		if err != nil {
			return err
		}
		end += int64(n)
	}
	s.ends = append(s.ends, end)
	return out.Flush()
}

// wait waits for the run that is being written.
func (s *rowSorter) wait() error {
	if s.busy == nil {
		return nil
	}
	err := <-s.busy
	s.busy = nil
	if err != nil {
		return cannotSort(err, s.dir)
	}
	return nil
}

func cannotSort(err error, dir string) error {
	return fault(CodeFailure, err, "make room or check the disk; nothing is imported", "cannot sort the rows: a file in %s cannot be written or read", dir)
}

// close frees the file. It may be called again.
func (s *rowSorter) close() {
	_ = s.wait() // whoever closes early does not want the rows
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}

// sortedRows gives the rows of a sorter in order.
type sortedRows struct {
	s     *rowSorter
	heap  cursors
	words map[string]string
	since time.Time
	row   importRow
}

// sorted ends the taking in. since is when the rows' entries begin.
func (s *rowSorter) sorted(since time.Time) (*sortedRows, error) {
	s.run.sort()
	if err := s.wait(); err != nil {
		return nil, err
	}
	all := &sortedRows{s: s, words: map[string]string{}, since: since}
	all.heap = append(all.heap, &cursor{run: &s.run})
	start := int64(0)
	buffer := max(4<<10, min(256<<10, s.size/(len(s.ends)+1)))
	for _, end := range s.ends {
		all.heap = append(all.heap, &cursor{in: bufio.NewReaderSize(io.NewSectionReader(s.file, start, end-start), buffer)})
		start = end
	}
	for i := 0; i < len(all.heap); {
		ok, err := all.heap[i].next()
		if err != nil {
			return nil, cannotSort(err, s.dir)
		}
		if ok {
			i++
		} else {
			all.heap = slices.Delete(all.heap, i, i+1)
		}
	}
	heap.Init(&all.heap)
	return all, nil
}

// next gives the next row; io.EOF ends. It is the caller's until the next call.
func (a *sortedRows) next() (*importRow, error) {
	if len(a.heap) == 0 {
		return nil, io.EOF
	}
	top := a.heap[0]
	a.decode(top.row)
	ok, err := top.next()
	if err != nil {
		return nil, cannotSort(err, a.s.dir)
	}
	if ok {
		heap.Fix(&a.heap, 0)
	} else {
		heap.Pop(&a.heap)
	}
	return &a.row, nil
}

func (a *sortedRows) decode(b []byte) {
	key, rest := keyOfRow(b), b[6:binary.BigEndian.Uint32(b)]
	rest = rest[len(key):]
	n := len(key) - sortKeyTail
	e := list.Entry{Kind: canon.Kind(key[n+1]), Expression: string(key[:n]), Since: a.since}
	a.row = importRow{line: int(binary.BigEndian.Uint64(key[n+2:]))}
	entry, n := binary.Uvarint(rest)
	a.row.entry, rest = int(entry), rest[n:]
	e.Category, e.Basis, rest = match.Category(rest[0]), match.Basis(rest[1]), rest[2:]
	review, n := binary.Varint(rest)
	e.ReviewBy, rest = time.Unix(review, 0).UTC(), rest[n:]
	text := func() (b []byte) {
		size, n := binary.Uvarint(rest)
		b, rest = rest[n:n+int(size)], rest[n+int(size):]
		return b
	}
	for _, to := range []*string{&e.Jurisdiction, &e.Assessors[0], &e.Assessors[1], &e.Reason} {
		*to = a.word(text())
	}
	for len(rest) > 0 {
		a.row.fields = append(a.row.fields, string(text()))
	}
	a.row.Entry = e
}

func (a *sortedRows) word(b []byte) string {
	if w, ok := a.words[string(b)]; ok {
		return w
	}
	w := string(b)
	if len(a.words) < maxWords {
		a.words[w] = w
	}
	return w
}

// cursor walks a sorted run, in memory or in the file.
type cursor struct {
	run *sortRun
	at  int
	in  *bufio.Reader
	row []byte
}

// next takes the next row and reports whether there is one.
func (c *cursor) next() (bool, error) {
	if c.in == nil {
		if c.at == len(c.run.index) {
			return false, nil
		}
		c.row = c.run.row(c.at)
		c.at++
		return true, nil
	}
	size, err := c.in.Peek(4)
	if errors.Is(err, io.EOF) && len(size) == 0 {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c.row = slices.Grow(c.row[:0], int(binary.BigEndian.Uint32(size)))[:binary.BigEndian.Uint32(size)]
	_, err = io.ReadFull(c.in, c.row)
	return err == nil, err
}

// cursors is a heap of cursors: the one with the least row first.
type cursors []*cursor

func (c cursors) Len() int { return len(c) }
func (c cursors) Less(i, j int) bool {
	a, b := c[i].row, c[j].row
	if x, y := headOf(a), headOf(b); x != y {
		return x < y
	}
	return bytes.Compare(keyOfRow(a), keyOfRow(b)) < 0
}
func (c cursors) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *cursors) Push(x any)   { *c = append(*c, x.(*cursor)) }
func (c *cursors) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}
