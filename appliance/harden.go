package appliance

import (
	"fmt"

	"golang.org/x/sys/unix"
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
	return nil
}
