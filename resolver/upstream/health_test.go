package upstream_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/upstream/upstreamtest"
	"github.com/cordon-project/cordon/resolver/wire"
)

// together asks n questions at once and waits for their answers.
func together(t *testing.T, p *upstream.Pool, n int, prefix string) {
	t.Helper()
	var work sync.WaitGroup
	work.Add(n)
	for i := range n {
		p.Ask(context.Background(), wire.Question{Name: name(fmt.Sprintf("%s%d.test", prefix, i)), Type: dns.TypeA, Class: 1}, func(_ []byte, err error) {
			if err != nil {
				t.Error(err)
			}
			work.Done()
		})
	}
	work.Wait()
}

// TestManyFailuresAtOnceCountAsOne: what was under way when a server went away says no more than its first three, so it is asked again after a
// second, by one question, and after two more if that one fails. It comes back with the first answer.
func TestManyFailuresAtOnceCountAsOne(t *testing.T) {
	var dead atomic.Bool
	dead.Store(true)
	first := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		r := upstreamtest.Plain(q)
		if dead.Load() { // at once, so that nothing here depends on a time
			r.Packets[0] = r.Packets[0][:len(r.Packets[0])-20]
		}
		return r
	})
	second := upstreamtest.Start(t, upstreamtest.Plain)
	var now atomic.Int64
	p := pool(t, upstream.Config{Attempt: time.Minute, Total: time.Minute, Clock: func() time.Time { return time.Unix(now.Load(), 0) }}, first, second)
	const n = 30
	p.Know(1, time.Hour)
	together(t, p, n, "a")
	asked := len(first.Seen())
	for _, step := range []struct {
		at   int64
		want int
	}{{0, 0}, {1, 1}, {2, 0}, {3, 1}, {6, 0}, {7, 1}} {
		now.Store(step.at)
		p.Know(0, time.Hour) // no hedging, however slow this machine is
		p.Know(1, time.Hour)
		together(t, p, n, fmt.Sprintf("t%d-", step.at))
		if got := len(first.Seen()) - asked; got != step.want {
			t.Errorf("after %d s the dead server was asked %d of %d questions, want %d", step.at, got, n, step.want)
		}
		asked = len(first.Seen())
	}
	dead.Store(false)
	now.Store(15)
	together(t, p, 1, "alive")
	p.Know(0, time.Millisecond)
	p.Know(1, time.Hour)
	if c := p.Counts(); !c.Servers[0].Failing.IsZero() {
		t.Errorf("it answers and is failing since %v", c.Servers[0].Failing)
	}
	together(t, p, n, "b")
	if got := len(first.Seen()) - asked; got != n+1 {
		t.Errorf("the server that came back was asked %d of %d questions", got, n+1)
	}
}

// TestASecondServerIsNotKnownByTheFirstOnesAnswer: it was asked just before that came, and would seem to be as quick as that.
func TestASecondServerIsNotKnownByTheFirstOnesAnswer(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	first := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		<-asked
		return upstreamtest.Plain(q)
	})
	second := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		close(asked)
		<-release
		return upstreamtest.Plain(q)
	})
	defer close(release)
	p := pool(t, upstream.Config{Attempt: time.Minute, Total: time.Minute}, first, second)
	p.Know(0, time.Millisecond)
	p.Know(1, time.Hour)
	if m, err := exchange(p, "a.test", dns.TypeA); err != nil || len(m.Answer) != 1 {
		t.Fatalf("got %v, %v", m, err)
	}
	if got := p.RTT(1); got != time.Hour {
		t.Errorf("a server that has never answered quickly is taken for one of %v", got)
	}
}

// TestWhatWasPutOffEarlierDoesNotMakeAQuestionOld: queries of the clock's and of replies lie in the outbox for a moment, and a question that comes
// in this moment has all of its time all the same.
func TestWhatWasPutOffEarlierDoesNotMakeAQuestionOld(t *testing.T) {
	s := upstreamtest.Start(t, upstreamtest.Plain)
	p := pool(t, upstream.Config{Attempt: time.Minute, Total: time.Hour}, s)
	if _, err := exchange(p, "first.test", dns.TypeA); err != nil {
		t.Fatal(err)
	}
	p.Age(2 * time.Hour) // since questions last came
	q := wire.Question{Name: name("again.test"), Type: dns.TypeA, Class: 1}
	answers := make(chan error, 2)
	p.AskAgain(q, func(_ []byte, err error) { answers <- err })
	p.Ask(context.Background(), wire.Question{Name: name("next.test"), Type: dns.TypeA, Class: 1}, func(_ []byte, err error) { answers <- err })
	p.Flush()
	for range 2 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if c := p.Counts(); c.Failures != 0 || p.RTT(0) > time.Minute {
		t.Errorf("counts are %+v, the round trip took %v", c, p.RTT(0))
	}
}
