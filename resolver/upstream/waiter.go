package upstream

import (
	"context"

	"github.com/cordon-project/cordon/resolver/wire"
)

// Waiter waits for the answer to one question.
type Waiter interface {
	// Told is called once, from any goroutine, also before Queue returns. It must not block, as it holds up others that wait for answers. The reply
	// is what Exchange would return; it may be read until Told returns, as may sum, which wire.Scan made of it: nil when nobody has it.
	Told(reply []byte, sum *wire.Summary, err error)
	// Flush is called once behind Told, when all have been told whose answers came with this one: what Told has put off is done now.
	Flush()
}

// told is a Waiter that puts nothing off.
type told func(reply []byte, err error)

func (f told) Told(reply []byte, _ *wire.Summary, err error) { f(reply, err) }
func (told) Flush()                                          {}

type waiter struct {
	ctx context.Context
	Waiter
}

// landed are flights whose waiters are to be told once the shard is unlocked.
type landed []*flight

// tell tells them, and takes the flights back.
func (l landed) tell() {
	if len(l) == 0 {
		return
	}
	for _, f := range l {
		for _, w := range f.waiters {
			w.Told(f.reply, f.sum, f.err)
		}
	}
	for _, f := range l {
		for _, w := range f.waiters {
			w.Flush()
		}
		clear(f.waiters)
		f.waiters, f.reply, f.sum = f.waiters[:0], nil, nil
		if cap(f.waiters) > maxWaiters {
			f.waiters = nil
		}
	}
	s := l[0].shard
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range l {
		if !f.lone && len(s.free) < maxFree {
			s.free = append(s.free, f)
		}
		l[i] = nil
	}
}

// What is kept to be used again: flights, and room for waiters in each.
const (
	maxFree    = 1024
	maxWaiters = 16
)
