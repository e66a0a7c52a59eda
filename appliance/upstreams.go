package appliance

import (
	"context"
	"log/slog"
	"time"

	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/resolver/upstream"
)

const upstreamsEvery = 10 * time.Second

// watchUpstreams says in the log when no upstream resolver answers any more, and when one does again. Until then names that are not listed get
// SERVFAIL with EDE 22 or 23, and listed ones are stopped as ever.
func watchUpstreams(ctx context.Context, counts func() upstream.Counts, every time.Duration, log *slog.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	last, dead := counts(), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := counts()
		tried, failed := now.Attempts-last.Attempts, now.Failures-last.Failures
		switch {
		case !dead && tried > 0 && failed >= tried:
			dead = true
			log.ErrorContext(ctx, "no upstream resolver answers: names that are not listed get SERVFAIL", slog.Uint64("attempts", tried))
		case dead && failed < tried:
			dead = false
			log.InfoContext(ctx, "upstream resolvers answer again")
		}
		last = now
	}
}

// zones are the names that have resolvers of their own.
func zones(c *config.Edge) []upstream.Zone {
	var out []upstream.Zone
	for _, f := range c.Forward {
		out = append(out, upstream.Zone{Name: f.Zone, Servers: f.Servers})
	}
	return out
}
