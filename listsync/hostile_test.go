package listsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

// A place that takes a request and never answers must not hold up the places behind it.
func TestASlowRepositoryDoesNotHoldUpItsMirror(t *testing.T) {
	h := published(1)
	hang, asked, release := hanging()
	s, a := setup(t, h, hang, h)
	impatient(s, asked)
	for range 2 { // in the second poll the slow one still holds its first request
		if err := s.lists.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(a.published); got != "[1]" {
		t.Fatalf("published %s, want [1]", got)
	}
	h.Withdraw(statement(a, 1, time.Hour), 0, 1)
	if err := s.withdrawals.poll(t.Context()); !errors.Is(err, errSlow) {
		t.Errorf("got %v, want to be told of the slow one", err)
	}
	if got := fmt.Sprint(a.withdrawn); got != "[1 by 2]" {
		t.Errorf("withdrawn %s, want [1 by 2]", got)
	}
	release()
	s.lists.wg.Wait()
	s.withdrawals.wg.Wait()
}

// hanging takes requests, says so, and answers none before release.
func hanging() (h http.Handler, asked chan time.Time, release func()) {
	asked, released := make(chan time.Time, 100), make(chan struct{})
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- time.Time{}
		select {
		case <-r.Context().Done():
		case <-released:
		}
	}), asked, func() { close(released) }
}

// impatient ends the patience with the first repository when it has been asked, and with no other ever.
func impatient(s *Syncer, asked chan time.Time) {
	after := func(repo *fetch.Repository, _ time.Duration) <-chan time.Time {
		if repo == s.c.Repositories[0] {
			return asked
		}
		return nil
	}
	s.lists.after, s.withdrawals.after = after, after
}

// Alone, it is what is wrong.
func TestOnlyASlowRepositoryIsSaidToBeSlow(t *testing.T) {
	hang, asked, release := hanging()
	s, _ := setup(t, published(1), hang)
	impatient(s, asked)
	s.lists.report(t.Context(), s.lists.poll(t.Context()))
	if p := s.Health().Problem; !strings.Contains(p, "slow") {
		t.Errorf("health says %q", p)
	}
	release()
	s.lists.wg.Wait()
}

// A large file may take longer, and whoever is no longer waited for is not held up by saying so.
func TestALargeFileIsWaitedFor(t *testing.T) {
	var waits []time.Duration
	turns := newTurns(time.Second)
	turns.after = func(_ *fetch.Repository, d time.Duration) <-chan time.Time {
		waits = append(waits, d)
		return nil
	}
	if err := turns.take(t.Context(), nil, func(more func(time.Duration)) error { more(time.Minute); return nil }); err != nil {
		t.Fatal(err)
	}
	if want := []time.Duration{time.Second, time.Second + time.Minute}; !slices.Equal(waits, want) {
		t.Errorf("waits %v, want %v", waits, want)
	}
	up, release := make(chan time.Time, 1), make(chan struct{})
	up <- time.Time{}
	turns.after = func(*fetch.Repository, time.Duration) <-chan time.Time { return up }
	late := func(more func(time.Duration)) error { <-release; more(time.Minute); return nil }
	if err := turns.take(t.Context(), nil, late); !errors.Is(err, errSlow) {
		t.Errorf("got %v, want %v", err, errSlow)
	}
	close(release)
	turns.wg.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	stopped := func(more func(time.Duration)) error { cancel(); <-ctx.Done(); more(time.Minute); return nil }
	turns.after = func(*fetch.Repository, time.Duration) <-chan time.Time { return nil }
	if err := turns.take(ctx, nil, stopped); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: got %v", err)
	}
}

// What cannot even be read whole is a refusal too, recorded once a day.
func TestMetadataWithoutEndIsRecorded(t *testing.T) {
	h := published(1)
	for part, reason := range map[string]string{"timestamp": "too_large", "snapshot": "too_large", "csam-": "too_large", "targets.json": "too_large"} {
		s, a := setup(t, h, lying(h, part, func(b []byte) []byte { return bytes.Repeat([]byte(" "), 1<<20) }))
		for range 3 {
			s.lists.report(t.Context(), s.lists.poll(t.Context()))
		}
		if len(a.refusals) != 1 || a.refusals[0].Reason != reason || a.refusals[0].Detail == "" {
			t.Errorf("%s: refusals %+v, want one for %s", part, a.refusals, reason)
		}
		if p := s.Health().Problem; !strings.Contains(p, "refused ("+reason+")") {
			t.Errorf("%s: health says %q", part, p)
		}
		a.now = a.now.Add(24 * time.Hour)
		s.lists.report(t.Context(), s.lists.poll(t.Context()))
		if len(a.refusals) != 2 {
			t.Errorf("%s: %d refusals on the next day, want a second one", part, len(a.refusals))
		}
	}
}

// A mirror makes up statements, a new one at every look. Each would be a command of up to 60 KiB.
func TestForgedWithdrawalsCostTheClusterLittle(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, h)
	if err := s.lists.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	thief := trusttest.New("thief", "hotline-one", trusttest.Now)
	n := uint64(0)
	evil := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "withdrawals/") {
			h.ServeHTTP(w, r)
			return
		}
		n++
		if n%2 == 0 {
			fmt.Fprintf(w, "rubbish %d", n)
			return
		}
		w.Write(thief.Withdraw(statement(a, n, time.Hour), 0, 1))
	})
	s, _ = setupWith(t, a, h, evil, h)
	h.Withdraw(statement(a, 1, time.Hour), 0, 1)
	for range 5 {
		if err := s.withdrawals.poll(t.Context()); !errors.Is(err, errForged) {
			t.Fatalf("got %v, want %v", err, errForged)
		}
	}
	if got := fmt.Sprint(a.withdrawn); got != "[1 by 2]" {
		t.Errorf("withdrawn %s, want the true one from the next mirror", got)
	}
	if len(a.refusals) != forgeries {
		t.Errorf("%d refusals recorded, want %d in an hour", len(a.refusals), forgeries)
	}
	a.now = a.now.Add(time.Hour)
	_ = s.withdrawals.poll(t.Context())
	if len(a.refusals) != 2*forgeries {
		t.Errorf("%d refusals recorded an hour later, want %d", len(a.refusals), 2*forgeries)
	}
}
