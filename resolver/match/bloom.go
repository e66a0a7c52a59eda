package match

import (
	"encoding/binary"
	"fmt"
	"unsafe"

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

// bloomOver is the filter whose bits are b, in place: writes to the filter write to b.
// bloom.ReadFrom would trust sizes inside the bytes; here the caller has checked len(b) == m/8.
func bloomOver(b []byte, m uint64, k uint) (*bloom.BloomFilter, error) {
	p := unsafe.Pointer(unsafe.SliceData(b))
	switch {
	case !littleEndian:
		return nil, fmt.Errorf("open index: this machine is not little-endian: %w", ErrFormat)
	case len(b) == 0 || m%64 != 0 || uint64(len(b)) != m/8:
		return nil, fmt.Errorf("open index: Bloom filter of %d bytes for %d bits: %w", len(b), m, ErrFormat)
	case uintptr(p)%8 != 0:
		return nil, fmt.Errorf("open index: memory is not aligned to 8 bytes: %w", ErrFormat)
	}
	return bloom.FromWithM(unsafe.Slice((*uint64)(p), len(b)/8), uint(m), k), nil
}

// mayContain asks the filter for a gate hash.
//
// Hot path: no allocation, see TestLookupAllocs.
func mayContain(f *bloom.BloomFilter, g uint64) bool {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], g)
	return f.Test(b[:])
}
