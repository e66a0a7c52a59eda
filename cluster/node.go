package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/cluster/store"
	"github.com/cordon-project/cordon/cluster/transport"
	"github.com/cordon-project/cordon/listsync/brake"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Node is one open control node. All methods may be called concurrently from
// the return of Open until Run has returned; Run is called once.
type Node struct {
	c          Config
	id         string
	log        *slog.Logger
	quorum     audit.Quorum
	signer     *audit.Signer
	names      *brake.Names // asked of every list; fixed once open
	neverBlock [32]byte     // their hash
	steps      *steps

	store  *store.Store
	stream *transport.Stream
	trans  *raft.NetworkTransport
	raft   *raft.Raft
	fsm    *fsm

	rejoining bool // it has lost its log; fixed once open

	ctx     context.Context // ends when the node stops
	stopped <-chan struct{} // ctx.Done()
	cancel  context.CancelFunc
	group   sync.WaitGroup
	groupMu sync.Mutex // guards closing; held while group grows
	closing bool

	staging chan struct{} // one list at a time

	asking chan struct{} // held by who asks the members for their time
	asked  time.Time     // when that last ended; guarded by asking
	giving atomic.Bool   // leadership is being given away

	seen    atomic.Pointer[witnessed]
	pub     atomic.Pointer[published]
	pubMu   sync.Mutex // guards renewed, waiting; held while pub is stored
	renewed chan struct{}
	waiting map[uint64]chan struct{}

	keyMu   sync.Mutex                                     // guards keys, targets, weakMemory
	keys    map[epoch]trust.EpochKeys                      // its own share of each; emptied for good by close
	targets map[[32]byte]map[match.ListID]trust.ListTarget // by metadata hash

	weakMemory bool // said once that list keys may be swapped

	receiptMu     sync.Mutex // guards queue, logged, receiptStatus
	queue         []queued   // one for an edge at most
	logged        map[string]logged
	receiptStatus ReceiptStatus

	certifying chan struct{} // holds one while a certificate is made

	buildMu sync.Mutex                   // guards builds
	builds  map[string]audit.SignedBuild // to be recorded, by role and name

	mu         sync.Mutex                 // guards all below
	judged     map[match.ListID]Judgement // the last of each list
	contacts   map[string]contacted
	readings   map[string]reading
	alarms     map[string]Alarm  // by cause
	forks      map[string]uint64 // largest size at which a member asked for another log's cosignature
	leaderless time.Time         // since when, while there is no leader
	fencedAt   time.Time
	newLeader  chan struct{} // closed at the next change of leader
}

// Open opens the node's directory and its Raft port and joins the cluster.
// What the disk says was agreed is applied before it returns, so that a node
// alone already knows what is in force. Of the node's own goroutines none runs
// before Run, except for what a call to it starts. A Node that is never Run is
// ended by Close. A log or snapshot that is damaged, or that lacks what this
// node knows to have been agreed, is ErrLogLost; see Config.Rejoin.
func Open(ctx context.Context, c Config) (*Node, error) {
	if err := c.prepare(); err != nil {
		return nil, fmt.Errorf("open cluster node: %w", err)
	}
	names := brake.NewNames(c.Popularity)
	names.Add(brake.Own, c.NeverBlock...)
	n := &Node{
		c: c, id: c.Cluster.ID(), log: c.Log, quorum: c.Cluster.Quorum(),
		names: names, neverBlock: names.Hash(), staging: make(chan struct{}, 1), certifying: make(chan struct{}, 1), asking: make(chan struct{}, 1),
		renewed: make(chan struct{}), waiting: map[uint64]chan struct{}{},
		keys: map[epoch]trust.EpochKeys{}, targets: map[[32]byte]map[match.ListID]trust.ListTarget{},
		contacts: map[string]contacted{}, readings: map[string]reading{}, alarms: map[string]Alarm{}, forks: map[string]uint64{}, judged: map[match.ListID]Judgement{},
		leaderless: c.Clock(), newLeader: make(chan struct{}),
	}
	n.ctx, n.cancel = context.WithCancel(context.WithoutCancel(ctx))
	n.stopped = n.ctx.Done()
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open cluster node %s: %w", c.Name, err), n.close())
	}
	return n, nil
}

func (n *Node) open(ctx context.Context) error {
	var err error
	if n.signer, err = audit.NewSigner(n.c.Cluster.Origin, n.c.Name, n.c.Key); err != nil {
		return err
	}
	if err := n.checkIdentity(); err != nil {
		return err
	}
	if err := n.secondKey(); err != nil {
		return err
	}
	if err := os.MkdirAll(n.c.Dir, 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	snaps, err := n.openLog()
	if err != nil {
		return err
	}
	n.logged = map[string]logged{}
	for _, e := range n.fsm.view().Edges {
		n.logged[e.Name] = logged{receipt: e.Receipt}
	}
	n.loadManifest()
	n.steps = openSteps(n.path(stepsFile), n.log)
	if err := ctx.Err(); err != nil {
		return err
	}
	return n.join(snaps)
}

// Run works until ctx ends or the node can no longer promise what it must (a
// failed disk: the error says which), then stops Raft, waits for all of the
// node's goroutines and closes its files.
func (n *Node) Run(ctx context.Context) error {
	for _, work := range []func(context.Context){n.observe, n.checkpoints, n.sendReceipts, n.sayBuilds, n.lead} {
		n.spawn(work)
	}
	var failed error
	select {
	case <-ctx.Done():
	case <-n.store.Failed():
		// A write that failed is never tried again: nobody knows what is on disk.
		failed = fmt.Errorf("run cluster node %s: %w", n.c.Name, n.store.Err())
	}
	return errors.Join(failed, n.close())
}

// Close ends a node whose Run was never called.
func (n *Node) Close() error { return n.close() }

// stopTime bounds the wait for Raft when its disk does not answer.
const stopTime = 15 * time.Second

func (n *Node) close() error {
	n.groupMu.Lock()
	if n.closing {
		n.groupMu.Unlock()
		return nil
	}
	n.closing = true
	n.groupMu.Unlock()
	n.cancel()
	var errs []error
	if n.raft != nil {
		done := make(chan error, 1)
		go func() { done <- n.raft.Shutdown().Error() }()
		timer := time.NewTimer(stopTime)
		defer timer.Stop()
		select {
		case err := <-done:
			errs = append(errs, err)
		case <-timer.C:
			// Raft hangs in a write. Its files stay open: closing them would hang too.
			return errors.New("stop cluster node: the disk does not answer")
		}
	}
	if n.trans != nil {
		errs = append(errs, n.trans.Close())
	} else if n.c.RaftListener != nil {
		errs = append(errs, n.c.RaftListener.Close())
	}
	n.group.Wait()
	n.dropKeys()
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	return errors.Join(errs...)
}

// spawn runs f until it returns; close waits for it. After close it does
// nothing.
func (n *Node) spawn(f func(context.Context)) {
	n.groupMu.Lock()
	defer n.groupMu.Unlock()
	if n.closing {
		return
	}
	n.group.Add(1)
	go func() {
		defer n.group.Done()
		f(n.ctx)
	}()
}

// View is this replica's own state, immutable.
func (n *Node) View() *state.View { return n.fsm.view() }

// fence is the log's watchdog.
func (n *Node) fence(stalled bool) {
	n.mu.Lock()
	n.fencedAt = n.c.Clock()
	stream := n.stream
	n.mu.Unlock()
	if stream == nil {
		return // still opening: there is nobody to be cut off from
	}
	stream.Fence(stalled)
	n.log.Error("raft log's disk", slog.Bool("stalled", stalled))
}

// observe follows who leads.
func (n *Node) observe(ctx context.Context) {
	events := make(chan raft.Observation, 16)
	o := raft.NewObserver(events, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	n.raft.RegisterObserver(o)
	defer n.raft.DeregisterObserver(o)
	n.noteLeader()
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			n.noteLeader()
		}
	}
}

func (n *Node) noteLeader() {
	_, leader := n.raft.LeaderWithID()
	n.mu.Lock()
	if leader == "" && n.leaderless.IsZero() {
		n.leaderless = n.c.Clock()
	} else if leader != "" {
		n.leaderless = time.Time{}
	}
	close(n.newLeader)
	n.newLeader = make(chan struct{})
	n.mu.Unlock()
	n.log.Info("leader", slog.String("leader", string(leader)), slog.Uint64("term", n.raft.CurrentTerm()))
}

// Applied returns a channel that is closed when this replica has applied its
// next command; View then shows it.
func (n *Node) Applied() <-chan struct{} { return n.fsm.grown() }

// LeaderChanged returns a channel that is closed when the leader next changes,
// as this node sees it.
func (n *Node) LeaderChanged() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.newLeader
}

// lead does the leader's regular work: it puts the newest quorum-cosigned
// checkpoint into the log, so that a replica that computed something else
// finds out, or else the time. A leader that has halted, or whose clock is
// wrong, gives way.
func (n *Node) lead(ctx context.Context) {
	tick := time.NewTicker(n.c.Timeouts.Tick)
	defer tick.Stop()
	var asserted uint64
	compared := false
	for {
		grown, changed := n.fsm.grown(), n.LeaderChanged()
		if leads := n.Leading(); leads && !compared {
			// At once: the first command is not kept waiting, a wrong clock not believed.
			if _, err := n.stamp(ctx); err != nil {
				n.log.WarnContext(ctx, "new leader's clock", slog.Any("error", err))
			}
			compared = true
		} else if !leads {
			compared = false
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
			continue
		case <-grown:
			n.yieldHalted(ctx)
			continue
		case <-tick.C:
			n.yieldHalted(ctx)
			n.watchRoom(n.fsm.view())
		}
		if !n.Leading() {
			continue
		}
		c := command.Command{Body: command.Tick{}}
		p := n.published()
		if p != nil && p.size > asserted {
			c.Body = command.Assert{Size: p.size, Root: p.root[:], Checkpoint: p.note}
		}
		res, err := n.Propose(ctx, c)
		if err != nil || res.Err != nil {
			n.log.WarnContext(ctx, "tick", slog.Any("error", errors.Join(err, res.Err)))
		} else if p != nil {
			asserted = p.size
		}
	}
}

// yieldHalted lets another lead when this replica has stopped applying. Not
// at every change of leader: when all have stopped they would take turns.
func (n *Node) yieldHalted(ctx context.Context) {
	if !n.Leading() || n.fsm.view().Halted == nil {
		return
	}
	if err := n.transferred(ctx, n.raft.LeadershipTransfer()); err != nil {
		n.log.WarnContext(ctx, "halted leader cannot give way", slog.Any("error", err))
	}
}

// transferred waits for a transfer of leadership, or for the node's end: Raft
// forgets a transfer that its own shutdown overtakes.
func (n *Node) transferred(ctx context.Context, f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
