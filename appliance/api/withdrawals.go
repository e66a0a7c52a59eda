package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Statements are a control node's withdrawals as a Server needs them. Both methods may be called concurrently.
type Statements interface {
	// All are those that an edge may act on while there is no quorum.
	All() [][]byte
	// Take is for one that was posted; an error that is ErrStatement says that it does not verify.
	Take(ctx context.Context, statement []byte) (Taken, error)
}

// ErrStatement: a statement that no officer of a hotline of this cluster has signed like this.
var ErrStatement = errors.New("statement does not verify")

// Taken is what became of a statement that was posted.
type Taken struct {
	List     match.ListID `json:"list"`
	Number   uint64       `json:"number"`
	Complete bool         `json:"complete"` // signed by the threshold
	State    string       `json:"state"`
}

// The states of Taken.
const (
	TakenAgreed = "agreed" // in the log: edges have it within seconds
	TakenKnown  = "known"  // it was before
	TakenKept   = "kept"   // no quorum now; edges take it from here if the threshold has signed it
	TakenLater  = "later"  // statements before it are read from the repository first, now
)

// MaxStatements is how many statements a control node keeps and hands out, and how many of them an edge reads of one.
const MaxStatements = 512

// statementList is what GET /v1/withdrawals answers.
type statementList struct {
	Statements [][]byte `cbor:"statements"`
}

// withdrawals hands out what is as public as the hotline's repository.
func (s *Server) withdrawals(w http.ResponseWriter, _ *http.Request, _ caller) error {
	return writeBody(w, statementList{Statements: s.statements.All()})
}

// postWithdrawal takes a statement from whoever brings it: its signatures say whether it is worth anything, not its bearer. So that nobody
// has this node verify all day, so many a second are looked at, and no more; the hotline's repository is read anyway.
func (s *Server) postWithdrawal(w http.ResponseWriter, r *http.Request, _ caller) error {
	if !s.mayPost(r) {
		w.Header().Set("Retry-After", "1")
		return fail(http.StatusTooManyRequests, "too many statements are posted; this node reads the hotline's repository every few seconds anyway")
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, trust.MaxWithdrawal))
	if err != nil {
		return fmt.Errorf("read statement: %w", err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), postTimeout)
	defer cancel()
	taken, err := s.statements.Take(ctx, b)
	if errors.Is(err, ErrStatement) {
		return fail(http.StatusBadRequest, "no officer of a hotline of this cluster has signed this: %s", trust.Reason(err))
	} else if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(taken)
}

const (
	postTimeout = 15 * time.Second
	postBurst   = 40 // statements of one household that are looked at at once
	postRate    = 4  // a second, from then on
	allBurst    = 400
	allRate     = 100 // of all households: verifying so many takes a tenth of a processor
)

// mayPost takes a place for a statement, first among those of its household: one stranger does not use up what a hotline needs.
func (s *Server) mayPost(r *http.Request) bool {
	now := s.clock()
	return s.posts.take(r.RemoteAddr, now) && s.all.take(now)
}

// bucket lets burst through at once and rate a second later on.
type bucket struct {
	burst, rate float64

	mu   sync.Mutex // guards both
	left float64
	at   time.Time
}

func (b *bucket) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at.IsZero() {
		b.left = b.burst
	} else if d := now.Sub(b.at).Seconds(); d > 0 {
		b.left = min(b.burst, b.left+d*b.rate)
	}
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// Withdrawals are the statements that the node has for edges; nothing about them is verified yet.
func (c *Client) Withdrawals(ctx context.Context) ([][]byte, error) {
	b, err := c.get(ctx, "/v1/withdrawals")
	if err != nil {
		return nil, err
	}
	var l statementList
	if err := decMode.Unmarshal(b, &l); err != nil {
		return nil, fmt.Errorf("read withdrawals of %s: %w", c.base, err)
	}
	return l.Statements, nil
}
