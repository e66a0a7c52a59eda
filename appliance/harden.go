package appliance

import (
	"context"
	"fmt"
	"log/slog"

	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/resolver/match/locked"
)

// Harden keeps the list keys, which live in this process' memory only, out of core files and out of reach of debuggers of the same user (P4),
// and makes files readable by their owner alone. Call it before keys are read.
func Harden() error {
	unix.Umask(0o077)
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core files: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	// Locked memory counts against this limit: as much of it as we may have.
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err == nil && limit.Cur < limit.Max {
		limit.Cur = limit.Max
		_ = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &limit) // what we have must do, then; locked.Value says how well
	}
	return nil
}

// KeyCare says, in the log and for cordon status, how a node keeps its keys.
func KeyCare(ctx context.Context, store config.Store, memory locked.Mode, o Options) api.KeyCare {
	o.Log.InfoContext(ctx, "keys", slog.String("store", store.String()), slog.String("memory", memory.String()))
	if store == config.Disk && !o.Development {
		o.Log.WarnContext(ctx, "keys are plain files, as accept_key_on_disk says: whoever steals this disk, or a backup of it, can test names against the lists; cordon seal moves them to the TPM")
	}
	return api.KeyCare{Store: store.String(), Memory: memory.String()}
}
