package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/upstream/upstreamtest"
	"github.com/cordon-project/cordon/resolver/wire"
)

// waiter notes what it is told.
type waiter struct {
	mu            sync.Mutex // guards the rest
	told, flushed int
	early         bool // flushed before it was told
	err           error
	wrong         string
	done          *sync.WaitGroup
}

func (w *waiter) Told(reply []byte, sum *wire.Summary, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told++
	w.err = err
	var want wire.Summary
	if err == nil && (sum == nil || wire.Scan(reply, &want) != nil || sum.Cut != want.Cut || sum.Life != want.Life || len(sum.TTLs) != len(want.TTLs)) {
		w.wrong = fmt.Sprintf("the summary is %+v, want %+v", sum, want)
	}
}

func (w *waiter) Flush() {
	w.mu.Lock()
	w.flushed++
	w.early = w.early || w.told != 1
	w.mu.Unlock()
	w.done.Done()
}

// Questions that are queued leave with Flush, and each waiter is told once and then flushed once: with its answer and what was found in it, with an error,
// and also when there is no room or the pool is closed.
func TestQueuedQuestionsAreToldAndFlushedOnceEach(t *testing.T) {
	s := upstreamtest.Start(t, upstreamtest.Plain)
	p := pool(t, upstream.Config{InFlight: 40}, s)
	const n = 60
	var done sync.WaitGroup
	waiters := make([]*waiter, n)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for i := range waiters {
		waiters[i] = &waiter{done: &done}
		done.Add(1)
		ctx := context.Background()
		if i%10 == 9 {
			ctx = gone
		}
		p.Queue(ctx, wire.Question{Name: name(fmt.Sprintf("n%d.test", i%50)), Type: dns.TypeA, Class: 1}, waiters[i]) // the last ten are asked already
	}
	if seen := len(s.Seen()); seen != 0 {
		t.Errorf("%d questions left before Flush", seen)
	}
	p.Flush()
	done.Wait()
	answered, busy, left := 0, 0, 0
	for i, w := range waiters {
		w.mu.Lock()
		switch {
		case w.err == nil:
			answered++
		case errors.Is(w.err, upstream.ErrBusy):
			busy++
		case errors.Is(w.err, context.Canceled):
			left++
		}
		if w.told != 1 || w.flushed != 1 || w.early || w.wrong != "" {
			t.Errorf("waiter %d was told %d times and flushed %d times (before: %v), %s", i, w.told, w.flushed, w.early, w.wrong)
		}
		w.mu.Unlock()
	}
	if answered != 49 || busy != 5 || left != 6 {
		t.Errorf("%d answered, %d without room, %d had left; want 49, 5 and 6", answered, busy, left)
	}
	if seen := len(s.Seen()); seen != 40 {
		t.Errorf("%d questions were asked, want 40", seen)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	done.Add(1)
	late := &waiter{done: &done}
	p.Queue(context.Background(), wire.Question{Name: name("late.test"), Type: dns.TypeA, Class: 1}, late)
	done.Wait()
	if !errors.Is(late.err, upstream.ErrBusy) {
		t.Errorf("a closed pool says %v", late.err)
	}
}
