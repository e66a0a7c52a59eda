package listsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

const listID = match.ListID("hotline-one/main")

// agreed is a cluster that accepts what verifies, as the real one does, and remembers what it was told.
type agreed struct {
	accepted  Accepted
	follower  bool
	refusals  []Refusal
	published []uint64
	withdrawn int
	answer    error // to Publish and Withdraw, when set
	now       time.Time
}

func (a *agreed) Accepted(trust.HotlineID) (Accepted, bool) { return a.accepted, true }
func (a *agreed) Leading() bool                             { return !a.follower }

func (a *agreed) Publish(_ context.Context, m trust.Metadata, _ match.ListID) error {
	if a.answer != nil {
		return a.answer
	}
	v, err := trust.Verify(a.accepted.Root, a.accepted.High, m, a.now)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	a.accepted.High, a.accepted.Root, a.accepted.Metadata = v.High, v.Root, m.Hash()
	a.published = append(a.published, v.Lists[0].Seq)
	return nil
}

func (a *agreed) Withdraw(context.Context, []byte) error {
	if a.answer != nil {
		return a.answer
	}
	a.withdrawn++
	a.accepted.Withdrawals = []Mark{{listID, uint64(a.withdrawn)}}
	return nil
}

func (a *agreed) Refuse(_ context.Context, r Refusal) error {
	a.refusals = append(a.refusals, r)
	return nil
}

// setup is a hotline that has published version 1, served by handlers, one mirror each.
func setup(t *testing.T, hotline *trusttest.Hotline, handlers ...http.Handler) (*Syncer, *agreed) {
	t.Helper()
	a := &agreed{accepted: Accepted{Root: hotline.Pinned}, now: trusttest.Now}
	files, err := fetch.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var repos []*fetch.Repository
	for _, h := range handlers {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		r, err := fetch.NewRepository(server.URL, hotline.ID, server.Client())
		if err != nil {
			t.Fatal(err)
		}
		repos = append(repos, r)
	}
	return New(Config{
		Hotline: hotline.ID, Repositories: repos, Files: files, Proposer: a, Poll: time.Second,
		Clock: func() time.Time { return a.now }, Log: slog.New(slog.DiscardHandler),
	}), a
}

func published(seq uint64) *trusttest.Hotline {
	h := trusttest.New("listsync", "hotline-one", trusttest.Now)
	for n := uint64(1); n <= seq; n++ {
		h.Publish(trusttest.Now, trusttest.Files(listID, n))
	}
	return h
}

func TestANewVersionIsProposedOnce(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, h)
	for range 3 {
		if err := s.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.Publish(trusttest.Now, trusttest.Files(listID, 2))
	if err := s.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(a.published); got != "[1 2]" {
		t.Errorf("published %s, want [1 2]", got)
	}
}

func TestARefusalIsRecordedOnceAndStaysInHealth(t *testing.T) {
	tests := []struct {
		name   string
		fault  trusttest.Fault
		reason string
	}{
		{"one key of two", trusttest.ListSigners(0), "threshold"},
		{"another scope", trusttest.Scope("gambling"), "scope"},
		{"expired timestamp", trusttest.TimestampLives(-time.Hour), "expired"},
		{"flipped byte", trusttest.FlippedSignature("list"), "threshold"},
		{"duplicate key", trusttest.DuplicateKey("list"), "format"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := published(1)
			s, a := setup(t, h, h)
			if err := s.poll(t.Context()); err != nil {
				t.Fatal(err)
			}
			h.Break(test.fault)
			h.Publish(trusttest.Now, trusttest.Files(listID, 2))
			for range 3 {
				s.report(t.Context(), s.poll(t.Context()))
			}
			if len(a.refusals) != 1 || a.refusals[0].Reason != test.reason || a.refusals[0].Hotline != h.ID {
				t.Errorf("refusals %+v, want one for %s", a.refusals, test.reason)
			}
			if len(a.published) != 1 {
				t.Errorf("published %v, want only version 1", a.published)
			}
			if p := s.Health().Problem; !strings.Contains(p, "refused ("+test.reason+")") {
				t.Errorf("health says %q", p)
			}
			h.Mend()
			h.Publish(trusttest.Now, trusttest.Files(listID, 3))
			s.report(t.Context(), s.poll(t.Context()))
			if p := s.Health(); p.Problem != "" || len(a.published) != 2 {
				t.Errorf("after mending: %+v, published %v", p, a.published)
			}
		})
	}
}

// lying answers like h but spoils what spoil names.
func lying(h http.Handler, part string, spoil func([]byte) []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		body := rec.Body.Bytes()
		if strings.Contains(r.URL.Path, part) {
			body = spoil(body)
		}
		w.WriteHeader(rec.Code)
		w.Write(body)
	})
}

func flip(b []byte) []byte {
	b = append([]byte(nil), b...)
	b[len(b)/2] ^= 1
	return b
}

func TestALyingMirrorCostsTimeOnly(t *testing.T) {
	h := published(1)
	for _, mirror := range []http.Handler{
		lying(h, ".edge", flip),
		lying(h, ".edge", func(b []byte) []byte { return append(b, 0) }),
		lying(h, ".edge", func(b []byte) []byte { return b[:len(b)/2] }),
		lying(h, "timestamp", flip),
		http.NotFoundHandler(),
	} {
		s, a := setup(t, h, mirror, h)
		if err := s.poll(t.Context()); err != nil {
			t.Error(err)
		}
		if len(a.published) != 1 {
			t.Errorf("published %v beside a lying mirror, want version 1", a.published)
		}
	}
}

func TestAFileThatIsNotWhatWasSignedIsRefused(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, lying(h, ".audit", flip))
	for range 3 {
		if err := s.poll(t.Context()); err == nil {
			t.Fatal("no error")
		}
	}
	if len(a.published) != 0 || len(a.refusals) != 1 || a.refusals[0].Reason != "hash" || a.refusals[0].Seq != 1 {
		t.Errorf("published %v, refusals %+v", a.published, a.refusals)
	}
}

func TestAnOldRepositoryIsRefusedAsRollback(t *testing.T) {
	h, old := published(3), published(1)
	s, a := setup(t, h, h)
	if err := s.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(old)
	defer server.Close()
	repo, err := fetch.NewRepository(server.URL, h.ID, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	s.c.Repositories = []*fetch.Repository{repo}
	if err := s.poll(t.Context()); err == nil {
		t.Error("old repository followed")
	}
	if len(a.refusals) != 1 || a.refusals[0].Reason != "rollback" {
		t.Errorf("refusals %+v, want rollback", a.refusals)
	}
}

// A repository that shows again what was once accepted is as old as any other (found end to end).
func TestAReplayedRepositoryIsRefusedAsRollback(t *testing.T) {
	h := published(1)
	old := published(1)
	var now http.Handler = h
	s, a := setup(t, h, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { now.ServeHTTP(w, r) }))
	if err := s.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Publish(trusttest.Now, trusttest.Files(listID, 2))
	if err := s.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	now = old
	if err := s.poll(t.Context()); err == nil || len(a.refusals) != 1 || a.refusals[0].Reason != "rollback" {
		t.Errorf("replayed repository: %v, refusals %+v", err, a.refusals)
	}
}

func TestOthersWaitForTheLeader(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, h)
	a.follower = true
	for i := range patience {
		if err := s.poll(t.Context()); err != nil || len(a.published) > 0 {
			t.Fatalf("poll %d: %v, published %v", i, err, a.published)
		}
	}
	if err := s.poll(t.Context()); err != nil || len(a.published) != 1 {
		t.Errorf("after patience: %v, published %v", err, a.published)
	}
}

func TestNothingDecidedIsTriedAgain(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, h)
	a.answer = errors.New("no leader")
	if err := s.poll(t.Context()); err == nil {
		t.Fatal("no error")
	}
	a.answer = nil
	if err := s.poll(t.Context()); err != nil || len(a.published) != 1 {
		t.Errorf("second try: %v, published %v", err, a.published)
	}
}

func TestWithdrawalsAreProposedInOrder(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, h)
	if err := s.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n := uint64(1); n <= 2; n++ {
		h.Withdraw(trust.Withdrawal{V: 1, List: listID, Entries: []match.EntryID{{byte(n)}}, SeqFrom: 1, SeqTo: 9, Number: n,
			Issued: a.now.Unix(), Expires: a.now.Add(time.Hour).Unix(), Reason: "error"}, 0)
	}
	for range 2 {
		if err := s.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if a.withdrawn != 2 {
		t.Errorf("%d withdrawals proposed, want 2", a.withdrawn)
	}
}
