package fetch

import (
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pages are a file's bytes in memory, which the system may take away and read again, but for those that are pinned. Its methods are for one
// caller at a time; others may read the bytes meanwhile.
type pages struct {
	b      []byte
	pinned [][2]int // from and to, in order and on page boundaries
}

// Pin keeps parts of the file in memory for as long as it is mapped: nobody who reads them waits for a disk. The parts are of the bytes that
// were mapped. An error says that the system does not allow so much (RLIMIT_MEMLOCK); then none are pinned, and all can be read as before.
func (p *pages) Pin(parts ...[]byte) error {
	var pinned [][2]int
	for _, part := range parts {
		if len(part) == 0 {
			continue
		}
		page := unix.Getpagesize()
		from := int(uintptr(unsafe.Pointer(unsafe.SliceData(part))) - uintptr(unsafe.Pointer(unsafe.SliceData(p.b))))
		to := min((from+len(part)+page-1)&^(page-1), len(p.b))
		pinned = append(pinned, [2]int{from &^ (page - 1), to})
	}
	slices.SortFunc(pinned, func(a, b [2]int) int { return a[0] - b[0] })
	for i, r := range pinned {
		if err := unix.Mlock(p.b[r[0]:r[1]]); err != nil {
			for _, r := range pinned[:i] {
				_ = unix.Munlock(p.b[r[0]:r[1]]) // an unmapped file is not locked either
			}
			return err
		}
	}
	p.pinned = pinned
	return nil
}

// Unload gives the memory of all that is not pinned back: what is touched from now on is read again. It changes no byte.
func (p *pages) Unload() error {
	at := 0
	for _, r := range append(slices.Clone(p.pinned), [2]int{len(p.b), len(p.b)}) {
		if at < r[0] {
			if err := unix.Madvise(p.b[at:r[0]], unix.MADV_DONTNEED); err != nil { // of a shared mapping: the file keeps every byte
				return err
			}
		}
		at = max(at, r[1])
	}
	return nil
}
