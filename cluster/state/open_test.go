package state_test

import (
	"bytes"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust"
)

const openList = "hotline-one/main"

// opening is a statement about version 1 of the list.
func (w *world) opening(request byte) trust.Opening {
	return trust.Opening{
		Cluster: w.id, List: openList, Seq: 1, Request: [32]byte{request}, Count: 5, File: [32]byte{request, 1}, Recipient: [32]byte{9},
		Issued: w.now - 5, Expires: w.now + 3600,
	}
}

func (w *world) open(o trust.Opening, officers ...int) []byte {
	w.t.Helper()
	raw, err := trust.SignOpening(o, w.hotline.Officers[officers[0]])
	for _, n := range officers[1:] {
		if err == nil {
			raw, err = trust.CosignOpening(raw, w.hotline.Officers[n])
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return w.command(command.Open{Statement: raw})
}

func TestAnOpeningIsALeafAndChangesNothingInForce(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(openList, 1))
	before := s.View()
	res := apply(t, s, w.open(w.opening(1), 0, 1))
	if after := s.View(); after.InForce.Hash() != before.InForce.Hash() {
		t.Error("what is in force has changed")
	}
	b, err := s.View().Tree().Leaf(res.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := audit.DecodeLeaf(b)
	if err != nil {
		t.Fatal(err)
	}
	body, err := leaf.Body()
	if o, ok := body.(audit.Open); err != nil || !ok || o.Count != 5 || o.Request != [32]byte{1} || len(o.Signers) != 2 {
		t.Errorf("leaf is %+v (%v)", body, err)
	}
	for _, officers := range [][]int{{0, 1}, {1, 2}} { // the same statement, whoever signed it
		if again := s.Apply(w.open(w.opening(1), officers...)); !again.Duplicate || again.Logged || again.Err != nil {
			t.Errorf("again, by %v: %+v, want a duplicate", officers, again)
		}
	}
	restored, err := state.Restore(w.desc, bytesOf(t, s))
	if err != nil {
		t.Fatal(err)
	}
	for _, replica := range []*state.State{s, restored} { // a restored replica remembers what was opened
		if again := replica.Apply(w.open(w.opening(1), 0, 1)); !again.Duplicate || again.Logged {
			t.Errorf("after a restore: %+v, want a duplicate", again)
		}
	}
	if !bytes.Equal(bytesOf(t, s), bytesOf(t, restored)) {
		t.Error("the restored replica holds other bytes")
	}
}

func TestOpeningsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	other := w.opening(2)
	other.Cluster = "00000000000000000000000000000000"
	later := w.opening(3)
	later.Seq = 2
	old := w.opening(4)
	old.Issued, old.Expires = w.now-7200, w.now-3600
	stranger := w.opening(5)
	stranger.List = "hotline-nine/main"
	for _, c := range []struct {
		name   string
		cmd    []byte
		reason string
	}{
		{"signed by one officer", w.open(w.opening(1), 0), "threshold"},
		{"for another cluster's log", w.open(other, 0, 1), state.ReasonOpening},
		{"of a version that never came into force", w.open(later, 0, 1), state.ReasonOpening},
		{"too late", w.open(old, 0, 1), "expired"},
		{"of a hotline that nobody knows", w.open(stranger, 0, 1), state.ReasonUnknownHotline},
		{"no statement at all", w.command(command.Open{Statement: []byte{1}}), "format"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := w.state()
			apply(t, s, w.good(openList, 1))
			refused(t, s, c.cmd, c.reason)
		})
	}
}

func TestOpeningsOfADayAreBounded(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(openList, 1))
	for n := range byte(state.MaxOpenings) {
		apply(t, s, w.open(w.opening(n), 0, 1))
	}
	refused(t, s, w.open(w.opening(200), 0, 1), state.ReasonLimit)
}
