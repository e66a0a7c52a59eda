package edge

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

// watchFreshness looks at the age of the cluster's checkpoint until ctx ends. It waits for nothing, so that an alarm comes even when a control
// node hangs.
func (f *follower) watchFreshness(ctx context.Context) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for w := (ages{maxStale: f.maxStale, log: f.log}); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if fresh := f.freshness(); !fresh.IsZero() {
			w.look(ctx, f.clock(), fresh)
		}
	}
}

// clockBehind is how far a clock may be behind the time that a quorum of the cluster has signed before it is said to be. What ends
// (an exemption, a removal, metadata) ends here by this machine's own clock.
const clockBehind = time.Minute

// ages raises alarms when the cluster's checkpoint grows old, and when this machine's clock is behind it; and says when that is over. Neither
// takes a list out of force.
type ages struct {
	maxStale      time.Duration
	log           *slog.Logger
	stale, behind bool      // said to be
	judged        time.Time // the checkpoint by which the clock was judged: while none comes its age says nothing of the clock
}

func (a *ages) look(ctx context.Context, now, fresh time.Time) {
	age := now.Sub(fresh)
	switch {
	case age > a.maxStale && !a.stale:
		a.stale = true
		a.log.ErrorContext(ctx, "cluster's checkpoint is old: the last verified lists stay in force", slog.Time("since", fresh), slog.Duration("age", age))
	case age <= a.maxStale && a.stale:
		a.stale = false
		a.log.InfoContext(ctx, "cluster's checkpoint is fresh again")
	}
	if fresh.Equal(a.judged) {
		return
	}
	a.judged = fresh
	switch {
	case -age > clockBehind && !a.behind:
		a.behind = true
		a.log.ErrorContext(ctx, "this machine's clock is behind its cluster's: what ends by the clock ends late here; set the clock", slog.Time("cluster", fresh), slog.Duration("behind", -age))
	case -age <= clockBehind/2 && a.behind:
		a.behind = false
		a.log.InfoContext(ctx, "this machine's clock agrees with its cluster's again")
	}
}
