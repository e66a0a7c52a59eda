package state_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust"
)

func (w *world) withdraw(raw []byte) []byte { return w.command(command.Withdraw{Statement: raw}) }

func TestAnOfficersWithdrawalTakesEntriesOutOfForce(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	raw := w.withdrawal(listMain, 1, 3, 0)
	apply(t, s, w.withdraw(raw))
	v := s.View()
	if got := len(v.InForce.Overlay()); got != 3 {
		t.Errorf("%d removals in force, want 3", got)
	}
	want := []state.WithdrawMark{{List: listMain, Number: 1, At: w.now, Owed: []state.Owed{{Number: 1, Entries: 3, At: w.now}}}}
	if got := marks(s); !reflect.DeepEqual(got, want) {
		t.Errorf("marks %+v, want %+v", got, want)
	}
	if res := s.Apply(w.withdraw(raw)); !res.Duplicate || res.Logged || res.Err != nil {
		t.Errorf("again: %+v, want a duplicate", res)
	}
	// The second officer signs the same statement.
	both, err := trust.CosignWithdrawal(raw, w.hotline.Officers[1])
	if err != nil {
		t.Fatal(err)
	}
	apply(t, s, w.withdraw(both))
	if got := marks(s); got[0].Owed != nil || len(s.View().InForce.Overlay()) != 3 {
		t.Errorf("marks %+v, %d removals; want nothing owed and the same 3", got, len(s.View().InForce.Overlay()))
	}
	if res := s.Apply(w.withdraw(raw)); !res.Duplicate || res.Logged {
		t.Errorf("the first signature alone again: %+v, want a duplicate", res)
	}
}

func TestWithdrawalsThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		raw          func(w *world) []byte
	}{
		{"a number that was used", state.ReasonSequence, func(w *world) []byte { return w.withdrawal(listMain, 5, 2, 1) }},
		{"a number below the last", state.ReasonSequence, func(w *world) []byte { return w.withdrawal(listMain, 4, 1, 1) }},
		{"one officer's that jumps", state.ReasonSequence, func(w *world) []byte { return w.withdrawal(listMain, 5+65, 1, 1) }},
		{"one officer's last possible number", state.ReasonSequence, func(w *world) []byte { return w.withdrawal(listMain, 1<<63, 1, 1) }},
		{"21 entries by one officer", "threshold", func(w *world) []byte { return w.withdrawal(listMain, 6, 21, 0) }},
		{"a hotline nobody knows", state.ReasonUnknownHotline, func(w *world) []byte { return w.withdrawal("hotline-two/main", 6, 1, 0) }},
		{"not a statement", "format", func(*world) []byte { return []byte{0xa0} }},
		{"expired", "expired", func(w *world) []byte {
			raw := w.withdrawal(listMain, 6, 1, 0)
			w.now += 3601
			return raw
		}},
		{"signed by a thief", "signature", func(w *world) []byte {
			raw, err := trust.SignWithdrawal(w.statement(listMain, 6, 1), key("thief"))
			if err != nil {
				w.t.Fatal(err)
			}
			return raw
		}},
		{"an officer's 21st entry of the day", state.ReasonLimit, func(w *world) []byte { return w.withdrawal(listMain, 6, 20, 0) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			s := w.state()
			apply(t, s, w.good(listMain, 1))
			apply(t, s, w.withdraw(w.withdrawal(listMain, 5, 1, 0)))
			refused(t, s, w.withdraw(c.raw(w)), c.reason)
		})
	}
}

func TestTheDailyBoundIsEachOfficersAndEachDays(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	apply(t, s, w.withdraw(w.withdrawal(listMain, 1, 20, 0)))
	refused(t, s, w.withdraw(w.withdrawal(listMain, 2, 1, 0)), state.ReasonLimit)
	apply(t, s, w.withdraw(w.withdrawal(listMain, 2, 20, 1)))
	apply(t, s, w.withdraw(w.withdrawal(listMain, 3, 500, 0, 1)))
	w.now += 24 * 3600
	apply(t, s, w.withdraw(w.withdrawal(listMain, 4, 20, 0)))
}

func TestNoOfficerIsKnownBeforeTheFirstMetadata(t *testing.T) {
	w := newWorld(t)
	refused(t, w.state(), w.withdraw(w.withdrawal(listMain, 1, 1, 0, 1)), state.ReasonUnknownHotline)
}

func TestEdgesAreEnrolledAndRemoved(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	add := command.Member{Action: "add", Role: "edge", Name: "edge-2", Key: public("edge-2"), Recipient: "age1xyz", By: "control-1"}
	apply(t, s, w.command(add))
	if e, ok := s.View().Edge("edge-2"); !ok || !bytes.Equal(e.Key, public("edge-2")) || e.Since != w.now {
		t.Fatalf("edge %+v %t, want edge-2 with its key", e, ok)
	}
	if res := s.Apply(w.command(add)); !res.Duplicate || res.Logged {
		t.Errorf("again: %+v, want a duplicate", res)
	}
	taken := add
	taken.Key = public("somebody")
	refused(t, s, w.command(taken), state.ReasonMember)
	stolen := add
	stolen.Name, stolen.Key = "edge-3", public("control-1")
	refused(t, s, w.command(stolen), state.ReasonMember)
	control := add
	control.Role, control.Name = "control", "control-4"
	refused(t, s, w.command(control), state.ReasonMember)

	apply(t, s, w.command(command.Receipts{Items: []audit.SignedReceipt{w.receipt("edge-2", 9, s.View())}}))
	old := w.receipt("edge-2", 8, s.View())
	apply(t, s, w.command(command.Member{Action: "remove", Role: "edge", Name: "edge-2", By: "control-1"}))
	if _, ok := s.View().Edge("edge-2"); ok {
		t.Errorf("edge-2 is still enrolled")
	}
	apply(t, s, w.command(add))
	refused(t, s, w.command(command.Receipts{Items: []audit.SignedReceipt{old}}), state.ReasonReceipt)
}

func TestReceiptsAreVerifiedOneByOne(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	v := s.View()
	wrongRoot := *v
	wrongRoot.Root[0] ^= 1
	future := *v
	future.Size++
	forged := w.receipt("edge-1", 5, v)
	forged.Sig = w.receipt("control-1", 5, v).Sig
	for _, c := range []struct {
		name string
		item audit.SignedReceipt
	}{
		{"another root", w.receipt("edge-1", 5, &wrongRoot)},
		{"a size beyond the log", w.receipt("edge-1", 5, &future)},
		{"counter zero", w.receipt("edge-1", 0, v)},
		{"an edge nobody enrolled", w.receipt("edge-9", 5, v)},
		{"a signature of somebody else", forged},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := v.CheckReceipt(c.item); err == nil || state.Repeated(err) {
				t.Errorf("check: %v, want an error", err)
			}
			refused(t, s, w.command(command.Receipts{Items: []audit.SignedReceipt{c.item}}), state.ReasonReceipt)
		})
	}
	good := w.receipt("edge-1", 1, s.View())
	mixed := command.Receipts{Items: []audit.SignedReceipt{good, w.receipt("edge-1", 1, v), w.receipt("edge-1", 2, &wrongRoot)}}
	size := s.View().Size
	res := s.Apply(w.command(mixed))
	var r *state.Refusal
	if !res.Logged || !errors.As(res.Err, &r) || s.View().Size != size+2 {
		t.Errorf("a good one among bad ones: %+v, %d leaves, want its leaf and one refusal", res, s.View().Size-size)
	}
	if e, _ := s.View().Edge("edge-1"); e.Counter != 1 || e.Receipt == nil {
		t.Errorf("edge %+v, want counter 1", e)
	}
	if res := s.Apply(w.command(command.Receipts{Items: []audit.SignedReceipt{good}})); !res.Duplicate || res.Logged || res.Err != nil {
		t.Errorf("the last one again: %+v, want a duplicate", res)
	}
}
