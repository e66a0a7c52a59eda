package edge

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/appliance"
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
	dir        *appliance.DataDir
	key        crypto.Signer
	shelf      *shelf
	controls   []*api.Client
	neverBlock []string
	maxStale   time.Duration
	swap       func(*match.Set)
	analysts   *exempting // nil: what is in force about them is nobody's affair here
	clock      func() time.Time
	log        *slog.Logger

	repositories []*directSource // of hotlines, for withdrawals while there is no quorum; owned by watchWithdrawals

	// owned by Run (and by restore, before it)
	seen      audit.Seen    // high-water marks: nothing below them is accepted
	unkept    []byte        // manifest of active, while it is not on disk
	kept      audit.InForce // what the manifest on disk puts in force: a restart needs its lists and keys
	unsettled bool          // a list of active came from deltas and is not on disk
	served    audit.Seen    // newest checkpoint of which active is what must be in force
	counter   uint64        // of the last receipt
	retired   []retiree

	act        sync.Mutex // guards the following; Run alone writes active, opened and inForce
	active     *loaded
	opened     *audit.Opened // the manifest of active
	inForce    audit.InForce
	direct     directs   // withdrawals in active's set that the manifest's log lacks
	generation uint64    // counts what was shown: a receipt says whether something has changed since
	confirmAt  time.Time // when the next receipt is due

	mu       sync.Mutex // guards fresh, followed, behind
	fresh    time.Time  // freshness of the newest accepted checkpoint
	behind   time.Time  // since when what is in force cannot be loaded here; zero when it is
	followed time.Time  // since when checkpoints have been fresh without a gap
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
	if b, err := os.ReadFile(f.dir.Join(counterFile)); err == nil {
		if f.counter, err = strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err != nil {
			f.log.ErrorContext(ctx, "receipt counter on disk is damaged: counting on from the clock", slog.Any("error", err))
		}
	}
	b, err := os.ReadFile(f.dir.Join(manifestFile))
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
	if err := f.readSeen(ctx, seen); err != nil {
		return false, err
	}
	l, err := f.shelf.load(ctx, opened, nil, nil, f.clock())
	if err != nil {
		return false, fmt.Errorf("load last lists: %w", err)
	}
	if err := testNeverBlock(l.set, f.neverBlock, f.clock()); err != nil {
		f.log.ErrorContext(ctx, "the list in force stops what this edge's configuration says must pass", slog.Any("error", err))
	}
	f.noteFresh(opened)
	f.kept = opened.InForce
	f.direct = f.readDirects(ctx, opened)
	f.activate(ctx, opened, l)
	f.shelf.tidy(f.kept, f.inForce)
	return true, nil
}

// readSeen brings back the high-water marks, which may be ahead of the last manifest that changed anything, never behind it.
func (f *follower) readSeen(ctx context.Context, manifest audit.Seen) error {
	f.seen = manifest
	var seen audit.Seen
	b, err := os.ReadFile(f.dir.Join(seenFile))
	if err == nil {
		err = json.Unmarshal(b, &seen)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		// The manifest has marks of its own; a damaged side file must not take it out of force.
		f.log.ErrorContext(ctx, "high-water marks on disk are damaged: going by the last manifest", slog.Any("error", err))
	}
	if err != nil {
		return nil
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

// Run follows the cluster until ctx ends, and returns when all of its work has ended.
func (f *follower) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { f.watchFreshness(ctx) })
	wg.Go(func() { f.watchWithdrawals(ctx) })
	defer wg.Wait()
	if f.active != nil { // brought back: an index that was not on disk is put there
		if err := f.active.settle(ctx); err != nil {
			f.log.ErrorContext(ctx, "last lists not kept", slog.Any("error", err))
		}
	}
	next := rand.IntN(len(f.controls))
	failing := 0
	for ctx.Err() == nil {
		c := f.controls[next%len(f.controls)]
		started := f.clock()
		err := f.pull(ctx, c)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			if failing > 0 {
				f.log.InfoContext(ctx, "control node is followed again", slog.String("control", c.Base()))
			}
			failing = 0
			f.confirm(ctx, c)
			f.wait(ctx, pollPause-f.clock().Sub(started))
		case errors.Is(err, api.ErrNothingNew):
			next++ // it may be cut off from the others: hear somebody else
			f.confirm(ctx, c)
			f.wait(ctx, pollPause-f.clock().Sub(started))
		default:
			f.log.WarnContext(ctx, "control node not followed", slog.String("control", c.Base()), slog.Any("error", err))
			next++
			failing++
			f.wait(ctx, backoff(failing, len(f.controls)))
		}
		f.releaseRetired()
	}
	return nil
}

const (
	// pollPause is the least time between two polls: a control node that answers at once, whatever it answers, costs no more than this.
	pollPause = 500 * time.Millisecond
	// restless is how old a checkpoint an edge takes from one control node before it asks another: an idle cluster renews it every 20 s.
	restless = time.Minute
	// pollTimeout is the control node's long poll and some time to answer.
	pollTimeout = 40 * time.Second
	// fetchTimeout bounds one list over a thin line.
	fetchTimeout = 15 * time.Minute
)

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

// pull waits for a manifest and brings it into force. ErrNothingNew when the node had no newer checkpoint, or only an old one.
func (f *follower) pull(ctx context.Context, c *api.Client) error {
	asking, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	m, err := c.Manifest(asking, f.seen.Size)
	if err != nil {
		return err
	}
	came := f.clock()
	return aside(func() error { return f.bring(ctx, m, c, came) })
}

// bring is pull from the manifest on, which came when it says: work beside questions that are answered, see aside.
func (f *follower) bring(ctx context.Context, m audit.Manifest, c *api.Client, came time.Time) error {
	opened, err := f.quorum.OpenManifest(m, f.cluster.Anchors())
	if err != nil {
		return fmt.Errorf("refuse manifest: %w", err)
	}
	seen, err := opened.Advance(f.seen)
	if err != nil {
		return fmt.Errorf("refuse manifest: %w", err)
	}
	f.noteFresh(opened)
	if len(opened.InForce.Lists) == 0 || f.active != nil && !f.unsettled && opened.InForce.Hash() == f.inForce.Hash() {
		// Nothing new; and before the first list nothing is served, unfiltered least of all.
		f.noteLoaded(true)
		f.served = seen
		if err := f.see(seen); err != nil {
			return err
		}
		if f.clock().Sub(opened.Fresh) > restless {
			return api.ErrNothingNew
		}
		return nil
	}
	if err := f.load(ctx, opened, c, came); err != nil {
		f.noteLoaded(false)
		return err
	}
	f.noteLoaded(true)
	f.unkept = m.Encode()
	return f.see(seen)
}

// load brings what a verified manifest says into force. came is when the manifest did.
func (f *follower) load(ctx context.Context, opened *audit.Opened, src source, came time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	neverBlock := f.neverBlock
	if f.active != nil && sameLists(opened.InForce, f.inForce) {
		neverBlock = nil // removals only: nothing that can stop more than before waits for a brake
	}
	l, err := f.shelf.load(ctx, opened, src, neverBlock, f.clock())
	if err != nil {
		return err
	}
	before := f.inForce
	f.activate(ctx, opened, l)
	f.log.InfoContext(ctx, "lists active", slog.Uint64("log_size", opened.Checkpoint.Size), slog.Int("lists", len(opened.InForce.Lists)),
		slog.Int("removals", len(opened.InForce.Removals)), slog.Any("state", l.set.StateID()), slog.Duration("took", f.clock().Sub(came)))
	f.shelf.tidy(f.kept, before, f.inForce)
	f.unsettled = true // until all of it is on disk: a restart must be able to bring back what is kept as seen
	if err := l.settle(ctx); err != nil {
		return err
	}
	f.unsettled = false
	return nil
}

func sameLists(a, b audit.InForce) bool {
	return slices.EqualFunc(a.Lists, b.Lists, func(x, y audit.InForceList) bool {
		return x.Edge == y.Edge && x.FilterHash == y.FilterHash && x.Epoch == y.Epoch
	})
}

// activate swaps the one pointer that answers depend on. Withdrawals that the edge took beyond the log stay on top until the log has them.
func (f *follower) activate(ctx context.Context, m *audit.Opened, l *loaded) {
	f.act.Lock()
	set, direct := f.direct.withDirects(m.InForce, l.set)
	l.set = set
	had := len(f.direct)
	if f.active != nil {
		f.retired = append(f.retired, retiree{f.active, f.clock()})
	}
	f.active, f.opened, f.inForce, f.direct = l, m, m.InForce, direct
	f.show(set)
	f.act.Unlock()
	if f.analysts != nil {
		f.analysts.follow(ctx, m.InForce.Exempt)
	}
	f.served = audit.Seen{Size: m.Checkpoint.Size, Root: m.Checkpoint.Root}
	if len(direct) != had {
		f.log.InfoContext(ctx, "withdrawals taken without the log", slog.Int("now", len(direct)), slog.Int("before", had))
		if err := f.keepDirects(direct); err != nil {
			f.log.ErrorContext(ctx, "withdrawals taken without the log are not kept", slog.Any("error", err))
		}
	}
}

// show makes answers depend on a set of active, and a receipt for it due; under act.
func (f *follower) show(set *match.Set) {
	f.generation++
	f.active.set = set
	f.swap(set)
	f.confirmAt = f.clock()
}

// see raises the high-water marks and keeps them, and before them the manifest that they speak of: marks ahead of the manifest on disk would
// keep a restart from bringing that back. What cannot be kept counts in memory all the same, and is tried again.
func (f *follower) see(seen audit.Seen) error {
	moved := seen.Size != f.seen.Size
	f.seen = seen
	if f.unkept != nil {
		if err := renameio.WriteFile(f.dir.Join(manifestFile), f.unkept, 0o600); err != nil {
			return fmt.Errorf("keep manifest (a restart would bring back what was in force before): %w", err)
		}
		f.unkept, f.kept, moved = nil, f.inForce, true
	}
	if !moved {
		return nil
	}
	b, err := json.Marshal(seen)
	if err == nil {
		err = renameio.WriteFile(f.dir.Join(seenFile), append(b, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep high-water marks: %w", err)
	}
	return nil
}

// releaseRetired gives up what was replaced long enough ago. It lies in the order of time.
func (f *follower) releaseRetired() {
	now := f.clock()
	due := 0
	for due < len(f.retired) && now.Sub(f.retired[due].since) >= grace {
		due++
	}
	if due == 0 {
		return
	}
	_ = aside(func() error { // the kernel takes milliseconds for a file of a million entries that nobody holds any more
		for _, r := range f.retired[:due] {
			r.l.Close()
		}
		return nil
	})
	f.retired = slices.Delete(f.retired, 0, due)
}
