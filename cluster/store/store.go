// Package store keeps a control node's Raft log and its vote on disk: one
// bbolt file, every write fsynced before it is acknowledged, every record with
// its own checksum. It promises Raft three things: what it acknowledged is
// there after a power cut; what it reads back is what was written, or an error
// that says so; and a disk that stalls or fails cuts this node off from the
// others (see Config.Fence and Failed) instead of freezing the cluster.
package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

var (
	// ErrCorrupt: the file is not what was written to it. Nothing is repaired:
	// the file must be restored, or the log taken from the other members.
	ErrCorrupt = errors.New("log file is corrupt")
	// ErrInUse: another process holds the file.
	ErrInUse = errors.New("log file is in use by another process")
	// ErrFailed: an earlier write failed. After a failed fsync nobody knows
	// what is on the disk, so it is never tried a second time.
	ErrFailed = errors.New("an earlier write to the log failed")

	errNotFound = errors.New("not found") // the text Raft compares with
)

var (
	bucketLog    = []byte("log")
	bucketStable = []byte("stable")
	keyShape     = []byte("shape") // in bucketMeta
	bucketMeta   = []byte("meta")
	keyFormat    = []byte("format")
	format       = []byte("cordon-raft-store/1")
)

// Config says where the log lies and who is told when its disk stalls.
type Config struct {
	Path string
	// Limit is how long one write may take before the node is fenced; zero
	// means DefaultLimit.
	Limit time.Duration
	// Fence is called with true when a write has taken longer than Limit and
	// with false when that write has ended. Calls alternate and are made one
	// at a time. It must not call the store.
	Fence func(stalled bool)
	// OpenFile, when set, replaces os.OpenFile; tests put a slow or failing
	// disk there.
	OpenFile func(string, int, os.FileMode) (*os.File, error)
	// beforeCommit, when set, runs inside every write before its commit.
	beforeCommit func() error
}

// DefaultLimit lets a busy disk be slow and leaves, with the election after
// it, less than 15 s from a leader's stall to its successor.
const DefaultLimit = 3 * time.Second

// Store is a raft.LogStore, raft.StableStore, raft.MonotonicLogStore and
// raft.CommitTrackingLogStore. It is safe for concurrent use.
type Store struct {
	db     *bbolt.DB
	dog    *watchdog
	before func() error

	mu     sync.Mutex // guards failed, staged
	failed error
	staged uint64
	dead   chan struct{} // closed when failed is set
}

var (
	_ raft.LogStore               = (*Store)(nil)
	_ raft.StableStore            = (*Store)(nil)
	_ raft.MonotonicLogStore      = (*Store)(nil)
	_ raft.CommitTrackingLogStore = (*Store)(nil)
)

// Close closes the file. No call may follow it.
func (s *Store) Close() error {
	s.dog.close()
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close raft log: %w", err)
	}
	return nil
}

// Failed is closed when a write has failed for good; Err then says why. The
// node's owner must end the process: the disk cannot be trusted any more.
func (s *Store) Failed() <-chan struct{} { return s.dead }

// Err is the write error that closed Failed, or nil.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// IsMonotonic makes Raft clear the whole log after it installs a snapshot
// instead of leaving a gap. A follower that kept a stale tail from an older
// term behind such a gap would be sent the same snapshot for ever (raft #697).
func (s *Store) IsMonotonic() bool { return true }

// FirstIndex is the lowest index held, 0 for none.
func (s *Store) FirstIndex() (uint64, error) {
	sh, err := s.shape()
	return sh.first, err
}

// LastIndex is the highest index held, 0 for none.
func (s *Store) LastIndex() (uint64, error) {
	sh, err := s.shape()
	return sh.last, err
}

func (s *Store) shape() (sh shape, err error) {
	err = s.read(func(tx *bbolt.Tx) error {
		sh, err = readShape(tx)
		return err
	})
	return sh, err
}

// GetLog fills log with the entry at index; raft.ErrLogNotFound when there is
// none, ErrCorrupt when what is there is not what was written.
func (s *Store) GetLog(index uint64, log *raft.Log) error {
	return s.read(func(tx *bbolt.Tx) error {
		v := tx.Bucket(bucketLog).Get(key(index))
		if v == nil {
			return raft.ErrLogNotFound
		}
		return decodeLog(index, v, log)
	})
}

// StoreLog stores one entry, durably.
func (s *Store) StoreLog(log *raft.Log) error { return s.StoreLogs([]*raft.Log{log}) }

// StoreLogs stores entries in one durable write, together with the commit
// index staged before. Either all of it is on disk on return, or none. An
// entry that would leave a gap behind the last one is refused.
func (s *Store) StoreLogs(logs []*raft.Log) error {
	return s.write(func(tx *bbolt.Tx, sh *shape) error {
		b := tx.Bucket(bucketLog)
		for _, l := range logs {
			switch {
			case sh.last == 0:
				sh.first, sh.last = l.Index, l.Index
			case l.Index == sh.last+1:
				sh.last = l.Index
			case l.Index < sh.first || l.Index > sh.last:
				return fmt.Errorf("store log %d: log holds %d to %d", l.Index, sh.first, sh.last)
			}
			if err := b.Put(key(l.Index), encodeLog(l)); err != nil {
				return fmt.Errorf("store log %d: %w", l.Index, err)
			}
		}
		return nil
	})
}

// DeleteRange removes the entries min to max, both included, from either end
// of the log; from its middle it is refused.
func (s *Store) DeleteRange(min, max uint64) error {
	return s.write(func(tx *bbolt.Tx, sh *shape) error {
		switch {
		case sh.last == 0 || max < min || max < sh.first || min > sh.last:
			return nil
		case min > sh.first && max < sh.last:
			return fmt.Errorf("delete logs %d to %d: log holds %d to %d", min, max, sh.first, sh.last)
		}
		from, to := sh.first, sh.last
		switch {
		case min <= sh.first && max >= sh.last:
			sh.first, sh.last = 0, 0
		case min <= sh.first:
			to, sh.first = max, max+1
		default:
			from, sh.last = min, min-1
		}
		// By key and not by cursor: bbolt's cursor loses its way among pages
		// that the same transaction has emptied.
		b := tx.Bucket(bucketLog)
		for i := from; i <= to; i++ {
			if err := b.Delete(key(i)); err != nil {
				return fmt.Errorf("delete log %d: %w", i, err)
			}
		}
		return nil
	})
}

// StageCommitIndex remembers a commit index for the next StoreLogs. Raft's own
// use of it (RestoreCommittedLogs) loses configuration entries below the commit
// index and deadlocks past 8192 entries in v1.8.0; the cluster package stages
// what its state machine has applied, and replays by itself when it opens.
func (s *Store) StageCommitIndex(index uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.staged = index
	return nil
}

// SaveCommitIndex makes the staged commit index durable now.
func (s *Store) SaveCommitIndex() error { return s.StoreLogs(nil) }

// GetCommitIndex is the last commit index written, never above LastIndex.
// With it a node that restarts without a quorum still knows what was agreed.
func (s *Store) GetCommitIndex() (uint64, error) {
	sh, err := s.shape()
	return sh.commit, err
}

// Set stores a stable value, durably.
func (s *Store) Set(k, v []byte) error {
	return s.write(func(tx *bbolt.Tx, sh *shape) error {
		b := tx.Bucket(bucketStable)
		if b.Get(k) == nil {
			sh.stable++
		}
		if err := b.Put(k, seal(k, v)); err != nil {
			return fmt.Errorf("store stable value: %w", err)
		}
		return nil
	})
}

// Get returns a stable value, owned by the caller; an error with the text
// "not found", which Raft expects, when there is none.
func (s *Store) Get(k []byte) (out []byte, err error) {
	err = s.read(func(tx *bbolt.Tx) error {
		v := tx.Bucket(bucketStable).Get(k)
		if v == nil {
			return errNotFound
		}
		b, err := unseal(k, v)
		if err != nil {
			return fmt.Errorf("stable value: %w", err)
		}
		out = append([]byte(nil), b...)
		return nil
	})
	return out, err
}

// SetUint64 stores a number, durably.
func (s *Store) SetUint64(k []byte, v uint64) error { return s.Set(k, u64(v)) }

// GetUint64 returns a number, or 0 when there is none.
func (s *Store) GetUint64(k []byte) (uint64, error) {
	b, err := s.Get(k)
	if errors.Is(err, errNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if len(b) != 8 {
		return 0, fmt.Errorf("%w: stable number of %d bytes", ErrCorrupt, len(b))
	}
	return binary.BigEndian.Uint64(b), nil
}

func (s *Store) read(f func(*bbolt.Tx) error) (err error) {
	defer caught(&err)
	return s.db.View(f)
}

// write runs one durable transaction under the watchdog. The first failure is
// the last write: see ErrFailed.
func (s *Store) write(f func(*bbolt.Tx, *shape) error) (err error) {
	s.mu.Lock()
	failed := s.failed
	s.mu.Unlock()
	if failed != nil {
		return fmt.Errorf("%w: %v", ErrFailed, failed)
	}
	done := s.dog.begin()
	defer done()
	defer func() {
		if err != nil {
			s.fail(err)
		}
	}()
	defer caught(&err)
	s.mu.Lock()
	staged := s.staged
	s.mu.Unlock()
	return s.db.Update(func(tx *bbolt.Tx) error {
		var sh shape
		if tx.Bucket(bucketMeta) != nil { // not when prepare makes the file
			var err error
			if sh, err = readShape(tx); err != nil {
				return err
			}
		}
		if err := f(tx, &sh); err != nil {
			return err
		}
		if staged != 0 {
			sh.commit = staged
		}
		sh.commit = min(sh.commit, sh.last)
		if err := writeShape(tx, sh); err != nil {
			return err
		}
		if s.before != nil {
			return s.before()
		}
		return nil
	})
}

func (s *Store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = err
		close(s.dead)
	}
}
