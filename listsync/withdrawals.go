package listsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// withdrawals follows the statements by which a hotline's officers take entries out at once.
type withdrawals struct {
	Config
	*memory
	tracker
	turns
	polls int // polls so far: which of many owed signatures are looked for
	held  passed
}

// withdrawalPoll is the longest wait between two looks for withdrawals (P8): one small request for each list.
const withdrawalPoll = 3 * time.Second

// maxStatements bounds what one poll reads of one list.
const maxStatements = 1000

// withdrawalGrace is how long one repository may take before the next one is asked beside it.
const withdrawalGrace = 2 * time.Second

// maxOwed bounds the owed signatures that one poll looks for; more take turns.
const maxOwed = 8

// poll asks every repository, since any one of them may lack the newest statement.
func (w *withdrawals) poll(ctx context.Context) error {
	var failures []error
	w.polls++
	for _, repo := range w.Repositories {
		if err := w.take(ctx, repo, func(func(time.Duration)) error { return w.follow(ctx, repo, w.polls) }); err != nil {
			failures = append(failures, err)
		}
		if ctx.Err() != nil {
			return nil
		}
	}
	return errors.Join(failures...)
}

func (w *withdrawals) follow(ctx context.Context, repo *fetch.Repository, poll int) error {
	accepted, ok := w.Proposer.Accepted(w.Hotline)
	if !ok {
		return nil // the lists say so
	}
	for _, seq := range accepted.High.Seqs {
		if err := w.list(ctx, repo, seq.List, accepted, poll); err != nil {
			return err
		}
	}
	return nil
}

// list proposes every statement after the last accepted one, in the order of their numbers, and then those again whose second signature is
// owed: what takes entries out of force goes first. A number is passed over when its statement has expired or was refused for good: numbers
// only rise, and one that can never be accepted must not hold up those after it. One that must wait (ErrLater: an officer's daily limit)
// holds up those of single officers only, and is looked for again when the threshold's have gone past it.
func (w *withdrawals) list(ctx context.Context, repo *fetch.Repository, list match.ListID, accepted Accepted, poll int) error {
	next := uint64(1)
	var owed []uint64
	for _, m := range accepted.Withdrawals {
		if m.List == list {
			next, owed = m.Number+1, m.Owed
		}
	}
	signs := len(owed) // of these any signature is news; of what was passed only the threshold's
	owed = w.held.with(list, owed, next)
	var failed, undecided, later error
	forged := 0
	for last := next + maxStatements; next < last && forged < forgeries; next++ {
		raw, err := w.read(ctx, repo, list, next)
		if errors.Is(err, fetch.ErrNotFound) {
			break
		} else if err != nil {
			return err
		}
		if undecided != nil {
			continue // seen; what nobody can agree on now must not be overtaken in the log by what comes after it
		}
		if later != nil && !w.complete(raw, accepted.Officers) {
			if _, _, err := trust.VerifyWithdrawal(accepted.Officers, raw, w.Clock()); err == nil { // forged ones take no room
				w.held.add(list, next)
			}
			continue
		}
		switch err := w.propose(ctx, list, next, raw, accepted.Officers); {
		case errors.Is(err, ErrRefused):
			failed = err
			if errors.Is(err, errForged) {
				forged++
			}
		case errors.Is(err, ErrLater):
			later = err
			w.held.add(list, next)
		case err != nil:
			undecided = err
		}
	}
	if undecided != nil {
		return undecided
	}
	for i := range min(maxOwed, len(owed)) {
		at := (poll*maxOwed + i) % len(owed)
		number := owed[at]
		raw, err := w.read(ctx, repo, list, number)
		if err == nil && (at < signs || w.complete(raw, accepted.Officers)) {
			err = w.propose(ctx, list, number, raw, accepted.Officers)
		}
		switch {
		case errors.Is(err, fetch.ErrNotFound): // a mirror may lack it
		case errors.Is(err, ErrRefused):
			failed = err
		case errors.Is(err, ErrLater):
			later = err
		case err != nil:
			return err
		}
	}
	return cmp.Or(later, failed)
}

// complete reports whether the officers' threshold has signed a statement.
func (w *withdrawals) complete(raw []byte, officers trust.Officers) bool {
	_, signers, err := trust.VerifyWithdrawal(officers, raw, w.Clock())
	return err == nil && officers.Complete(signers)
}

// passed are the numbers that had to wait, of each list, the last memoryMax of them: should a later one go past them, their second signature
// is looked for as if it were owed.
type passed struct {
	mu      sync.Mutex // guards numbers
	numbers map[match.ListID][]uint64
}

func (p *passed) add(list match.ListID, number uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.numbers[list]
	if slices.Contains(kept, number) {
		return
	}
	if p.numbers == nil {
		p.numbers = map[match.ListID][]uint64{}
	}
	p.numbers[list] = slices.Clone(append(kept, number)[max(0, len(kept)+1-memoryMax):])
}

// with is what is owed and, after it, what waits below next.
func (p *passed) with(list match.ListID, owed []uint64, next uint64) []uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	owed = slices.Clone(owed)
	for _, n := range p.numbers[list] {
		if n < next && !slices.Contains(owed, n) {
			owed = append(owed, n)
		}
	}
	return owed
}

// read is the statement of this number as the repository has it.
func (w *withdrawals) read(ctx context.Context, repo *fetch.Repository, list match.ListID, number uint64) ([]byte, error) {
	raw, err := repo.Withdrawal(ctx, list, number)
	if err != nil {
		return nil, fmt.Errorf("read withdrawal %d of list %s: %w", number, list, err)
	}
	w.Seen(raw)
	return raw, nil
}

func (w *withdrawals) propose(ctx context.Context, list match.ListID, number uint64, raw []byte, officers trust.Officers) error {
	if s, err := trust.DecodeWithdrawal(raw); err == nil && s.Expires < w.Clock().Unix() {
		return nil // too old to be accepted; it was for clusters of its time
	}
	hash := hashOf(raw)
	if refused := w.standing(hash); refused != nil {
		return refused
	}
	if w.known(hash) || !w.myTurn(hash, w.Proposer.Leading()) {
		return nil // agreed already (an owed one, unchanged), or another node's turn
	}
	if _, _, err := trust.VerifyWithdrawal(officers, raw, w.Clock()); errors.Is(err, trust.ErrExpired) {
		return fmt.Errorf("withdrawal %d of list %s: %w", number, list, err) // not yet in its time; a clock may be set right
	} else if err != nil {
		return w.forged(ctx, list, number, hash, err)
	}
	if err := w.Proposer.Withdraw(ctx, raw); err != nil {
		return w.keep(hash, fmt.Errorf("withdrawal %d of list %s: %w", number, list, err))
	}
	w.note(hash)
	w.Log.InfoContext(ctx, "withdrawal agreed", slog.Any("list", list), slog.Uint64("number", number))
	return nil
}

// errForged is wrapped by what no officer can have signed.
var errForged = errors.New("not a statement of the hotline's officers")

// forged refuses what does not verify, before it costs the cluster a command of its length: a mirror can make any number of such. The first
// ones of an hour are recorded in the log; all are remembered and shown.
func (w *withdrawals) forged(ctx context.Context, list match.ListID, number uint64, hash [32]byte, why error) error {
	reason := trust.Reason(why)
	if w.mayRecord() {
		r := Refusal{Hotline: w.Hotline, List: list, Object: hash, Reason: reason, Detail: details[reason]}
		if err := w.Proposer.Refuse(ctx, r); err != nil {
			return fmt.Errorf("record refusal (%s): %w", reason, err)
		}
	}
	return w.keep(hash, fmt.Errorf("%w: %w: withdrawal %d of list %s (%s): %w", ErrRefused, errForged, number, list, reason, why))
}
