package appliance

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/resolver/match"
)

// grace is how long a replaced index stays mapped: a lookup takes microseconds, so nobody reads it any more by then.
const grace = time.Minute

// follower keeps what an edge serves equal to what its cluster has in force. It trusts signatures and proofs only; whichever control node
// answers may lie without effect. Nothing that DNS does waits for it.
type follower struct {
	cluster    audit.Cluster
	quorum     audit.Quorum
	name       string
	dir        *dataDir
	key        ed25519.PrivateKey
	shelf      *shelf
	controls   []*api.Client
	neverBlock []string
	maxStale   time.Duration
	swap       func(*match.Set)
	clock      func() time.Time
	log        *slog.Logger

	// owned by Run (and by restore, before it)
	seen       audit.Seen // high-water marks: nothing below them is accepted
	active     *loaded
	inForce    audit.InForce
	generation uint64
	counter    uint64
	retired    []retiree

	mu    sync.Mutex // guards fresh, stale
	fresh time.Time  // freshness of the newest accepted checkpoint
	stale bool
}

type retiree struct {
	l     *loaded
	since time.Time
}

const (
	manifestFile = "manifest" // the last one that changed what is in force
	seenFile     = "seen"     // high-water marks
	counterFile  = "receipts" // counter of the last receipt
)

// restore brings back what was in force when the edge last ran, from its own disk alone. ok is false when there is nothing to bring back.
func (f *follower) restore(ctx context.Context) (ok bool, err error) {
	if b, err := os.ReadFile(f.dir.join(counterFile)); err == nil {
		if f.counter, err = strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err != nil {
			return false, fmt.Errorf("read receipt counter %s: %w", f.dir.join(counterFile), err)
		}
	}
	b, err := os.ReadFile(f.dir.join(manifestFile))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("read last manifest: %w", err)
	}
	m, err := audit.DecodeManifest(b)
	if err != nil {
		return false, fmt.Errorf("read last manifest: %w", err)
	}
	opened, err := f.quorum.OpenManifest(m, f.cluster.Anchors())
	if err != nil {
		return false, fmt.Errorf("verify last manifest: %w", err)
	}
	seen, err := opened.Advance(audit.Seen{})
	if err != nil {
		return false, fmt.Errorf("verify last manifest: %w", err)
	}
	if err := f.readSeen(seen); err != nil {
		return false, err
	}
	l, err := f.shelf.load(ctx, opened, nil, f.neverBlock, f.clock())
	if err != nil {
		return false, fmt.Errorf("load last lists: %w", err)
	}
	f.noteFresh(opened)
	f.activate(opened, l)
	return true, nil
}

// readSeen brings back the high-water marks, which may be ahead of the last manifest that changed anything, never behind it.
func (f *follower) readSeen(manifest audit.Seen) error {
	f.seen = manifest
	b, err := os.ReadFile(f.dir.join(seenFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("read high-water marks: %w", err)
	}
	var seen audit.Seen
	if err := json.Unmarshal(b, &seen); err != nil {
		return fmt.Errorf("read high-water marks %s: %w", f.dir.join(seenFile), err)
	}
	for _, high := range seen.Seqs {
		for _, have := range manifest.Seqs {
			if have.List == high.List && have.Seq < high.Seq {
				return fmt.Errorf("last manifest on disk has list %s seq %d, seq %d was in force before: %w", have.List, have.Seq, high.Seq, audit.ErrRollback)
			}
		}
	}
	if seen.Size >= manifest.Size {
		f.seen = seen
	}
	return nil
}

// Run follows the cluster until ctx ends.
func (f *follower) Run(ctx context.Context) error {
	defer f.release()
	next := rand.IntN(len(f.controls))
	failing := 0
	pending := f.active != nil // after a restart, say what is served
	for ctx.Err() == nil {
		c := f.controls[next%len(f.controls)]
		news, err := f.pull(ctx, c)
		switch {
		case err == nil:
			failing = 0
			if news || pending {
				pending = f.receipt(ctx, c) != nil
			}
		case ctx.Err() != nil:
			return nil
		default:
			f.log.WarnContext(ctx, "control node not followed", slog.String("control", c.Base()), slog.Any("error", err))
			next++
			failing++
			f.wait(ctx, backoff(failing, len(f.controls)))
		}
		f.watchStaleness(ctx)
		f.releaseRetired()
	}
	return nil
}

// backoff lets an edge try every control node quickly once, then more and more slowly, never all edges at the same moment.
func backoff(failing, nodes int) time.Duration {
	rounds := min(failing/max(nodes, 1), 5)
	base := 200 * time.Millisecond << rounds
	return base/2 + rand.N(base)
}

func (f *follower) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// pull waits for a manifest and brings it into force. news is true when what is in force changed.
func (f *follower) pull(ctx context.Context, c *api.Client) (news bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute) // a large list on a thin line; the long poll itself ends sooner
	defer cancel()
	m, err := c.Manifest(ctx, f.seen.Size)
	if errors.Is(err, api.ErrNothingNew) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	opened, err := f.quorum.OpenManifest(m, f.cluster.Anchors())
	if err != nil {
		return false, fmt.Errorf("refuse manifest: %w", err)
	}
	seen, err := opened.Advance(f.seen)
	if err != nil {
		return false, fmt.Errorf("refuse manifest: %w", err)
	}
	f.noteFresh(opened)
	if len(opened.InForce.Lists) == 0 || f.active != nil && opened.InForce.Hash() == f.inForce.Hash() {
		return false, f.see(seen) // nothing new; and before the first list nothing is served, unfiltered least of all
	}
	l, err := f.shelf.load(ctx, opened, c, f.neverBlock, f.clock())
	if err != nil {
		return false, err
	}
	if err := renameio.WriteFile(f.dir.join(manifestFile), m.Encode(), 0o600); err != nil {
		l.Close()
		return false, fmt.Errorf("keep manifest: %w", err)
	}
	f.activate(opened, l)
	if err := f.see(seen); err != nil {
		return true, err
	}
	f.log.InfoContext(ctx, "lists active", slog.Uint64("log_size", opened.Checkpoint.Size), slog.Int("lists", len(opened.InForce.Lists)),
		slog.Int("removals", len(opened.InForce.Removals)), slog.Any("state", l.set.StateID()))
	return true, nil
}

// activate swaps the one pointer that answers depend on.
func (f *follower) activate(m *audit.Opened, l *loaded) {
	f.generation++
	l.set.Generation = f.generation
	f.swap(l.set)
	before := f.inForce
	if f.active != nil {
		f.retired = append(f.retired, retiree{f.active, f.clock()})
	}
	f.active, f.inForce = l, m.InForce
	f.shelf.tidy(before, f.inForce)
}

// see raises the high-water marks, on disk first.
func (f *follower) see(seen audit.Seen) error {
	if seen.Size == f.seen.Size {
		return nil
	}
	b, err := json.Marshal(seen)
	if err == nil {
		err = renameio.WriteFile(f.dir.join(seenFile), append(b, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep high-water marks: %w", err)
	}
	f.seen = seen
	return nil
}

func (f *follower) noteFresh(m *audit.Opened) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m.Fresh.After(f.fresh) {
		f.fresh = m.Fresh
	}
}

// receipt signs what is served and hands it to a control node. Its counter is on disk before it is used, so that no two receipts share one.
func (f *follower) receipt(ctx context.Context, c *api.Client) error {
	f.counter++
	if err := renameio.WriteFile(f.dir.join(counterFile), []byte(strconv.FormatUint(f.counter, 10)+"\n"), 0o600); err != nil {
		f.log.ErrorContext(ctx, "receipt counter not kept", slog.Any("error", err))
		return err
	}
	r := audit.SignReceipt(audit.Receipt{
		Cluster: f.cluster.ID(), Edge: f.name, Counter: f.counter, State: f.active.set.StateID(),
		Size: f.seen.Size, Root: f.seen.Root, Time: f.clock().Unix(),
	}, f.key)
	err := c.Receipt(ctx, r)
	if err != nil {
		f.log.WarnContext(ctx, "receipt not taken", slog.Any("error", err))
	}
	return err
}

// watchStaleness raises an alarm when the cluster's checkpoint grows old, and says when it is fresh again. It never takes a list out of force.
func (f *follower) watchStaleness(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fresh.IsZero() {
		return
	}
	age := f.clock().Sub(f.fresh)
	switch old := age > f.maxStale; {
	case old && !f.stale:
		f.stale = true
		f.log.ErrorContext(ctx, "cluster's checkpoint is old: the last verified lists stay in force", slog.Time("since", f.fresh), slog.Duration("age", age))
	case !old && f.stale:
		f.stale = false
		f.log.InfoContext(ctx, "cluster's checkpoint is fresh again")
	}
}

func (f *follower) releaseRetired() {
	now := f.clock()
	kept := f.retired[:0]
	for _, r := range f.retired {
		if now.Sub(r.since) < grace {
			kept = append(kept, r)
		} else {
			r.l.Close()
		}
	}
	f.retired = kept
}

// release drops the mappings that nobody reads any more. The active set's stay: answers may still be under way until the process ends.
func (f *follower) release() {
	f.log.Debug("stopped following the cluster")
}
