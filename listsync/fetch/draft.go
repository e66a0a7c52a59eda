package fetch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/match/section"
)

// Draft is a file of a store that is still being written, mapped into memory: a list of a gigabyte is made on disk and never in memory
// beside it. It has no name until Commit, and is cleared away when it is closed or the store is opened again without one.
type Draft struct {
	store *Store
	f     *os.File
	pages
	once  sync.Once
	err   error
	named bool
}

// Draft makes room for a file of size bytes, all zero. A full disk is an error here, not a fault when the bytes are written.
func (s *Store) Draft(size int64) (*Draft, error) {
	if size <= 0 || size > MaxFile {
		return nil, fmt.Errorf("draft file: %w: %d bytes, at most %d", ErrTooLarge, size, MaxFile)
	}
	f, err := os.CreateTemp(s.dir, tempPrefix)
	if err != nil {
		return nil, fmt.Errorf("draft file: %w", err)
	}
	d := &Draft{store: s, f: f}
	if err = reserve(f, size); err == nil {
		d.b, err = unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		return nil, fmt.Errorf("draft file: %w", errors.Join(err, d.Close()))
	}
	return d, nil
}

// reserve gives f its length with blocks behind all of it.
func reserve(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	zeros := make([]byte, 1<<20) // a file system that cannot promise blocks writes them
	for at := int64(0); at < size; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at); err != nil {
			return err
		}
	}
	return nil
}

// Bytes is the file. It stays valid after Commit, and until Close.
func (d *Draft) Bytes() []byte { return d.b }

// Room is Bytes for a maker of files that knows their size: another size is an error.
func (d *Draft) Room(size int) ([]byte, error) {
	if size != len(d.b) {
		return nil, fmt.Errorf("draft file: %w: %d bytes, %d were signed", ErrHash, size, len(d.b))
	}
	return d.b, nil
}

// Memory is where a list can be made of another: this draft. copied is match.Memory's.
func (d *Draft) Memory(copied func()) match.Memory {
	return match.Memory{Room: d.Room, Write: d.write, Copied: copied}
}

// write goes through the file, of which the mapping shows every byte at once.
func (d *Draft) write(b []byte, at int64) error {
	_, err := d.f.WriteAt(b, at)
	return err
}

// Commit makes the draft the file sum of the store, on disk for good when it returns. It returns ErrHash when the bytes have another hash.
func (d *Draft) Commit(ctx context.Context, sum [32]byte) error {
	fail := func(err error) error { return fmt.Errorf("commit file: %w", err) }
	if section.Sum(d.b) != sum {
		return fail(fmt.Errorf("%w: want %x", ErrHash, sum[:8]))
	}
	if err := context.Cause(ctx); err != nil {
		return fail(err)
	}
	if err := unix.Msync(d.b, unix.MS_SYNC); err != nil {
		return fail(err)
	}
	if err := d.f.Sync(); err != nil {
		return fail(err)
	}
	if err := os.Rename(d.f.Name(), d.store.Path(sum)); err != nil {
		return fail(err)
	}
	d.named = true
	if err := d.store.sync(); err != nil {
		return fail(errors.Join(err, d.store.Remove(sum)))
	}
	return nil
}

// Close unmaps the draft, and removes it unless it was committed. It may be called again.
func (d *Draft) Close() error {
	d.once.Do(func() {
		if d.b != nil {
			d.err = unix.Munmap(d.b)
		}
		if !d.named {
			d.err = errors.Join(d.err, removeIfThere(d.f.Name()))
		}
		d.err = errors.Join(d.err, d.f.Close())
	})
	return d.err
}
