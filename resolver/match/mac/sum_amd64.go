package mac

// hardware: the processor has SHA extensions, and SSSE3 and SSE4.1, which come with them.
var hardware = func() bool {
	const ssse3, sse41, sha = 1 << 9, 1 << 19, 1 << 29
	leaves, _, _, _ := cpuid(0)
	if leaves < 7 {
		return false
	}
	_, _, c, _ := cpuid(1)
	_, b, _, _ := cpuid(7)
	return c&(ssse3|sse41) == ssse3|sse41 && b&sha != 0
}()

func cpuid(leaf uint32) (a, b, c, d uint32)

// sum hashes blocks with the inner state, and what comes out with the outer one.
//
//go:noescape
func sum(out *[32]byte, s *States, msg *byte, blocks int)
