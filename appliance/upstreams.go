package appliance

import (
	"context"
	"log/slog"
	"time"

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
