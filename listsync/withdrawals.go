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
}

// withdrawalPoll is the longest wait between two looks for withdrawals (P8): one small request for each list.
const withdrawalPoll = 3 * time.Second

// maxStatements bounds what one poll reads of one list.
const maxStatements = 1000

// poll asks every repository, since any one of them may lack the newest statement.
func (w *withdrawals) poll(ctx context.Context) error {
	var failures []error
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

// list proposes every statement after the last accepted one, in the order of their numbers; first that one again while its second signature
// is owed. A number is passed over when its statement has expired or was refused for good: numbers only rise, and one that can never be
// accepted must not hold up those after it.
func (w *withdrawals) list(ctx context.Context, repo *fetch.Repository, list match.ListID, accepted []Mark) error {
	next := uint64(1)
	for _, m := range accepted {
		if m.List == list {
			next = m.Number + 1
			if m.Owed {
				next = m.Number
			}
		}
	}
	var failed error
	for last := next + maxStatements; next < last; next++ {
		raw, err := repo.Withdrawal(ctx, list, next)
		if errors.Is(err, fetch.ErrNotFound) {
			return failed
		} else if err != nil {
			return fmt.Errorf("read withdrawal %d of list %s: %w", next, list, err)
		}
		switch err := w.propose(ctx, list, next, raw); {
		case errors.Is(err, ErrRefused):
			failed = err
		case err != nil:
			return err
		}
	}
	return failed
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
		return nil // agreed already (the owed one, unchanged), or another node's turn
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
