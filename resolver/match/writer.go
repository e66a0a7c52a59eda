package match

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/resolver/match/section"
)

// EdgeWriter fills one edge list: a place for each record, then Seal.
type EdgeWriter struct {
	w *section.Writer
	h Header
	e Edge
}

// NewEdgeWriter lays out an edge list of n records, empty. It returns ErrTooLarge for more than MaxRecords and ErrFormat
// for a list id that is none.
func NewEdgeWriter(h Header, n int) (*EdgeWriter, error) { return newEdgeWriter(h, n, nil) }

func newEdgeWriter(h Header, n int, room section.Room) (*EdgeWriter, error) {
	if n < 0 || n > MaxRecords {
		return nil, fmt.Errorf("lay out edge list of %s: %d records: %w", h.List, n, ErrTooLarge)
	}
	if _, err := ParseListID(string(h.List)); err != nil {
		return nil, fmt.Errorf("lay out edge list: %w", err)
	}
	w, err := section.NewIn(room, magicEdge, edgeColumns, edgeLengths(n))
	if err != nil {
		return nil, err
	}
	return &EdgeWriter{w, h, Edge{
		header: h, n: n, bits: blockBits(n), starts: w.Section(edgeStarts), hashes: w.Section(edgeHashes),
		columns: Columns{w.Section(edgeDigests), w.Section(edgeGates), w.Section(edgeIDs), w.Section(edgeMetas)},
	}}, nil
}

// Put sets record i. Several goroutines may set different records at once.
func (w *EdgeWriter) Put(i int, r *Record) { w.e.columns.Put(i, r) }

// Seal cuts the records into blocks, checks them as Verify would, hashes the blocks on all processors, and returns the
// edge list, open and verified. It returns ErrOrder for records out of order or there twice and ErrFormat for
// values outside of their closed sets. The writer must not be used after it.
func (w *EdgeWriter) Seal() (*Edge, error) {
	e := &w.e
	block := 0 // blocks whose start is written
	for i := range e.n {
		d := e.columns.digest(i)
		for b := blockOf(&d, e.bits); block <= b; block++ {
			binary.LittleEndian.PutUint32(e.starts[4*block:], uint32(i))
		}
	}
	for ; block <= 1<<e.bits; block++ {
		binary.LittleEndian.PutUint32(e.starts[4*block:], uint32(e.n))
	}
	t, err := e.eachBlock(func(block int, w *worker) error {
		e.columns.hashBlock(w.h, e.start(block), e.start(block+1), e.hashes[32*block:32*block+32])
		return e.checkBlock(block, &w.tally)
	})
	if err == nil {
		err = t.check()
	}
	if err != nil {
		return nil, fmt.Errorf("seal edge list of %s: %w", w.h.List, err)
	}
	return w.finish(t.counts)
}

// finish writes the head and opens the file, whose records the caller has checked.
func (w *EdgeWriter) finish(counts Counts) (*Edge, error) {
	putEdgeFields(w.w.Fields(), w.h, w.e.n, counts)
	return OpenEdgeHead(w.w.Seal())
}

// WriteEdge makes the edge list of some records, whatever their order: a pure function. Errors are those of NewEdgeWriter
// and Seal.
func WriteEdge(h Header, records []Record) (*Edge, error) {
	w, err := NewEdgeWriter(h, len(records))
	if err != nil {
		return nil, err
	}
	records = slices.Clone(records)
	slices.SortFunc(records, func(a, b Record) int { return a.Compare(&b) })
	for i := range records {
		if err := records[i].Check(); err != nil {
			return nil, fmt.Errorf("write edge list of %s: entry %s: %w", h.List, records[i].EntryID, err)
		}
		w.Put(i, &records[i])
	}
	return w.Seal()
}
