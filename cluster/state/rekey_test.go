package state_test

import (
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

func TestNewKeysOfAListAreALeafBeforeTheirFirstVersion(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	of := func(seq uint64, epoch uint32) []byte {
		l := trusttest.Files(listMain, seq)
		l.Target.Epoch = epoch
		w.now++
		return w.publish(w.metadata(l), listMain, w.verdicts(l, "control-1", "control-2"))
	}
	first := s.View().Size
	for _, x := range []struct {
		seq   uint64
		epoch uint32
	}{{1, 1}, {2, 1}, {3, 2}, {4, 2}, {5, 7}} {
		apply(t, s, of(x.seq, x.epoch))
	}
	var got []audit.Rekey
	for n := first; n < s.View().Size; n++ {
		if r, ok := bodyOf(t, s, n).(audit.Rekey); ok {
			got = append(got, r)
			if p, ok := bodyOf(t, s, n+1).(audit.Publish); !ok || p.Seq != r.Seq || p.Epoch != r.To {
				t.Errorf("behind leaf %d comes %#v", n, bodyOf(t, s, n+1))
			}
		}
	}
	if len(got) != 2 || got[0].From != 1 || got[0].To != 2 || got[0].Seq != 3 || got[1].From != 2 || got[1].To != 7 || got[1].Seq != 5 {
		t.Fatalf("records of new keys: got %+v, want 1 to 2 with version 3, 2 to 7 with version 5", got)
	}
	refused(t, s, of(6, 2), state.ReasonSequence)
	if _, err := state.Restore(w.desc, bytesOf(t, s)); err != nil {
		t.Errorf("restore: %v", err)
	}
}

func bodyOf(t *testing.T, s *state.State, n uint64) audit.Body {
	t.Helper()
	b, err := s.View().Tree().Leaf(n)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := audit.DecodeLeaf(b)
	if err != nil {
		t.Fatal(err)
	}
	body, err := leaf.Body()
	if err != nil {
		t.Fatal(err)
	}
	return body
}
