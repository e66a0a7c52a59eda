package state_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
)

func TestTheWeightBoundsTheSnapshot(t *testing.T) {
	w, s := rich(t)
	for seq := uint64(2); seq < 60; seq++ {
		apply(t, s, w.good(listMain, seq))
		length, weight, spare := len(bytesOf(t, s)), s.Weight(), 8<<10+8*int(s.View().Size)+1024*int(seq)
		if weight < length || weight > length+spare {
			t.Fatalf("version %d: weight %d of a snapshot of %d bytes, want at least that and at most %d more", seq, weight, length, spare)
		}
	}
	r, err := state.Restore(w.desc, bytesOf(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if r.Weight() != s.Weight() || r.View().Filled != s.View().Filled {
		t.Errorf("restored: weight %d, filled %d; want %d, %d", r.Weight(), r.View().Filled, s.Weight(), s.View().Filled)
	}
}

// logFull applies a command that must be refused for lack of room, and nothing logged.
func logFull(t *testing.T, s *state.State, cmd []byte) {
	t.Helper()
	before := s.View()
	res := s.Apply(cmd)
	var r *state.Refusal
	if !errors.As(res.Err, &r) || r.Reason != state.ReasonLogFull || res.Logged || s.View().Size != before.Size {
		t.Fatalf("apply at %d percent: %+v, want refusal log_full without a leaf", before.Filled, res)
	}
}

// TestALogFillsUpInOrder: receipts go first, then other leaves, then
// publications; withdrawals last; and at no time is there a snapshot that
// Restore would refuse.
func TestALogFillsUpInOrder(t *testing.T) {
	for _, tc := range []struct {
		name string
		fill func(s *state.State, percent int) // makes what is there so much of the room
	}{
		{"bytes", func(s *state.State, percent int) { s.SetRoom(s.Weight()*100/percent, audit.MaxLeaves) }},
		{"leaves", func(s *state.State, percent int) { s.SetRoom(state.MaxSnapshot, s.View().Size*100/uint64(percent)) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, s := rich(t)
			// More than what the last leaves keep free, so that percents are not all there is.
			for number := uint64(2); s.View().Size < 6000 || s.Weight() < 3<<20; number++ {
				apply(t, s, w.command(command.Receipts{Items: []audit.SignedReceipt{w.receipt("edge-1", number, s.View())}}))
			}
			receipt := func() []byte {
				e, _ := s.View().Edge("edge-1")
				return w.command(command.Receipts{Items: []audit.SignedReceipt{w.receipt("edge-1", e.Counter+1, s.View())}})
			}
			tc.fill(s, 50)
			if got := s.View().Filled; got < 49 || got > 50 {
				t.Fatalf("filled %d percent, want 50", got)
			}
			apply(t, s, receipt())

			tc.fill(s, 76)
			logFull(t, s, receipt())
			e, _ := s.View().Edge("edge-1")
			if _, err := s.View().CheckReceipt(w.receipt("edge-1", e.Counter+1, s.View())); err == nil {
				t.Error("a receipt at 76 percent passes the check, want refused")
			}
			r, err := state.Restore(w.desc, bytesOf(t, s))
			if err != nil {
				t.Fatal(err)
			}
			tc.fill(r, 76)
			logFull(t, r, receipt())
			apply(t, s, w.good(listMain, 2))
			apply(t, s, w.withdraw(w.withdrawal(listMain, 2, 1, 0, 1)))

			tc.fill(s, 100)
			logFull(t, s, receipt())
			logFull(t, s, w.command(command.Member{Action: "add", Role: "edge", Name: "edge-3", Key: public("edge-3"), By: "control-1"}))
			logFull(t, s, w.good(listMain, 3))
			logFull(t, s, w.withdraw(w.withdrawal(listMain, 3, 1, 0, 1)))
		})
	}
}

// TestNoSnapshotIsLargerThanItsRoom publishes and withdraws until nothing goes any more.
func TestNoSnapshotIsLargerThanItsRoom(t *testing.T) {
	w, s := rich(t)
	const limit = 1 << 20
	s.SetRoom(limit, audit.MaxLeaves)
	seq := uint64(2)
	for ; s.Apply(w.good(listMain, seq)).Logged; seq++ {
		if got := len(bytesOf(t, s)); got > limit {
			t.Fatalf("version %d: a snapshot of %d bytes, want at most %d", seq, got, limit)
		}
	}
	logFull(t, s, w.good(listMain, seq))
	number := uint64(2)
	for ; s.Apply(w.withdraw(w.withdrawal(listMain, number, 1, 0, 1))).Logged; number++ {
		if got := len(bytesOf(t, s)); got > limit {
			t.Fatalf("withdrawal %d: a snapshot of %d bytes, want at most %d", number, got, limit)
		}
	}
	if number == 2 {
		t.Error("no withdrawal after the last publication, want room for some")
	}
	t.Logf("%d publications, then %d withdrawals, in %d of %d bytes", seq-2, number-2, s.Weight(), limit)
	r, err := state.Restore(w.desc, bytesOf(t, s))
	if err != nil || !bytes.Equal(bytesOf(t, r), bytesOf(t, s)) {
		t.Errorf("restore of a full log: %v", err)
	}
	s.SetRoom(s.Weight()-1, audit.MaxLeaves)
	if _, err := s.Snapshot(); !errors.Is(err, state.ErrSnapshot) {
		t.Errorf("snapshot beyond the bound: %v, want ErrSnapshot", err)
	}
}
