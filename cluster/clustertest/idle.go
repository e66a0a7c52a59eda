package clustertest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// Idle holds n connections to addr on which not a byte is sent, and opens each
// again as soon as the other side closes it, until the test ends; where nobody
// listens it knocks ten times a second. It returns when all have been open once.
func Idle(t testing.TB, addr string, n int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running, first sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	for range n {
		first.Add(1)
		running.Go(func() {
			opened := sync.OnceFunc(first.Done)
			defer opened()
			for ctx.Err() == nil {
				hold(ctx, addr, opened)
			}
		})
	}
	first.Wait()
}

// hold is one connection's life.
func hold(ctx context.Context, addr string, opened func()) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		again := time.NewTimer(100 * time.Millisecond) // else all n take the processors from who is to listen there
		defer again.Stop()
		select {
		case <-ctx.Done():
		case <-again.C:
		}
		return
	}
	opened()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	defer c.Close()
	_, _ = c.Read(make([]byte, 1)) // until the other side has enough
}
