// Package listsync keeps a cluster's copy of a list equal to what its hotline signs.
//
// In comes a hotline's repository, polled from its URL or any mirror; out go proposals: a list version whose whole chain of signatures
// verified at the present time and whose files lie in the local store, an officer's withdrawal, or a refusal with its reason. The package
// decides nothing: the cluster verifies all of it again on every replica. A mirror that lies, stalls or is gone costs time, never more.
package listsync

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Proposer is the cluster as a Syncer needs it. Each call may be repeated: what the cluster has already decided is no error. An error that
// wraps ErrRefused is the cluster's decision, which repeating does not change; any other error means that nothing was decided and the
// Syncer tries again at its next poll.
type Proposer interface {
	// Accepted is what the cluster has agreed on for a hotline; ok is false for a hotline it does not know.
	Accepted(h trust.HotlineID) (a Accepted, ok bool)
	// Leading reports whether this node leads. Others act only when the leader visibly does not.
	Leading() bool
	// Publish proposes a list of verified metadata. Its files lie in the store.
	Publish(ctx context.Context, m trust.Metadata, list match.ListID) error
	// Withdraw proposes an officer's signed statement.
	Withdraw(ctx context.Context, statement []byte) error
	// Refuse has a refusal recorded in the log.
	Refuse(ctx context.Context, r Refusal) error
}

// ErrRefused is wrapped by a Proposer's errors that are decisions.
var ErrRefused = errors.New("refused by the cluster")

// Accepted is what a cluster holds of one hotline.
type Accepted struct {
	Root        []byte          // root.json from which metadata is verified
	High        trust.HighWater // nothing below it is accepted
	Metadata    [32]byte        // hash of the newest accepted metadata
	Withdrawals []Mark          // number of the last accepted withdrawal, by list
}

// Mark is the number of the last withdrawal of a list.
type Mark struct {
	List   match.ListID
	Number uint64
}

// Refusal says what was refused before it was proposed, and why.
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
}

// patience is how many polls a node that does not lead waits before it proposes what the leader has not.
const patience = 3

// Syncer follows one hotline. Its Health may be read concurrently with Run.
type Syncer struct {
	c Config

	mu     sync.Mutex // guards health
	health Health

	// owned by Run
	settled  map[[32]byte]error // what was refused, and why; bounded by settledMax
	recorded map[[32]byte]bool  // objects whose refusal is in the log
	waiting  map[[32]byte]int   // polls for which news was seen while another node leads
}

const settledMax = 256

// Health is whether a hotline can be reached and followed.
type Health struct {
	Hotline      trust.HotlineID
	LastContact  time.Time // last poll that read the repository
	FailingSince time.Time // zero while polls succeed
	Problem      string    // one sentence; empty while all is well
}

// New returns a Syncer for c.
func New(c Config) *Syncer {
	return &Syncer{c: c, health: Health{Hotline: c.Hotline}, settled: map[[32]byte]error{}, recorded: map[[32]byte]bool{}, waiting: map[[32]byte]int{}}
}

// Health is a snapshot for status pages.
func (s *Syncer) Health() Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health
}

// Run polls until ctx ends.
func (s *Syncer) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		s.report(ctx, s.poll(ctx))
		timer.Reset(s.c.Poll)
	}
}

// report keeps Health and logs the moments at which it changes.
func (s *Syncer) report(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.c.Clock()
	h := &s.health
	if err == nil {
		if !h.FailingSince.IsZero() {
			s.c.Log.InfoContext(ctx, "hotline is followed again", slog.Any("hotline", h.Hotline))
		}
		h.LastContact, h.FailingSince, h.Problem = now, time.Time{}, ""
		return
	}
	if h.FailingSince.IsZero() || h.Problem != err.Error() {
		s.c.Log.WarnContext(ctx, "hotline cannot be followed", slog.Any("hotline", h.Hotline), slog.Any("error", err))
	}
	if h.FailingSince.IsZero() {
		h.FailingSince = now
	}
	h.Problem = err.Error()
}

// poll asks every repository in turn until one has been followed to its end.
func (s *Syncer) poll(ctx context.Context) error {
	accepted, ok := s.c.Proposer.Accepted(s.c.Hotline)
	if !ok {
		return fmt.Errorf("follow hotline %s: the cluster file does not name it", s.c.Hotline)
	}
	var failures []error
	for _, repo := range s.c.Repositories {
		err := s.follow(ctx, repo, accepted)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

func (s *Syncer) follow(ctx context.Context, repo *fetch.Repository, accepted Accepted) error {
	root, err := trust.Describe(accepted.Root)
	if err != nil {
		return fmt.Errorf("read pinned root: %w", err)
	}
	m, err := repo.Metadata(ctx, root.Version)
	if err != nil {
		return fmt.Errorf("read metadata: %w", err)
	}
	metadataErr := s.metadata(ctx, repo, accepted, m)
	return errors.Join(metadataErr, s.withdrawals(ctx, repo, accepted))
}

// metadata proposes what is new in m, or has its refusal recorded.
func (s *Syncer) metadata(ctx context.Context, repo *fetch.Repository, accepted Accepted, m trust.Metadata) error {
	hash := m.Hash()
	if hash == accepted.Metadata {
		return nil
	}
	if refused := s.settled[hash]; refused != nil {
		return refused
	}
	if !s.myTurn(hash) {
		return nil
	}
	v, err := trust.Verify(accepted.Root, accepted.High, m, s.c.Clock())
	if err != nil {
		return s.refuse(ctx, hash, Refusal{Object: hash, Reason: trust.Reason(err), Detail: err.Error()})
	}
	for _, t := range v.Lists {
		r := Refusal{List: t.List, Seq: t.Seq, Object: t.Edge.SHA256}
		if err := s.stage(ctx, repo, t); errors.Is(err, errFile) {
			// Not settled: this mirror may lie where another has the signed file.
			r.Reason, r.Detail = trust.Reason(err), err.Error()
			return s.record(ctx, r)
		} else if err != nil {
			return fmt.Errorf("fetch list %s seq %d: %w", t.List, t.Seq, err)
		}
		if err := s.c.Proposer.Publish(ctx, m, t.List); err != nil {
			return s.decided(hash, fmt.Errorf("publish list %s seq %d: %w", t.List, t.Seq, err))
		}
		s.c.Log.InfoContext(ctx, "list version agreed", slog.Any("list", t.List), slog.Uint64("seq", t.Seq))
	}
	return nil
}

// errFile marks a file that is not what the metadata signed: the hotline's publication is broken, not the network.
var errFile = errors.New("file is not what was signed")

// stage brings the list's files into the local store.
func (s *Syncer) stage(ctx context.Context, repo *fetch.Repository, t trust.ListTarget) error {
	files := []trust.File{t.Edge, t.Audit}
	for _, k := range t.Keys {
		if k.Cluster == s.c.Cluster {
			files = append(files, k.File)
		}
	}
	for _, f := range files {
		if s.c.Files.Has(f.SHA256) {
			continue
		}
		err := repo.Stage(ctx, f, s.c.Files)
		if errors.Is(err, fetch.ErrHash) || errors.Is(err, fetch.ErrTooLarge) {
			return fmt.Errorf("%w: %s: %w", errFile, f.Path, err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// withdrawals proposes every statement after the last accepted one, in the order of their numbers.
func (s *Syncer) withdrawals(ctx context.Context, repo *fetch.Repository, accepted Accepted) error {
	for _, seq := range accepted.High.Seqs {
		next := uint64(1)
		for _, w := range accepted.Withdrawals {
			if w.List == seq.List {
				next = w.Number + 1
			}
		}
		for ; ; next++ {
			raw, err := repo.Withdrawal(ctx, seq.List, next)
			if errors.Is(err, fetch.ErrNotFound) {
				break
			} else if err != nil {
				return fmt.Errorf("read withdrawal %d of list %s: %w", next, seq.List, err)
			}
			hash := hashOf(raw)
			if refused := s.settled[hash]; refused != nil {
				return refused // the numbers after it wait until the hotline has mended it
			}
			if !s.myTurn(hash) {
				break
			}
			if err := s.c.Proposer.Withdraw(ctx, raw); err != nil {
				return s.decided(hash, fmt.Errorf("withdrawal %d of list %s: %w", next, seq.List, err))
			}
			s.c.Log.InfoContext(ctx, "withdrawal agreed", slog.Any("list", seq.List), slog.Uint64("number", next))
		}
	}
	return nil
}

// myTurn is true at once on the leader; elsewhere after patience polls in which the news stayed undecided.
func (s *Syncer) myTurn(hash [32]byte) bool {
	if s.c.Proposer.Leading() {
		return true
	}
	if len(s.waiting) >= settledMax {
		clear(s.waiting)
	}
	s.waiting[hash]++
	return s.waiting[hash] > patience
}

func (s *Syncer) settle(hash [32]byte, how error) {
	if len(s.settled) >= settledMax {
		clear(s.settled) // what is still offered is decided once more, at no harm
	}
	s.settled[hash] = how
	delete(s.waiting, hash)
}

// decided settles what the cluster refused; after any other error the next poll tries again.
func (s *Syncer) decided(hash [32]byte, err error) error {
	if errors.Is(err, ErrRefused) {
		s.settle(hash, err)
	}
	return err
}

// refuse has a refusal of metadata recorded, and remembers it for as long as the hotline offers the same.
func (s *Syncer) refuse(ctx context.Context, offered [32]byte, r Refusal) error {
	err := s.record(ctx, r)
	if s.recorded[r.Object] {
		s.settle(offered, err)
	}
	return err
}

// record has the log say once what was refused, and returns the refusal.
func (s *Syncer) record(ctx context.Context, r Refusal) error {
	r.Hotline = s.c.Hotline
	if !s.recorded[r.Object] {
		if err := s.c.Proposer.Refuse(ctx, r); err != nil {
			return fmt.Errorf("record refusal (%s): %w", r.Reason, err)
		}
		if len(s.recorded) >= settledMax {
			clear(s.recorded) // the cluster does not log the same refusal twice
		}
		s.recorded[r.Object] = true
	}
	return fmt.Errorf("refused (%s): %s", r.Reason, r.Detail)
}

func hashOf(b []byte) [32]byte { return sha256.Sum256(b) }
