// Package section is the container that every binary file of Cordon shares: a fixed head with a table of
// sections, then the sections themselves, each starting at a multiple of 64 bytes. What comes in is hostile bytes;
// what goes out is a view of them that no field of the file can lead outside of.
//
// There is exactly one valid file for a given content: offsets follow from lengths, every unused byte is zero,
// the head carries the SHA-256 of every section and of itself. So the head hash names the whole file.
//
// The last sections of a format may be covered in blocks instead: the head has no hash of them, and the format keeps
// hashes of their parts in a section that the head does cover. A change of a few records then hashes a few blocks anew
// and not a gigabyte. Whoever opens such a file compares the blocks himself. The byte table is in ../FORMAT.md.
package section

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"
)

// Sentinels: what a reader of a file can be told. Errors of Open and Verify wrap one of them.
var (
	ErrFormat   = errors.New("malformed file")
	ErrHash     = errors.New("hash does not match the content")
	ErrTooLarge = errors.New("file too large")
)

const (
	// MaxFile bounds every file: 32 Mi records of the widest format stay below it, and it fits an int of 32 bits.
	MaxFile = 1<<31 - 1

	// Align is where sections start: a cache line, and more than any field needs.
	Align = 64

	// FieldsSize is the part of the head a format fills with its own fields.
	FieldsSize = 232

	fieldsAt  = 24
	tableAt   = fieldsAt + FieldsSize // 256
	entrySize = 64                    // id (counted from 1), 1 if covered in blocks, offset, length, SHA-256, reserved
	trailer   = 64                    // head hash and 32 zero bytes
	magicSize = 8
)

// headLen is the length of a head with n sections; the first section starts there.
func headLen(n int) int { return tableAt + n*entrySize + trailer }

// Size is the length of a file with sections of these lengths.
func Size(lengths []uint64) int64 {
	end := uint64(headLen(len(lengths)))
	for _, n := range lengths {
		end = align(end + n)
	}
	return int64(end)
}

func align(n uint64) uint64 { return (n + Align - 1) &^ (Align - 1) }

// Writer fills one file. It is used by one goroutine.
type Writer struct {
	b       []byte
	size    []uint64
	at      []uint64
	covered int
}

// New lays a file out with sections of the given lengths, the last of which, covered in number, the format covers in
// blocks, and returns it empty (all zero), its memory aligned to 8 bytes. It returns ErrTooLarge when the whole would
// pass MaxFile.
func New(magic string, covered int, lengths []uint64) (*Writer, error) {
	return NewIn(nil, magic, covered, lengths)
}

// Room gives memory for a file: so many bytes, all zero, aligned to 8. A file that is to lie on disk anyway is best written into a
// mapping of it.
type Room func(size int) ([]byte, error)

func heap(size int) ([]byte, error) {
	words := make([]uint64, (size+7)/8) // words, so that a section can be used as []uint64
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), size), nil
}

// NewIn is New into memory from room; nil is the heap.
func NewIn(room Room, magic string, covered int, lengths []uint64) (*Writer, error) {
	if room == nil {
		room = heap
	}
	if len(magic) != magicSize {
		panic("section: magic is not 8 bytes")
	}
	w := &Writer{size: lengths, covered: covered}
	end := uint64(headLen(len(lengths)))
	for _, n := range lengths {
		if n > MaxFile {
			return nil, fmt.Errorf("lay out %s: section of %d bytes: %w", magic, n, ErrTooLarge)
		}
		w.at = append(w.at, end)
		end = align(end + n)
	}
	if end > MaxFile {
		return nil, fmt.Errorf("lay out %s: %d bytes: %w", magic, end, ErrTooLarge)
	}
	var err error
	if w.b, err = room(int(end)); err != nil {
		return nil, fmt.Errorf("lay out %s: %w", magic, err)
	}
	copy(w.b, magic)
	binary.LittleEndian.PutUint32(w.b[8:], uint32(headLen(len(lengths))))
	binary.LittleEndian.PutUint32(w.b[12:], uint32(len(lengths)))
	binary.LittleEndian.PutUint64(w.b[16:], end)
	return w, nil
}

// Fields is the format's own part of the head, to be filled before Seal.
func (w *Writer) Fields() []byte { return w.b[fieldsAt:tableAt:tableAt] }

// Section is the memory of section i, to be filled before Seal.
func (w *Writer) Section(i int) []byte {
	end := w.at[i] + w.size[i]
	return w.b[w.at[i]:end:end]
}

// Offset is where section i begins in the file.
func (w *Writer) Offset(i int) int64 { return int64(w.at[i]) }

// Seal hashes the head and the sections that are not covered in blocks, and returns the file. The writer must not be
// used after it.
func (w *Writer) Seal() []byte {
	for i := range w.size {
		e := w.b[tableAt+i*entrySize:]
		binary.LittleEndian.PutUint32(e, uint32(i+1))
		binary.LittleEndian.PutUint64(e[8:], w.at[i])
		binary.LittleEndian.PutUint64(e[16:], w.size[i])
		if i >= len(w.size)-w.covered {
			binary.LittleEndian.PutUint32(e[4:], 1)
			continue
		}
		sum := Sum(w.Section(i))
		copy(e[24:56], sum[:])
	}
	h := headLen(len(w.size))
	sum := sha256.Sum256(w.b[:h-trailer])
	copy(w.b[h-trailer:], sum[:])
	return w.b
}

// Reader is a view of one file whose head has been checked. It keeps the caller's bytes and never writes to them;
// any number of goroutines may use it while the bytes stay unchanged.
type Reader struct {
	b      []byte
	head   int
	at     []uint64
	size   []uint64
	hashed int // sections with a hash in the table; the others are covered in blocks
}

// Open checks the head of b: magic, sizes, table, padding and the head's own hash. It reads no section, so its
// cost does not depend on the size of the file; Verify does the rest. n is how many sections the format has, covered
// how many of them, the last ones, it covers in blocks.
func Open(b []byte, magic string, n, covered int) (*Reader, error) {
	fail := func(format string, a ...any) (*Reader, error) {
		return nil, fmt.Errorf("open %s: %s: %w", magic, fmt.Sprintf(format, a...), ErrFormat)
	}
	h := headLen(n)
	switch {
	case len(b) > MaxFile:
		return nil, fmt.Errorf("open %s: %d bytes: %w", magic, len(b), ErrTooLarge)
	case len(b) < h:
		return fail("%d bytes, head needs %d", len(b), h)
	case string(b[:magicSize]) != magic:
		return fail("wrong magic")
	case binary.LittleEndian.Uint32(b[8:]) != uint32(h), binary.LittleEndian.Uint32(b[12:]) != uint32(n):
		return fail("wrong head length or section count")
	case binary.LittleEndian.Uint64(b[16:]) != uint64(len(b)):
		return fail("file length %d, have %d bytes", binary.LittleEndian.Uint64(b[16:]), len(b))
	}
	if sum := sha256.Sum256(b[:h-trailer]); !bytes.Equal(sum[:], b[h-trailer:h-trailer+32]) {
		return nil, fmt.Errorf("open %s: head: %w", magic, ErrHash)
	}
	if !zero(b[h-trailer+32 : h]) {
		return fail("bytes after the head hash are not zero")
	}
	r := &Reader{b: b, head: h, at: make([]uint64, n), size: make([]uint64, n), hashed: n - covered}
	end := uint64(h)
	for i := range n {
		e := b[tableAt+i*entrySize:]
		inBlocks := uint32(0)
		if i >= r.hashed {
			inBlocks = 1
		}
		r.at[i], r.size[i] = binary.LittleEndian.Uint64(e[8:]), binary.LittleEndian.Uint64(e[16:])
		switch {
		case binary.LittleEndian.Uint32(e) != uint32(i+1):
			return fail("section %d has id %d, want %d", i, binary.LittleEndian.Uint32(e), i+1)
		case binary.LittleEndian.Uint32(e[4:]) != inBlocks, inBlocks == 1 && !zero(e[24:56]):
			return fail("section %d is not covered as this format covers it", i)
		case !zero(e[56:64]):
			return fail("section %d: reserved bytes are not zero", i)
		case r.at[i] != end:
			return fail("section %d starts at %d, want %d", i, r.at[i], end)
		case r.size[i] > uint64(len(b))-end: // end <= len(b) holds here: the subtraction cannot wrap
			return fail("section %d of %d bytes leaves the file", i, r.size[i])
		}
		last := end + r.size[i]
		if end = align(last); end > uint64(len(b)) {
			return fail("section %d is not padded", i)
		}
		if !zero(b[last:end]) {
			return fail("padding after section %d is not zero", i)
		}
	}
	if end != uint64(len(b)) {
		return fail("%d bytes after the last section", uint64(len(b))-end)
	}
	return r, nil
}

// Fields is the format's own part of the head. The caller must not write to it.
func (r *Reader) Fields() []byte { return r.b[fieldsAt:tableAt:tableAt] }

// Section is section i. The caller must not write to it.
func (r *Reader) Section(i int) []byte {
	end := r.at[i] + r.size[i]
	return r.b[r.at[i]:end:end]
}

// Bytes is the whole file. The caller must not write to it.
func (r *Reader) Bytes() []byte { return r.b }

// Hash is the head hash: it covers the head and, through the table, every section, so it names the whole file.
func (r *Reader) Hash() [32]byte {
	return [32]byte(r.b[r.head-trailer : r.head-trailer+32])
}

// Verify compares every section that is not covered in blocks with its hash in the table.
func (r *Reader) Verify() error {
	for i := range r.hashed {
		sum := Sum(r.Section(i))
		if e := r.b[tableAt+i*entrySize:]; !bytes.Equal(sum[:], e[24:56]) {
			return fmt.Errorf("verify %s: section %d: %w", r.b[:magicSize], i, ErrHash)
		}
	}
	return nil
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
