package state_test

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

func marks(s *state.State) []state.WithdrawMark {
	h, _ := s.View().Hotline("hotline-one")
	return h.Withdrawals
}

func owes(s *state.State) (numbers []uint64) {
	for _, m := range marks(s) {
		for _, o := range m.Owed {
			numbers = append(numbers, o.Number)
		}
	}
	return numbers
}

// cosigned adds another officer's signature.
func (w *world) cosigned(raw []byte, officer int) []byte {
	w.t.Helper()
	raw, err := trust.CosignWithdrawal(raw, w.hotline.Officers[officer])
	if err != nil {
		w.t.Fatal(err)
	}
	return raw
}

func TestEveryOwedSignatureCanCome(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	var raw [][]byte
	for n := range uint64(4) {
		raw = append(raw, w.withdrawal(listMain, n+1, 2, 0))
		apply(t, s, w.withdraw(raw[n]))
	}
	apply(t, s, w.withdraw(w.withdrawal(listMain, 5, 2, 0, 1)))
	if got := owes(s); !reflect.DeepEqual(got, []uint64{1, 2, 3, 4}) {
		t.Fatalf("owed %v, want 1 to 4", got)
	}
	w.now += 3000
	for i, n := range []int{1, 3, 0} { // in any order
		apply(t, s, w.withdraw(w.cosigned(raw[n], i%2+1)))
	}
	if got := owes(s); !reflect.DeepEqual(got, []uint64{3}) || marks(s)[0].Number != 5 {
		t.Errorf("owed %v, last %d; want 3 owed and 5 the last", got, marks(s)[0].Number)
	}
	if got := len(s.View().InForce.Overlay()); got != 10 {
		t.Errorf("%d removals, want 10", got)
	}
	if res := s.Apply(w.withdraw(raw[2])); !res.Duplicate || res.Logged {
		t.Errorf("an owed one again: %+v, want a duplicate", res)
	}
	if res := s.Apply(w.withdraw(raw[1])); !res.Duplicate || res.Logged || len(owes(s)) != 1 {
		t.Errorf("a paid one with one signature again: %+v, want a duplicate, and nothing owed by it", res)
	}
	other := w.statement(listMain, 3, 3) // its number, other words
	refused(t, s, w.withdraw(w.hotline.Withdraw(other, 0)), state.ReasonSequence)
	apply(t, s, w.withdraw(w.hotline.Withdraw(other, 0, 1)))
	if got := owes(s); !reflect.DeepEqual(got, []uint64{3}) || len(s.View().InForce.Overlay()) != 11 {
		t.Errorf("owed %v, want 3 still: those are other words", got)
	}
	r, err := state.Restore(w.desc, bytesOf(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(marks(r), marks(s)) {
		t.Errorf("restored %+v, want %+v", marks(r), marks(s))
	}
	apply(t, r, w.withdraw(w.cosigned(raw[2], 2)))
	if got := owes(r); got != nil {
		t.Errorf("owed %v, want none", got)
	}
}

func TestTheThresholdWithdrawsUnderAnyNumber(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	refused(t, s, w.withdraw(w.withdrawal(listMain, 1001, 1, 0)), state.ReasonSequence)
	apply(t, s, w.withdraw(w.withdrawal(listMain, 1000, 1, 0))) // the first of a list
	apply(t, s, w.withdraw(w.withdrawal(listMain, 1064, 1, 0)))
	refused(t, s, w.withdraw(w.withdrawal(listMain, 1129, 1, 0)), state.ReasonSequence)
	apply(t, s, w.withdraw(w.withdrawal(listMain, 5000, 1, 0, 1)))
	refused(t, s, w.withdraw(w.withdrawal(listMain, 7, 2, 0)), state.ReasonSequence)
	below := w.withdrawal(listMain, 7, 2, 0, 1)
	apply(t, s, w.withdraw(below))
	if m := marks(s)[0]; m.Number != 5000 || len(s.View().InForce.Overlay()) != 5 {
		t.Errorf("last %d, %d removals; want 5000 and 5", m.Number, len(s.View().InForce.Overlay()))
	}
	size := s.View().Size
	for _, raw := range [][]byte{below, w.withdrawal(listMain, 7, 1, 1, 2)} { // again; part of it
		if res := s.Apply(w.withdraw(raw)); !res.Duplicate || res.Logged || s.View().Size != size {
			t.Errorf("what is out of force already: %+v, want a duplicate", res)
		}
	}
	r, err := state.Restore(w.desc, bytesOf(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(marks(r), marks(s)) {
		t.Errorf("restored %+v, want %+v", marks(r), marks(s))
	}
	narrow := w.statement(listMain, 5001, 1)
	narrow.SeqTo = 1
	apply(t, s, w.withdraw(w.hotline.Withdraw(narrow, 0)))
	refused(t, s, w.withdraw(w.withdrawal(listMain, 5001, 1, 0, 1)), state.ReasonSequence) // it would say nothing
	past := w.statement(listMain, 9, 1)
	past.SeqTo = 1
	for seq := range uint64(audit.KeptVersions) {
		apply(t, s, w.good(listMain, seq+2))
	}
	for range 2 { // of versions that cannot come back
		if res := s.Apply(w.withdraw(w.hotline.Withdraw(past, 0, 1))); !res.Duplicate || res.Logged {
			t.Errorf("of a version that is gone: %+v, want a duplicate", res)
		}
	}
}

func TestASecondSignatureGivesAnOfficerHisEntriesBack(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	first := w.withdrawal(listMain, 1, 20, 0)
	apply(t, s, w.withdraw(first))
	refused(t, s, w.withdraw(w.withdrawal(listMain, 2, 1, 0)), state.ReasonLimit)
	apply(t, s, w.withdraw(w.cosigned(first, 1)))
	apply(t, s, w.withdraw(w.withdrawal(listMain, 2, 20, 0)))
	refused(t, s, w.withdraw(w.withdrawal(listMain, 3, 1, 0)), state.ReasonLimit)
}

func TestTheNextVersionSettlesWhatIsOwed(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	about := w.statement(listMain, 1, 2)
	about.SeqTo = 1
	apply(t, s, w.withdraw(w.hotline.Withdraw(about, 0)))
	apply(t, s, w.withdraw(w.withdrawal(listMain, 2, 2, 0))) // about versions up to 1000
	apply(t, s, w.good(listMain, 2))
	if got := owes(s); !reflect.DeepEqual(got, []uint64{2}) {
		t.Errorf("owed %v, want only 2", got)
	}
}

func TestOneOfficerCannotOweForEver(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	const most = 256
	for n := range uint64(most) {
		if n%15 == 0 {
			w.now += 24 * 3600
		}
		apply(t, s, w.withdraw(w.withdrawal(listMain, n+1, 1, 0)))
	}
	refused(t, s, w.withdraw(w.withdrawal(listMain, most+1, 1, 2)), state.ReasonLimit)
	apply(t, s, w.withdraw(w.withdrawal(listMain, most+1, 1, 1, 2)))
}

// TestWithdrawalsFollowAPlainModel draws statements, second signatures (in any order, more than once), new versions and restores, and
// holds what is removed and what is owed to books that a person could keep on paper.
func TestWithdrawalsFollowAPlainModel(t *testing.T) {
	type paper struct {
		raw   []byte
		to    uint64
		n     int
		owed  bool
		drops bool // a newer version has ended it
	}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		s := w.state()
		apply(t, s, w.good(listMain, 1))
		seq, last := uint64(1), uint64(0)
		var book []paper // by number - 1
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0, 1: // a statement, of one officer or two
				officers := rapid.SampledFrom([][]int{{0}, {1}, {2}, {0, 1}, {2, 1}}).Draw(rt, "officers")
				about := w.statement(listMain, last+1, 1)
				about.SeqTo = seq
				raw := w.hotline.Withdraw(about, officers...)
				s.Apply(w.withdraw(raw))
				if marks(s) != nil && marks(s)[0].Number == last+1 { // else the daily bound
					last++
					book = append(book, paper{raw: raw, to: seq, n: 1, owed: len(officers) == 1})
				}
			case 2, 3: // a second signature, or one again
				if len(book) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(book)-1).Draw(rt, "number")
				raw := w.cosigned(book[i].raw, rapid.IntRange(0, 2).Draw(rt, "officer"))
				res := s.Apply(w.withdraw(raw))
				if second := !bytes.Equal(raw, book[i].raw); second && book[i].owed {
					if res.Err != nil || !res.Logged {
						rt.Fatalf("second signature of %d: %+v", i+1, res)
					}
					book[i].owed, book[i].raw = false, raw
				} else if res.Logged && res.Err == nil {
					rt.Fatalf("signature of %d that nobody owes: %+v", i+1, res)
				}
			case 4:
				seq++
				apply(t, s, w.good(listMain, seq))
				for i := range book {
					book[i].owed, book[i].drops = false, true
				}
			case 5:
				r, err := state.Restore(w.desc, bytesOf(t, s))
				if err != nil {
					rt.Fatal(err)
				}
				s = r
			}
			var want []uint64
			var gone []match.EntryID
			for i, p := range book {
				if p.owed {
					want = append(want, uint64(i)+1)
				}
				if !p.drops {
					gone = append(gone, w.statement(listMain, uint64(i)+1, 1).Entries...)
				}
			}
			var overlay []match.EntryID
			for _, r := range s.View().InForce.Overlay() {
				overlay = append(overlay, r.Entry)
			}
			slices.SortFunc(overlay, func(a, b match.EntryID) int { return bytes.Compare(a[:], b[:]) })
			slices.SortFunc(gone, func(a, b match.EntryID) int { return bytes.Compare(a[:], b[:]) })
			if got := owes(s); !slices.Equal(got, want) || !slices.Equal(overlay, gone) {
				rt.Fatalf("owed %v, want %v; removed %d entries, want %d", got, want, len(overlay), len(gone))
			}
		}
	})
}
