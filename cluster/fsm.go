package cluster

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/cluster/store"
)

// fsm gives a state.State to Raft. Apply, Snapshot and Restore are called by
// Raft's one state machine goroutine; view and grown by anyone.
type fsm struct {
	cluster audit.Cluster
	store   *store.Store
	log     *slog.Logger
	alarm   func(what, text string)

	state   *state.State // owned by the state machine goroutine
	applied uint64       // index of the last command in state; owned likewise
	seen    uint64       // index of the last command Raft has handed over; owned likewise

	current atomic.Pointer[state.State]
	mu      sync.Mutex // guards wake
	wake    chan struct{}
}

func newFSM(c audit.Cluster, st *store.Store, log *slog.Logger, alarm func(what, text string)) (*fsm, error) {
	s, err := state.New(c)
	if err != nil {
		return nil, err
	}
	f := &fsm{cluster: c, store: st, log: log, alarm: alarm, wake: make(chan struct{})}
	f.set(s)
	return f, nil
}

func (f *fsm) set(s *state.State) {
	f.state = s
	f.current.Store(s)
}

// view is the state after the last command that was applied here.
func (f *fsm) view() *state.View { return f.current.Load().View() }

// grown returns a channel that is closed when the next command has been applied.
func (f *fsm) grown() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wake
}

func (f *fsm) notify() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.wake)
	f.wake = make(chan struct{})
}

var (
	errReplayed = errors.New("applied before the restart")
	errSnapshot = errors.New("snapshot is damaged")
)

// Apply applies one committed command. Commands that replay has applied
// already are passed over.
func (f *fsm) Apply(l *raft.Log) any {
	f.seen = l.Index
	if l.Index <= f.applied {
		return state.Result{Err: errReplayed}
	}
	return f.apply(l)
}

func (f *fsm) apply(l *raft.Log) state.Result {
	before := f.view().Halted
	res := f.state.Apply(l.Data)
	f.applied = l.Index
	// The commit index travels to disk with the next entries; see replay.
	if err := f.store.StageCommitIndex(l.Index); err != nil {
		f.log.Warn("commit index is not kept", slog.Any("error", err))
	}
	if now := f.view().Halted; now != nil && before == nil {
		f.log.Error("replica has stopped applying", slog.Uint64("index", l.Index), slog.Any("error", now))
		f.alarm(AlarmHalted, "this replica has stopped applying: "+now.Error())
	}
	f.notify()
	return res
}

// Snapshot refuses while Raft still hands over what replay has applied: the
// snapshot would carry a lower index than the state has.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if f.seen < f.applied {
		return nil, fmt.Errorf("snapshot at %d of %d commands: %w", f.seen, f.applied, errReplayed)
	}
	s, err := f.state.Snapshot()
	if err != nil {
		return nil, err
	}
	return snapshotOf{s}, nil
}

// Restore replaces the state with a snapshot's, after proving it.
func (f *fsm) Restore(r io.ReadCloser) error {
	defer r.Close()
	s, err := readSnapshot(f.cluster, r)
	if err != nil {
		f.log.Error("snapshot refused", slog.Any("error", err))
		f.alarm(AlarmSnapshot, "a snapshot from another member was refused: "+err.Error())
		return err
	}
	f.set(s)
	f.applied, f.seen = 0, 0 // Raft's next index is above the snapshot's
	f.notify()
	return nil
}

func readSnapshot(c audit.Cluster, r io.Reader) (*state.State, error) {
	b, err := io.ReadAll(io.LimitReader(r, state.MaxSnapshot+1))
	if err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	return state.Restore(c, b)
}

// replay brings the state to what this node's disk says was committed, before
// Raft starts: the newest snapshot, then every command up to the commit index
// on disk. Raft itself would apply them only once a quorum is there again; a
// node that restarts alone must know what is in force. Raft is told not to
// restore the snapshot, hands over the same commands later, and Apply passes
// over them.
func (f *fsm) replay(snaps raft.SnapshotStore) error {
	list, err := snaps.List()
	if err != nil {
		return fmt.Errorf("list snapshots: %w", err)
	}
	var from uint64
	if len(list) > 0 {
		meta, r, err := snaps.Open(list[0].ID)
		if err != nil {
			return fmt.Errorf("open snapshot %s: %w: %w", list[0].ID, errSnapshot, err)
		}
		s, err := readSnapshot(f.cluster, r)
		if err := errors.Join(err, r.Close()); err != nil {
			return fmt.Errorf("snapshot %s: %w: %w", meta.ID, errSnapshot, err)
		}
		f.set(s)
		from = meta.Index
	}
	f.applied, f.seen = from, from
	commit, err := f.store.GetCommitIndex()
	if err != nil {
		return fmt.Errorf("replay log: %w", err)
	}
	for i := from + 1; i <= commit; i++ {
		var l raft.Log
		if err := f.store.GetLog(i, &l); err != nil {
			return fmt.Errorf("replay log entry %d: %w", i, err)
		}
		if l.Type == raft.LogCommand {
			f.apply(&l)
		}
	}
	return nil
}

// snapshotOf writes a snapshot to Raft's store.
type snapshotOf struct{ s *state.Snapshot }

func (s snapshotOf) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(s.s.Encode()); err != nil {
		return errors.Join(fmt.Errorf("write snapshot: %w", err), sink.Cancel())
	}
	if err := sink.Close(); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	return nil
}

func (snapshotOf) Release() {}
