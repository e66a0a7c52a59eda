package match

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"github.com/cordon-project/cordon/resolver/match/section"
)

const magicEdge = "CORDEDG2"

// Sections of an edge list, in file order. Section i carries the id i+1. The columns are covered in blocks.
const (
	edgeStarts = iota
	edgeHashes
	edgeDigests
	edgeGates
	edgeIDs
	edgeMetas
	edgeSections

	edgeColumns = edgeSections - edgeDigests
)

// Edge is an edge list: the digest, gate hash, entry id and meta of every record, in total order. It is what a hotline
// signs and what lookups read. It is a view of the bytes it was opened on, which must not change or go away while it is
// in use. Any number of goroutines may use it.
type Edge struct {
	r       *section.Reader
	header  Header
	n       int
	bits    int // blocks are numbered by so many leading bits of the digest
	counts  Counts
	starts  []byte // of each block its first record, and at the end the number of records
	hashes  []byte // of each block
	columns Columns
}

// OpenEdge checks b from the first byte to the last: sizes, hashes, reserved bytes, closed sets, strict order, counts,
// and that page entries and steer records pair up. It copies nothing and allocates a few kilobytes whatever b says.
func OpenEdge(b []byte) (*Edge, error) {
	e, err := OpenEdgeHead(b)
	if err != nil {
		return nil, err
	}
	if err := e.Verify(); err != nil {
		return nil, err
	}
	return e, nil
}

// OpenEdgeHead checks only the head of b and the sizes in it, in microseconds whatever the size of the file. Lookups
// never leave b, but what they answer is only worth something when the rest is known to be good: after Verify, or when
// the same file was verified before.
func OpenEdgeHead(b []byte) (*Edge, error) {
	r, err := section.Open(b, magicEdge, edgeSections, edgeColumns)
	if err != nil {
		return nil, err
	}
	fields := r.Fields()
	header, n, err := ReadHeader(fields)
	if err != nil {
		return nil, fmt.Errorf("open edge list: %w", err)
	}
	e := &Edge{
		r: r, header: header, n: n, bits: blockBits(n), counts: ReadCounts(fields),
		starts: r.Section(edgeStarts), hashes: r.Section(edgeHashes),
		columns: Columns{r.Section(edgeDigests), r.Section(edgeGates), r.Section(edgeIDs), r.Section(edgeMetas)},
	}
	var want [section.FieldsSize]byte // whatever is not a field of this format must be zero
	putEdgeFields(want[:], header, n, e.counts)
	if !bytes.Equal(fields, want[:]) {
		return nil, fmt.Errorf("open edge list: head fields are not what %d records need: %w", n, ErrFormat)
	}
	for i, size := range edgeLengths(n) {
		if uint64(len(r.Section(i))) != size {
			return nil, fmt.Errorf("open edge list: section sizes do not fit %d records: %w", n, ErrFormat)
		}
	}
	return e, nil
}

// putEdgeFields fills the fields of an edge list's head. The number of blocks follows from n.
func putEdgeFields(fields []byte, h Header, n int, counts Counts) {
	PutHeader(fields, h, n)
	binary.LittleEndian.PutUint32(fields[fieldBlocks:], uint32(blockBits(n)))
	counts.Put(fields)
}

// edgeLengths are the lengths of the sections of n records.
func edgeLengths(n int) []uint64 {
	blocks, records := uint64(1)<<blockBits(n), uint64(n)
	return []uint64{
		edgeStarts: 4 * (blocks + 1), edgeHashes: 32 * blocks,
		edgeDigests: 16 * records, edgeGates: 8 * records, edgeIDs: 16 * records, edgeMetas: MetaSize * records,
	}
}

// Version says which version of which list this is.
func (e *Edge) Version() Header { return e.header }

// Len is the number of records.
func (e *Edge) Len() int { return e.n }

// Counts is how many records of each sort there are.
func (e *Edge) Counts() Counts { return e.counts }

// Hash names the edge list: the SHA-256 of its head, which covers every byte through the block table. It costs nothing to
// ask. It is not the SHA-256 of the whole file, which signed metadata names too.
func (e *Edge) Hash() [32]byte { return e.r.Hash() }

// Bytes is the whole file. The caller must not write to it.
func (e *Edge) Bytes() []byte { return e.r.Bytes() }

// Hot is what lookups read of Bytes, about six tenths of it: whoever asks at line rate wants it in memory.
func (e *Edge) Hot() [][]byte { return [][]byte{e.starts, e.columns.Digests, e.columns.Metas} }

// Kinds is the number of entries of each kind that has any: steer records and decoys are not entries.
func (e *Edge) Kinds() map[string]int { return e.counts.Kinds() }

// Record is record i in total order (digest, kind, entry id).
func (e *Edge) Record(i int) Record { return e.columns.record(i) }

// Meta is what record i says besides its digest and entry.
func (e *Edge) Meta(i int) Meta { return e.columns.meta(i) }

func (e *Edge) meta(i int) Meta { return e.columns.meta(i) }

func (e *Edge) entry(i int) EntryID { return e.columns.entry(i) }

func (e *Edge) start(block int) int { return int(binary.LittleEndian.Uint32(e.starts[4*block:])) }

// Find is the position of the first record with digest d, or -1. Records with the same digest follow in the order of
// Compare.
func (e *Edge) Find(d *Digest) int {
	if i := e.find(d); e.is(i, d) {
		return i
	}
	return -1
}

// find is the position of the first record with digest d, or Len or that of another record when there is none. The way
// to the candidate follows the first bits of a keyed digest; the candidate itself is confirmed in constant time by is.
//
// Digests are as good as random, so the bits behind those of the block say where in the block to look: one or two cache
// lines instead of the seven of a binary search. Galloping from there keeps a block of thousands of equal
// digests (the pages of one host) logarithmic.
//
// Hot path on a Bloom hit: no allocation, see TestLookupAllocs.
func (e *Edge) find(d *Digest) int {
	block := blockOf(d, e.bits)
	lo, hi := e.start(block), e.start(block+1)
	if lo >= hi || hi > e.n { // an empty block, or a file that was never verified
		return e.n
	}
	high, low := binary.BigEndian.Uint64(d[:8]), binary.BigEndian.Uint64(d[8:])
	below := func(i int) bool {
		h := binary.BigEndian.Uint64(e.columns.Digests[16*i : 16*i+8])
		return h < high || h == high && binary.BigEndian.Uint64(e.columns.Digests[16*i+8:16*i+16]) < low
	}
	at := lo + guess(high, e.bits, hi-lo)
	if below(at) {
		lo = at + 1
		for step := 1; lo+step <= hi; step *= 2 {
			p := lo + step - 1
			if !below(p) {
				hi = p
				break
			}
			lo = p + 1
		}
	} else {
		hi = at
		for step := 1; hi-step >= lo; step *= 2 {
			p := hi - step
			if below(p) {
				lo = p + 1
				break
			}
			hi = p
		}
	}
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); below(mid) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// is reports whether record i has digest d; i may be Len.
func (e *Edge) is(i int, d *Digest) bool {
	return i < e.n && subtle.ConstantTimeCompare(e.columns.Digests[16*i:16*i+16], d[:]) == 1
}
