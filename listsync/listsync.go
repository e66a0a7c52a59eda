// Package listsync keeps a cluster's copy of a list equal to what its hotline signs.
//
// In comes a hotline's repository, polled from its URL or any mirror; out go proposals: a list version whose whole chain of signatures
// verified at the present time and whose files lie in the local store, an officer's withdrawal, or a refusal with its reason. The package
// decides nothing: the cluster verifies all of it again on every replica. A mirror that lies, stalls or is gone costs time, never more.
package listsync

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/witness"
	"github.com/cordon-project/cordon/resolver/match"
)

// Proposer is the cluster as a Syncer needs it. Each call may be repeated: what the cluster has already decided is no error. An error that
// wraps ErrRefused is the cluster's decision, which repeating does not change; any other error means that nothing was decided and the
// Syncer tries again at its next poll (after a while, when it wraps ErrLater). It is called concurrently.
type Proposer interface {
	// Accepted is what the cluster has agreed on for a hotline; ok is false for a hotline it does not know.
	Accepted(h trust.HotlineID) (a Accepted, ok bool)
	// Leading reports whether this node leads. Others act only when the leader visibly does not.
	Leading() bool
	// Publish proposes a list of verified metadata. Its files lie in the store. proof is a publiclog.Proof, encoded; nil when the charter names no log.
	Publish(ctx context.Context, m trust.Metadata, list match.ListID, proof []byte) error
	// Withdraw proposes an officer's signed statement.
	Withdraw(ctx context.Context, statement []byte) error
	// Refuse has a refusal recorded in the log.
	Refuse(ctx context.Context, r Refusal) error
}

var (
	// ErrRefused is wrapped by a Proposer's errors that are decisions.
	ErrRefused = errors.New("refused by the cluster")
	// ErrHeld is wrapped by a Proposer's error for a version that a brake holds back: the hotline is followed, people decide.
	ErrHeld = errors.New("held back by a brake")
	// ErrLater is wrapped by a Proposer's errors that time alone can change, such as a daily limit.
	ErrLater = errors.New("not now")
)

// Accepted is what a cluster holds of one hotline.
type Accepted struct {
	Roots       trust.Roots     // from the pinned root to the newest accepted, from which metadata is verified
	Officers    trust.Officers  // as the newest accepted metadata names them
	High        trust.HighWater // nothing below it is accepted
	Metadata    [32]byte        // hash of the newest accepted metadata
	InForce     []Version       // by list
	Withdrawals []Withdrawn     // by list
	PublicLog   publiclog.Head  // at the last version that was accepted with a proof
}

// Version is a list's version in force and its files.
type Version struct {
	List        match.ListID
	High        uint64 // highest version that ever was in force: nothing up to it is news
	Seq         uint64 // version in force, below High after a return to an earlier one
	Edge, Audit [32]byte
}

// Withdrawn is how far a list's withdrawals are accepted.
type Withdrawn struct {
	List   match.ListID
	Number uint64   // of the last one
	Owed   []uint64 // numbers of those that lack their second signature, ascending
}

func (a Accepted) inForce(list match.ListID, seq uint64) bool {
	return slices.ContainsFunc(a.InForce, func(v Version) bool { return v.List == list && v.High >= seq })
}

// base is the version in force of a list, which deltas may start at; zero when there is none.
func (a Accepted) base(list match.ListID) fetch.Base {
	for _, v := range a.InForce {
		if v.List == list {
			return fetch.Base{Seq: v.Seq, Edge: v.Edge, Audit: v.Audit}
		}
	}
	return fetch.Base{}
}

// Refusal says what was refused before it was proposed, and why. It ends in a public log, so its words are this package's own: nothing that
// a stranger wrote is repeated in it.
type Refusal struct {
	Hotline trust.HotlineID
	List    match.ListID // empty when not even that is certain
	Seq     uint64
	Object  [32]byte // hash of the refused metadata or file
	Reason  string   // trust.Reason's stable word
	Detail  string   // for people
}

// Config is what a Syncer is made of.
type Config struct {
	Hotline      trust.HotlineID
	Cluster      string              // id; chooses which wrapped keys are ours
	Repositories []*fetch.Repository // the hotline's own first, then mirrors
	Files        *fetch.Store
	Proposer     Proposer
	Poll         time.Duration
	Clock        func() time.Time
	Log          *slog.Logger
	LogPolicy    witness.Policy // that the hotline's public log must meet
	Heads        *Heads         // what this node has seen of public logs; nil remembers nothing

	// Seen, when not nil, is told of every withdrawal that a poll reads, agreed or not, before anything is proposed. Nothing is verified yet.
	Seen func(statement []byte)
	// SeenLog, when not nil, is told of every checkpoint of the hotline's public log that its key has signed.
	SeenLog func(vkey string, checkpoint []byte)
	// Others, when not nil, holds what others were shown of the public log against the repository's.
	Others Others
}

// Others is what others have been shown of public logs. It may be called concurrently.
type Others interface {
	// Heads gives signed heads of the log with this key that nobody has compared yet; few of them.
	Heads(vkey string) []publiclog.Head
	// Compared is told of each whether it is a beginning of the log now, a signed head of the repository's: nil, or
	// publiclog.ErrSplitView. What could not be compared is not told.
	Compared(other, now publiclog.Head, err error)
}

// Syncer follows one hotline: its lists, and beside them, so that a large list never holds one up, its withdrawals. Its Health may be read
// concurrently with Run.
type Syncer struct {
	c           Config
	lists       *lists
	withdrawals *withdrawals
}

// New returns a Syncer for c.
func New(c Config) *Syncer {
	if c.Seen == nil {
		c.Seen = func([]byte) {}
	}
	if c.SeenLog == nil {
		c.SeenLog = func(string, []byte) {}
	}
	urgent := c
	urgent.Poll = min(c.Poll, withdrawalPoll)
	return &Syncer{
		c:           c,
		lists:       &lists{Config: c, memory: newMemory(c.Clock), turns: newTurns(listGrace), tracker: newTracker(c, "lists")},
		withdrawals: &withdrawals{Config: urgent, memory: newMemory(c.Clock), turns: newTurns(withdrawalGrace), tracker: newTracker(urgent, "withdrawals")},
	}
}

// Run polls until ctx ends, and returns when all of its work has ended.
func (s *Syncer) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.lists.run(ctx, s.lists.poll); s.lists.wg.Wait() })
	wg.Go(func() { s.withdrawals.run(ctx, s.withdrawals.poll); s.withdrawals.wg.Wait() })
	wg.Wait()
	return nil
}

// LookNow makes the next look for withdrawals happen at once. It does not wait, and may be called at any time.
func (s *Syncer) LookNow() {
	select {
	case s.withdrawals.wake <- struct{}{}:
	default: // one is due already
	}
}

// Hotline is whom it follows.
func (s *Syncer) Hotline() trust.HotlineID { return s.c.Hotline }

// Health is a snapshot for status pages.
func (s *Syncer) Health() Health {
	h, w := s.lists.health(), s.withdrawals.health()
	h.Hotline = s.c.Hotline
	if h.Problem == "" {
		h.FailingSince, h.Problem = w.FailingSince, w.Problem
	}
	return h
}

// Health is whether a hotline can be reached and followed.
type Health struct {
	Hotline      trust.HotlineID `json:"hotline"`
	LastContact  time.Time       `json:"last_contact,omitzero"`  // last poll that read a repository
	FailingSince time.Time       `json:"failing_since,omitzero"` // zero while polls succeed
	Problem      string          `json:"problem"`                // one sentence; empty while all is well
}

// tracker polls and remembers since when that fails.
type tracker struct {
	Config
	what string
	wake chan struct{} // holds one: a look that is asked for while one is under way comes after it

	mu    sync.Mutex // guards state
	state Health
}

func newTracker(c Config, what string) tracker {
	return tracker{Config: c, what: what, wake: make(chan struct{}, 1)}
}

func (t *tracker) run(ctx context.Context, poll func(context.Context) error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-t.wake:
		}
		t.report(ctx, poll(ctx))
		timer.Reset(t.Poll)
	}
}

func (t *tracker) health() Health {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state
}

// report keeps Health and logs the moments at which it changes.
func (t *tracker) report(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now, h := t.Clock(), &t.state
	log := t.Log.With(slog.Any("hotline", t.Hotline), slog.String("following", t.what))
	if err == nil {
		if !h.FailingSince.IsZero() {
			log.InfoContext(ctx, "hotline is followed again")
		}
		h.LastContact, h.FailingSince, h.Problem = now, time.Time{}, ""
		return
	}
	if h.FailingSince.IsZero() || h.Problem != err.Error() {
		log.WarnContext(ctx, "hotline cannot be followed", slog.Any("error", err))
	}
	if h.FailingSince.IsZero() {
		h.FailingSince = now
	}
	h.Problem = err.Error()
}
