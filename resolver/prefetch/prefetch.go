// Package prefetch asks the processor for memory that will be needed soon.
//
// In comes an address, nothing comes out: a line of the cache is on its way, and nothing waits for it. Whoever has many look-ups to do (a batch of
// questions) names the lines of all of them first and then does them, and waits for memory once instead of once a look-up. Any address may be
// named, also one that is not mapped.
package prefetch

import "unsafe"

// Size of a line, bytes.
const Size = 64

// Line asks for the cache line that p lies in.
func Line(p unsafe.Pointer) { line(uintptr(p)) }

// Span asks for the lines of up to n bytes from p on. They may end beyond the memory that p points to.
func Span(p unsafe.Pointer, n int) {
	for at := 0; at < n; at += Size {
		line(uintptr(p) + uintptr(at)) // a number: no pointer may point behind its memory
	}
}

// At asks for the line of element i of s. It does nothing when there is none.
func At[T any](s []T, i int) {
	if uint(i) < uint(len(s)) {
		line(uintptr(unsafe.Pointer(&s[i])))
	}
}
