package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/state"
)

const (
	// maxSkew is how far the cluster's time may be ahead of this node's clock
	// before it stops to cosign.
	maxSkew = 60 * time.Second
	// checkpointRetry spaces the tries while there is no quorum.
	checkpointRetry = time.Second
)

// published is the newest checkpoint that a quorum has cosigned, with all
// that proves what is in force at it. Immutable.
type published struct {
	note     []byte
	size     uint64
	root     [32]byte
	fresh    time.Time // a quorum says the log was like this then or later
	signedBy []string
	base     audit.Manifest // without a consistency proof
	inForce  audit.InForce
}

// Checkpoint is the newest checkpoint that a quorum of members has cosigned,
// as a C2SP signed note, or nil when there has never been one; the last that
// outside witnesses have cosigned too, while that is not much older (see
// Witnessed). It survives a restart, also one without a quorum. Not to be altered.
func (n *Node) Checkpoint() []byte {
	p := n.published()
	if p == nil {
		return nil
	}
	if w := n.recentlyWitnessed(); w != nil {
		return w
	}
	return p.note
}

func (n *Node) published() *published { return n.pub.Load() }

// Cosign answers Peers.Cosign for the member from: waits until this replica's
// tree has reached size (bounded by ctx and Timeouts.Cosign), and returns its
// cosignature line when the root it computed itself is the same. ErrFork
// otherwise, with an alarm that names from and lasts until it is seen with
// this node's log again; ErrSkew when the cluster's time is more than 60 s
// ahead of this node's clock; ErrHalted; ErrNotYet when the leaves have not
// come; ErrRequest for what no member asks.
func (n *Node) Cosign(ctx context.Context, from string, size uint64, root [32]byte) ([]byte, error) {
	if _, ok := n.quorum.Member(from); !ok {
		return nil, fmt.Errorf("cosign for %q: no member: %w", from, ErrRequest)
	}
	if size == 0 {
		return nil, fmt.Errorf("cosign size 0: every log has leaves from its beginning: %w", ErrRequest)
	}
	ctx, cancel := context.WithTimeout(ctx, n.c.Timeouts.Cosign)
	defer cancel()
	for {
		grown := n.fsm.grown()
		view := n.fsm.view()
		if view.Halted != nil {
			return nil, fmt.Errorf("cosign size %d: %w", size, ErrHalted)
		}
		if view.Size >= size {
			return n.cosign(view, from, size, root)
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil, fmt.Errorf("cosign size %d, here are %d: %w", size, view.Size, ErrNotYet)
		}
	}
}

func (n *Node) cosign(view *state.View, from string, size uint64, root [32]byte) ([]byte, error) {
	own, err := view.Tree().RootAt(size)
	if err != nil {
		return nil, fmt.Errorf("cosign size %d: %w", size, err)
	}
	if own != root {
		n.forked(from, size)
		return nil, fmt.Errorf("cosign size %d: %w", size, ErrFork)
	}
	n.agrees(from, size)
	if err := n.sameHistory(view, n.published()); err != nil {
		return nil, fmt.Errorf("cosign size %d: %w", size, err)
	}
	now := n.c.Clock()
	if err := n.skew(view, now); err != nil {
		return nil, fmt.Errorf("cosign size %d: %w", size, err)
	}
	return n.signer.Cosign(audit.Checkpoint{Origin: n.c.Cluster.Origin, Size: size, Root: root}, now)
}

// forked raises the alarm about a member that asked for another log's
// cosignature: it, or this node, or who used its certificate, is wrong.
func (n *Node) forked(member string, size uint64) {
	n.raise(forkBy(member), AlarmFork, fmt.Sprintf("%s asked to cosign another log than this node's at size %d: compare what its status and this node's say, and who holds its certificate", member, size))
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forks[member] = max(n.forks[member], size)
}

// agrees clears it once the member is seen with this node's log at that size
// or a later one: two logs that part ways are equal before.
func (n *Node) agrees(member string, size uint64) {
	n.mu.Lock()
	at, forked := n.forks[member]
	over := forked && size >= at
	if over {
		delete(n.forks, member)
	}
	n.mu.Unlock()
	if over {
		n.clear(forkBy(member))
	}
}

func forkBy(member string) string { return AlarmFork + "/" + member }

// skew holds the cluster's time against this node's clock.
func (n *Node) skew(view *state.View, now time.Time) error {
	ahead := time.Unix(view.Time, 0).Sub(now)
	if ahead <= maxSkew {
		n.clear(AlarmClock)
		return nil
	}
	n.alarm(AlarmClock, fmt.Sprintf("cluster time is %s ahead of this node's clock: one of them is wrong", ahead.Round(time.Second)))
	return ErrSkew
}

// checkpoints keeps the published checkpoint up with the log and fresh.
func (n *Node) checkpoints(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var fresh time.Time // of the last one made by this loop
	failing := false
	for {
		grown := n.fsm.grown()
		view, p := n.fsm.view(), n.published()
		wait := n.c.Timeouts.Checkpoint
		switch {
		case view.Halted != nil:
			// its log may be another one than the quorum's
		case p != nil && view.Size < p.size:
			// the log's end comes back with the quorum
		case p == nil || view.Size > p.size || time.Since(fresh) >= wait:
			err := n.assemble(ctx, view)
			if err == nil {
				fresh = time.Now()
			} else {
				wait = min(wait, checkpointRetry)
			}
			if failed := err != nil; failed != failing && ctx.Err() == nil {
				failing = failed
				n.log.WarnContext(ctx, "checkpoint", slog.Bool("failing", failing), slog.Uint64("size", view.Size), slog.Any("error", err))
			}
			if err == nil && n.fsm.view().Size > view.Size {
				continue
			}
		default:
			wait = max(wait-time.Since(fresh), time.Millisecond)
		}
		timer.Reset(wait)
		if failing {
			grown = nil // growth does not bring the quorum back; the timer tries again
		}
		select {
		case <-ctx.Done():
			return
		case <-grown:
		case <-timer.C:
		}
	}
}

// assemble signs the view's checkpoint, gathers cosignatures until a quorum is
// there and a short grace has passed for the rest, and publishes it.
func (n *Node) assemble(ctx context.Context, view *state.View) error {
	if err := n.sameHistory(view, n.published()); err != nil {
		return err
	}
	now := n.c.Clock()
	if err := n.skew(view, now); err != nil {
		return err
	}
	cp := audit.Checkpoint{Origin: n.c.Cluster.Origin, Size: view.Size, Root: view.Root}
	signed, err := n.signer.Sign(cp, now)
	if err != nil {
		return err
	}
	lines, gatherErr := n.gather(ctx, view.Size, view.Root)
	n.watchClock()
	note, err := n.quorum.Assemble(signed, lines...)
	if err != nil {
		return err
	}
	_, by, at, err := n.quorum.Open(note)
	if err != nil {
		return errors.Join(fmt.Errorf("%w: %w", ErrNoQuorum, err), gatherErr)
	}
	p := &published{note: note, size: view.Size, root: view.Root, fresh: at, signedBy: by, inForce: view.InForce}
	before := n.published()
	if before != nil && before.size == p.size {
		p.base = before.base
		p.base.Checkpoint = note
	} else if p.base, err = audit.NewManifest(view.Tree(), note, view.Size, view.InForce, view.Metadata, view.Roots, 0); err != nil {
		return err
	} else if err := p.base.AddPins(view.Tree(), view.Size, view.InForce, view.Orders.Pins); err != nil {
		return err
	}
	if before == nil || before.size < p.size {
		// With the commit index the end of the log is known after a restart alone.
		if err := n.store.SaveCommitIndex(); err != nil {
			return err
		}
	}
	if err := n.keepManifest(p.base); err != nil {
		n.alarm(AlarmDisk, "the manifest cannot be kept on disk: "+err.Error())
	} else {
		n.clear(AlarmDisk)
	}
	n.publishCheckpoint(p)
	return nil
}

type cosigned struct {
	line []byte
	err  error
}

func (n *Node) gather(ctx context.Context, size uint64, root [32]byte) ([][]byte, error) {
	members := n.c.Cluster.Members
	answers := make(chan cosigned, len(members))
	for _, m := range members {
		if m.Name == n.c.Name {
			continue
		}
		n.spawn(func(run context.Context) {
			run, cancel := context.WithTimeout(run, n.c.Timeouts.Cosign)
			defer cancel()
			line, err := n.c.Peers.Cosign(run, m.Name, size, root)
			n.contact(m.Name, err)
			if err == nil {
				n.read(m, audit.Checkpoint{Origin: n.c.Cluster.Origin, Size: size, Root: root}, line)
			}
			answers <- cosigned{line, err}
		})
	}
	var lines [][]byte
	var failed []error
	var grace <-chan time.Time
	for range len(members) - 1 {
		if len(lines)+1 >= n.quorum.Need && grace == nil {
			t := time.NewTimer(n.c.Timeouts.CheckpointGrace)
			defer t.Stop()
			grace = t.C
		}
		select {
		case a := <-answers:
			if a.err != nil {
				failed = append(failed, a.err)
				continue
			}
			lines = append(lines, a.line)
		case <-grace:
			return lines, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return lines, errors.Join(failed...)
}

// publishCheckpoint makes p the newest, wakes who waits for it, and lets go of
// the keys that nothing in force needs any more.
func (n *Node) publishCheckpoint(p *published) {
	defer n.releaseKeys()
	n.pubMu.Lock()
	defer n.pubMu.Unlock()
	n.pub.Store(p)
	close(n.renewed)
	n.renewed = make(chan struct{})
	for after, c := range n.waiting {
		if p.size > after {
			close(c)
			delete(n.waiting, after)
		}
	}
}

// maxWaiting bounds the different sizes that callers of Changed wait for;
// beyond it they wait for the next checkpoint of any size.
const maxWaiting = 1024

// Changed returns a channel that is closed once the quorum-cosigned checkpoint
// covers more than after leaves; at once when it already does. Rarely it is
// closed earlier: the caller looks again.
func (n *Node) Changed(after uint64) <-chan struct{} {
	n.pubMu.Lock()
	defer n.pubMu.Unlock()
	if p := n.pub.Load(); p != nil && p.size > after {
		c := make(chan struct{})
		close(c)
		return c
	}
	c, ok := n.waiting[after]
	if !ok {
		if len(n.waiting) >= maxWaiting {
			return n.renewed
		}
		c = make(chan struct{})
		n.waiting[after] = c
	}
	return c
}

// Renewed returns a channel that is closed at the next quorum-cosigned
// checkpoint, whatever its size.
func (n *Node) Renewed() <-chan struct{} {
	n.pubMu.Lock()
	defer n.pubMu.Unlock()
	return n.renewed
}
