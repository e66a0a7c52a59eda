package state_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

// officers are the operator's people in these tests.
var officers = []string{"ada", "grace"}

// order is an order for the next hour, signed by these officers.
func (w *world) order(number uint64, b order.Body, by ...string) []byte {
	w.t.Helper()
	o := order.Order{Cluster: w.id, Number: number, Issued: w.now - 1, Expires: w.now + 3600, Reason: "error", Body: b}
	return w.signOrder(o, by...)
}

func (w *world) signOrder(o order.Order, by ...string) []byte {
	w.t.Helper()
	raw, err := order.Sign(o, by[0], key(by[0]))
	for _, name := range by[1:] {
		if err == nil {
			raw, err = order.Countersign(raw, name, key(name))
		}
	}
	if err != nil {
		w.t.Fatalf("sign order: %v", err)
	}
	return raw
}

func (w *world) ordered(raw []byte) []byte {
	w.t.Helper()
	o, _, err := order.Decode(raw)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.command(command.Order{As: command.Kind(o.Body.Kind()), Statement: raw})
}

// hold is the command that holds a list back for a brake, by these members' verdicts.
func (w *world) hold(l trusttest.List, brake string, members ...string) []byte {
	edge := sha256.Sum256(l.Edge)
	h := command.Hold{
		Hotline: "hotline-one", List: l.Target.List, Seq: l.Target.Seq, Edge: edge[:], Metadata: make([]byte, 32), Brake: brake, Node: "control-1",
	}
	for _, m := range members {
		h.Verdicts = append(h.Verdicts, w.verdict(l, m, brake))
	}
	return w.command(h)
}

func approval(l trusttest.List, brakes ...string) order.Approve {
	return order.Approve{
		List: l.Target.List, Seq: l.Target.Seq, Edge: sha256.Sum256(l.Edge), Brakes: brakes,
		Entries: []match.EntryID{{1}, {2}}, NeverBlock: sha256.Sum256([]byte("never-block")),
	}
}

func TestAHeldVersionComesIntoForceOnlyWithTheApprovalOfTwo(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	two := trusttest.Files(listMain, 2)
	edge := sha256.Sum256(two.Edge)
	publish := w.publish(w.metadata(two), listMain, w.verdicts(two, "control-1", "control-2"))

	refused(t, s, w.hold(two, "never_block", "control-1"), state.ReasonVerdicts)
	refused(t, s, w.ordered(w.order(1, approval(two, "never_block"), "ada", "grace")), state.ReasonOrder)
	apply(t, s, w.hold(two, "never_block", "control-1", "control-2"))
	if h, ok := s.View().Orders.Heldback(listMain, 2, edge); !ok || h.Approved || h.Since != w.now || h.Brake != "never_block" {
		t.Errorf("held: %+v %t", h, ok)
	}
	if res := s.Apply(w.hold(two, "never_block", "control-3", "control-2")); !res.Duplicate || res.Logged || res.Err != nil {
		t.Errorf("held again: %+v, want a duplicate", res)
	}
	refused(t, s, publish, state.ReasonHeld)
	if l, _ := s.View().InForce.List(listMain); l.Seq != 1 {
		t.Errorf("in force is version %d, want 1", l.Seq)
	}
	refused(t, s, w.ordered(w.order(1, approval(two, "never_block"), "ada")), "threshold")
	refused(t, s, w.ordered(w.order(1, approval(two, "never_block"), "ada", "control-1")), "signature")

	apply(t, s, w.ordered(w.order(1, approval(two, "never_block"), "ada", "grace")))
	a, ok := s.View().Approved(listMain, 2, edge)
	if !ok || len(a.Entries) != 2 || a.Number != 1 || a.NeverBlock != sha256.Sum256([]byte("never-block")) {
		t.Fatalf("approval: %+v %t", a, ok)
	}
	// A brake finds more than was exempted: held anew, and approved anew.
	apply(t, s, w.hold(two, "never_block", "control-1", "control-2", "control-3"))
	w.now++
	refused(t, s, w.publish(w.metadata(), listMain, w.verdicts(two, "control-1", "control-2")), state.ReasonHeld)
	again := w.ordered(w.order(2, approval(two, "growth", "never_block"), "grace", "ada"))
	apply(t, s, again)
	if res := s.Apply(again); !res.Duplicate || res.Logged {
		t.Errorf("the same approval again: %+v, want a duplicate", res)
	}
	refused(t, s, w.ordered(w.order(2, approval(two, "growth"), "ada", "grace")), state.ReasonOrder)

	r, err := state.Restore(w.desc, bytesOf(t, s))
	if err != nil {
		t.Fatal(err)
	}
	w.now++
	good := w.publish(w.metadata(), listMain, w.verdicts(two, "control-1", "control-2"))
	apply(t, s, good)
	apply(t, r, good)
	if !bytes.Equal(bytesOf(t, s), bytesOf(t, r)) {
		t.Error("a restored replica goes another way")
	}
	if v := s.View(); len(v.Orders.Held) != 0 || len(v.Orders.Approvals) != 0 {
		t.Errorf("held %v, approvals %v; want none once it is in force", v.Orders.Held, v.Orders.Approvals)
	}
}

func TestAnApprovalEndsAndALaterVersionNeedsNone(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	two := trusttest.Files(listMain, 2)
	m := w.metadata(two)
	apply(t, s, w.hold(two, "growth", "control-1", "control-2"))
	apply(t, s, w.ordered(w.order(1, approval(two, "growth"), "ada", "grace")))
	w.now += 3601
	refused(t, s, w.publish(m, listMain, w.verdicts(two, "control-1", "control-2")), state.ReasonHeld)
	apply(t, s, w.good(listMain, 3))
	if v := s.View(); len(v.Orders.Held) != 0 {
		t.Errorf("held %v, want none after version 3", v.Orders.Held)
	}
	refused(t, s, w.hold(two, "growth", "control-1", "control-2"), state.ReasonOrder)
}

func TestVerdictsAreAboutTheNeverBlockListOfThePolicy(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	policy := sha256.Sum256([]byte("two names"))
	apply(t, s, w.ordered(w.order(7, order.Policy{NeverBlock: policy, Count: 2}, "ada", "grace")))
	if p := s.View().Orders.Policy; p.NeverBlock != policy || p.Count != 2 {
		t.Errorf("policy %+v", p)
	}
	refused(t, s, w.good(listMain, 1), state.ReasonVerdicts)
	l := trusttest.Files(listMain, 1)
	var verdicts []audit.SignedVerdict
	for _, m := range []string{"control-1", "control-2"} {
		verdicts = append(verdicts, audit.SignVerdict(audit.Verdict{
			Cluster: w.id, Node: m, List: listMain, Seq: 1, Edge: sha256.Sum256(l.Edge), Audit: sha256.Sum256(l.Audit),
			EntriesRoot: l.Target.EntriesRoot, NeverBlock: policy, Result: audit.ResultOK,
		}, key(m)))
	}
	w.now++
	apply(t, s, w.publish(w.metadata(l), listMain, verdicts))
	refused(t, s, w.ordered(w.order(7, order.Policy{NeverBlock: policy, Count: 3}, "ada", "grace")), state.ReasonOrder)
	later := w.order(8, order.Policy{NeverBlock: policy, Count: 3}, "ada", "grace")
	w.now += 3601
	refused(t, s, w.ordered(later), "expired")
}

func TestAClusterWithoutOfficersTakesNoOrder(t *testing.T) {
	w := newWorld(t)
	w.desc.Officers = nil
	w.id = w.desc.ID()
	refused(t, w.state(), w.ordered(w.order(1, order.Policy{NeverBlock: [32]byte{1}}, "ada", "grace")), "signature")
}

func TestAnEdgeCannotHaveAnOfficersKey(t *testing.T) {
	w := newWorld(t)
	refused(t, w.state(), w.command(command.Member{Action: "add", Role: "edge", Name: "edge-2", Key: public("ada"), By: "control-1"}), state.ReasonMember)
}
