package listsync

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/listsync/witness"
	"github.com/cordon-project/cordon/resolver/match"
)

const listID = match.ListID("hotline-one/main")

// agreed is a cluster that accepts what verifies, as the real one does, and remembers what it was told. Lists and withdrawals, and slow
// repositories that end at last, tell it beside each other; tests look when those have ended.
type agreed struct {
	mu        sync.Mutex // guards what is accepted, and what it is told
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

func (a *agreed) Accepted(trust.HotlineID) (Accepted, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.accepted, true
}

func (a *agreed) Leading() bool { return !a.follower }

func (a *agreed) Publish(_ context.Context, m trust.Metadata, id match.ListID, proof []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
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
	a.mu.Lock()
	defer a.mu.Unlock()
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
	a.mu.Lock()
	defer a.mu.Unlock()
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
