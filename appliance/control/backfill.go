package control

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/resolver/match"
)

// backfill brings a control node that was away what the others staged meanwhile: of every version in the log the files, or the delta that
// makes them (retain.go), so that each node can serve each edge and give auditors a whole bundle.
type backfill struct {
	node   *cluster.Node
	files  *fetch.Store
	deltas *fetch.Deltas
	peers  api.Peers
	log    *slog.Logger

	// owned by run
	walked  uint64    // leaves looked at
	checked time.Time // when the files were last read and compared with their hashes
	lists   map[match.ListID][]kept
	cannot  map[[32]byte]bool  // versions to which no delta could be made since then
	wanted  map[[32]byte]int64 // files that are needed and the store lacks, with their sizes
}

const (
	backfillEvery = 5 * time.Second
	fetchTimeout  = 15 * time.Minute // bounds one file over a thin line
	checkEvery    = 6 * time.Hour    // and at the start: a disk that forgets is found before an auditor finds it
)

// check reads every file and removes what is no longer what was put there, so that it is had anew.
func (b *backfill) check(ctx context.Context) {
	damaged, err := b.files.CheckAll(ctx)
	if err != nil && ctx.Err() == nil {
		b.log.ErrorContext(ctx, "stored files not checked", slog.Any("error", err))
	}
	for _, sum := range damaged {
		b.log.ErrorContext(ctx, "stored file is damaged: fetching it anew; look at this disk", slog.String("file", fmt.Sprintf("%x", sum)))
		if err := b.files.Remove(sum); err != nil {
			b.log.ErrorContext(ctx, "damaged file not removed", slog.Any("error", err))
		}
	}
	damaged, err = b.deltas.CheckAll(ctx)
	if err != nil && ctx.Err() == nil {
		b.log.ErrorContext(ctx, "stored deltas not checked", slog.Any("error", err))
	}
	for _, edge := range damaged {
		b.log.ErrorContext(ctx, "stored delta is damaged: fetching it anew; look at this disk", slog.String("version", fmt.Sprintf("%x", edge)))
		if err := b.deltas.Remove(edge); err != nil {
			b.log.ErrorContext(ctx, "damaged delta not removed", slog.Any("error", err))
		}
	}
}

func (b *backfill) run(ctx context.Context) error {
	tick := time.NewTicker(backfillEvery)
	defer tick.Stop()
	for {
		if time.Since(b.checked) > checkEvery {
			b.check(ctx)
			b.walked, b.lists, b.cannot, b.checked = 0, map[match.ListID][]kept{}, map[[32]byte]bool{}, time.Now()
		}
		b.look()
		b.retain(ctx)
		for sum, size := range b.wanted {
			if b.files.Has(sum) || b.get(ctx, sum, size) {
				delete(b.wanted, sum)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look walks the leaves that are new.
func (b *backfill) look() {
	view := b.node.View()
	for ; b.walked < view.Size; b.walked++ {
		p, ok := publishLeaf(view.Tree(), b.walked)
		if !ok {
			continue
		}
		b.lists[p.List] = append(b.lists[p.List], keptOf(p))
	}
}

func (b *backfill) want(sum [32]byte, size int64) {
	if !b.files.Has(sum) {
		b.wanted[sum] = size
	}
}

func publishLeaf(tree *audit.Tree, n uint64) (audit.Publish, bool) {
	raw, err := tree.Leaf(n)
	if err != nil {
		return audit.Publish{}, false
	}
	leaf, err := audit.DecodeLeaf(raw)
	if err != nil || leaf.K != audit.KindPublish {
		return audit.Publish{}, false
	}
	body, err := leaf.Body()
	if err != nil {
		return audit.Publish{}, false
	}
	p, ok := body.(audit.Publish)
	return p, ok
}

// get asks every other member once.
func (b *backfill) get(ctx context.Context, sum [32]byte, size int64) bool {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	for name, c := range b.peers {
		body, err := c.File(ctx, sum)
		if err == nil {
			err = b.files.Put(ctx, sum, size, body)
			body.Close()
		}
		if err == nil {
			return true
		}
		b.log.DebugContext(ctx, "file not had from member", slog.String("member", name), slog.String("file", fmt.Sprintf("%x", sum[:8])), slog.Any("error", err))
	}
	return false
}
