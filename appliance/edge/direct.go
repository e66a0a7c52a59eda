package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/strict"
	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Removals without a quorum. An edge whose cluster's checkpoint has not moved on for a while, or that cannot load what is in force (a list
// that does not come, keys that are missing), asks everybody it knows, control nodes and the hotlines' repositories, for withdrawals. One that the threshold of the officers has signed, whom its last verified manifest names, it
// takes on top of what is in force, says so in its receipts, and lets go when the log has it. There is nothing here that adds.
const (
	// directAfter is how old a checkpoint an edge waits for the cluster: an idle one renews it every 20 s, and electing a leader takes ten.
	directAfter = 90 * time.Second
	// directEvery spaces the looks; one costs a small request to each control node and repository.
	directEvery   = 5 * time.Second
	directTimeout = 10 * time.Second
	// directSettle is how long after the quorum came back the log may lack a withdrawal before a receipt says so.
	directSettle = time.Minute
	// directReads bounds the numbers read of one repository in one look.
	directReads = 64

	directFile = "withdrawals" // those beyond the log, kept over a restart
)

// directs are the withdrawals beyond the log that an edge has taken.
type directs []directOne

type directOne struct {
	id  [32]byte // trust.StatementID
	w   trust.Withdrawal
	raw []byte
	at  time.Time // when it was taken, within its time
}

// ids names them for a receipt.
func (d directs) ids() [][32]byte {
	var out [][32]byte
	for _, one := range d {
		out = append(out, one.id)
	}
	slices.SortFunc(out, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// on is what is in force with those that the log lacks, and which these are.
func (d directs) on(f audit.InForce) (audit.InForce, directs) {
	var kept directs
	for _, one := range d {
		next, err := f.With(one.w)
		if err != nil || len(next.Removals) == len(f.Removals) {
			continue // the log has it, or a newer version
		}
		f, kept = next, append(kept, one)
	}
	return f, kept
}

// wire is a file of directs.
type wireDirects struct {
	V          int             `cbor:"v"` // 1
	Statements []wireDirectOne `cbor:"statements"`
}

type wireDirectOne struct {
	Raw []byte `cbor:"raw"`
	At  int64  `cbor:"at"`
}

func (f *follower) keepDirects(d directs) error {
	if len(d) == 0 {
		err := os.Remove(f.dir.Join(directFile))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	w := wireDirects{V: 1}
	for _, one := range d {
		w.Statements = append(w.Statements, wireDirectOne{one.raw, one.at.Unix()})
	}
	b, err := strict.Encoding.Marshal(w)
	if err != nil {
		return err
	}
	return aside(func() error { return renameio.WriteFile(f.dir.Join(directFile), b, 0o600) })
}

// readDirects brings back what was taken, verified again under the manifest that is brought back. What does not verify is left out: it only
// removes, and the hotline or the log still has it.
func (f *follower) readDirects(ctx context.Context, opened *audit.Opened) directs {
	b, err := os.ReadFile(f.dir.Join(directFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var w wireDirects
	if err == nil {
		err = strict.Decoding(strict.Options(audit.MaxDirect, 16)).Unmarshal(b, &w)
	}
	if err != nil || w.V != 1 {
		f.log.ErrorContext(ctx, "withdrawals taken without the log are damaged on disk: asking for them again", slog.Any("error", err))
		return nil
	}
	var d directs
	for _, s := range w.Statements {
		if one, err := judgeDirect(opened, s.Raw, time.Unix(s.At, 0).UTC()); err == nil && len(d) < audit.MaxDirect {
			d = append(d, one)
		}
	}
	return d
}

// errNotComplete: one officer alone has signed, and only the cluster may act on that: it keeps the officer's daily count.
var errNotComplete = errors.New("fewer officers than the threshold have signed")

// judgeDirect verifies a statement from anywhere under what a manifest proves about its hotline.
func judgeDirect(opened *audit.Opened, raw []byte, at time.Time) (directOne, error) {
	claimed, err := trust.DecodeWithdrawal(raw)
	if err != nil {
		return directOne{}, err
	}
	i := slices.IndexFunc(opened.Lists, func(l audit.OpenedList) bool { return l.List == claimed.List })
	if i < 0 {
		return directOne{}, fmt.Errorf("list %s is not in force here: %w", claimed.List, audit.ErrNotFound)
	}
	officers := opened.Lists[i].Verified.Officers
	w, signers, err := trust.VerifyWithdrawal(officers, raw, at)
	if err != nil {
		return directOne{}, err
	}
	if !officers.Complete(signers) {
		return directOne{}, errNotComplete
	}
	id, err := trust.StatementID(raw)
	return directOne{id, w, bytes.Clone(raw), at}, err
}

// watchWithdrawals looks for withdrawals while the edge is stale, until ctx ends.
func (f *follower) watchWithdrawals(ctx context.Context) {
	for ctx.Err() == nil {
		if f.stale() > directAfter {
			f.lookForWithdrawals(ctx)
		}
		f.wait(ctx, directEvery/2+rand.N(directEvery))
	}
}

// stale is how old the newest checkpoint is, or for how long what is in force could not be loaded here if that is longer; 0 before the first
// checkpoint.
func (f *follower) stale() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fresh.IsZero() {
		return 0
	}
	old := f.clock().Sub(f.fresh)
	if !f.behind.IsZero() {
		old = max(old, f.clock().Sub(f.behind))
	}
	return old
}

// lookForWithdrawals asks everybody at once, each for at most directTimeout, and takes what verifies.
func (f *follower) lookForWithdrawals(ctx context.Context) {
	opened := f.inForceNow()
	if opened == nil {
		return
	}
	asking, cancel := context.WithTimeout(ctx, directTimeout)
	defer cancel()
	offered := make(chan []byte)
	var wg sync.WaitGroup
	for _, c := range f.controls {
		wg.Go(func() {
			all, err := c.Withdrawals(asking)
			if err != nil {
				f.log.DebugContext(ctx, "no withdrawals from a control node", slog.String("control", c.Base()), slog.Any("error", err))
			}
			for _, raw := range all[:min(len(all), api.MaxStatements)] {
				offered <- raw
			}
		})
	}
	for _, r := range f.repositories {
		for _, l := range opened.Lists {
			if l.Hotline == r.Hotline {
				wg.Go(func() { r.read(asking, l, offered, f.log) })
			}
		}
	}
	go func() { wg.Wait(); close(offered) }()
	var found directs
	for raw := range offered {
		one, err := judgeDirect(opened, raw, f.clock())
		if err == nil && !slices.ContainsFunc(found, func(o directOne) bool { return o.id == one.id }) {
			found = append(found, one)
		}
	}
	if len(found) > 0 {
		f.take(ctx, found)
	}
}

// inForceNow is the manifest that is in force; nil before the first.
func (f *follower) inForceNow() *audit.Opened {
	f.act.Lock()
	defer f.act.Unlock()
	return f.opened
}

// take puts withdrawals on top of what is in force, as one swap.
func (f *follower) take(ctx context.Context, found directs) {
	f.act.Lock()
	defer f.act.Unlock()
	if f.active == nil {
		return
	}
	slices.SortFunc(found, func(a, b directOne) int { return bytes.Compare(a.id[:], b.id[:]) })
	all := slices.Clone(f.direct)
	for _, one := range found {
		if slices.ContainsFunc(all, func(o directOne) bool { return o.id == one.id }) {
			continue
		}
		if _, news := append(slices.Clone(all), one).on(f.inForce); len(news) == len(all) {
			continue // the log has it
		}
		if len(all) == audit.MaxDirect {
			f.log.ErrorContext(ctx, "withdrawal not taken: a receipt has no room to name it until the cluster has a quorum again", slog.Any("list", one.w.List), slog.Uint64("number", one.w.Number))
			continue
		}
		all = append(all, one)
	}
	if len(all) == len(f.direct) {
		return
	}
	with, kept := all.on(f.inForce)
	set, err := f.active.set.WithRemovals(with.Overlay())
	if err != nil {
		f.log.ErrorContext(ctx, "withdrawals not taken", slog.Any("error", err))
		return
	}
	f.show(set)
	for _, one := range kept[len(f.direct):] {
		f.log.WarnContext(ctx, "the log cannot be followed: withdrawal taken straight from the hotline", slog.Any("list", one.w.List), slog.Uint64("number", one.w.Number), slog.Int("entries", len(one.w.Entries)))
	}
	f.direct = kept
	if err := f.keepDirects(kept); err != nil {
		f.log.ErrorContext(ctx, "withdrawals taken without the log are not kept: a restart has to find them again", slog.Any("error", err))
	}
}

// withDirects is a set that a manifest made, with what the edge has taken beyond that manifest's log, and what of that remains.
func (d directs) withDirects(f audit.InForce, set *match.Set) (*match.Set, directs) {
	with, kept := d.on(f)
	if len(kept) == 0 {
		return set, nil
	}
	more, err := set.WithRemovals(with.Overlay())
	if err != nil {
		return set, nil // more removals than a set may have; the log's own go first
	}
	return more, kept
}

// directSource is a hotline's repository, or a mirror of it, as an edge asks it for withdrawals.
type directSource struct {
	*fetch.Repository
	Hotline trust.HotlineID

	mu      sync.Mutex                // guards next, waiting: a hotline's lists are read at once
	next    map[match.ListID]uint64   // the first number that was not there
	waiting map[match.ListID][]uint64 // numbers that one officer alone had signed
}

func newDirectSource(r *fetch.Repository, h trust.HotlineID) *directSource {
	return &directSource{Repository: r, Hotline: h, next: map[match.ListID]uint64{}, waiting: map[match.ListID][]uint64{}}
}

// read offers every statement after those that were read before, and again those that were not complete. One goroutine at a time reads a
// list.
func (d *directSource) read(ctx context.Context, l audit.OpenedList, offered chan<- []byte, log *slog.Logger) {
	officers := l.Verified.Officers
	one := func(number uint64) (more, complete bool) {
		raw, err := d.Withdrawal(ctx, l.List, number)
		if err != nil {
			if !errors.Is(err, fetch.ErrNotFound) {
				log.DebugContext(ctx, "no withdrawals from a repository", slog.Any("hotline", d.Hotline), slog.Any("error", err))
			}
			return false, false
		}
		offered <- raw
		_, signers, err := trust.VerifyStatement(officers, raw)
		return true, err != nil || officers.Complete(signers)
	}
	d.mu.Lock()
	next, waiting := max(d.next[l.List], 1), d.waiting[l.List]
	d.mu.Unlock()
	still := []uint64{}
	for _, number := range waiting {
		if _, complete := one(number); !complete {
			still = append(still, number)
		}
	}
	for range directReads {
		more, complete := one(next)
		if !more {
			break
		}
		if !complete && len(still) < directReads {
			still = append(still, next)
		}
		next++
	}
	d.mu.Lock()
	d.next[l.List], d.waiting[l.List] = next, still
	d.mu.Unlock()
}
