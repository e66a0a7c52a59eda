package cluster

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"

	"github.com/cordon-project/cordon/cluster/audit"
)

// The cluster's time is the largest that any command carried, and never goes
// back: one command stamped a year ahead would leave every later publication
// expired and no member willing to cosign. So a leader stamps a command only
// with a reading of its clock that a quorum of members confirms, itself
// included. It knows their clocks from the times in their cosignatures, which
// the checkpoint loop gathers anyway, and asks when it knows too few.
//
// What remains: a quorum whose clocks are wrong by the same amount (a bad time
// source that most members share) sets the cluster's time wrong, and a leader
// that runs other code can. Members with right clocks then refuse to cosign
// and raise the alarm, see Node.Cosign; nothing that such a leader alone
// brought in is ever published. With one member there is nobody to compare
// with, and its clock is believed.

const (
	// readingLife is how long a member's cosignature says what its clock
	// shows: six checkpoints, so that a few lost ones cost nothing.
	readingLife = 2 * time.Minute
	// longAgo stands for the own time in the note that a line is verified in:
	// the newest of the two is then the line's.
	longAgo = 0
	// ownClock tells this alarm from the one about the cluster's time.
	ownClock = "own clock"
)

// reading is what a member's clock showed when its answer arrived here.
type reading struct {
	clock time.Time
	at    time.Time // by this process's monotonic clock
}

// now is what the member's clock shows now; false when the reading is old.
func (r reading) now() (time.Time, bool) {
	age := time.Since(r.at)
	return r.clock.Add(age), age <= readingLife
}

// read notes the time in a member's cosignature line for cp, once verified.
func (n *Node) read(member audit.MemberKey, cp audit.Checkpoint, line []byte) {
	at := time.Now()
	signed, err := n.signer.Sign(cp, time.Unix(longAgo, 0))
	if err != nil {
		return
	}
	q := n.quorum
	own := n.c.Key.Public().(ed25519.PublicKey)
	q.Members, q.Need = []audit.MemberKey{{Name: n.c.Name, Key: own}, member}, 1
	note, err := q.Assemble(signed, line)
	if err != nil {
		return
	}
	_, by, clock, err := q.Open(note)
	if err != nil || len(by) != len(q.Members) {
		n.log.Warn("member's cosignature is not valid", slog.String("member", member.Name), slog.Any("error", err))
		return
	}
	n.agrees(member.Name, cp.Size)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.readings[member.Name] = reading{clock, at}
}

// compare holds a reading of this node's clock against the members': nil when
// a quorum confirms it, ErrSkew when members contradict it, ErrNoLeader when
// too few have answered to tell. better are the members whose clocks a quorum
// confirms, when this node's is not.
func (n *Node) compare(now time.Time) (better []string, err error) {
	clocks := map[string]time.Time{n.c.Name: now}
	n.mu.Lock()
	for name, r := range n.readings {
		if t, fresh := r.now(); fresh {
			clocks[name] = t
		}
	}
	n.mu.Unlock()
	confirm := func(t time.Time) int {
		count := 0
		for _, o := range clocks {
			if t.Sub(o).Abs() <= maxSkew {
				count++
			}
		}
		return count
	}
	own := confirm(now)
	if own >= n.quorum.Need {
		return nil, nil
	}
	if own == len(clocks) {
		return nil, fmt.Errorf("%w: %d of %d members have told what their clocks show, %d are needed", ErrNoLeader, own, len(n.c.Cluster.Members), n.quorum.Need)
	}
	for _, m := range n.c.Cluster.Members {
		if t, ok := clocks[m.Name]; ok && m.Name != n.c.Name && confirm(t) >= n.quorum.Need {
			better = append(better, m.Name)
		}
	}
	return better, fmt.Errorf("%w: %d of %d members confirm it, %d are needed", ErrSkew, own, len(n.c.Cluster.Members), n.quorum.Need)
}

// watchClock raises, or clears, the alarm about this node's own clock.
func (n *Node) watchClock() {
	_, err := n.compare(n.c.Clock())
	n.noteClock(err)
}

func (n *Node) noteClock(err error) {
	switch {
	case err == nil:
		n.clear(ownClock)
	case errors.Is(err, ErrSkew):
		n.raise(ownClock, AlarmClock, "this node's clock is more than 60 s off those of other members: it proposes nothing, give it the right time")
	}
}

// stamp is the time of a command that this leader is about to propose. It
// returns at once while fresh readings confirm the clock; otherwise it asks
// the members, for at most Timeouts.Cosign. A leader whose clock is the wrong
// one gives way to a member with a right one, and gets ErrSkew.
func (n *Node) stamp(ctx context.Context) (int64, error) {
	now := n.c.Clock()
	if _, err := n.compare(now); err != nil {
		// The readings may be old, or from before all clocks were set.
		n.askClocks(ctx)
		now = n.c.Clock()
		better, err := n.compare(now)
		n.noteClock(err)
		if err != nil {
			if len(better) > 0 {
				n.giveWay(better)
			}
			return 0, err
		}
	}
	return max(now.Unix(), 0), nil
}

// askClocks has every member cosign this replica's own log and thereby tell
// its time. One asks, the others wait for it.
func (n *Node) askClocks(ctx context.Context) {
	begun := time.Now()
	select {
	case n.asking <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-n.asking }()
	if begun.Before(n.asked) {
		return // answered while this one waited
	}
	ctx, cancel := context.WithTimeout(ctx, n.c.Timeouts.Cosign)
	defer cancel()
	view := n.fsm.view()
	// What failed is known to contact; compare counts what did not.
	_, _ = n.gather(ctx, view.Size, view.Root)
	n.asked = time.Now()
}

// giveWay transfers leadership to one of these members, the first that can take it.
func (n *Node) giveWay(to []string) {
	if !n.giving.CompareAndSwap(false, true) {
		return
	}
	n.spawn(func(ctx context.Context) {
		defer n.giving.Store(false)
		for _, name := range to {
			if !n.Leading() || ctx.Err() != nil {
				return
			}
			err := n.transferred(ctx, n.raft.LeadershipTransferToServer(raft.ServerID(name), raft.ServerAddress(name)))
			n.log.WarnContext(ctx, "leader with a wrong clock gives way", slog.String("to", name), slog.Any("error", err))
			if err == nil {
				return
			}
		}
	})
}
