package listsync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/trust"
)

// Heads is what a node has seen of hotlines' public logs: the longest checkpoint of each, on disk, so that a restart forgets nothing.
// It may be used concurrently.
type Heads struct {
	dir string

	mu   sync.Mutex // guards what follows
	seen map[trust.HotlineID]seenHead
}

// seenHead is a file of Heads.
type seenHead struct {
	Log        string `json:"log"` // verifier key
	Checkpoint string `json:"checkpoint"`

	head publiclog.Head
}

const maxSeenFile = 256 << 10

// OpenHeads reads what was seen before from dir, which it makes. A damaged file is an error that names it: what was seen is then not known,
// and only a person can say that it may be forgotten.
func OpenHeads(dir string) (*Heads, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open seen public logs: %w", err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("open seen public logs: %w", err)
	}
	h := &Heads{dir: dir, seen: map[trust.HotlineID]seenHead{}}
	for _, name := range names {
		s, err := readSeen(name)
		if err != nil {
			return nil, fmt.Errorf("open seen public logs: %s is damaged (put it back from a backup; without it a rewritten log may go unseen): %w", name, err)
		}
		h.seen[trust.HotlineID(filepath.Base(name[:len(name)-len(".json")]))] = s
	}
	return h, nil
}

func readSeen(name string) (seenHead, error) {
	var s seenHead
	info, err := os.Stat(name)
	if err != nil {
		return s, err
	}
	if info.Size() > maxSeenFile {
		return s, fmt.Errorf("%d bytes, at most %d", info.Size(), maxSeenFile)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, err
	}
	t, err := publiclog.At(context.Background(), s.Log, []byte(s.Checkpoint), nil, fs.ErrNotExist)
	if err != nil {
		return s, err
	}
	s.head = t.Head
	return s, nil
}

// see holds a log to what was seen, and keeps it when it is longer. Under a new key it is another log. Errors: those of Tree.Continues; a
// disk's.
func (h *Heads) see(id trust.HotlineID, t *publiclog.Tree) error {
	h.mu.Lock()
	old := h.seen[id]
	h.mu.Unlock()
	if err := t.Continues(old.head); err != nil {
		return err
	}
	if old.Log == t.Head.Log && old.head.Size >= t.Size {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := h.seen[id]; now.head != old.head {
		return nil // another repository was quicker; the next look compares
	}
	return h.keep(id, string(id)+".json", t)
}

func (h *Heads) keep(id trust.HotlineID, name string, t *publiclog.Tree) error {
	s := seenHead{Log: t.Head.Log, Checkpoint: string(t.Checkpoint), head: t.Head}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(filepath.Join(h.dir, name), append(b, '\n'), 0o600, renameio.IgnoreUmask()); err != nil {
		return fmt.Errorf("keep what was seen of the public log of %s: %w", id, err)
	}
	if name == string(id)+".json" {
		h.seen[id] = s
	}
	return nil
}

// keepConflict keeps the other history's checkpoint beside the one that was seen: together they are the evidence. The first stays.
func (h *Heads) keepConflict(id trust.HotlineID, t *publiclog.Tree) {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := string(id) + ".conflict"
	if b, err := os.ReadFile(filepath.Join(h.dir, name)); err == nil && len(bytes.TrimSpace(b)) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return
	}
	_ = h.keep(id, name, t) // the refusal names its hash; the disk has its own alarm
}
