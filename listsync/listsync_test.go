package listsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/listsync/witness"
	"github.com/cordon-project/cordon/resolver/match"
)

const listID = match.ListID("hotline-one/main")

// agreed is a cluster that accepts what verifies, as the real one does, and remembers what it was told.
type agreed struct {
	accepted  Accepted
	follower  bool
	refusals  []Refusal
	published []uint64
	officers  trust.Officers
	withdrawn []string
	answer    error // to Publish and Withdraw, when set
	alone     error // to a Withdraw that one officer has signed, when set
	now       time.Time
	policy    witness.Policy // of public logs
}

func (a *agreed) Accepted(trust.HotlineID) (Accepted, bool) { return a.accepted, true }
func (a *agreed) Leading() bool                             { return !a.follower }

func (a *agreed) Publish(_ context.Context, m trust.Metadata, id match.ListID, proof []byte) error {
	if a.answer != nil {
		return a.answer
	}
	v, err := trust.Verify(a.accepted.Roots.Newest(), a.accepted.High, m, a.now)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err := a.logged(v, m, id, proof); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if a.accepted.Roots, err = a.accepted.Roots.Follow(m.Roots); err != nil {
		return err
	}
	a.accepted.High, a.accepted.Metadata = v.High, m.Hash()
	a.accepted.InForce = nil
	for _, t := range v.Lists {
		a.accepted.InForce = append(a.accepted.InForce, Version{List: t.List, High: t.Seq, Seq: t.Seq, Edge: t.Edge.SHA256, Audit: t.Audit.SHA256})
	}
	a.published = append(a.published, v.Lists[0].Seq)
	return nil
}

func (a *agreed) Withdraw(_ context.Context, raw []byte) error {
	if a.answer != nil {
		return a.answer
	}
	w, signers, err := trust.VerifyWithdrawal(a.officers, raw, a.now)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if a.alone != nil && !a.officers.Complete(signers) {
		return a.alone
	}
	a.withdrawn = append(a.withdrawn, fmt.Sprintf("%d by %d", w.Number, len(signers)))
	if len(a.accepted.Withdrawals) == 0 {
		a.accepted.Withdrawals = []Withdrawn{{List: listID}}
	}
	done := &a.accepted.Withdrawals[0]
	done.Number = max(done.Number, w.Number)
	done.Owed = slices.DeleteFunc(done.Owed, func(n uint64) bool { return n == w.Number })
	if len(signers) < 2 {
		done.Owed = append(done.Owed, w.Number)
	}
	return nil
}

func (a *agreed) Refuse(_ context.Context, r Refusal) error {
	a.refusals = append(a.refusals, r)
	return nil
}

// setup is a hotline that has published version 1, served by handlers, one mirror each.
func setup(t *testing.T, hotline *trusttest.Hotline, handlers ...http.Handler) (*Syncer, *agreed) {
	t.Helper()
	a := &agreed{accepted: Accepted{Roots: hotline.Roots(), Officers: hotline.OfficerKeys()}, officers: hotline.OfficerKeys(), now: trusttest.Now}
	return setupWith(t, a, hotline, handlers...)
}

// setupWith is setup with a cluster that there is.
func setupWith(t *testing.T, a *agreed, hotline *trusttest.Hotline, handlers ...http.Handler) (*Syncer, *agreed) {
	t.Helper()
	files, err := fetch.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	heads, err := OpenHeads(t.TempDir())
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
		Clock: func() time.Time { return a.now }, Log: slog.New(slog.DiscardHandler), LogPolicy: a.policy, Heads: heads,
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
		if err := s.lists.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.Publish(trusttest.Now, trusttest.Files(listID, 2))
	if err := s.lists.poll(t.Context()); err != nil {
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
			if err := s.lists.poll(t.Context()); err != nil {
				t.Fatal(err)
			}
			h.Break(test.fault)
			h.Publish(trusttest.Now, trusttest.Files(listID, 2))
			for range 3 {
				s.lists.report(t.Context(), s.lists.poll(t.Context()))
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
			s.lists.report(t.Context(), s.lists.poll(t.Context()))
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
		for name, places := range map[string][]http.Handler{"first": {mirror, h}, "second": {h, mirror}} {
			s, a := setup(t, h, places...)
			for range 2 {
				s.lists.poll(t.Context()) // may well complain of the one that lies
			}
			if len(a.published) != 1 {
				t.Errorf("published %v with a liar in %s place, want version 1", a.published, name)
			}
		}
	}
}

func TestAFileThatIsNotWhatWasSignedIsRefused(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, lying(h, ".audit", flip))
	for range 3 {
		if err := s.lists.poll(t.Context()); err == nil {
			t.Fatal("no error")
		}
	}
	if len(a.published) != 0 || len(a.refusals) != 1 || a.refusals[0].Reason != "hash" || a.refusals[0].Seq != 1 {
		t.Errorf("published %v, refusals %+v", a.published, a.refusals)
	}
}

// A delta saves work: a repository where one is damaged, cut off or gone still has the whole list.
func TestADeltaThatCannotBeHadHoldsUpNoVersion(t *testing.T) {
	for name, spoil := range map[string]func(http.Handler) http.Handler{
		"damaged": func(h http.Handler) http.Handler { return lying(h, ".delta", flip) },
		"longer": func(h http.Handler) http.Handler {
			return lying(h, ".delta", func(b []byte) []byte { return append(b, 0) })
		},
		"cut off": func(h http.Handler) http.Handler {
			return lying(h, ".delta", func(b []byte) []byte { return b[:len(b)/2] })
		},
		"gone": func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, ".delta") {
					http.NotFound(w, r)
					return
				}
				h.ServeHTTP(w, r)
			})
		},
	} {
		h := published(1)
		s, a := setup(t, h, spoil(h))
		if err := s.lists.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		next := trusttest.Files(listID, 2)
		next.Deltas = []trusttest.Delta{{From: 1, To: 2, File: []byte("a delta from 1 to 2\n")}}
		h.Publish(trusttest.Now, next)
		if err := s.lists.poll(t.Context()); err != nil || len(a.published) != 2 || len(a.refusals) != 0 {
			t.Errorf("%s: published %v, refusals %+v and %v, want version 2", name, a.published, a.refusals, err)
		}
	}
}

func TestAnOldRepositoryIsRefusedAsRollback(t *testing.T) {
	h, old := published(3), published(1)
	s, a := setup(t, h, h)
	if err := s.lists.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(old)
	defer server.Close()
	repo, err := fetch.NewRepository(server.URL, h.ID, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	s.lists.Repositories = []*fetch.Repository{repo}
	if err := s.lists.poll(t.Context()); err == nil {
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
	if err := s.lists.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Publish(trusttest.Now, trusttest.Files(listID, 2))
	if err := s.lists.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	now = old
	if err := s.lists.poll(t.Context()); err == nil || len(a.refusals) != 1 || a.refusals[0].Reason != "rollback" {
		t.Errorf("replayed repository: %v, refusals %+v", err, a.refusals)
	}
}

func TestOthersWaitForTheLeader(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, h)
	a.follower = true
	for i := range patience {
		if err := s.lists.poll(t.Context()); err != nil || len(a.published) > 0 {
			t.Fatalf("poll %d: %v, published %v", i, err, a.published)
		}
	}
	if err := s.lists.poll(t.Context()); err != nil || len(a.published) != 1 {
		t.Errorf("after patience: %v, published %v", err, a.published)
	}
}

func TestNothingDecidedIsTriedAgain(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, h)
	a.answer = errors.New("no leader")
	if err := s.lists.poll(t.Context()); err == nil {
		t.Fatal("no error")
	}
	a.answer = nil
	if err := s.lists.poll(t.Context()); err != nil || len(a.published) != 1 {
		t.Errorf("second try: %v, published %v", err, a.published)
	}
}

func statement(a *agreed, number uint64, life time.Duration) trust.Withdrawal {
	return trust.Withdrawal{V: 1, List: listID, Entries: []match.EntryID{{byte(number)}}, SeqFrom: 1, SeqTo: 9, Number: number,
		Issued: a.now.Add(-time.Hour).Unix(), Expires: a.now.Add(life).Unix(), Reason: "error"}
}

func TestWithdrawalsAreProposedInOrder(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, h)
	if err := s.lists.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Withdraw(statement(a, 1, time.Hour), 0, 1)
	h.Withdraw(statement(a, 2, time.Hour), 0)
	for range 3 {
		if err := s.withdrawals.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.Withdraw(statement(a, 2, time.Hour), 0, 2) // countersigned
	for range 2 {
		if err := s.withdrawals.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(a.withdrawn); got != "[1 by 2 2 by 1 2 by 2]" {
		t.Errorf("withdrawn %s, want 1 by two officers, 2 by one, and 2 again with the second signature", got)
	}
}

// A second signature counts whenever it comes, on whichever statement.
func TestEveryOwedSignatureIsLookedFor(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, h)
	if err := s.lists.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	const n = 2*maxOwed + 3
	for i := range uint64(n) {
		h.Withdraw(statement(a, i+1, time.Hour), 0)
	}
	if err := s.withdrawals.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(a.accepted.Withdrawals[0].Owed); got != n {
		t.Fatalf("%d owed, want %d", got, n)
	}
	for _, number := range []uint64{1, 9, n} {
		h.Withdraw(statement(a, number, time.Hour), 0, 1)
	}
	for range n/maxOwed + 1 {
		if err := s.withdrawals.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := a.accepted.Withdrawals[0].Owed; len(got) != n-3 || slices.Contains(got, 1) || slices.Contains(got, 9) || slices.Contains(got, n) {
		t.Errorf("still owed %v, want all but 1, 9 and %d", got, n)
	}
	h.Withdraw(statement(a, n+1, time.Hour), 2)
	if err := s.withdrawals.poll(t.Context()); err != nil || a.accepted.Withdrawals[0].Number != n+1 {
		t.Errorf("the next one: %v, number %d", err, a.accepted.Withdrawals[0].Number)
	}
}

// A cluster that joins late meets statements that have expired, or that an officer signed who has left: none may hold up the next.
func TestAStatementThatCannotBeAcceptedHoldsUpNoOther(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, h)
	if err := s.lists.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Withdraw(statement(a, 1, -time.Minute), 0, 1)
	h.Withdraw(statement(a, 2, time.Hour), 0, 1)
	h.Withdraw(statement(a, 3, time.Hour), 0, 1)
	a.officers.Keys = nil
	if err := s.withdrawals.poll(t.Context()); err == nil || len(a.withdrawn) > 0 {
		t.Fatalf("unknown officers: %v, withdrawn %v", err, a.withdrawn)
	}
	a.officers, a.now = h.OfficerKeys(), a.now.Add(retryRefused+time.Second)
	if err := s.withdrawals.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(a.withdrawn); got != "[2 by 2 3 by 2]" {
		t.Errorf("withdrawn %s, want 2 and 3", got)
	}
}

// One officer's day is over: what the threshold has signed goes on, and what waits goes out once it has its second signature.
func TestAnOfficersDailyLimitHoldsUpNothingOfTheThreshold(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, h)
	if err := s.lists.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.alone = fmt.Errorf("%w: limit", ErrLater)
	h.Withdraw(statement(a, 1, time.Hour), 0)
	h.Withdraw(statement(a, 2, time.Hour), 1)
	for range 2 {
		if err := s.withdrawals.poll(t.Context()); !errors.Is(err, ErrLater) {
			t.Fatalf("poll: %v, want ErrLater", err)
		}
	}
	h.Withdraw(statement(a, 3, time.Hour), 0, 1)
	if err := s.withdrawals.poll(t.Context()); !errors.Is(err, ErrLater) {
		t.Fatalf("poll: %v, want ErrLater", err)
	}
	if got := fmt.Sprint(a.withdrawn); got != "[3 by 2]" {
		t.Fatalf("withdrawn %s, want 3", got)
	}
	h.Withdraw(statement(a, 2, time.Hour), 0, 1)
	for range 2 {
		if err := s.withdrawals.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(a.withdrawn); got != "[3 by 2 2 by 2]" {
		t.Errorf("withdrawn %s, want 3, and 2 when it is signed", got)
	}
}

// A mirror that stands still, or one that is ahead of the hotline's own server, must not hide news.
func TestAFrozenRepositoryDoesNotHideItsMirror(t *testing.T) {
	h, frozen := published(1), published(1)
	s, a := setup(t, h, frozen, h)
	if err := s.lists.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Publish(trusttest.Now, trusttest.Files(listID, 2))
	for range 2 {
		if err := s.lists.poll(t.Context()); err != nil && !strings.Contains(err.Error(), "rollback") {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(a.published); got != "[1 2]" {
		t.Errorf("published %s, want [1 2]", got)
	}
}

func TestOneSpoiledReadDoesNotStick(t *testing.T) {
	h := published(1)
	spoiled := true
	s, a := setup(t, h, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if spoiled {
			lying(h, "snapshot", flip).ServeHTTP(w, r)
		} else {
			h.ServeHTTP(w, r)
		}
	}))
	if err := s.lists.poll(t.Context()); err == nil {
		t.Fatal("spoiled read accepted")
	}
	spoiled = false
	if err := s.lists.poll(t.Context()); err != nil || len(a.published) != 1 {
		t.Errorf("after it: %v, published %v", err, a.published)
	}
}

// What is recorded for ever is in this package's words, whatever a stranger wrote.
func TestARefusalRepeatsNothingThatAStrangerWrote(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, lying(h, ".csam-", func(b []byte) []byte {
		return []byte(strings.Replace(string(b), `"_type"`, `"aaa name.example":1,"_type"`, 1))
	}))
	if err := s.lists.poll(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if len(a.refusals) != 1 || strings.Contains(a.refusals[0].Detail, "example") || a.refusals[0].Detail == "" {
		t.Errorf("refusals %+v", a.refusals)
	}
}
