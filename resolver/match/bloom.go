package match

import (
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/bits-and-blooms/bitset"
	"github.com/bits-and-blooms/bloom/v3"
)

const (
	// bitsPerRecord (at least; the most is an eighth more) and bloomHashes give 6 false hits in a million, and (what the
	// hot path feels) a filter only 20 to 22 % full, so that a miss looks at 1.3 cache lines on average; see SIZING.md.
	bitsPerRecord = 32
	bloomHashes   = 8

	// asked is how many probes a lookup asks before it goes for the digest, which decides. A listed name passes them all, and each is memory to wait
	// for; of the others one in 500 suffixes passes four, and costs a digest.
	asked = 4

	minBloomRecords = 16 // a filter is never smaller than one cache line of 512 bits

	// sliceShift makes a group of a large filter so small that its slice of each part is one or two cache lines.
	sliceShift = 6
)

// bloomClass is the size of the filter for n records: m is s times 2^e, s from 8 to 15. So m grows in steps of an eighth,
// and a list that grows a little keeps its filter. Integers only: it must be the same on every machine.
func bloomClass(n int) (s uint64, e int) {
	need := uint64(max(n, minBloomRecords)) * bitsPerRecord
	e = bits.Len64(need) - 4
	s = (need + 1<<e - 1) >> e
	if s == 16 {
		return 8, e + 1
	}
	return s, e
}

// bloomBits is m for n records.
func bloomBits(n int) uint64 {
	s, e := bloomClass(n)
	return s << e
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
	part := m / bloomHashes
	groups := max(bits.Len64(part)-4-sliceShift, 0) // part is s times 2^(e-3), a slice s times 2^sliceShift
	return &filter{
		bits: bloom.FromWithM(words, uint(m), bloomHashes).BitSet(), words: words,
		part: part, slice: part >> groups, shift: 64 - uint(groups),
	}, nil
}

// filter is a Bloom filter over gate hashes. Storage and bit operations are the library's; the places are not: its
// murmur hash of a number that already is a keyed hash, and its division, make a miss four times as slow (SIZING.md),
// and a file format should not hang on the inside of a library.
//
//	part 0                      part 1                           part 7
//	| slice 0 | slice 1 | ...   | slice 0 | slice 1 | ...   ...  | slice 0 | ...
//
// Probe j looks into part j, so the first part, an eighth of the filter, is read by every lookup and stays in a near
// cache; the second is read by one lookup in five, and so on. Which slice of the part is said by the first bits of the
// gate hash, the same for all probes: its group. A record that comes or goes changes one slice of each part, and a
// rebuild fills the slices of touched groups only.
type filter struct {
	bits  *bitset.BitSet
	words []uint64 // of bits
	part  uint64   // bits of each of the bloomHashes parts
	slice uint64   // bits of each slice
	shift uint     // of a gate hash, to get its group
}

func (f *filter) groups() int { return int(f.part / f.slice) }

func (f *filter) group(g uint64) uint64 { return g >> f.shift }

// place is the bit of probe j: x scaled from 64 bits to one slice by multiplication, far cheaper than a division.
func (f *filter) place(j, group, x uint64) uint {
	hi, _ := bits.Mul64(x, f.slice)
	return uint(j*f.part + group*f.slice + hi)
}

// spread turns a gate hash into the number of its first probe, and that of one probe into that of the next: 2^64 divided
// by the golden ratio, odd. A product hangs on all lower bits of g; adding a step instead (double hashing) uses so few
// bits of g that small lists had more than five times the false hits they should (TestFilterForgetsNothingAndSeldomErrs).
const spread = 0x9E3779B97F4A7C15

func (f *filter) add(g uint64) {
	group := f.group(g)
	for j := range uint64(bloomHashes) {
		g *= spread
		f.bits.Set(f.place(j, group, g))
	}
}

// empty clears the slices of a group. Slices of a filter of several groups are whole words.
func (f *filter) empty(group uint64) {
	for j := range uint64(bloomHashes) {
		at := j*f.part + group*f.slice
		clear(f.words[at/64 : (at+f.slice+63)/64])
	}
}

// first is the first probe of g, 1 or 0, without a branch: a caller asks it of several gate hashes in a row, and the
// cache misses of all of them overlap. Nearly four of five hashes that are not in the filter end here.
//
// Hot path: no allocation, see TestLookupAllocs.
func (f *filter) first(g uint64) uint {
	p := f.place(0, f.group(g), g*spread)
	return uint(f.words[p>>6]>>(p&63)) & 1
}

// rest is the other probes that a lookup asks of g. Together with first, false says that g is certainly not in the filter.
func (f *filter) rest(g uint64) bool { return f.probe(g, asked) }

// probe is the probes of g behind the first, up to n in all.
func (f *filter) probe(g, n uint64) bool {
	x, group := g*spread, f.group(g)
	for j := uint64(1); j < n; j++ {
		x *= spread
		p := f.place(j, group, x)
		if f.words[p>>6]>>(p&63)&1 == 0 {
			return false
		}
	}
	return true
}

// mayContain is all probes.
func (f *filter) mayContain(g uint64) bool { return f.first(g) == 1 && f.probe(g, bloomHashes) }
