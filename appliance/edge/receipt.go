package edge

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster/audit"
)

const (
	// An edge says again what it serves, so that an auditor sees that it lives and a receipt lost with a control node is made good.
	confirmEvery = time.Hour
	confirmRetry = 10 * time.Second
)

// confirm hands a control node the signed receipt that is due, if one is.
func (f *follower) confirm(ctx context.Context, c *api.Client) {
	now := f.clock()
	f.act.Lock()
	due := f.active != nil && !now.Before(f.confirmAt) && (len(f.direct) == 0 || f.settled(now))
	generation := f.generation
	f.act.Unlock()
	if !due {
		return
	}
	err := f.receipt(ctx, c)
	f.act.Lock()
	defer f.act.Unlock()
	switch {
	case err != nil:
		f.confirmAt = now.Add(confirmRetry)
		f.log.WarnContext(ctx, "receipt not taken", slog.Any("error", err))
	case f.generation == generation: // else something has changed since, and another one is due
		f.confirmAt = now.Add(confirmEvery)
	}
}

// settled reports whether the log has had the time to take in what this edge took without it. A receipt that names such withdrawals before
// the log has them could be checked by nobody; and while there is no quorum no receipt reaches the log.
func (f *follower) settled(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return now.Sub(f.fresh) <= restless && now.Sub(f.followed) >= directSettle
}

// receipt signs what is served, and which of it the log does not say. Its counter is on disk before it is used, so that no two receipts share one. It follows the clock in
// milliseconds, so that an edge whose disk was replaced or brought back is not behind its own last receipt.
func (f *follower) receipt(ctx context.Context, c *api.Client) error {
	f.counter = max(f.counter+1, uint64(max(f.clock().UnixMilli(), 0)))
	err := aside(func() error {
		return renameio.WriteFile(f.dir.Join(counterFile), []byte(strconv.FormatUint(f.counter, 10)+"\n"), 0o600)
	})
	if err != nil {
		return fmt.Errorf("keep receipt counter: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	f.act.Lock()
	state, direct := f.active.set.StateID(), f.direct.ids()
	f.act.Unlock()
	return c.Receipt(ctx, audit.SignReceipt(audit.Receipt{
		Cluster: f.cluster.ID(), Edge: f.name, Counter: f.counter, State: state,
		Size: f.served.Size, Root: f.served.Root, Time: f.clock().Unix(), Direct: direct,
	}, f.key))
}
