package appliance

import (
	"context"
	"log/slog"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
)

func (f *follower) noteFresh(m *audit.Opened) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !m.Fresh.After(f.fresh) {
		return
	}
	if now := f.clock(); now.Sub(f.fresh) > directAfter {
		f.followed = now
	}
	f.fresh = m.Fresh
}

// freshness is that of the newest accepted checkpoint; zero before the first.
func (f *follower) freshness() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fresh
}

// noteLoaded says whether what is in force is what this edge serves.
func (f *follower) noteLoaded(yes bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if yes {
		f.behind = time.Time{}
	} else if f.behind.IsZero() {
		f.behind = f.clock()
	}
}

// watchFreshness raises an alarm when the cluster's checkpoint grows old, and says when it is fresh again. It never takes a list out of
// force. It waits for nothing, so that the alarm comes even when a control node hangs.
func (f *follower) watchFreshness(ctx context.Context) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	stale := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f.mu.Lock()
		fresh := f.fresh
		f.mu.Unlock()
		if fresh.IsZero() {
			continue
		}
		switch age := f.clock().Sub(fresh); {
		case age > f.maxStale && !stale:
			stale = true
			f.log.ErrorContext(ctx, "cluster's checkpoint is old: the last verified lists stay in force", slog.Time("since", fresh), slog.Duration("age", age))
		case age <= f.maxStale && stale:
			stale = false
			f.log.InfoContext(ctx, "cluster's checkpoint is fresh again")
		}
	}
}
