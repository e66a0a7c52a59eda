package match

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// TestFilterForgetsNothingAndSeldomErrs checks both promises of the filter at the sizes of the integer table.
func TestFilterForgetsNothingAndSeldomErrs(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 15, 16, 17, 127, 1000, 5000, 1 << 16, 1<<18 + 1} {
		m := bloomBits(n)
		words := make([]uint64, m/64)
		f, err := filterOver(bytesOf(words), m)
		if err != nil {
			t.Fatalf("%d records: %v", n, err)
		}
		gates, column := make([]uint64, n), make([]byte, 0, 8*n)
		for i := range gates {
			gates[i] = rnd.Uint64()
			column = binary.LittleEndian.AppendUint64(column, gates[i])
		}
		f.fill(column, nil)
		for i, g := range gates {
			if !f.mayContain(g) {
				t.Fatalf("%d records: gate %d was added and is not found", n, i)
			}
		}
		const asked = 1 << 21
		hits, firsts := 0, 0
		for range asked {
			g := rnd.Uint64()
			firsts += int(f.first(g))
			if f.mayContain(g) {
				hits++
			}
		}
		// 5.7e-6 by calculation is 12 hits of 2 million; 60 would be far outside of chance, and is a third of what is promised.
		if hits > 60 {
			t.Errorf("%d records: %d false hits of %d, want about %.0f", n, hits, asked, 5.7e-6*asked)
		}
		if max := asked * 27 / 100; firsts > max {
			t.Errorf("%d records: first probe passes %d of %d, want at most %d", n, firsts, asked, max)
		}
		if n >= 1000 {
			t.Logf("%d records: %d false hits of %d (%.1e), first probe passes %.3f", n, hits, asked, float64(hits)/asked, float64(firsts)/asked)
		}
	}
}

func TestFilterRefusesMemoryItCannotUse(t *testing.T) {
	words := make([]uint64, 16)
	b := bytesOf(words)
	for _, tt := range []struct {
		name string
		b    []byte
		m    uint64
	}{
		{"not aligned", b[1:65], 512},
		{"too short", b[:56], 512},
		{"too long", b[:72], 512},
		{"empty", nil, 0},
		{"not whole words", b[:8], 63},
		{"size that wraps", b[:64], 1 << 63},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := filterOver(tt.b, tt.m); err == nil {
				t.Errorf("filterOver of %d bytes for %d bits: no error", len(tt.b), tt.m)
			}
		})
	}
}

func TestSizesGrowWithTheList(t *testing.T) {
	for _, tt := range []struct {
		n      int
		bits   uint64
		groups int
		blocks int
	}{
		{0, 512, 1, 0}, {16, 512, 1, 0}, {17, 576, 1, 0}, {31, 1024, 1, 0}, {127, 4096, 1, 0}, {128, 4096, 1, 1}, {144, 9 << 9, 1, 1},
		{256, 8192, 2, 2}, {4096, 131072, 32, 6}, {4097, 147456, 32, 6}, {1 << 20, 1 << 25, 8192, 14}, {1<<20 + 1, 9 << 22, 8192, 14},
		{20_000_000, 10 << 26, 1 << 17, 18}, {MaxRecords, 1 << 30, 1 << 18, 19},
	} {
		if got := bloomBits(tt.n); got != tt.bits {
			t.Errorf("bloomBits(%d) = %d, want %d", tt.n, got, tt.bits)
		}
		if f, err := filterOver(make([]byte, tt.bits/8), tt.bits); err != nil || f.groups() != tt.groups {
			t.Errorf("groups of %d records: %v, %v, want %d", tt.n, f, err, tt.groups)
		}
		if got := blockBits(tt.n); got != tt.blocks {
			t.Errorf("blockBits(%d) = %d, want %d", tt.n, got, tt.blocks)
		}
	}
}

// bytesOf is the same memory as bytes.
func bytesOf(words []uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), 8*len(words))
}
