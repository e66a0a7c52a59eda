package edge

import (
	"context"
	"io"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/resolver/match"
)

// pinned notes what is pinned of a file, and what of it is.
type pinned struct {
	io.Closer
	parts [][]byte
}

func (p *pinned) Pin(parts ...[]byte) error { p.parts = parts; return nil }
func (p *pinned) Unload() error             { return nil }

// What lookups read is pinned where the process may lock what it likes, and a limit is left to the keys.
func TestListsArePinnedUnlessOnlyKeysMayBe(t *testing.T) {
	e := newEdgeDisk(t)
	l, err := e.load(e.src)
	if err != nil {
		t.Fatal(err)
	}
	edge := l.maps[slices.IndexFunc(l.maps, func(c io.Closer) bool { _, ok := c.(*sharedList); return ok })].(*sharedList).edge
	done := make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with what is taken from it
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var caps [2]unix.CapUserData
		var old unix.Rlimit
		if err := unix.Capget(&head, &caps[0]); err != nil {
			t.Error(err)
		}
		if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &old); err != nil {
			t.Error(err)
		}
		caps[0].Effective &^= 1 << unix.CAP_IPC_LOCK
		if err := unix.Capset(&head, &caps[0]); err != nil {
			t.Error(err)
		}
		limit := old
		limit.Cur = min(old.Max, 64<<20)
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
			t.Error(err)
		}
		defer unix.Setrlimit(unix.RLIMIT_MEMLOCK, &old)
		if got := pin(t.Context(), e.shelf, edge); got != nil {
			t.Errorf("%d parts pinned below a limit of %d", len(got), limit.Cur)
		}
	}()
	<-done
	if !e.shelf.unpinned {
		t.Error("nobody was told")
	}
	may := mayPin() == nil
	if got := pin(t.Context(), e.shelf, edge); may && len(got) != len(edge.Hot()) || !may && got != nil {
		t.Errorf("may lock: %v, %d parts pinned", may, len(got))
	}
}

func pin(ctx context.Context, s *shelf, edge *match.Edge) [][]byte {
	p := &pinned{}
	s.pin(ctx, edge, p)
	return p.parts
}
