package state_test

import (
	"bytes"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
)

// admin is the command of an act, as a control node proposes it.
func (w *world) admin(node string, a audit.Act) []byte {
	by := "ops"
	if _, ok := a.(audit.Builds); ok {
		by = ""
	}
	b := audit.NewAdmin(by, node, a)
	return w.command(command.Admin{Act: b.Act, By: b.By, Node: b.Node, D: b.D})
}

func (w *world) appeal(ref byte) audit.Appeal {
	return audit.Appeal{Ref: audit.AppealRef(bytes.Repeat([]byte{'a' + ref%8}, 16)), List: listMain, Received: w.now - 60, Due: w.now + 86400}
}

func (w *world) ruling(ref byte, officer string) audit.Decision {
	return audit.SignRuling(audit.Ruling{Cluster: w.id, Ref: w.appeal(ref).Ref, Outcome: audit.OutcomeRejected, At: w.now}, officer, key(officer))
}

func (w *world) build(role, name string, digest byte) audit.SignedBuild {
	return audit.SignBuild(audit.Build{Cluster: w.id, Role: role, Name: name, Program: "cordon", Digest: [32]byte{digest}, Time: w.now}, key(name))
}

func TestAppealsAndBuildsAreAgreedAndComeBack(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	a := w.appeal(1)
	apply(t, s, w.admin("control-2", a))
	if res := s.Apply(w.admin("control-3", a)); !res.Duplicate || res.Logged {
		t.Errorf("the same appeal again: %+v, want a duplicate", res)
	}
	other := a
	other.Due++
	refused(t, s, w.admin("control-2", other), state.ReasonAdmin)
	refused(t, s, w.admin("edge-1", w.appeal(2)), state.ReasonCommand)
	refused(t, s, w.admin("control-2", w.ruling(3, "ada")), state.ReasonAdmin)
	refused(t, s, w.admin("control-2", w.ruling(1, "mallory")), "signature")
	apply(t, s, w.admin("control-2", w.ruling(1, "ada")))
	if res := s.Apply(w.admin("control-2", w.ruling(1, "ada"))); !res.Duplicate {
		t.Errorf("the same decision again: %+v, want a duplicate", res)
	}
	refused(t, s, w.admin("control-2", w.ruling(1, "grace")), state.ReasonAdmin)

	good, stranger := w.build(audit.RoleEdge, "edge-1", 1), w.build(audit.RoleEdge, "edge-2", 1)
	apply(t, s, w.admin("control-1", audit.Builds{Items: []audit.SignedBuild{stranger, good, good, w.build(audit.RoleControl, "control-1", 1)}}))
	v := s.View()
	if len(v.Register.Builds) != 2 || v.Register.Open != 0 || v.Register.Count != 1 {
		t.Fatalf("register: %d builds, %d of %d appeals open, want 2, 0 of 1", len(v.Register.Builds), v.Register.Open, v.Register.Count)
	}
	if res := s.Apply(w.admin("control-1", audit.Builds{Items: []audit.SignedBuild{good}})); !res.Duplicate {
		t.Errorf("the same build again: %+v, want a duplicate", res)
	}
	refused(t, s, w.admin("control-1", audit.Builds{Items: []audit.SignedBuild{stranger}}), state.ReasonAdmin)

	r, err := state.Restore(w.desc, bytesOf(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.View().Register; len(got.Builds) != 2 || got.Count != 1 || got.Appeals[0][0].Outcome != audit.OutcomeRejected {
		t.Errorf("after a restore: %+v", got)
	}
}

func TestACertificateIsOfLeavesThatAreThere(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	size := s.View().Size
	cert := order.Certificate{From: w.now - 3600, To: w.now, Size: size, Hash: [32]byte{1}}
	beyond, ahead := cert, cert
	beyond.Size, ahead.To = size+1, w.now+1
	refused(t, s, w.ordered(w.order(1, beyond, "ada", "grace")), state.ReasonOrder)
	refused(t, s, w.ordered(w.order(1, ahead, "ada", "grace")), state.ReasonOrder)
	refused(t, s, w.ordered(w.order(1, cert, "ada")), "threshold")
	apply(t, s, w.ordered(w.order(1, cert, "ada", "grace")))
	if _, err := state.Restore(w.desc, bytesOf(t, s)); err != nil {
		t.Error(err)
	}
}

func TestAnActWithAnotherSpellingIsRefused(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	d, err := cbor.Marshal(w.appeal(1)) // not core deterministic: the fields in the order of the type
	if err != nil {
		t.Fatal(err)
	}
	refused(t, s, w.command(command.Admin{Act: audit.ActAppeal, By: "ops", Node: "control-1", D: d}), state.ReasonCommand)
}
