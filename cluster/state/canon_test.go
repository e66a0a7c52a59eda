package state_test

import (
	"bytes"
	"testing"

	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

// A replica that was updated (other Unicode tables, so another canon.ID) replays the same log to the same bytes, opens its own
// snapshot, and takes renewals of what is in force. Whether a new list of such rules may come is what the verdicts say.
func TestCanonicalisationRulesOfAnotherBuildChangeNoReplica(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	l := trusttest.Files(listMain, 1)
	l.Target.CanonID = [32]byte{1}
	apply(t, s, w.publish(w.metadata(l), listMain, w.verdicts(l, "control-1", "control-2")))
	if p, _, ok := s.View().Publish(listMain); !ok || p.Canon != l.Target.CanonID {
		t.Fatalf("publish leaf %+v, want rules %x", p, l.Target.CanonID[:4])
	}
	before := bytesOf(t, s)
	r, err := state.Restore(w.desc, before)
	if err != nil {
		t.Fatalf("restore: %v", err)
	}
	if !bytes.Equal(bytesOf(t, r), before) {
		t.Error("the restored replica is another one")
	}
	w.now += 3600
	apply(t, r, w.publish(w.metadata(), listMain, nil))

	l = trusttest.Files(listMain, 2)
	l.Target.CanonID = [32]byte{1}
	refused(t, r, w.publish(w.metadata(l), listMain, nil), state.ReasonVerdicts)
}
