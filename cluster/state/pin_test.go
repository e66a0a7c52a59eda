package state_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

const listTwo = match.ListID("hotline-two/main")

func pinOf(h *trusttest.Hotline) order.Pin {
	return order.Pin{Hotline: h.ID, Root: sha256.Sum256(h.Pinned), Document: h.Pinned}
}

func (w *world) hotlineTwo() *trusttest.Hotline {
	return trusttest.New("state test two", "hotline-two", trusttest.Now)
}

func TestAPinnedHotlinesListsComeIntoForce(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	two := w.hotlineTwo()
	l := trusttest.Files(listTwo, 1)
	m := two.Publish(time.Unix(w.now, 0), l)
	refused(t, s, w.publish(m, listTwo, w.verdicts(l, "control-1", "control-2")), state.ReasonUnknownHotline)
	pin := w.ordered(w.order(1, pinOf(two), "ada", "grace"))
	apply(t, s, pin)
	if p, ok := s.View().Orders.Pinned("hotline-two"); !ok || p.Root != sha256.Sum256(two.Pinned) {
		t.Errorf("pinned %+v, %t", p, ok)
	}
	w.now++
	apply(t, s, w.publish(m, listTwo, w.verdicts(l, "control-1", "control-2")))
	if n := len(s.View().InForce.Lists); n != 2 {
		t.Errorf("%d lists in force, want 2", n)
	}
	if res := s.Apply(pin); !res.Duplicate {
		t.Errorf("the same pin again: %+v, want a duplicate", res)
	}
	// Its root rotates as any other's does.
	two.RotateRoot(time.Unix(w.now, 0))
	l = trusttest.Files(listTwo, 2)
	w.now++
	apply(t, s, w.publish(two.Publish(time.Unix(w.now, 0), l), listTwo, w.verdicts(l, "control-1", "control-3")))
	snap, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	back, err := state.Restore(w.desc, snap.Encode())
	if err != nil {
		t.Fatal(err)
	}
	again, err := back.Snapshot()
	if err != nil || !bytes.Equal(again.Encode(), snap.Encode()) {
		t.Errorf("another snapshot after the restore: %v", err)
	}
	if h, ok := back.View().Hotline("hotline-two"); !ok || h.Roots.Version() != 2 {
		t.Errorf("restored hotline %+v, %t, want root version 2", h.ID, ok)
	}
}

func TestPinsThatAreRefused(t *testing.T) {
	other := trusttest.New("another authority", "hotline-two", trusttest.Now)
	for _, c := range []struct {
		name, reason string
		cmd          func(w *world, two *trusttest.Hotline) []byte
	}{
		{"by one officer", "threshold", func(w *world, two *trusttest.Hotline) []byte { return w.ordered(w.order(2, pinOf(two), "ada")) }},
		{"by a stranger beside an officer", "signature", func(w *world, two *trusttest.Hotline) []byte {
			return w.ordered(w.order(2, pinOf(two), "ada", "mallory"))
		}},
		{"of a hotline of the cluster file", state.ReasonOrder, func(w *world, two *trusttest.Hotline) []byte {
			return w.ordered(w.order(2, pinOf(w.hotline), "ada", "grace"))
		}},
		{"of a hotline of the cluster file with another root", state.ReasonOrder, func(w *world, two *trusttest.Hotline) []byte {
			p := pinOf(two)
			p.Hotline = "hotline-one"
			return w.ordered(w.order(2, p, "ada", "grace"))
		}},
		{"twice", state.ReasonOrder, func(w *world, two *trusttest.Hotline) []byte {
			return w.ordered(w.order(2, pinOf(w.three()), "ada", "grace"))
		}},
		{"twice with another root", state.ReasonOrder, func(w *world, two *trusttest.Hotline) []byte {
			p := pinOf(other)
			p.Hotline = "hotline-three"
			return w.ordered(w.order(2, p, "ada", "grace"))
		}},
		{"with a number that was used", state.ReasonOrder, func(w *world, two *trusttest.Hotline) []byte {
			return w.ordered(w.order(1, pinOf(two), "ada", "grace"))
		}},
		{"of a throw-away authority", state.ReasonOrder, func(w *world, two *trusttest.Hotline) []byte {
			return w.ordered(w.order(2, pinOf(trusttest.New("dev", "hotline-two", trusttest.Now, trusttest.Development())), "ada", "grace"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			s := w.state()
			apply(t, s, w.ordered(w.order(1, pinOf(w.three()), "ada", "grace")))
			w.now++
			refused(t, s, c.cmd(w, w.hotlineTwo()), c.reason)
			if _, ok := s.View().Hotline("hotline-two"); ok {
				t.Error("the hotline is followed")
			}
		})
	}
}

// three is a hotline that the test has pinned before.
func (w *world) three() *trusttest.Hotline {
	return trusttest.New("state test three", "hotline-three", trusttest.Now)
}

func TestOnlySoManyHotlinesCanBePinned(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	h := w.hotlineTwo()
	for i := 1; i < audit.MaxLists; i++ {
		p := pinOf(h)
		p.Hotline = trust.HotlineID(fmt.Sprintf("more-%d", i))
		apply(t, s, w.ordered(w.order(uint64(i), p, "ada", "grace")))
		w.now++
	}
	refused(t, s, w.ordered(w.order(100, pinOf(h), "ada", "grace")), state.ReasonOrder)
}
