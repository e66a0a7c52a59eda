package edge

import (
	"errors"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestProcessorsAreSparedWhileListsAreWorkedOnUnlessTheOperatorSaysHowMany(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	want := func(what string, places int) {
		t.Helper()
		if got := runtime.GOMAXPROCS(0); got != places {
			t.Errorf("%s: %d places for goroutines, want %d", what, got, places)
		}
	}
	t.Setenv("GOMAXPROCS", "3")
	end := spareProcessors()
	want("GOMAXPROCS is set", before)
	end()
	want("GOMAXPROCS was set", before)
	t.Setenv("GOMAXPROCS", "")
	first, second := spareProcessors(), spareProcessors()
	want("two lists", 2*before)
	first()
	first()
	want("one of two", 2*before)
	second()
	want("none any more", before)
}

// standing is what the kernel knows of the thread that calls it.
func standing(t *testing.T) unix.SchedAttr {
	t.Helper()
	a, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Error(err)
		return unix.SchedAttr{}
	}
	return *a
}

// TestWorkAsideGivesWay: its thread has stepped back and there are places for the others, and afterwards no thread is left that has stepped back: a
// listener on it would wait for everybody.
func TestWorkAsideGivesWay(t *testing.T) {
	t.Setenv("GOMAXPROCS", "")
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	want, own := errors.New("what the work returns"), standing(t).Nice
	err := aside(func() error {
		if a := standing(t); a.Nice != min(own+asideNice, 19) || a.Policy != unix.SCHED_BATCH {
			t.Errorf("work aside: nice %d, policy %d; want %d, %d", a.Nice, a.Policy, min(own+asideNice, 19), unix.SCHED_BATCH)
		}
		if got := runtime.GOMAXPROCS(0); got != 2*before {
			t.Errorf("work aside: %d places for goroutines, want %d", got, 2*before)
		}
		return want
	})
	if err != want { //nolint:errorlint // the very one
		t.Errorf("error %v", err)
	}
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("afterwards %d places for goroutines, want %d", got, before)
	}
	var wg, all sync.WaitGroup
	all.Add(32)
	for range 32 { // each on a thread of its own, whichever there are
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			all.Done()
			all.Wait()
			if a := standing(t); a.Nice != own {
				t.Error("a thread that has stepped back is used for other things")
			}
		})
	}
	wg.Wait()
}
