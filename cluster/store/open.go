package store

import (
	"errors"
	"fmt"
	"os"
	"time"

	"go.etcd.io/bbolt"
	bolterr "go.etcd.io/bbolt/errors"
)

// Open opens or creates the file and reads all of it once: the page graph,
// every record against its checksum, and the log for gaps. ErrCorrupt and ErrInUse are its sentinels.
func Open(c Config) (s *Store, err error) {
	if c.Limit <= 0 {
		c.Limit = DefaultLimit
	}
	if c.OpenFile == nil {
		c.OpenFile = os.OpenFile
	}
	if info, serr := os.Stat(c.Path); serr == nil && info.Size() > 0 {
		if err := precheck(c.Path, info.Size()); err != nil {
			return nil, fmt.Errorf("open raft log %s: %w", c.Path, err)
		}
	}
	db, err := openDB(c)
	switch {
	case errors.Is(err, bolterr.ErrTimeout):
		return nil, fmt.Errorf("open raft log %s: %w", c.Path, ErrInUse)
	case err != nil && (isCorruption(err) || errors.Is(err, ErrCorrupt)):
		return nil, fmt.Errorf("open raft log %s: %w: %v", c.Path, ErrCorrupt, err)
	case err != nil:
		return nil, fmt.Errorf("open raft log %s: %w", c.Path, err)
	}
	s = &Store{db: db, dog: newWatchdog(c.Limit, c.Fence), before: c.beforeCommit, dead: make(chan struct{})}
	if err := s.prepare(); err != nil {
		s.dog.close()
		return nil, errors.Join(fmt.Errorf("open raft log %s: %w", c.Path, err), db.Close())
	}
	return s, nil
}

// openDB opens the file. bbolt panics on pages that make no sense and leaves
// the file open and locked; here that is an error, and it is closed.
func openDB(c Config) (db *bbolt.DB, err error) {
	var file *os.File
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrCorrupt, p)
			if file != nil {
				err = errors.Join(err, file.Close())
			}
		}
	}()
	return bbolt.Open(c.Path, 0o600, &bbolt.Options{
		Timeout: time.Second, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := c.OpenFile(name, flag, mode)
			file = f
			return f, err
		},
	})
}

// prepare makes an empty file a store, or checks one that is not empty.
func (s *Store) prepare() (err error) {
	defer caught(&err)
	fresh := false
	if err := s.db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			fresh = tx.Bucket(bucketLog) == nil && tx.Bucket(bucketStable) == nil
			if !fresh {
				return fmt.Errorf("%w: no format mark", ErrCorrupt)
			}
			return nil
		}
		if got := meta.Get(keyFormat); string(got) != string(format) {
			return fmt.Errorf("%w: format %q is not %q", ErrCorrupt, clip(got), format)
		}
		return check(tx)
	}); err != nil {
		return err
	}
	if !fresh {
		return nil
	}
	return s.write(func(tx *bbolt.Tx, _ *shape) error {
		for _, name := range [][]byte{bucketLog, bucketStable, bucketMeta} {
			if _, err := tx.CreateBucket(name); err != nil {
				return fmt.Errorf("create bucket: %w", err)
			}
		}
		if err := tx.Bucket(bucketMeta).Put(keyFormat, format); err != nil {
			return fmt.Errorf("write format: %w", err)
		}
		return nil
	})
}
