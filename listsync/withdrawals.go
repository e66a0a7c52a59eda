package listsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// withdrawals follows the statements by which a hotline's officers take entries out at once.
type withdrawals struct {
	Config
	memory
	tracker
	turns int // polls so far: which of many owed signatures are looked for
}

// withdrawalPoll is the longest wait between two looks for withdrawals (P8): one small request for each list.
const withdrawalPoll = 3 * time.Second

// maxStatements bounds what one poll reads of one list.
const maxStatements = 1000

// maxOwed bounds the owed signatures that one poll looks for; more take turns.
const maxOwed = 8

// poll asks every repository, since any one of them may lack the newest statement.
func (w *withdrawals) poll(ctx context.Context) error {
	var failures []error
	w.turns++
	for _, repo := range w.Repositories {
		if err := w.follow(ctx, repo); err != nil {
			failures = append(failures, err)
		}
		if ctx.Err() != nil {
			return nil
		}
	}
	return errors.Join(failures...)
}

func (w *withdrawals) follow(ctx context.Context, repo *fetch.Repository) error {
	accepted, ok := w.Proposer.Accepted(w.Hotline)
	if !ok {
		return nil // the lists say so
	}
	for _, seq := range accepted.High.Seqs {
		if err := w.list(ctx, repo, seq.List, accepted.Withdrawals); err != nil {
			return err
		}
	}
	return nil
}

// list proposes every statement after the last accepted one, in the order of their numbers, and then those again whose second signature is
// owed: what takes entries out of force goes first. A number is passed over when its statement has expired or was refused for good: numbers
// only rise, and one that can never be accepted must not hold up those after it.
func (w *withdrawals) list(ctx context.Context, repo *fetch.Repository, list match.ListID, accepted []Withdrawn) error {
	next := uint64(1)
	var owed []uint64
	for _, m := range accepted {
		if m.List == list {
			next, owed = m.Number+1, m.Owed
		}
	}
	var failed error
	for last := next + maxStatements; next < last; next++ {
		err := w.read(ctx, repo, list, next)
		if errors.Is(err, fetch.ErrNotFound) {
			break
		} else if errors.Is(err, ErrRefused) {
			failed = err
		} else if err != nil {
			return err
		}
	}
	for i := range min(maxOwed, len(owed)) {
		number := owed[(w.turns*maxOwed+i)%len(owed)]
		switch err := w.read(ctx, repo, list, number); {
		case errors.Is(err, fetch.ErrNotFound): // a mirror may lack it
		case errors.Is(err, ErrRefused):
			failed = err
		case err != nil:
			return err
		}
	}
	return failed
}

// read proposes the statement of this number as the repository has it.
func (w *withdrawals) read(ctx context.Context, repo *fetch.Repository, list match.ListID, number uint64) error {
	raw, err := repo.Withdrawal(ctx, list, number)
	if err != nil {
		return fmt.Errorf("read withdrawal %d of list %s: %w", number, list, err)
	}
	return w.propose(ctx, list, number, raw)
}

func (w *withdrawals) propose(ctx context.Context, list match.ListID, number uint64, raw []byte) error {
	if s, err := trust.DecodeWithdrawal(raw); err == nil && s.Expires < w.Clock().Unix() {
		return nil // too old to be accepted; it was for clusters of its time
	}
	hash := hashOf(raw)
	if refused := w.standing(hash); refused != nil {
		return refused
	}
	if w.recorded[hash] || !w.myTurn(hash, w.Proposer.Leading()) {
		return nil // agreed already (an owed one, unchanged), or another node's turn
	}
	if err := w.Proposer.Withdraw(ctx, raw); err != nil {
		return w.keep(hash, fmt.Errorf("withdrawal %d of list %s: %w", number, list, err))
	}
	if len(w.recorded) >= memoryMax {
		clear(w.recorded)
	}
	w.recorded[hash] = true
	w.Log.InfoContext(ctx, "withdrawal agreed", slog.Any("list", list), slog.Uint64("number", number))
	return nil
}
