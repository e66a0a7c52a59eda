package listsync

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cordon-project/cordon/listsync/fetch"
)

// errSlow is a repository that has not answered in its time. It is asked no more before it has; those behind it are.
var errSlow = errors.New("repository is slow: the next one is asked beside it")

// turns asks repositories one after the other and does not let a slow one hold up those behind it: when its time is over, the next one
// has its turn, and the slow one is left to end by itself (package fetch bounds how long that can take). take is for one goroutine.
type turns struct {
	grace time.Duration
	after func(*fetch.Repository, time.Duration) <-chan time.Time // time.After, but for tests
	late  map[*fetch.Repository]chan struct{}                     // those that have not ended yet
	wg    sync.WaitGroup
}

func newTurns(grace time.Duration) turns {
	after := func(_ *fetch.Repository, d time.Duration) <-chan time.Time { return time.After(d) }
	return turns{grace: grace, after: after, late: map[*fetch.Repository]chan struct{}{}}
}

// take gives repo its turn. ask may say that a large file is coming and how much longer that is to be waited for.
func (t *turns) take(ctx context.Context, repo *fetch.Repository, ask func(more func(time.Duration)) error) error {
	if done, busy := t.late[repo]; busy {
		select {
		case <-done:
			delete(t.late, repo)
		default:
			return errSlow
		}
	}
	var result error
	done, extended, gone := make(chan struct{}), make(chan time.Duration), make(chan struct{})
	leave := sync.OnceFunc(func() { close(gone) })
	defer leave()
	t.wg.Go(func() {
		defer close(done)
		result = ask(func(d time.Duration) {
			select {
			case extended <- d:
			case <-gone: // nobody waits any more
			}
		})
	})
	up := t.after(repo, t.grace)
	for {
		select {
		case <-done:
			return result
		case d := <-extended:
			up = t.after(repo, t.grace+d)
		case <-up:
			t.late[repo] = done
			return fmt.Errorf("%w after %v", errSlow, t.grace)
		case <-ctx.Done():
			leave()
			<-done // it ends with the context
			return ctx.Err()
		}
	}
}
