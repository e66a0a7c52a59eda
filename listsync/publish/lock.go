package publish

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockName is the file whose lock a command holds while it works in a directory.
const lockName = ".lock"

// lock waits up to c.Wait for the directory's lock and gives the function that releases it. The kernel releases it too when the
// process ends, so no stale lock is ever left.
func lock(c Config, dir string) (func(), error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault(CodeFailure, err, "check who owns the directory", "cannot lock %s", dir)
	}
	limit := time.NewTimer(c.wait())
	defer limit.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fault(CodeFailure, err, "check the file system of the directory", "cannot lock %s", dir)
		}
		select {
		case <-again.C:
		case <-limit.C:
			f.Close()
			return nil, sentence(CodeFailure, ErrLocked, "wait until it has ended and try again", "another cordon-hotline command works in %s", dir)
		}
	}
}
