package locked

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pages is one mapping: a page nobody may touch, the data, another such page.
type pages struct {
	base unsafe.Pointer
	size uintptr // of the data, whole pages
	mode Mode
}

var pageSize = uintptr(os.Getpagesize())

func (m pages) data() unsafe.Pointer { return unsafe.Add(m.base, pageSize) }

// allocate reserves the room with its guards and puts into its middle the best memory that is to be had.
func allocate(n int) (pages, error) {
	m := pages{size: (uintptr(n) + pageSize - 1) / pageSize * pageSize}
	var err error
	m.base, err = unix.MmapPtr(-1, 0, nil, m.size+2*pageSize, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return pages{}, fmt.Errorf("reserve %d bytes: %w", m.size, err)
	}
	for _, put := range []func(pages) (Mode, error){mapSecret, mapPinned} {
		if m.mode, err = put(m); err == nil {
			return m, nil
		}
	}
	m.free()
	return pages{}, err
}

// mapSecret maps memfd_secret memory (Linux 5.14; the kernel may have it switched off, and it counts against RLIMIT_MEMLOCK).
func mapSecret(m pages) (Mode, error) {
	fd, err := unix.MemfdSecret(unix.O_CLOEXEC)
	if err != nil {
		return Plain, fmt.Errorf("memfd_secret: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, int64(m.size)); err != nil {
		return Plain, fmt.Errorf("memfd_secret: %w", err)
	}
	if _, err := unix.MmapPtr(fd, 0, m.data(), m.size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED); err != nil {
		return Plain, fmt.Errorf("map memfd_secret: %w", err)
	}
	// A child made by fork, which Go itself never makes without exec, would share it.
	_ = unix.Madvise(m.bytes(), unix.MADV_DONTFORK)
	return Secret, nil
}

// mapPinned makes the middle ordinary memory that is locked, or, when RLIMIT_MEMLOCK forbids it, at least not dumped.
func mapPinned(m pages) (Mode, error) {
	if _, err := unix.MmapPtr(-1, 0, m.data(), m.size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED); err != nil {
		return Plain, fmt.Errorf("map memory: %w", err)
	}
	_ = unix.Madvise(m.bytes(), unix.MADV_DONTDUMP)
	_ = unix.Madvise(m.bytes(), unix.MADV_DONTFORK)
	if unix.Mlock(m.bytes()) != nil {
		return Plain, nil
	}
	return Pinned, nil
}

func (m pages) bytes() []byte { return unsafe.Slice((*byte)(m.data()), m.size) }

func (m pages) free() { _ = unix.MunmapPtr(m.base, m.size+2*pageSize) }
