// Package ledger writes a hotline's public log: a C2SP tlog-tiles log of static files, below the repository's directory log, by
// Tessera's POSIX storage. Package publiclog says what is in it and reads it.
//
// It promises one leaf for one content, whatever was cut off before; a checkpoint on disk, signed by the log's key, when Append has
// returned; and that a log which lost or changed a leaf since the last Append is not signed on.
package ledger

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"k8s.io/klog/v2"

	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/trust"
)

// Config says which log.
type Config struct {
	Dir    string        // the repository's directory log
	VKey   string        // the log's verifier key
	Signer crypto.Signer // its key
	// Before is the log as it was at the last Append, as its owner wrote it down elsewhere; size 0 for a new log. Its key does not matter: a log
	// goes on under a new one.
	Before publiclog.Head
	// Allow is asked about each other leaf in the log before a new one is added; its error keeps it out. Nil asks nobody.
	Allow func(other []byte) error
}

// Added is what Append has done.
type Added struct {
	Index uint64 // of the leaf
	New   bool   // false: it was there already
	Head  publiclog.Head
}

// ErrLost: the log on disk does not continue the one of the last Append.
var ErrLost = errors.New("the public log on disk is not the one that was signed last")

const (
	interval = 100 * time.Millisecond // between checkpoints: the least that Tessera takes
	poll     = 5 * time.Millisecond
	patience = 30 * time.Second // a disk that needs longer is broken
)

// Append puts the leaf into the log, unless it is there, and has the log's checkpoint signed. One goroutine and process at a time: the
// caller holds the hotline's lock.
func Append(ctx context.Context, c Config, leaf []byte) (Added, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	signer, err := c.signer()
	if err != nil {
		return Added{}, fmt.Errorf("public log: %w", err)
	}
	if err := c.prepare(ctx); err != nil {
		return Added{}, fmt.Errorf("open public log: %w", err)
	}
	silence()
	driver, err := posix.New(ctx, posix.Config{Path: c.Dir})
	if err != nil {
		return Added{}, fmt.Errorf("open public log: %w", err)
	}
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).WithBatching(1, time.Millisecond).
		WithCheckpointInterval(interval).WithCheckpointRepublishInterval(0).WithGarbageCollectionInterval(0))
	if err != nil {
		return Added{}, fmt.Errorf("open public log: %w", err)
	}
	added, err := c.add(ctx, appender, reader, leaf)
	if err != nil {
		return Added{}, err
	}
	if err := c.published(ctx, reader, added.Head.Size); err != nil {
		return Added{}, err
	}
	if err := shutdown(ctx); err != nil {
		return Added{}, fmt.Errorf("close public log: %w", err)
	}
	return added, nil
}

// add looks for the leaf among all that are there, committed by a checkpoint or not, and adds it.
func (c Config) add(ctx context.Context, appender *tessera.Appender, reader tessera.LogReader, leaf []byte) (Added, error) {
	size, err := reader.IntegratedSize(ctx)
	if err != nil {
		return Added{}, fmt.Errorf("read public log: %w", err)
	}
	t := tree{}
	a := Added{Index: size, New: true}
	var refused error
	for n := uint64(0); n < size; n += 256 {
		width := min(256, size-n)
		b, err := reader.ReadEntryBundle(ctx, n/256, uint8(width%256))
		if err != nil {
			return Added{}, fmt.Errorf("read public log: %w", err)
		}
		for i := range width {
			if len(b) < 2 || int(binary.BigEndian.Uint16(b)) > len(b)-2 {
				return Added{}, fmt.Errorf("read public log: entry %d is cut off: %w", n+i, ErrLost)
			}
			end := 2 + int(binary.BigEndian.Uint16(b))
			if bytes.Equal(b[2:end], leaf) {
				if a.New {
					a.Index, a.New = n+i, false
				}
			} else if c.Allow != nil && refused == nil {
				refused = c.Allow(b[2:end])
			}
			if err := t.append(b[2:end]); err != nil {
				return Added{}, err
			}
			b = b[end:]
		}
	}
	if c.Before.Size > size {
		return Added{}, fmt.Errorf("%w: it had %d leaves and has %d", ErrLost, c.Before.Size, size)
	}
	if root, err := t.root(c.Before.Size); err != nil || c.Before.Size > 0 && root != c.Before.Root {
		return Added{}, fmt.Errorf("%w: a leaf of the first %d is another", ErrLost, c.Before.Size)
	}
	if a.New && refused != nil {
		return Added{}, refused
	}
	if a.New {
		c.age()
		at, err := appender.Add(ctx, tessera.NewEntry(leaf))()
		if err != nil {
			return Added{}, fmt.Errorf("write public log: %w", err)
		}
		if at.Index != size {
			return Added{}, fmt.Errorf("write public log: leaf %d was expected to be %d: does somebody else write in it?", at.Index, size)
		}
		if err := t.append(leaf); err != nil {
			return Added{}, err
		}
	}
	a.Head = publiclog.Head{Log: c.VKey, Size: t.n}
	if a.Head.Root, err = t.root(t.n); err != nil {
		return Added{}, err
	}
	return a, nil
}

// age makes the checkpoint on disk old enough to be followed by another one at once: Tessera goes by its file's time, and on a log that it
// has just begun would wait for its interval.
func (c Config) age() {
	then := time.Now().Add(-2 * interval)
	_ = os.Chtimes(filepath.Join(c.Dir, "checkpoint"), then, then) // else it takes a tenth of a second longer
}

// published waits until the checkpoint of this size lies on disk.
func (c Config) published(ctx context.Context, reader tessera.LogReader, size uint64) error {
	for {
		b, err := reader.ReadCheckpoint(ctx)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("read public log: %w", err)
		}
		if lines := bytes.SplitN(b, []byte("\n"), 3); len(lines) == 3 && string(lines[1]) == strconv.FormatUint(size, 10) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("write public log: its checkpoint was not written in %s", patience)
		case <-time.After(poll):
		}
	}
}

// Read reads files of the repository that holds the log, for publiclog.
func Read(repository string) publiclog.Read {
	return func(_ context.Context, name string, limit int64) ([]byte, error) {
		f, err := os.Open(filepath.Join(repository, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, limit+1))
		if err == nil && int64(len(b)) > limit {
			err = fmt.Errorf("%s: %w", name, trust.ErrTooLarge)
		}
		return b, err
	}
}

// tree hashes leaves as they come.
type tree struct {
	n      uint64
	hashes []tlog.Hash // in tlog's order of storage
}

func (t *tree) read(at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i, k := range at {
		out[i] = t.hashes[k]
	}
	return out, nil
}

func (t *tree) append(leaf []byte) error {
	more, err := tlog.StoredHashes(int64(t.n), leaf, tlog.HashReaderFunc(t.read))
	if err != nil {
		return fmt.Errorf("hash public log: %w", err)
	}
	t.hashes = append(t.hashes, more...)
	t.n++
	return nil
}

func (t *tree) root(size uint64) ([32]byte, error) {
	h, err := tlog.TreeHash(int64(size), tlog.HashReaderFunc(t.read))
	return h, err
}

// signer is the log's key as package note wants it.
func (c Config) signer() (note.Signer, error) {
	origin, pub, err := trust.ParseLogKey(c.VKey)
	if err != nil {
		return nil, err
	}
	if own, ok := c.Signer.Public().(ed25519.PublicKey); !ok || !own.Equal(pub) {
		return nil, errors.New("the key is not the one of the charter")
	}
	v, err := note.NewVerifier(c.VKey)
	if err != nil {
		return nil, err
	}
	return logSigner{origin, v.KeyHash(), c.Signer}, nil
}

type logSigner struct {
	name string
	hash uint32
	key  crypto.Signer
}

func (s logSigner) Name() string    { return s.name }
func (s logSigner) KeyHash() uint32 { return s.hash }
func (s logSigner) Sign(msg []byte) ([]byte, error) {
	return s.key.Sign(rand.Reader, msg, crypto.Hash(0))
}

// silence keeps Tessera's own words off the terminal of a hotline: what matters comes back as an error.
func silence() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	slog.SetDefault(slog.New(slog.DiscardHandler))
}
