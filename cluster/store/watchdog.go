package store

import (
	"sync"
	"time"
)

// watchdog tells its owner when a write takes longer than a limit. Raft's
// leader heartbeats from other goroutines than the one that waits for the
// disk, so without it a leader with a stalled disk would stay leader, unable
// to commit anything, for as long as the stall lasts.
type watchdog struct {
	limit time.Duration
	fence func(bool)

	mu      sync.Mutex // guards all below, and is held while fence is called
	writes  map[uint64]*time.Timer
	next    uint64
	late    map[uint64]bool // writes that are over the limit
	stalled bool
	closed  bool
}

func newWatchdog(limit time.Duration, fence func(bool)) *watchdog {
	if fence == nil {
		fence = func(bool) {}
	}
	return &watchdog{limit: limit, fence: fence, writes: map[uint64]*time.Timer{}, late: map[uint64]bool{}}
}

// begin watches one write; the returned function ends it.
func (w *watchdog) begin() func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := w.next
	w.next++
	w.writes[id] = time.AfterFunc(w.limit, func() { w.over(id) })
	return func() { w.end(id) }
}

func (w *watchdog) over(id uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.writes[id] == nil {
		return // ended meanwhile
	}
	w.late[id] = true
	w.settle()
}

func (w *watchdog) end(id uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.writes[id]; t != nil {
		t.Stop()
	}
	delete(w.writes, id)
	delete(w.late, id)
	w.settle()
}

func (w *watchdog) settle() {
	if now := len(w.late) > 0; now != w.stalled && !w.closed {
		w.stalled = now
		w.fence(now)
	}
}

func (w *watchdog) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, t := range w.writes {
		t.Stop()
	}
}
