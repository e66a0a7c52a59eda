package match

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cordon-project/cordon/resolver/match/section"
)

const magicIndex = "CORDIDX2"

// Index is what an edge computes from an edge list to ask it quickly: a Bloom filter over its gate hashes, and nothing
// else. It is a pure function of the edge list, so that everyone who has the list computes the same bytes, and its hash
// says that the list is in force. It is a view of the bytes it was opened on, which must not change or go away while it
// is in use. Any number of goroutines may use it.
type Index struct {
	r      *section.Reader
	header Header
	n      int
	edge   [32]byte // Edge.Hash of the list it was compiled from
	bloom  *filter
}

// Compile makes the index of an edge list, on all processors. It asks no key and never fails for a list that OpenEdge took.
func Compile(e *Edge) ([]byte, error) {
	w, f, err := layOut(e)
	if err != nil {
		return nil, fmt.Errorf("compile index of %s: %w", e.header.List, err)
	}
	f.fill(e.columns.Gates, nil)
	return w.Seal(), nil
}

// Recompile makes the index of an edge list from that of an earlier one: the same bytes as Compile(to), with only those
// groups of the filter filled anew that a changed record falls into. changed are the gate hashes of all records that
// are in one of the two lists only. It returns ErrHash when old is not the index of from.
func Recompile(old *Index, from, to *Edge, changed []uint64) ([]byte, error) {
	if old.edge != from.Hash() {
		return nil, fmt.Errorf("compile index of %s: the old index is of another edge list: %w", to.header.List, ErrHash)
	}
	if bloomBits(from.n) != bloomBits(to.n) {
		return Compile(to)
	}
	w, f, err := layOut(to)
	if err != nil {
		return nil, fmt.Errorf("compile index of %s: %w", to.header.List, err)
	}
	section.Copy(w.Section(0), old.r.Section(0))
	f.fill(to.columns.Gates, changed)
	return w.Seal(), nil
}

// IndexSize is the length of the index of e.
func IndexSize(e *Edge) int64 { return section.Size([]uint64{bloomBits(e.n) / 8}) }

// layOut makes the index file of e with an empty filter.
func layOut(e *Edge) (*section.Writer, *filter, error) {
	m := bloomBits(e.n)
	w, err := section.New(magicIndex, 0, []uint64{m / 8})
	if err != nil {
		return nil, nil, err
	}
	putIndexFields(w.Fields(), e.header, e.n, e.Hash())
	f, err := filterOver(w.Section(0), m)
	return w, f, err
}

// putIndexFields fills the fields of an index head. Everything but the arguments follows from n.
func putIndexFields(fields []byte, h Header, n int, edge [32]byte) {
	PutHeader(fields, h, n)
	binary.LittleEndian.PutUint64(fields[fieldBloomM:], bloomBits(n))
	binary.LittleEndian.PutUint32(fields[fieldBloomK:], bloomHashes)
	copy(fields[fieldEdge:], edge[:])
}

// fill adds gate hashes to the groups that changed ones fall into, after emptying them; with nil to all groups of an
// empty filter. Each processor has groups of its own and looks at all gate hashes for theirs.
func (f *filter) fill(gates []byte, changed []uint64) {
	groups := f.groups()
	var touched []bool
	if changed != nil {
		touched = make([]bool, groups)
		for _, g := range changed {
			touched[f.group(g)] = true
		}
		for group, is := range touched {
			if is {
				f.empty(uint64(group))
			}
		}
	}
	workers := min(processors, max(groups/64, 1))
	share(workers, func(w int) {
		lo, hi := uint64(groups*w/workers), uint64(groups*(w+1)/workers)
		for i := 0; i < len(gates); i += 8 {
			g := binary.LittleEndian.Uint64(gates[i : i+8])
			if group := f.group(g); group >= lo && group < hi && (touched == nil || touched[group]) {
				f.add(g)
			}
		}
	})
}

// Open checks b from the first byte to the last and returns the index over it. It copies nothing, and allocates a few
// hundred bytes whatever b says. b may be a read-only mapping; it must be aligned to 8 bytes. That it is the
// index of an edge list is another question: compare Hash with that of Compile.
func Open(b []byte) (*Index, error) {
	x, err := OpenHead(b)
	if err != nil {
		return nil, err
	}
	if err := x.r.Verify(); err != nil {
		return nil, err
	}
	return x, nil
}

// OpenHead checks only the head of b and the sizes in it, in microseconds whatever the size of the file.
func OpenHead(b []byte) (*Index, error) {
	r, err := section.Open(b, magicIndex, 1, 0)
	if err != nil {
		return nil, err
	}
	fields := r.Fields()
	header, n, err := ReadHeader(fields)
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	x := &Index{r: r, header: header, n: n, edge: [32]byte(fields[fieldEdge:])}
	var want [section.FieldsSize]byte // whatever is not a field of this format must be zero, sizes must follow from n
	putIndexFields(want[:], header, n, x.edge)
	if !bytes.Equal(fields, want[:]) {
		return nil, fmt.Errorf("open index: head fields are not what %d records need: %w", n, ErrFormat)
	}
	if x.bloom, err = filterOver(r.Section(0), bloomBits(n)); err != nil {
		return nil, err
	}
	return x, nil
}

// Header says which version of which list this is.
func (x *Index) Header() Header { return x.header }

// Hash names the index: the SHA-256 of its head, which holds that of the filter and the hash of the edge list.
func (x *Index) Hash() [32]byte { return x.r.Hash() }

// Bytes is the whole file. The caller must not write to it.
func (x *Index) Bytes() []byte { return x.r.Bytes() }

// EdgeHash is Edge.Hash of the list the index was compiled from.
func (x *Index) EdgeHash() [32]byte { return x.edge }
