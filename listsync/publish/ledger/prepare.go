package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/listsync/publiclog"
)

// stateFile is where Tessera 1.0.4 keeps how far the log is (its compatibility version 1). Mirrors do not have it.
const stateFile = ".state/treeState"

type treeState struct {
	Size uint64 `json:"size"`
	Root []byte `json:"root"`
}

// prepare looks at the directory before Tessera does: where its own state is gone, or behind the checkpoint, Tessera would sign a shorter log.
// A log that was put back from a mirror gets its state from its entries, once they make the root that was signed.
func (c Config) prepare(ctx context.Context) error {
	if err := c.sweep(); err != nil {
		return err
	}
	published, err := c.publishedSize()
	if err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(c.Dir, stateFile))
	switch {
	case err == nil:
		var s treeState
		if err := json.Unmarshal(b, &s); err != nil || s.Size < published || s.Size < c.Before.Size {
			return fmt.Errorf("%w: %s has %d leaves, signed are %d", ErrLost, filepath.Join(c.Dir, stateFile), s.Size, max(published, c.Before.Size))
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case published < c.Before.Size:
		return fmt.Errorf("%w: it had %d leaves and has %d", ErrLost, c.Before.Size, published)
	case published == 0:
		return nil // a new log
	}
	tree, err := publiclog.Open(ctx, c.VKey, Read(filepath.Dir(c.Dir)), fs.ErrNotExist)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	if err := tree.Entries(func(uint64, []byte) error { return nil }); err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	if b, err = json.Marshal(treeState{tree.Size, tree.Root[:]}); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(c.Dir, filepath.Dir(stateFile)), 0o755); err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(c.Dir, stateFile), b, 0o644)
}

// unnamed are files that never got their name: Tessera writes NAME and a random number, and leaves that behind when it is killed or the disk is full.
// No name of a log ends in so many digits.
var unnamed = regexp.MustCompile(`^(checkpoint|treeState|x?)[0-9]{6,}$`)

// sweep takes them away. Nobody writes one now: the caller holds the hotline's lock.
func (c Config) sweep() error {
	return filepath.WalkDir(c.Dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() || !unnamed.MatchString(d.Name()) {
			return err
		}
		return os.Remove(path)
	})
}

// publishedSize is the size in the checkpoint on disk, whoever signed it; 0 for none.
func (c Config) publishedSize() (uint64, error) {
	b, err := os.ReadFile(filepath.Join(c.Dir, "checkpoint"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	lines := bytes.SplitN(b, []byte("\n"), 3)
	if len(lines) != 3 {
		return 0, fmt.Errorf("%w: its checkpoint is damaged", ErrLost)
	}
	n, err := strconv.ParseUint(string(lines[1]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: its checkpoint is damaged", ErrLost)
	}
	return n, nil
}
