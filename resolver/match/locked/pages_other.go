//go:build !linux

package locked

import "unsafe"

// pages on other systems are the heap's: no node runs there, only tools that hold keys for a moment, or never.
type pages struct {
	b    []uint64
	mode Mode
}

func allocate(n int) (pages, error) { return pages{b: make([]uint64, (n+7)/8)}, nil }

func (m pages) data() unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(m.b)) }

func (m pages) free() {}
