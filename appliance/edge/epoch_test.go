package edge

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/match"
)

// asker asks whatever set is in force, all the time, names that are listed in every version and names that are in none.
type asker struct {
	set         atomic.Pointer[match.Set]
	asked       atomic.Int64
	through     atomic.Int64 // listed names that passed
	overblocked atomic.Int64 // others that were stopped
	stop        chan struct{}
	done        sync.WaitGroup
}

func startAsking(t *testing.T, now uint32) *asker {
	a := &asker{stop: make(chan struct{})}
	a.done.Go(func() {
		for {
			select {
			case <-a.stop:
				return
			default:
			}
			s := a.set.Load()
			if s == nil {
				continue
			}
			for _, i := range []int{1, 6, 12} {
				if !s.Name([]byte(listtest.Name(i)), now).Listed {
					a.through.Add(1)
				}
			}
			for _, name := range []string{"www.fine.test", listtest.Name(5001)} {
				if s.Name([]byte(name), now).Listed {
					a.overblocked.Add(1)
				}
			}
			a.asked.Add(1)
		}
	})
	t.Cleanup(a.end)
	return a
}

func (a *asker) end() {
	select {
	case <-a.stop:
	default:
		close(a.stop)
	}
	a.done.Wait()
}

// heard waits until the asker has gone round since now.
func (a *asker) heard() {
	for before := a.asked.Load(); a.asked.Load() < before+2; {
		runtime.Gosched()
	}
}

// A new epoch has other keys, other digests and other files. The edge changes from one to the next in one step, when all of it is here:
// late keys hold the new version up and nothing else, across restarts too, with a control node and without.
func TestAnEdgeChangesEpochsWithoutAGap(t *testing.T) {
	f, e := follow(t)
	var mu sync.Mutex
	var receipts []audit.SignedReceipt
	c, _ := controlNode(t, e.control(&receipts, &mu))

	a := startAsking(t, uint32(e.log.Now.Unix()))
	f.swap = func(s *match.Set) { a.set.Store(s) }
	restart := func() {
		t.Helper()
		e.restart()
		next := &follower{
			cluster: f.cluster, quorum: f.quorum, name: f.name, dir: f.dir, key: f.key, shelf: e.shelf,
			maxStale: f.maxStale, swap: f.swap, clock: f.clock, log: f.log,
		}
		if ok, err := next.restore(t.Context()); !ok || err != nil {
			t.Fatalf("restart alone: %v, %v", ok, err)
		}
		f = next
		a.heard()
	}
	pull := func() error { err := f.pull(t.Context(), c); a.heard(); return err }

	if err := pull(); err != nil {
		t.Fatal(err)
	}
	for epoch := uint32(2); epoch <= 4; epoch++ {
		before := f.active.set.StateID()
		e.log.Epoch = epoch
		e.log.Publish(50)
		e.src.late[epoch] = true
		for range 2 {
			if err := pull(); err == nil || !strings.Contains(err.Error(), "keys") {
				t.Fatalf("epoch %d without keys: %v", epoch, err)
			}
			if got := f.active.set.StateID(); got != before {
				t.Fatalf("epoch %d without keys: state %v, want the one before, %v", epoch, got, before)
			}
			restart() // the list before comes back from this disk, keys and all
		}
		e.src.late[epoch] = false
		if err := pull(); err != nil {
			t.Fatalf("epoch %d with keys: %v", epoch, err)
		}
		if want := e.log.State(e.log.InForce); f.active.set.StateID() != want {
			t.Fatalf("epoch %d: state %v, want %v", epoch, f.active.set.StateID(), want)
		}
		restart()
		if want := e.log.State(e.log.InForce); f.active.set.StateID() != want {
			t.Fatalf("epoch %d after a restart alone: state %v, want %v", epoch, f.active.set.StateID(), want)
		}
	}
	a.end()
	if through, over := a.through.Load(), a.overblocked.Load(); through > 0 || over > 0 {
		t.Errorf("%d listed names passed, %d others were stopped", through, over)
	}
	t.Logf("asked %d times", a.asked.Load())

	// Of four epochs' keys the disk holds those of two versions at most.
	files, err := os.ReadDir(filepath.Join(e.dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, x := range files {
		names = append(names, x.Name())
	}
	if len(names) > 2 || !slices.Contains(names, "hotline-one.main.4.age") {
		t.Errorf("wrapped keys on disk: %q", names)
	}
}
