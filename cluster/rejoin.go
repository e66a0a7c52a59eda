package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"github.com/hashicorp/raft"

	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/cluster/store"
)

const (
	logFile      = "raft.db"
	snapshotsDir = "snapshots" // raft's own name
	// rejoinFile is there while this node must not be asked what was agreed.
	rejoinFile = "rejoin"
	asideExt   = ".damaged"
)

// remedy ends every message about a damaged log.
const remedy = "restore it from this node's own backup or disk; or, if no other member is damaged and they are a majority, " +
	"start this node once with --rejoin: it takes the log from them"

// openLog opens the log and replays it. A log that is damaged, or that lacks
// what a checkpoint kept beside it says was agreed, is ErrLogLost: a member
// that forgets what it acknowledged and starts anew would, with a second one,
// outvote those that remember, and another history would begin.
func (n *Node) openLog() (raft.SnapshotStore, error) {
	rejoining, err := exists(n.path(rejoinFile))
	if err != nil {
		return nil, err
	}
	n.rejoining = rejoining
	if rejoining {
		n.noteRejoin()
	}
	snaps, err := n.readLog()
	lost := errors.Is(err, ErrLogLost)
	switch {
	case lost && !n.c.Rejoin && !rejoining:
		return nil, fmt.Errorf("%w; starting would rewrite history; %s", err, remedy)
	case err != nil && !lost:
		return nil, err
	case err == nil && n.c.Rejoin && !rejoining:
		last, err := n.store.LastIndex()
		if err != nil {
			return nil, err
		}
		if last > 0 || n.fsm.applied > 0 {
			n.log.Warn("rejoin: the log is whole, this node starts as ever")
			return snaps, nil
		}
		return snaps, n.markRejoin()
	case err == nil:
		return snaps, nil
	}
	return n.forget(err)
}

// markRejoin has this start and every one after it go on without a vote until
// the log is there.
func (n *Node) markRejoin() error {
	n.rejoining = true
	n.noteRejoin()
	if err := renameio.WriteFile(n.path(rejoinFile), nil, 0o600); err != nil {
		return fmt.Errorf("rejoin: %w", err)
	}
	return nil
}

// noteRejoin is also for who has restored the log himself meanwhile.
func (n *Node) noteRejoin() {
	n.alarm(AlarmRejoin, fmt.Sprintf("this node has lost its log and has no vote until the other members have brought it all that was agreed; if its own log was restored, stop it and remove %s", n.path(rejoinFile)))
}

// forget puts what is left of the log aside and begins with an empty one that
// the other members fill.
func (n *Node) forget(lost error) (raft.SnapshotStore, error) {
	n.log.Warn("rejoin: this node takes the log from the other members", slog.Any("lost", lost))
	if n.store != nil {
		err := n.store.Close()
		n.store = nil
		if err != nil {
			return nil, err
		}
	}
	if err := n.markRejoin(); err != nil {
		return nil, err
	}
	for _, name := range []string{logFile, snapshotsDir} {
		there, err := exists(n.path(name))
		if err != nil {
			return nil, err
		}
		if !there {
			continue
		}
		if err := os.RemoveAll(n.path(name + asideExt)); err != nil {
			return nil, fmt.Errorf("rejoin: %w", err)
		}
		if err := os.Rename(n.path(name), n.path(name+asideExt)); err != nil {
			return nil, fmt.Errorf("rejoin: %w", err)
		}
	}
	return n.readLog()
}

// readLog opens the store, replays the log and holds it against the kept
// checkpoint.
func (n *Node) readLog() (raft.SnapshotStore, error) {
	kept, err := n.checkLogFile()
	if err != nil {
		return nil, err
	}
	n.store, err = store.Open(store.Config{Path: n.path(logFile), Limit: n.c.Timeouts.Disk, Fence: n.fence})
	if err != nil {
		return nil, lostIf(err)
	}
	snaps, err := raft.NewFileSnapshotStoreWithLogger(n.c.Dir, 2, raftLogger(n.log))
	if err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	if n.fsm, err = newFSM(n.c.Cluster, n.store, n.log, n.alarm); err != nil {
		return nil, err
	}
	if err := n.fsm.replay(snaps); err != nil {
		return nil, lostIf(err)
	}
	view := n.fsm.view()
	if kept == nil || view.Halted != nil {
		return snaps, nil // halted: another build may know how to go on
	}
	if kept.size > view.Size {
		if n.rejoining {
			return snaps, nil // on its way
		}
		return nil, fmt.Errorf("%w: %s holds %d leaves, the checkpoint kept in %s says that %d were agreed", ErrLogLost, n.path(logFile), view.Size, n.path(manifestFile), kept.size)
	}
	if root, err := view.Tree().RootAt(kept.size); err != nil || root != kept.root {
		return nil, errors.Join(fmt.Errorf("%w: %s holds another history than the %d leaves of the checkpoint kept in %s", ErrLogLost, n.path(logFile), kept.size, n.path(manifestFile)), err)
	}
	return snaps, nil
}

// checkLogFile returns the kept checkpoint, nil when there is none that can be
// read. That the log's file is missing beside one, or beside snapshots, is
// ErrLogLost.
func (n *Node) checkLogFile() (*published, error) {
	kept, keptErr := n.readManifest()
	there, err := exists(n.path(logFile))
	if there || err != nil || n.rejoining {
		return kept, err
	}
	if snaps, err := os.ReadDir(n.path(snapshotsDir)); err == nil && len(snaps) > 0 {
		return nil, fmt.Errorf("%w: %s is missing, %s is not", ErrLogLost, n.path(logFile), n.path(snapshotsDir))
	}
	switch {
	case keptErr == nil:
		return nil, fmt.Errorf("%w: %s is missing, the checkpoint kept in %s says that %d leaves were agreed", ErrLogLost, n.path(logFile), n.path(manifestFile), kept.size)
	case errors.Is(keptErr, fs.ErrNotExist):
		return nil, nil // the first start
	}
	return nil, fmt.Errorf("%w: %s is missing, %s is not", ErrLogLost, n.path(logFile), n.path(manifestFile))
}

// lostIf makes damage found in the log's file ErrLogLost.
func lostIf(err error) error {
	if errors.Is(err, store.ErrCorrupt) || errors.Is(err, errSnapshot) || errors.Is(err, raft.ErrLogNotFound) {
		return fmt.Errorf("%w: %w", ErrLogLost, err)
	}
	return err
}

func (n *Node) path(name string) string { return filepath.Join(n.c.Dir, name) }

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("look for a file: %w", err)
	}
	return true, nil
}

// sameHistory holds this replica's log against a checkpoint it published: a
// node never signs two histories. ErrFork, with an alarm.
func (n *Node) sameHistory(view *state.View, kept *published) error {
	if kept == nil || view.Size < kept.size {
		return nil
	}
	if root, err := view.Tree().RootAt(kept.size); err == nil && root == kept.root {
		return nil
	}
	n.raise("fork/kept", AlarmFork, fmt.Sprintf("this node's log is not the one whose checkpoint of size %d it has kept: it signs nothing", kept.size))
	return fmt.Errorf("checkpoint kept of size %d: %w", kept.size, ErrFork)
}
