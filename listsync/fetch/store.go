package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Store keeps files on disk under the SHA-256 of their content, in one directory that belongs to it alone. A file has its name
// only when all of it was written, verified and synced, so what is there is whole, after a crash too. Methods may be called
// concurrently, also for the same file.
type Store struct {
	dir string
}

const tempPrefix = "tmp-"

// OpenStore opens the store in dir, which it makes if needed, and clears away what an earlier crash left half written. One process
// at a time may have a directory open.
func OpenStore(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, unix.EROFS) { // there it lies in nobody's way
			return nil, fmt.Errorf("open store: %w", err)
		}
	}
	return &Store{dir: dir}, nil
}

// Path is where the file sum is, or would be.
func (s *Store) Path(sum [32]byte) string { return filepath.Join(s.dir, hex.EncodeToString(sum[:])) }

// Has reports whether the file sum is there. It does not read it.
func (s *Store) Has(sum [32]byte) bool {
	info, err := os.Lstat(s.Path(sum))
	return err == nil && info.Mode().IsRegular()
}

// Put reads exactly size bytes with the hash sum from r and makes them the file sum, on disk for good when it returns. If the file
// is there already, r is not read. Errors: ErrTooLarge (over MaxFile, or more bytes than size), ErrTruncated, ErrHash, what r
// returned, or the context's. After an error there is nothing: no file and no part of one. A Read of r that blocks is not
// interrupted; give readers that end with the context.
func (s *Store) Put(ctx context.Context, sum [32]byte, size int64, r io.Reader) error {
	if size < 0 || size > MaxFile {
		return fmt.Errorf("put file: %w: %d bytes, at most %d", ErrTooLarge, size, MaxFile)
	}
	if s.Has(sum) {
		return nil
	}
	f, err := os.CreateTemp(s.dir, tempPrefix)
	if err != nil {
		return fmt.Errorf("put file: %w", err)
	}
	err = fill(ctx, f, sum, size, r)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), s.Path(sum))
	}
	if err != nil {
		return fmt.Errorf("put file: %w", errors.Join(err, removeIfThere(f.Name())))
	}
	if err := s.sync(); err != nil { // a name that may be gone after a crash is not a name
		return fmt.Errorf("put file: %w", errors.Join(err, s.Remove(sum)))
	}
	return nil
}

// Add makes b a file of the store and gives its hash. Errors are those of Put.
func (s *Store) Add(ctx context.Context, b []byte) ([32]byte, error) {
	sum := sha256.Sum256(b)
	return sum, s.Put(ctx, sum, int64(len(b)), bytes.NewReader(b))
}

// fill writes size bytes of r to f, synced, if they have the hash sum.
func fill(ctx context.Context, f *os.File, sum [32]byte, size int64, r io.Reader) error {
	h := sha256.New()
	// One byte more than was signed tells a longer file from a whole one.
	n, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(contextReader{ctx, r}, size+1))
	switch {
	case n > size:
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, size)
	case err != nil:
		return err
	case n < size:
		return fmt.Errorf("%w: %d of %d bytes", ErrTruncated, n, size)
	case [32]byte(h.Sum(nil)) != sum:
		return fmt.Errorf("%w: want %x", ErrHash, sum[:8])
	}
	return f.Sync()
}

// contextReader ends between two reads when its context has ended.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// sync makes renames and removals in the directory durable.
func (s *Store) sync() error {
	d, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func removeIfThere(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Open opens the file sum for reading; the caller closes it. If it is not there the error is fs.ErrNotExist.
func (s *Store) Open(sum [32]byte) (*os.File, error) {
	f, err := os.Open(s.Path(sum))
	if err != nil {
		return nil, fmt.Errorf("open stored file: %w", err)
	}
	return f, nil
}

// ReadFile reads the file sum into memory and verifies it (ErrHash).
func (s *Store) ReadFile(sum [32]byte) ([]byte, error) {
	f, err := s.Open(sum)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read stored file: %w", err)
	}
	if sha256.Sum256(b) != sum {
		return nil, fmt.Errorf("read stored file: %w: want %x", ErrHash, sum[:8])
	}
	return b, nil
}

// Check reads the file sum from disk and verifies it: ErrHash if the disk gives something else than was put there.
func (s *Store) Check(sum [32]byte) error {
	f, err := s.Open(sum)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("check stored file: %w", err)
	}
	if [32]byte(h.Sum(nil)) != sum {
		return fmt.Errorf("check stored file: %w: want %x", ErrHash, sum[:8])
	}
	return nil
}

// Map maps the file sum read-only into memory. The bytes are valid until the closer is closed, also when the file is removed
// meanwhile; writing to them faults. Closing twice is harmless. The content is not verified: the formats have hashes of their own,
// and Check is there.
func (s *Store) Map(sum [32]byte) ([]byte, *Mapping, error) {
	f, err := s.Open(sum)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("map stored file: %w", err)
	}
	size := info.Size()
	if size > MaxFile {
		return nil, nil, fmt.Errorf("map stored file: %w: %d bytes, at most %d", ErrTooLarge, size, MaxFile)
	}
	if size == 0 { // mmap of nothing is an error
		return []byte{}, &Mapping{}, nil
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("map stored file: %w", err)
	}
	return b, &Mapping{pages: pages{b: b}}, nil
}

// Mapping is a file in memory.
type Mapping struct {
	pages
	once sync.Once
	err  error
}

// Close unmaps the file. It may be called again.
func (m *Mapping) Close() error {
	m.once.Do(func() {
		if m.b != nil {
			m.err = unix.Munmap(m.b)
		}
	})
	return m.err
}

// Remove removes the file sum; that it is not there is no error.
func (s *Store) Remove(sum [32]byte) error {
	if err := removeIfThere(s.Path(sum)); err != nil {
		return fmt.Errorf("remove stored file: %w", err)
	}
	return nil
}

// RemoveExcept removes every file that is not in keep. Files that are being put stay.
func (s *Store) RemoveExcept(keep map[[32]byte]bool) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("remove stored files: %w", err)
	}
	var failures []error
	for _, e := range entries {
		b, err := hex.DecodeString(e.Name())
		if err != nil || len(b) != sha256.Size || keep[[32]byte(b)] {
			continue
		}
		failures = append(failures, s.Remove([32]byte(b)))
	}
	return errors.Join(failures...)
}

// CheckAll reads every stored file and returns those that are not what was put there. It stops when ctx ends.
func (s *Store) CheckAll(ctx context.Context) (damaged [][32]byte, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("check stored files: %w", err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return damaged, err
		}
		var sum [32]byte
		if n, err := hex.Decode(sum[:], []byte(e.Name())); err != nil || n != len(sum) {
			continue
		}
		if err := s.Check(sum); errors.Is(err, ErrHash) {
			damaged = append(damaged, sum)
		} else if err != nil {
			return damaged, err
		}
	}
	return damaged, nil
}
