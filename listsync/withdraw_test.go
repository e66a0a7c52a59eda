package listsync

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

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
