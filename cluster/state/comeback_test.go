package state_test

import (
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
)

func receipts(w *world, items ...audit.SignedReceipt) []byte {
	return w.command(command.Receipts{Items: items})
}

// TestAnEdgeCountsOnWhateverKeysItHadBetween: an auditor remembers the last receipt of each key of an edge.
func TestAnEdgeCountsOnWhateverKeysItHadBetween(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	with := func(key string) {
		apply(t, s, w.command(command.Member{Action: "add", Role: "edge", Name: "edge-2", Key: public(key), Recipient: "age1xyz", By: "control-1"}))
	}
	without := func() {
		apply(t, s, w.command(command.Member{Action: "remove", Role: "edge", Name: "edge-2", By: "control-1"}))
	}
	with("edge-2")
	old := w.receipt("edge-2", 8, s.View())
	apply(t, s, receipts(w, w.receipt("edge-2", 9, s.View())))
	without()
	with("edge-2 anew")
	without()
	with("edge-2")
	restored, err := state.Restore(w.desc, bytesOf(t, s))
	if err != nil {
		t.Fatal(err)
	}
	refused(t, s, receipts(w, old), state.ReasonReceipt)
	refused(t, restored, receipts(w, old), state.ReasonReceipt)
	apply(t, s, receipts(w, w.receipt("edge-2", 10, s.View())))
}

// TestNoReceiptGoesBackBehindTheEdgesLast: a disk that was brought back, or a control node that lags, shows an edge an older log; its
// counter follows the clock.
func TestNoReceiptGoesBackBehindTheEdgesLast(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	before := s.View()
	apply(t, s, w.good(listMain, 1))
	now := s.View()
	both := receipts(w, w.receipt("edge-1", 1, now), w.receipt("edge-1", 2, before))
	if res := s.Apply(both); res.Err == nil || !res.Logged {
		t.Errorf("one of a log and one of a shorter log: %+v, want the first alone", res)
	}
	refused(t, s, receipts(w, w.receipt("edge-1", 3, before)), state.ReasonReceipt)
	if e, _ := s.View().Edge("edge-1"); e.Counter != 1 || e.Size != now.Size {
		t.Errorf("edge %+v, want its first receipt", e)
	}
	if _, err := s.View().CheckReceipt(w.receipt("edge-1", 3, before)); err == nil {
		t.Error("the check before it is proposed takes it")
	}
	apply(t, s, receipts(w, w.receipt("edge-1", 4, now)))
}
