package unbound

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// rig runs one Resolver.
type rig struct {
	*Resolver
	log   *logBuffer
	close func()
}

type logBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func needUnbound(t *testing.T) {
	t.Helper()
	if _, err := find(DefaultProgram); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// openFolder is a folder that another user can reach, as t.TempDir is not when the tests run as root.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "unbound")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// quick is between probes where a test waits for what they find, or for counters, which come with each fifth.
const quick = 200 * time.Millisecond

func begin(t *testing.T, c Config) *rig {
	t.Helper()
	g := &rig{log: new(logBuffer)}
	c.Log = slog.New(slog.NewTextHandler(g.log, nil))
	if c.Dir == "" {
		c.Dir = filepath.Join(openFolder(t), "run")
	}
	r, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	g.Resolver = r
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = r.Run(ctx)
	}()
	g.close = func() {
		cancel()
		<-ended
	}
	t.Cleanup(g.close)
	return g
}

// until waits for a state: the bound is for what hangs.
func (g *rig) until(t *testing.T, what string, ok func(State) bool) State {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		if s := g.State(); ok(s) {
			return s
		}
	}
	t.Fatalf("never %s: %+v\n%s", what, g.State(), g.log)
	return State{}
}

// pidfd is a handle of a process that is not mistaken for a later one with its number.
func pidfd(t *testing.T, process int) int {
	t.Helper()
	fd, err := unix.PidfdOpen(process, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// wait returns when the process has ended.
func wait(t *testing.T, pidfd int) {
	t.Helper()
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 120_000)
		if err == unix.EINTR {
			continue
		}
		if n != 1 || err != nil {
			t.Errorf("the process has not ended: %d, %v", n, err)
		}
		return
	}
}
