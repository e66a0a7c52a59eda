package state_test

import (
	"bytes"
	"crypto/sha256"
	"testing"
	"time"

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
	if res := s.Apply(w.hold(two, "growth", "control-3", "control-2")); !res.Duplicate || res.Logged || res.Err != nil {
		t.Errorf("held again, for another brake: %+v, want a duplicate", res)
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

// TestALaterHoldLetsNoEarlierVersionThrough: members' words of a version that was approved for a time are still there when the time is over.
func TestALaterHoldLetsNoEarlierVersionThrough(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	two, three := trusttest.Files(listMain, 2), trusttest.Files(listMain, 3)
	m := w.metadata(two)
	apply(t, s, w.hold(two, "growth", "control-1", "control-2"))
	apply(t, s, w.ordered(w.order(1, approval(two, "growth"), "ada", "grace")))
	signed := w.verdicts(two, "control-1", "control-2") // while the approval is in its time
	w.now += 3601
	refused(t, s, w.publish(m, listMain, signed), state.ReasonHeld)
	apply(t, s, w.hold(three, "growth", "control-1", "control-2"))
	res := s.Apply(w.publish(m, listMain, signed))
	if l, _ := s.View().InForce.List(listMain); res.Err == nil || l.Seq != 1 {
		t.Errorf("version %d is in force after %+v, want 1: nobody approves version 2 any more", l.Seq, res)
	}
	apply(t, s, w.ordered(w.order(2, approval(three, "growth"), "ada", "grace")))
	apply(t, s, w.publish(w.metadata(three), listMain, w.verdicts(three, "control-1", "control-2")))
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
			EntriesRoot: l.Target.EntriesRoot, Index: sha256.Sum256([]byte("index")), NeverBlock: policy, Result: audit.ResultOK,
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

// leafAt applies a leaf that changes nothing by itself: what has ended goes with it.
func (w *world) leafAt(t *testing.T, s *state.State, now int64) {
	t.Helper()
	w.now = now
	apply(t, s, w.publish(w.metadata(), listMain, nil)) // a renewal
}

func TestASuppressionEndsByItselfAndCanBeLifted(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	l, _ := s.View().InForce.List(listMain)
	one := order.Suppress{List: listMain, Epoch: l.Epoch, Entries: []match.EntryID{{1}, {2}}}
	refused(t, s, w.ordered(w.order(1, one, "ada")), "threshold")
	wrong := one
	wrong.Epoch++
	refused(t, s, w.ordered(w.order(1, wrong, "ada", "grace")), state.ReasonOrder)
	apply(t, s, w.ordered(w.order(1, one, "ada", "grace")))
	ends := w.now + 3600
	overlay := s.View().InForce.Overlay()
	want := match.Removal{List: listMain, Entry: match.EntryID{1}, Until: uint32(ends - 1), Kind: match.RemovalSuppress, Number: 1}
	if len(overlay) != 2 || overlay[0] != want {
		t.Fatalf("overlay %+v, want %+v first", overlay, want)
	}
	// It outlives versions and epochs; a later order about the same entry replaces it.
	apply(t, s, w.good(listMain, 2))
	w.now += 10
	apply(t, s, w.ordered(w.order(2, order.Suppress{List: listMain, Epoch: l.Epoch, Entries: []match.EntryID{{2}, {3}}}, "ada", "grace")))
	if got := s.View().InForce.Suppressions; len(got) != 3 || got[1].Number != 2 {
		t.Errorf("suppressions %+v, want 3, the second by order 2", got)
	}
	lift := order.Suppress{List: listMain, Epoch: l.Epoch, Entries: []match.EntryID{{3}}, Lift: true}
	apply(t, s, w.ordered(w.order(3, lift, "ada", "grace")))
	refused(t, s, w.ordered(w.order(4, lift, "ada", "grace")), state.ReasonOrder)

	r, err := state.Restore(w.desc, bytesOf(t, s))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*state.State{s, r} {
		w.leafAt(t, s, ends-1)
		if got := s.View().InForce.Suppressions; len(got) != 2 {
			t.Errorf("in its last second: %+v, want both", got)
		}
	}
	w.leafAt(t, s, ends)
	if got := s.View().InForce.Suppressions; len(got) != 1 || got[0].Entry != (match.EntryID{2}) {
		t.Errorf("after its end: %+v, want the later one alone", got)
	}
	w.leafAt(t, s, ends+10)
	if got := len(s.View().InForce.Overlay()); got != 0 {
		t.Errorf("%d removals in the end, want none", got)
	}
}

func TestSuppressionsAreCapped(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	l, _ := s.View().InForce.List(listMain)
	number := uint64(0)
	many := func() []byte {
		number++
		b := order.Suppress{List: listMain, Epoch: l.Epoch}
		for i := range order.MaxSuppressed {
			b.Entries = append(b.Entries, match.EntryID{byte(number), byte(i)})
		}
		return w.ordered(w.order(number, b, "ada", "grace"))
	}
	for range audit.MaxSuppressions / order.MaxSuppressed {
		apply(t, s, many())
	}
	refused(t, s, many(), "too_large")
}

func TestABypassEndsByItselfAndCanBeEnded(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	refused(t, s, w.ordered(w.order(1, order.Bypass{Lift: true}, "ada", "grace")), state.ReasonOrder)
	apply(t, s, w.ordered(w.order(2, order.Bypass{}, "ada", "grace")))
	if got := s.View().InForce.Bypass; got != w.now+3599 {
		t.Errorf("bypass until %d, want %d", got, w.now+3599)
	}
	apply(t, s, w.ordered(w.order(3, order.Bypass{Lift: true}, "ada", "grace")))
	if got := s.View().InForce.Bypass; got != 0 {
		t.Errorf("bypass until %d after its end, want none", got)
	}
	apply(t, s, w.ordered(w.order(4, order.Bypass{}, "ada", "grace")))
	w.leafAt(t, s, w.now+3600)
	if got := s.View().InForce.Bypass; got != 0 {
		t.Errorf("bypass until %d at %d, want none", got, w.now)
	}
}

func TestAnExemptionEndsByItselfIsReplacedAndCanBeEnded(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	none := s.View().InForce.Hash()
	exempt := func(number uint64, b order.Exempt, by ...string) []byte { return w.ordered(w.order(number, b, by...)) }
	first, second := order.Exempt{Hash: [32]byte{1}, Count: 2}, order.Exempt{Hash: [32]byte{2}, Count: 1}
	refused(t, s, exempt(1, order.Exempt{Lift: true}, "ada", "grace"), state.ReasonOrder)
	refused(t, s, exempt(2, first, "ada"), "threshold")
	apply(t, s, exempt(3, first, "ada", "grace"))
	until := w.now + 3599
	if got := s.View().InForce.Exempt; got == nil || *got != (audit.Exemption{Hash: first.Hash, Count: 2, Until: until, Number: 3}) {
		t.Errorf("in force is %+v", got)
	}
	kept, err := audit.DecodeInForce(s.View().InForce.Encode())
	if err != nil || kept.Hash() != s.View().InForce.Hash() {
		t.Errorf("it does not survive its encoding: %v", err)
	}
	apply(t, s, exempt(4, second, "ada", "grace"))
	if got := s.View().InForce.Exempt; got == nil || got.Hash != second.Hash || got.Number != 4 {
		t.Errorf("in the place of another: in force is %+v", got)
	}
	apply(t, s, exempt(5, order.Exempt{Lift: true}, "ada", "grace"))
	if got := s.View().InForce; got.Exempt != nil || got.Hash() != none {
		t.Errorf("after its end in force is %+v", got.Exempt)
	}
	apply(t, s, exempt(6, first, "ada", "grace"))
	w.leafAt(t, s, w.now+3600)
	if got := s.View().InForce; got.Exempt != nil || got.Hash() != none {
		t.Errorf("when its time is over in force is %+v", got.Exempt)
	}
}

// comeBack is an order to go back, with these members' word.
func (w *world) comeBack(number, seq, high uint64, entries []match.EntryID, members ...string) []byte {
	b := order.Return{
		List: listMain, Seq: seq, Edge: sha256.Sum256(trusttest.Files(listMain, seq).Edge),
		High: high, HighEdge: sha256.Sum256(trusttest.Files(listMain, high).Edge), Entries: entries,
	}
	c := command.Return{Statement: w.order(number, b, "ada", "grace")}
	for _, m := range members {
		c.Verdicts = append(c.Verdicts, audit.SignReturnVerdict(audit.ReturnVerdict{
			Cluster: w.id, Node: m, List: listMain, Edge: b.Edge, HighEdge: b.HighEdge, Entries: audit.EntriesHash(entries),
		}, key(m)))
	}
	return w.command(c)
}

func TestAReturnKeepsWhatWasTakenOutAndTheMark(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	for seq := uint64(1); seq <= 3; seq++ {
		apply(t, s, w.good(listMain, seq))
	}
	st := w.statement(listMain, 1, 1)
	st.SeqTo = 3
	apply(t, s, w.withdraw(w.hotline.Withdraw(st, 0, 1)))
	apply(t, s, w.good(listMain, 4))
	if got := len(s.View().InForce.Overlay()); got != 0 {
		t.Fatalf("%d removals in force with version 4, want none", got)
	}
	left := []match.EntryID{{8}, {9}}
	refused(t, s, w.comeBack(1, 2, 4, left, "control-1"), state.ReasonVerdicts)
	refused(t, s, w.comeBack(1, 2, 3, left, "control-1", "control-2"), state.ReasonOrder)
	refused(t, s, w.comeBack(1, 4, 4, nil, "control-1", "control-2"), state.ReasonOrder)
	apply(t, s, w.comeBack(1, 2, 4, left, "control-1", "control-2"))
	l, _ := s.View().InForce.List(listMain)
	if l.Seq != 2 || l.High() != 4 {
		t.Errorf("in force is version %d, mark %d; want 2 and 4", l.Seq, l.High())
	}
	if got := s.View().InForce.Overlay(); len(got) != 3 {
		t.Errorf("removals %+v; want the withdrawn entry and the two that version 4 left out", got)
	}
	p, _, ok := s.View().Publish(listMain)
	if !ok || p.Seq != 2 {
		t.Errorf("publish leaf of what is in force: %+v %t", p, ok)
	}
	r, err := state.Restore(w.desc, bytesOf(t, s))
	if err != nil {
		t.Fatal(err)
	}
	// The hotline renews version 4 meanwhile; that version or an older one does not come back by itself.
	w.now += 60
	renewal := w.publish(w.metadata(), listMain, nil)
	apply(t, s, renewal)
	apply(t, r, renewal)
	if l, _ := s.View().InForce.List(listMain); l.Seq != 2 {
		t.Errorf("a renewal brought version %d into force", l.Seq)
	}
	apply(t, s, w.good(listMain, 5))
	if l, _ := s.View().InForce.List(listMain); l.Seq != 5 || len(s.View().InForce.Overlay()) != 0 {
		t.Errorf("version %d with %d removals, want 5 without", l.Seq, len(s.View().InForce.Overlay()))
	}
	for seq := uint64(6); seq <= 5+audit.KeptVersions; seq++ {
		apply(t, s, w.good(listMain, seq))
	}
	refused(t, s, w.comeBack(2, 4, 13, nil, "control-1", "control-2"), state.ReasonOrder)
}

// What a later charter does not allow any more stays out, as what a later version left out does.
func TestAReturnBringsBackNothingThatTheCharterNoLongerAllows(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	publish := func(seq uint64, jurisdictions ...string) {
		w.now += 60
		w.hotline.Charter.Jurisdictions = jurisdictions
		w.hotline.Accredit(time.Unix(w.now, 0))
		apply(t, s, w.good(listMain, seq))
	}
	publish(1, "ZZ")
	publish(2, "AA", "ZZ")
	apply(t, s, w.comeBack(1, 1, 2, nil, "control-1", "control-2"))
	apply(t, s, w.comeBack(2, 2, 2, nil, "control-1", "control-2")) // forward again: the newest charter allows it
	publish(3, "ZZ")
	refused(t, s, w.comeBack(3, 2, 3, nil, "control-1", "control-2"), state.ReasonOrder)
	apply(t, s, w.comeBack(3, 1, 3, nil, "control-1", "control-2"))
	refused(t, s, w.comeBack(4, 2, 3, nil, "control-1", "control-2"), state.ReasonOrder)
}

// Going back again and again takes no room from withdrawals.
func TestTheSameReturnAgainAddsNoRemovals(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	apply(t, s, w.good(listMain, 2))
	for number := uint64(1); number < 7; number += 2 {
		apply(t, s, w.comeBack(number, 1, 2, []match.EntryID{{8}, {9}}, "control-1", "control-2"))
		if f := s.View().InForce; len(f.Removals) != 2 || len(f.Overlay()) != 2 {
			t.Fatalf("return %d: %d removals, %d in force; want 2", number, len(f.Removals), len(f.Overlay()))
		}
		apply(t, s, w.comeBack(number+1, 2, 2, nil, "control-1", "control-2"))
	}
}
