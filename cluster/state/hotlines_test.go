package state_test

import (
	"slices"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

const listSouth = match.ListID("hotline-two/main")

// twoHotlines are two worlds of one cluster: each speaks for its own hotline.
func twoHotlines(t *testing.T) (north, south *world) {
	t.Helper()
	north, south = newWorld(t), newWorld(t)
	south.hotline = trusttest.New("state test, another authority", "hotline-two", trusttest.Now)
	north.desc.Hotlines = append(north.desc.Hotlines, audit.HotlineAnchor{ID: "hotline-two", Root: south.hotline.Pinned})
	south.desc = north.desc
	north.id = north.desc.ID()
	south.id = north.id
	return north, south
}

func TestAHotlineSpeaksForItselfOnly(t *testing.T) {
	north, south := twoHotlines(t)
	s := north.state()
	apply(t, s, north.good(listMain, 1))
	apply(t, s, south.good(listSouth, 7))
	apply(t, s, north.withdraw(north.withdrawal(listMain, 1, 2, 0, 1)))

	own := trusttest.Files(listSouth, 8)
	foreign := north.hotline.Publish(time.Unix(north.now, 0), trusttest.Files(listMain, 2))
	refused(t, s, north.publish(foreign, listSouth, north.verdicts(own, "control-1", "control-2")), "signature")

	north.hotline.Break(trusttest.Custom(func(custom map[string]any) { custom["list"] = string(listSouth) }))
	posing := north.hotline.Publish(time.Unix(north.now, 0), trusttest.Files(listMain, 2))
	refused(t, s, north.publish(posing, listMain, north.verdicts(own, "control-1", "control-2")), "charter")
	north.hotline.Mend()

	w := north.statement(listSouth, 1, 1)
	refused(t, s, north.withdraw(north.hotline.Withdraw(w, 0, 1)), "signature")

	f := s.View().InForce
	l1, _ := f.List(listMain)
	l2, _ := f.List(listSouth)
	if l1.Seq != 1 || l2.Seq != 7 || len(f.Removals) != 2 || f.Removals[0].List != listMain {
		t.Errorf("in force: %d and %d with %+v, want 1 and 7 and two removals of the first", l1.Seq, l2.Seq, f.Removals)
	}
	// The second hotline's withdrawals count apart, and a new version of one list leaves the other's removals.
	apply(t, s, south.withdraw(south.withdrawal(listSouth, 1, 1, 0, 1)))
	apply(t, s, south.good(listSouth, 2000))
	if o := s.View().InForce.Overlay(); len(o) != 2 || o[0].List != listMain || o[1].List != listMain {
		t.Errorf("after the second hotline's next version: %+v, want the first one's two", o)
	}
}

// Marks outlive a restore, those of lists that are published no more too.
func TestMarksOutliveARestore(t *testing.T) {
	north, south := twoHotlines(t)
	s := north.state()
	apply(t, s, north.good(listMain, 5))
	apply(t, s, north.good(listOther, 9))
	apply(t, s, south.good(listSouth, 3))
	// listOther is no longer published: another hotline of the same keys, that never had it.
	without := newWorld(t)
	without.id = north.id
	for range 4 {
		without.metadata()
	}
	without.now += 60
	apply(t, s, without.good(listMain, 6))

	snapshot, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	again, err := state.Restore(north.desc, snapshot.Encode())
	if err != nil {
		t.Fatal(err)
	}
	high := func(id trust.HotlineID) []trust.SeqMark {
		h, _ := again.View().Hotline(id)
		return h.High.Seqs
	}
	if want := []trust.SeqMark{{List: listMain, Seq: 6}, {List: listOther, Seq: 9}}; !slices.Equal(high("hotline-one"), want) {
		t.Errorf("marks of the first hotline: %v, want %v", high("hotline-one"), want)
	}
	if want := []trust.SeqMark{{List: listSouth, Seq: 3}}; !slices.Equal(high("hotline-two"), want) {
		t.Errorf("marks of the second hotline: %v, want %v", high("hotline-two"), want)
	}
	refused(t, again, without.good(listOther, 8), "rollback")
	refused(t, again, south.good(listSouth, 2), "rollback")
	apply(t, again, without.good(listOther, 10))
}

// TestOneHotlinesWithdrawalsLeaveRoomForAnothers: what is in force has a bound, and officers of one hotline must not use it up for all.
func TestOneHotlinesWithdrawalsLeaveRoomForAnothers(t *testing.T) {
	north, south := twoHotlines(t)
	s := north.state()
	apply(t, s, north.good(listMain, 1))
	apply(t, s, south.good(listSouth, 7))
	number, most := uint64(1), audit.MaxRemovals-4096
	for ; len(s.View().InForce.Removals)+3000 <= most; number++ {
		apply(t, s, north.withdraw(north.withdrawal(listMain, number, 3000, 0, 1)))
	}
	left := most - len(s.View().InForce.Removals)
	refused(t, s, north.withdraw(north.withdrawal(listMain, number, left+1, 0, 1)), state.ReasonLimit)
	apply(t, s, north.withdraw(north.withdrawal(listMain, number+1, left, 0, 1)))
	refused(t, s, north.withdraw(north.withdrawal(listMain, number+2, 1, 0, 1)), state.ReasonLimit)
	apply(t, s, south.withdraw(south.withdrawal(listSouth, 1, 2048, 0, 1)))
	refused(t, s, north.withdraw(north.withdrawal(listMain, number+3, 1, 0, 1)), state.ReasonLimit)
	apply(t, s, south.withdraw(south.withdrawal(listSouth, 2, 2048, 0, 1)))
	if n := len(s.View().InForce.Removals); n != audit.MaxRemovals {
		t.Errorf("%d removals, want %d", n, audit.MaxRemovals)
	}
}
