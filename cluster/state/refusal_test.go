package state_test

import (
	"reflect"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

func TestBytesThatAreNoCommandAreRefusedOnce(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	refused(t, s, []byte("not cbor"), state.ReasonCommand)
	if res := s.Apply([]byte("not cbor")); res.Logged || !res.Duplicate {
		t.Errorf("again: %+v, want no second leaf", res)
	}
}

func TestRefusalsADayAreBounded(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	start := s.View().Size
	spam := func(n byte) {
		for i := range 600 {
			s.Apply([]byte{0x61, n, byte(i >> 8), byte(i)})
		}
	}
	spam('a')
	v := s.View()
	if got := v.Size - start; got != 500 || v.Refused != 600 || len(v.Refusals) != 16 {
		t.Errorf("%d leaves, %d refusals, %d kept; want 500, 600, 16", got, v.Refused, len(v.Refusals))
	}
	w.now += 2 * 24 * 3600
	s.Apply(w.command(command.Tick{}))
	spam('b')
	if got := s.View().Size - start; got != 1000 {
		t.Errorf("%d leaves on the next day, want 1000", got)
	}
}

func TestAMembersRefusalIsALeaf(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	r := command.Reject{Hotline: "hotline-one", List: listMain, Seq: 7, Object: make([]byte, 32), Stage: "fetch", Reason: "scope", Detail: "said so", Node: "control-2"}
	apply(t, s, w.command(r))
	if got := s.View().Refusals[0]; got.Reason != "scope" || got.Node != "control-2" || got.Seq != 7 {
		t.Errorf("refusal %+v, want what control-2 said", got)
	}
	if res := s.Apply(w.command(r)); res.Logged || !res.Duplicate || res.Err != nil {
		t.Errorf("again: %+v, want a duplicate", res)
	}
	r.Node, r.Reason = "edge-1", "format"
	if res := s.Apply(w.command(r)); res.Err == nil || res.Logged {
		t.Errorf("refusal of no member: %+v, want it dropped", res)
	}
}

func TestAMembersRefusalCarriesMembersWordsOnly(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	l := trusttest.Files(listMain, 7)
	honest, forged := w.verdicts(l, "control-1", "control-2"), w.verdict(l, "control-3", "size")
	forged.Sig = honest[0].Sig
	r := command.Reject{Hotline: "hotline-one", List: listMain, Seq: 7, Object: make([]byte, 32), Stage: "stage", Reason: "size", Node: "control-2"}
	r.Verdicts = append([]audit.SignedVerdict{{Body: make([]byte, 40<<10)}, honest[1], forged, w.verdict(trusttest.Files(listMain, 8), "control-3", "size")}, honest...)
	apply(t, s, w.command(r))
	b, err := s.View().Tree().Leaf(s.View().Size - 1)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := audit.DecodeLeaf(b)
	if err != nil {
		t.Fatal(err)
	}
	body, err := leaf.Body()
	if got, ok := body.(audit.Reject); err != nil || !ok || !reflect.DeepEqual(got.Verdicts, honest) {
		t.Errorf("leaf of %d bytes: %+v (%v), want what the two members signed on this version", len(b), body, err)
	}
	r.Reason, r.Object = audit.ReasonSuperseded, append([]byte{1}, r.Object[1:]...)
	if res := s.Apply(w.command(r)); res.Err == nil || res.Logged {
		t.Errorf("a member says what only a publication says: %+v, want it dropped", res)
	}
}
