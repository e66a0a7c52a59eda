package prefetch

import (
	"testing"
	"unsafe"
)

func TestAnyAddressMayBeNamed(t *testing.T) {
	Line(nil)
	Line(unsafe.Pointer(&t))
	Span(unsafe.Pointer(new(uint64)), 4096)
	s := make([]uint64, 8)
	for i := -1; i <= len(s); i++ {
		At(s, i)
	}
	At[byte](nil, 0)
	if n := testing.AllocsPerRun(100, func() { At(s, 3) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// Words all over 256 MB, 64 at a time, as a batch of questions asks for them: with and without naming them first.
func BenchmarkWords(b *testing.B) {
	words := make([]uint64, 32<<20)
	for i := range words {
		words[i] = 1
	}
	for _, ahead := range []bool{false, true} {
		b.Run(map[bool]string{false: "when needed", true: "ahead"}[ahead], func(b *testing.B) {
			var x, sum uint64
			var at [64]int
			for b.Loop() {
				for i := range at {
					x = x*6364136223846793005 + 1442695040888963407 + sum&1
					at[i] = int(x >> 39)
					if ahead {
						At(words, at[i])
					}
				}
				for _, i := range at {
					// Each look-up hangs on the one before, as between the system calls of a server or behind a branch nobody foresees.
					i ^= int(sum & 1)
					sum += words[i] << 1
				}
			}
		})
	}
}
