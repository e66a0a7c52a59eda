package match

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/resolver/match/section"
)

// Proof shows what an edge list has for some digests, and that it has nothing else for them, to somebody who knows only its head hash: the
// whole block of each digest, and what the head hash is made of. FORMAT.md says how; nothing in it is taken on trust.
type Proof struct {
	Fields []byte       `cbor:"fields"` // of the head
	Starts []byte       `cbor:"starts"` // section 1: block starts
	Hashes []byte       `cbor:"hashes"` // section 2: block hashes
	Blocks []ProofBlock `cbor:"blocks"` // ascending, each once
}

// ProofBlock is all records of one block.
type ProofBlock struct {
	N       uint32 `cbor:"n"`
	Digests []byte `cbor:"digests"`
	Gates   []byte `cbor:"gates"`
	IDs     []byte `cbor:"ids"`
	Metas   []byte `cbor:"metas"`
}

// Prove makes the proof for these digests. It shares the edge list's memory.
func (e *Edge) Prove(ds []Digest) Proof {
	p := Proof{Fields: e.r.Fields(), Starts: e.starts, Hashes: e.hashes, Blocks: []ProofBlock{}}
	var numbers []int
	for i := range ds {
		numbers = append(numbers, blockOf(&ds[i], e.bits))
	}
	slices.Sort(numbers)
	for _, n := range slices.Compact(numbers) {
		lo, hi := e.start(n), e.start(n+1)
		c := &e.columns
		p.Blocks = append(p.Blocks, ProofBlock{uint32(n), c.Digests[16*lo : 16*hi], c.Gates[8*lo : 8*hi], c.IDs[16*lo : 16*hi], c.Metas[MetaSize*lo : MetaSize*hi]})
	}
	return p
}

// Proven is a proof that has been held to its head hash.
type Proven struct {
	Header
	Len    int // records of the whole list
	bits   int
	blocks map[int]provenBlock
}

type provenBlock struct {
	first   int // place of its first record
	n       int
	columns Columns
}

// Open holds a proof to the head hash of an edge list. Whatever it is given, it takes no memory beyond it. Errors wrap ErrFormat, ErrHash or ErrTooLarge.
func (p Proof) Open(head [32]byte) (*Proven, error) {
	fail := func(format string, args ...any) (*Proven, error) {
		return nil, fmt.Errorf("open proof: %s: %w", fmt.Sprintf(format, args...), ErrFormat)
	}
	header, n, err := ReadHeader(p.Fields)
	if err != nil {
		return nil, fmt.Errorf("open proof: %w", err)
	}
	lengths := edgeLengths(n)
	if uint64(len(p.Starts)) != lengths[edgeStarts] || uint64(len(p.Hashes)) != lengths[edgeHashes] {
		return fail("block table does not fit %d records", n)
	}
	var want [section.FieldsSize]byte
	if putEdgeFields(want[:], header, n, ReadCounts(p.Fields)); !bytes.Equal(p.Fields, want[:]) {
		return fail("head fields are not what %d records need", n)
	}
	got, err := section.HeadHash(magicEdge, edgeColumns, lengths, p.Fields, [][32]byte{sha256.Sum256(p.Starts), sha256.Sum256(p.Hashes)})
	if err != nil {
		return nil, fmt.Errorf("open proof: %w", err)
	}
	if got != head {
		return nil, fmt.Errorf("open proof: head hash %x, signed is %x: %w", got[:8], head[:8], ErrHash)
	}
	out := &Proven{Header: header, Len: n, bits: blockBits(n), blocks: make(map[int]provenBlock)}
	h := sha256.New()
	var sum [sha256.Size]byte
	for i, b := range p.Blocks {
		if b.N >= 1<<out.bits || i > 0 && p.Blocks[i-1].N >= b.N {
			return fail("block %d of %d is not in its place", b.N, 1<<out.bits)
		}
		lo, hi := int(binary.LittleEndian.Uint32(p.Starts[4*b.N:])), int(binary.LittleEndian.Uint32(p.Starts[4*b.N+4:]))
		if lo > hi || hi > n {
			return fail("block %d starts at %d and ends at %d", b.N, lo, hi)
		}
		if k := hi - lo; len(b.Digests) != 16*k || len(b.Gates) != 8*k || len(b.IDs) != 16*k || len(b.Metas) != MetaSize*k {
			return fail("block %d has not its %d records", b.N, k)
		}
		c := Columns{b.Digests, b.Gates, b.IDs, b.Metas}
		if c.hashBlock(h, 0, hi-lo, sum[:]); !bytes.Equal(sum[:], p.Hashes[32*b.N:32*b.N+32]) {
			return nil, fmt.Errorf("open proof: block %d: %w", b.N, ErrHash)
		}
		for j := range hi - lo {
			if _, err := c.Get(j); err != nil {
				return nil, fmt.Errorf("open proof: block %d, record %d: %w", b.N, j, err)
			}
		}
		out.blocks[int(b.N)] = provenBlock{lo, hi - lo, c}
	}
	return out, nil
}

// Records are all records of the list with this digest, and the place that it has, or would have, among the list's records. False: the proof
// does not speak of it.
func (p *Proven) Records(d Digest) (found []Record, place int, ok bool) {
	b, ok := p.blocks[blockOf(&d, p.bits)]
	if !ok {
		return nil, 0, false
	}
	i := 0
	for ; i < b.n; i++ {
		x := b.columns.digest(i)
		if c := bytes.Compare(x[:], d[:]); c > 0 {
			break
		} else if c == 0 {
			found = append(found, b.columns.record(i))
		}
	}
	return found, b.first + i - len(found), true
}
