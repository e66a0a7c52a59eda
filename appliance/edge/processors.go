package edge

import (
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// spare is what spareProcessors has changed.
var spare struct {
	mu     sync.Mutex // guards the rest
	users  int
	before int // places for running goroutines without any
}

// spareProcessors lets as many threads of this process run Go code again as it has processors, until the function it returns is called, unless
// GOMAXPROCS is set. It is for work on lists beside questions that are answered.
//
// A goroutine that computes gives its place to one whose question has come after 10 ms, when the runtime takes it away; a thread that computes
// gives its processor to one that wakes at once, for that is what the kernel's scheduler is for. So work on lists takes as many places as there
// are processors (match, listsync/list), and listeners find one free: with one processor, a list of a million entries verified again and again and
// 20,000 questions a second, 90 % of the answers came within 25 ms without the spare place and within 6 with it, on a busy machine.
//
// And no longer than that: each goroutine that has something to do wakes a thread for a place that is free, to look for more. With nothing to find,
// on one processor, that was a quarter of what a question for an upstream costs (13.3 us instead of 10.3).
func spareProcessors() (end func()) {
	if os.Getenv("GOMAXPROCS") != "" {
		return func() {}
	}
	spare.mu.Lock()
	defer spare.mu.Unlock()
	if spare.users++; spare.users == 1 {
		spare.before = runtime.GOMAXPROCS(0)
		runtime.GOMAXPROCS(2 * spare.before)
	}
	return sync.OnceFunc(func() {
		spare.mu.Lock()
		defer spare.mu.Unlock()
		if spare.users--; spare.users == 0 {
			runtime.GOMAXPROCS(spare.before)
		}
	})
}

const (
	// asideNice, on top of the process' own, leaves a thread a tenth of a processor that the others want all of: a change still comes
	// through, and a collection that waits for the thread to stop does not wait for ever.
	asideNice = 10
	// asideSlice is what a thread asks of the kernel to run at a stretch. One that wakes and asks for less, as all others do (0.7 to 2.8 ms), takes
	// the processor from it at once; without this it waits until those are over. Linux 6.12 and later; others do not look at it.
	asideSlice = 10 * time.Millisecond
)

// aside does work on a thread of its own, from which the kernel takes the processor as soon as a listener has something to do, with
// processors to spare (see there), and returns what it returns. It is for whatever computes for more than a millisecond, or
// writes to disk, in an edge that answers questions.
func aside(work func() error) error {
	defer spareProcessors()()
	done := make(chan error)
	go func() {
		// Never unlocked: standing that was given up is not given back to who is not root, so the thread ends with this goroutine.
		runtime.LockOSThread()
		stepBack()
		done <- work()
	}()
	return <-done
}

// stepBack gives up the standing of this thread. Where that is forbidden the work is done all the same.
func stepBack() {
	own, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return
	}
	nice := min(own.Nice+asideNice, 19)
	if unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_BATCH, Nice: nice, Runtime: uint64(asideSlice)}, 0) != nil {
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), int(nice))
	}
}
