package match

import (
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/bits-and-blooms/bitset"
	"github.com/bits-and-blooms/bloom/v3"
)

const (
	// bitsPerRecord and bloomHashes give 6 false hits in a million, and (what the hot path feels) a filter only
	// 22 % full, so that a miss looks at 1.3 cache lines on average; see SIZING.md.
	bitsPerRecord = 32
	bloomHashes   = 8

	minBloomRecords = 16  // a filter is never smaller than one cache line of 512 bits
	bloomBlock      = 512 // m is a multiple of this: sections stay aligned, words are whole
)

// bloomBits is m for n records. Integers only: it must be the same on every machine.
func bloomBits(n int) uint64 {
	m := uint64(max(n, minBloomRecords)) * bitsPerRecord
	return (m + bloomBlock - 1) / bloomBlock * bloomBlock
}

// fanBits is how many leading bits of a digest the fan-out table resolves: at most 16 records share a bucket on
// average, and the table stays a small part of the file.
func fanBits(n int) int {
	switch {
	case n <= 1<<12:
		return 8
	case n <= 1<<16:
		return 12
	case n <= 1<<20:
		return 16
	default:
		return 20
	}
}

// littleEndian reports the byte order of this machine: the filter's words are used in place.
var littleEndian = func() bool {
	x := uint16(1)
	return *(*byte)(unsafe.Pointer(&x)) == 1
}()

// filterOver is the filter whose bits are b, in place: writes to the filter write to b.
// bloom.ReadFrom would trust sizes inside the bytes; here the caller has checked len(b) == m/8.
func filterOver(b []byte, m uint64) (*filter, error) {
	p := unsafe.Pointer(unsafe.SliceData(b))
	switch {
	case !littleEndian:
		return nil, fmt.Errorf("open index: this machine is not little-endian: %w", ErrFormat)
	case len(b) == 0 || m%64 != 0 || uint64(len(b)) != m/8:
		return nil, fmt.Errorf("open index: Bloom filter of %d bytes for %d bits: %w", len(b), m, ErrFormat)
	case uintptr(p)%8 != 0:
		return nil, fmt.Errorf("open index: memory is not aligned to 8 bytes: %w", ErrFormat)
	}
	words := unsafe.Slice((*uint64)(p), len(b)/8)
	return &filter{bits: bloom.FromWithM(words, uint(m), bloomHashes).BitSet(), words: words, part: m / bloomHashes}, nil
}

// filter is a Bloom filter over gate hashes. Storage and bit operations are the library's; the places are not: its
// murmur hash of a number that already is a keyed hash, and its division, make a miss four times as slow (SIZING.md),
// and a file format should not hang on the inside of a library.
type filter struct {
	bits  *bitset.BitSet
	words []uint64 // of bits
	part  uint64   // bits of each of the bloomHashes parts
}

// place is the bit of probe j: x scaled from 64 bits to one part by multiplication, far cheaper than a division.
// Each probe has a part of its own: the first part is an eighth of the filter, is read by every lookup, and so stays
// in a near cache; the second is read by one lookup in five, and so on.
func (f *filter) place(j, x uint64) uint {
	hi, _ := bits.Mul64(x, f.part)
	return uint(j*f.part + hi)
}

// spread turns the number of one probe into that of the next: 2^64 divided by the golden ratio, odd. A product hangs on
// all lower bits of g; adding a step instead (double hashing) uses so few bits of g that small
// lists had more than five times the false hits they should (TestFilterForgetsNothingAndSeldomErrs).
const spread = 0x9E3779B97F4A7C15

func (f *filter) add(g uint64) {
	for j := range uint64(bloomHashes) {
		f.bits.Set(f.place(j, g))
		g *= spread
	}
}

// first is the first probe of g, 1 or 0, without a branch: a caller asks it of several gate hashes in a row, and the
// cache misses of all of them overlap. Nearly four of five hashes that are not in the filter end here.
//
// Hot path: no allocation, see TestLookupAllocs.
func (f *filter) first(g uint64) uint {
	p := f.place(0, g)
	return uint(f.words[p>>6]>>(p&63)) & 1
}

// rest is the other probes of g. Together with first, false says that g is certainly not in the filter.
func (f *filter) rest(g uint64) bool {
	for j := uint64(1); j < bloomHashes; j++ {
		g *= spread
		if !f.bits.Test(f.place(j, g)) {
			return false
		}
	}
	return true
}

// mayContain is both.
func (f *filter) mayContain(g uint64) bool { return f.first(g) == 1 && f.rest(g) }
