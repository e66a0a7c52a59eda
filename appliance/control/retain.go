package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/match"
)

// What a control node keeps of the past. Whole, it keeps the versions that can be needed: those that can come into force again, and the
// first of each key epoch, which no delta leads to. Of every other version it keeps the delta from the version before it in the log, so that
// an auditor can still be given all of them. A delta is applied before the files that it replaces are let go; a node that cannot make one
// asks the others for theirs, and keeps the files as long as it has none.

// kept is a list version in the log.
type kept struct {
	fetch.Kept
	list  match.ListID
	epoch uint32
	root  [32]byte // entries root
}

func keptOf(p audit.Publish) kept {
	return kept{
		Kept: fetch.Kept{Seq: p.Seq, Edge: p.Edge, Audit: p.Audit, EdgeSize: p.EdgeSize, AuditSize: p.AuditSize},
		list: p.List, epoch: p.Epoch, root: p.EntriesRoot,
	}
}

// retain makes deltas, lets files go that they replace, and says which files and deltas are still wanted.
func (b *backfill) retain(ctx context.Context) {
	clear(b.wanted)
	for _, f := range b.node.Missing() { // wrapped keys too
		b.want(f.SHA256, f.Length)
	}
	for _, versions := range b.lists {
		b.retainList(ctx, versions)
	}
}

func (b *backfill) retainList(ctx context.Context, versions []kept) {
	for i := range versions {
		if ctx.Err() != nil {
			return
		}
		b.keep(ctx, versions, i)
	}
	for i := range versions {
		b.release(ctx, versions, i)
	}
}

// keep sees to it that a version can be had from this node: its files or a delta to it.

func (b *backfill) keep(ctx context.Context, versions []kept, i int) {
	v := versions[i]
	whole := i >= len(versions)-audit.KeptVersions
	first := i == 0 || versions[i-1].epoch != v.epoch
	if first || whole {
		b.want(v.Edge, v.EdgeSize)
		b.want(v.Audit, v.AuditSize)
	}
	if first {
		return
	}
	before := versions[i-1]
	if !b.deltas.Has(v.Edge) && !b.cannot[v.Edge] && b.holds(before) && b.holds(v) {
		if err := b.deltas.Make(ctx, b.files, before.Kept, v.Kept); err != nil && ctx.Err() == nil {
			b.cannot[v.Edge] = true
			b.sayCannot(ctx, v, err)
		}
	}
	if !whole && !b.deltas.Has(v.Edge) && !b.holds(v) && !b.getDelta(ctx, before, v) {
		b.want(v.Edge, v.EdgeSize) // a member that has no delta has the files
		b.want(v.Audit, v.AuditSize)
	}
}

// release lets the files of a version go that is kept as a delta, when no delta to the next one is to be made of them.
func (b *backfill) release(ctx context.Context, versions []kept, i int) {
	if i == 0 || i >= len(versions)-audit.KeptVersions || versions[i-1].epoch != versions[i].epoch {
		return
	}
	v, next := versions[i], versions[i+1] // there is one: v is not among the last
	if b.deltas.Has(v.Edge) && (next.epoch != v.epoch || b.deltas.Has(next.Edge)) && b.holdsAny(v) {
		if err := errors.Join(b.files.Remove(v.Edge), b.files.Remove(v.Audit)); err != nil {
			b.log.ErrorContext(ctx, "files of an old version not removed", slog.Any("error", err))
			return
		}
		b.log.InfoContext(ctx, "old version is kept as what changed since the one before",
			slog.String("list", string(v.list)), slog.Uint64("seq", v.Seq))
	}
}

func (b *backfill) holds(v kept) bool    { return b.files.Has(v.Edge) && b.files.Has(v.Audit) }
func (b *backfill) holdsAny(v kept) bool { return b.files.Has(v.Edge) || b.files.Has(v.Audit) }

// sayCannot says why no delta was made, but not that two versions have nothing in common.
func (b *backfill) sayCannot(ctx context.Context, v kept, err error) {
	level := slog.LevelError
	if errors.Is(err, list.ErrBase) || errors.Is(err, fetch.ErrTooLarge) {
		level = slog.LevelDebug
	}
	b.log.Log(ctx, level, "no delta to an old version: its files are kept", slog.String("list", string(v.list)), slog.Uint64("seq", v.Seq), slog.Any("error", err))
}

// getDelta asks every other member once.
func (b *backfill) getDelta(ctx context.Context, from, to kept) bool {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	for name, c := range b.peers {
		body, err := c.Delta(ctx, to.Edge)
		if err == nil {
			err = b.deltas.Put(ctx, to.list, to.root, from.Kept, to.Kept, body)
			body.Close()
		}
		if err == nil {
			return true
		}
		b.log.DebugContext(ctx, "delta not had from member", slog.String("member", name), slog.String("version", fmt.Sprintf("%x", to.Edge[:8])), slog.Any("error", err))
	}
	return false
}
