package operator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster/audit"
)

// Exported says what Export has written.
type Exported struct {
	Size uint64 // leaves of the log that the directory now holds
	New  int    // files that were not there before, the checkpoint aside
}

// ErrOtherHistory marks a directory whose log is not the beginning of the node's.
var ErrOtherHistory = errors.New("not the log that the directory holds the beginning of")

// Export writes the log of the first node that answers as static files (C2SP tlog-tiles) which any web server or mirror can serve, and the
// checkpoint last. Called again it adds what is new. It never takes anything back: a node whose log is shorter than the directory's, or
// has another past, is ErrOtherHistory and nothing is written. A directory with anything else in it is an InputError. Signatures are the
// reader's to verify.
func (o *Operator) Export(ctx context.Context, dir string) (Exported, error) {
	var done Exported
	if err := exportable(dir); err != nil {
		return done, appliance.BadInput(err)
	}
	var other error
	err := o.first(ctx, func(ctx context.Context, c *api.Client) (err error) {
		if done, err = export(ctx, dir, c.Checkpoint, c.Tile); errors.Is(err, ErrOtherHistory) {
			other = err
		}
		return err
	})
	if err != nil && other != nil { // once, however many nodes say so
		return done, fmt.Errorf("export log to %s: %w; keep the directory as it is until it is clear why, and name another one with --dir", dir, other)
	}
	if err != nil {
		return done, fmt.Errorf("export log to %s: %w", dir, err)
	}
	return done, nil
}

func export(ctx context.Context, dir string, checkpoint func(context.Context) ([]byte, error), tile func(context.Context, string) ([]byte, error)) (Exported, error) {
	note, err := checkpoint(ctx)
	if err != nil {
		return Exported{}, err
	}
	c, err := audit.PeekCheckpoint(note)
	if err != nil {
		return Exported{}, err
	}
	tree, err := audit.ReadStatic(c, func(path string) ([]byte, error) {
		if b, err := os.ReadFile(filepath.Join(dir, path)); err == nil {
			return b, nil
		}
		return tile(ctx, path)
	})
	if errors.Is(err, audit.ErrMismatch) || errors.Is(err, audit.ErrFormat) {
		return Exported{}, fmt.Errorf("%w: %w", ErrOtherHistory, err)
	} else if err != nil {
		return Exported{}, err
	}
	if err := continues(dir, c, tree); err != nil {
		return Exported{}, err
	}
	done := Exported{Size: c.Size}
	paths := append(audit.StaticEntries(c.Size), audit.StaticTiles(c.Size)...)
	for _, path := range paths {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		wrote, err := exportTile(dir, path, tree)
		if err != nil {
			return done, err
		}
		if wrote {
			done.New++
		}
	}
	if err := renameio.WriteFile(filepath.Join(dir, checkpointFile), note, 0o644); err != nil {
		return done, err
	}
	return done, dropPartial(dir, paths)
}

const (
	checkpointFile = "checkpoint"
	tileDir        = "tile"
	partialSuffix  = ".p" // C2SP tlog-tiles: the directory of a tile's narrower forms
)

// exportable wants a directory that is not there, is empty, or holds an exported log: also one that broke off before its checkpoint.
func exportable(dir string) error {
	all, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("export log: %w", err)
	}
	other := ""
	for _, e := range all {
		switch name := e.Name(); {
		case name == checkpointFile:
			return nil
		case name != tileDir && !strings.HasPrefix(name, "."+checkpointFile): // renameio's, when it is cut off
			other = name
		}
	}
	if other != "" {
		return fmt.Errorf("export log: directory %s holds no log, but other things (%q): name an empty or new directory with --dir", dir, other)
	}
	return nil
}

// dropPartial takes away partial tiles whose full tile is there: readers of an older checkpoint take that one, as C2SP tlog-tiles has them do. A
// directory that is exported to every minute would otherwise grow with the square of 256.
func dropPartial(dir string, paths []string) error {
	for _, path := range paths {
		if strings.HasSuffix(filepath.Dir(path), partialSuffix) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, path) + partialSuffix); err != nil {
			return err
		}
	}
	return nil
}

// continues holds the log to the one that the directory holds already.
func continues(dir string, now audit.Checkpoint, tree *audit.Tree) error {
	note, err := os.ReadFile(filepath.Join(dir, checkpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	old, err := audit.PeekCheckpoint(note)
	if err != nil {
		return fmt.Errorf("the directory's own: %w", err)
	}
	if old.Origin != now.Origin {
		return fmt.Errorf("the node's log is %s, the directory's %s: %w", now.Origin, old.Origin, ErrOtherHistory)
	}
	if old.Size > now.Size {
		return fmt.Errorf("the node's log has %d leaves, the directory's %d: %w", now.Size, old.Size, ErrOtherHistory)
	}
	if root, err := tree.RootAt(old.Size); err != nil || root != old.Root {
		return fmt.Errorf("the first %d leaves are others: %w", old.Size, ErrOtherHistory)
	}
	return nil
}

// exportTile writes one file unless it is there, and reports whether it did. A partial tile of an earlier size stays until the full one is
// there: readers of an older checkpoint may be on the way to it.
func exportTile(dir, path string, tree *audit.Tree) (bool, error) {
	to := filepath.Join(dir, path)
	if _, err := os.Stat(to); err == nil {
		return false, nil
	}
	b, err := tree.Tile(path)
	if err != nil {
		return false, err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return false, err
	}
	return true, renameio.WriteFile(to, b, 0o644)
}
