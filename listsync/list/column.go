package list

import (
	"bytes"
	"fmt"

	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/match/section"
)

const magicColumn = "CORDCOL1"

// ColumnSize is the length of one output.
const ColumnSize = 16

// Fields of a column behind the common header.
const (
	fieldColumnEdge = 136 // head hash of the edge list it belongs to
	fieldColumnKey  = 168 // public key of the function
)

// Column is a version's outputs of the hotline's oblivious function (listsync/oprf), one for each record of the edge list, in the same
// order: what a private lookup compares with. It is a view of its bytes, which must not change; any number of goroutines may read it.
type Column struct {
	version Version
	n       int
	edge    [32]byte
	key     [32]byte
	outputs []byte
}

// BuildColumn makes the column of e: output gives that of record i. Same outputs, same bytes.
func BuildColumn(e *Edge, key [32]byte, output func(i int) [ColumnSize]byte) ([]byte, error) {
	w, err := section.New(magicColumn, 0, []uint64{ColumnSize * uint64(e.Len())})
	if err != nil {
		return nil, err
	}
	match.PutHeader(w.Fields(), e.Version(), e.Len())
	head := e.Hash()
	copy(w.Fields()[fieldColumnEdge:], head[:])
	copy(w.Fields()[fieldColumnKey:], key[:])
	all := w.Section(0)
	for i := range e.Len() {
		out := output(i)
		copy(all[ColumnSize*i:], out[:])
	}
	return w.Seal(), nil
}

// OpenColumn checks b from the first byte to the last.
func OpenColumn(b []byte) (*Column, error) {
	r, err := section.Open(b, magicColumn, 1, 0)
	if err != nil {
		return nil, err
	}
	if err := r.Verify(); err != nil {
		return nil, err
	}
	fields := r.Fields()
	version, n, err := match.ReadHeader(fields)
	if err != nil {
		return nil, fmt.Errorf("open column: %w", err)
	}
	c := &Column{version: version, n: n, edge: [32]byte(fields[fieldColumnEdge:]), key: [32]byte(fields[fieldColumnKey:]), outputs: r.Section(0)}
	var want [section.FieldsSize]byte
	match.PutHeader(want[:], version, n)
	copy(want[fieldColumnEdge:], c.edge[:])
	copy(want[fieldColumnKey:], c.key[:])
	switch {
	case !bytes.Equal(fields, want[:]):
		return nil, fmt.Errorf("open column: reserved bytes are not zero: %w", ErrFormat)
	case len(c.outputs) != ColumnSize*n:
		return nil, fmt.Errorf("open column: %d bytes for %d records: %w", len(c.outputs), n, ErrFormat)
	}
	return c, nil
}

// Key is the public key of the function.
func (c *Column) Key() [32]byte { return c.key }

// Output is that of record i.
func (c *Column) Output(i int) [ColumnSize]byte { return [ColumnSize]byte(c.outputs[ColumnSize*i:]) }

// Fits reports an error unless e is the edge list that c was made for.
func (c *Column) Fits(e *Edge) error {
	switch {
	case c.version != e.Version(), c.n != e.Len():
		return fmt.Errorf("compare column of %s: another version than the edge list: %w", c.version.List, ErrFormat)
	case c.edge != e.Hash():
		return fmt.Errorf("compare column of %s: made for another edge list: %w", c.version.List, ErrHash)
	}
	return nil
}

// Find are the records with one of these outputs, ascending.
func (c *Column) Find(outputs ...[ColumnSize]byte) []int {
	wanted := map[[ColumnSize]byte]bool{}
	for _, o := range outputs {
		wanted[o] = true
	}
	var found []int
	for i := range c.n {
		if wanted[c.Output(i)] {
			found = append(found, i)
		}
	}
	return found
}
