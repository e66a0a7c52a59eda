package audit_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// withdrawal is a withdraw leaf for a range of versions.
func withdrawal(t *testing.T, l *audittest.Log, number, from, to uint64, entries ...match.EntryID) audit.Leaf {
	t.Helper()
	w := trust.Withdrawal{
		List: listtest.List, Entries: entries, SeqFrom: from, SeqTo: to, Number: number,
		Issued: l.Now.Unix(), Expires: l.Now.Unix() + 60, Reason: "error",
	}
	raw := l.Hotline.Withdraw(w, 0, 1)
	said, signers, err := trust.VerifyWithdrawal(l.Hotline.OfficerKeys(), raw, l.Now)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := audit.NewLeaf(uint64(len(l.Leaves)), l.Now.Unix(), audit.NewWithdraw(raw, said, signers, l.Hotline.OfficerKeys()))
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func apply(t *testing.T, f audit.InForce, l audit.Leaf) audit.InForce {
	t.Helper()
	next, err := f.Apply(l)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func TestWithdrawnEntriesAreOutWhileTheirVersionIsInForce(t *testing.T) {
	l := audittest.New("withdraw")
	l.Publish(20)
	l.Publish(20) // sequence 2
	a, b := listtest.ID(1, 1), listtest.ID(2, 1)
	for _, c := range []struct {
		name     string
		from, to uint64
		kept     int // removals that InForce holds
		overlay  int // removals that edges apply
	}{
		{"this version and later", 2, 9, 2, 2},
		{"this version only", 2, 2, 2, 2},
		{"from the first on", 0, 2, 2, 2},
		{"later versions only", 3, 9, 2, 0},
		{"earlier versions only, which can be returned to", 0, 1, 2, 0},
		{"no version that can come into force again", 0, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := apply(t, l.InForce, withdrawal(t, l, 1, c.from, c.to, a, b))
			if len(f.Removals) != c.kept || len(f.Overlay()) != c.overlay {
				t.Errorf("got %d removals, %d in the overlay, want %d and %d", len(f.Removals), len(f.Overlay()), c.kept, c.overlay)
			}
		})
	}
}

// TestRemovalsAreKeptAsLongAsTheirVersionsCanBeReturnedTo: to return must not put back what was taken out since.
func TestRemovalsAreKeptAsLongAsTheirVersionsCanBeReturnedTo(t *testing.T) {
	l := audittest.New("drop")
	l.Publish(20)
	f := apply(t, l.InForce, withdrawal(t, l, 1, 1, 1, listtest.ID(1, 1)))
	f = apply(t, f, withdrawal(t, l, 2, 1, 5, listtest.ID(2, 1)))
	if got := len(f.Overlay()); got != 2 {
		t.Fatalf("overlay: got %d, want 2", got)
	}
	for seq := uint64(2); seq <= audit.KeptVersions+1; seq++ {
		leaf, err := audit.NewLeaf(98+seq, l.Now.Unix(), l.Offer(20))
		if err != nil {
			t.Fatal(err)
		}
		want := 2
		if seq > audit.KeptVersions {
			want = 1 // version 1 is out of reach, and what was removed from it alone with it
		}
		f = apply(t, f, leaf)
		if len(f.Removals) != want || len(f.Overlay()) != map[bool]int{true: 1, false: 0}[seq <= 5] {
			t.Errorf("after sequence %d: got removals %v, %d in the overlay", seq, f.Removals, len(f.Overlay()))
		}
		if got, ok := f.List(listtest.List); !ok || got.Seq != seq || got.High() != seq || got.Leaf != 98+seq {
			t.Errorf("in force: got %+v", got)
		}
	}
}

func TestRepeatedWithdrawalsChangeNothing(t *testing.T) {
	l := audittest.New("repeat")
	l.Publish(20)
	w := withdrawal(t, l, 1, 1, 5, listtest.ID(1, 1), listtest.ID(2, 1))
	once := apply(t, l.InForce, w)
	if twice := apply(t, once, w); twice.Hash() != once.Hash() {
		t.Error("the second time changed what is in force")
	}
}

func TestApplyNeverAltersTheStateItStartsFrom(t *testing.T) {
	l := audittest.Honest("values")
	before := l.InForce.Encode()
	for i := range uint64(3) {
		apply(t, l.InForce, withdrawal(t, l, 9+i, 1, 9, listtest.ID(int(i), 1), listtest.ID(9, 1)))
	}
	leaf, err := audit.NewLeaf(99, l.Now.Unix(), l.Offer(20))
	if err != nil {
		t.Fatal(err)
	}
	apply(t, l.InForce, leaf)
	if !bytes.Equal(before, l.InForce.Encode()) {
		t.Error("what was in force before has changed")
	}
}

func TestAListNeverGoesBack(t *testing.T) {
	l := audittest.New("back")
	old := l.Publish(20)
	l.Publish(20)
	leaf, err := audit.NewLeaf(99, l.Now.Unix(), old)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.InForce.Apply(leaf); !errors.Is(err, audit.ErrRollback) {
		t.Errorf("older: got %v, want %v", err, audit.ErrRollback)
	}
	cur, _ := l.InForce.List(listtest.List)
	again, err := audit.DecodeLeaf(l.Leaves[cur.Leaf])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.InForce.Apply(again); !errors.Is(err, audit.ErrRollback) {
		t.Errorf("the same: got %v, want %v", err, audit.ErrRollback)
	}
}

func TestInForceIsBounded(t *testing.T) {
	l := audittest.New("caps")
	l.Publish(20)
	f := l.InForce
	for i := range audit.MaxRemovals {
		f.Removals = append(f.Removals, audit.Removal{
			List: listtest.List, Entry: match.EntryID{byte(i >> 16), byte(i >> 8), byte(i)}, Kind: match.RemovalWithdraw,
			Number: ^uint64(0), From: 1, To: ^uint64(0), Until: ^uint32(0),
		})
	}
	b := f.Encode()
	if len(b) > audit.MaxInForce {
		t.Errorf("full: got %d bytes, want at most %d", len(b), audit.MaxInForce)
	}
	back, err := audit.DecodeInForce(b)
	if err != nil || back.Hash() != f.Hash() {
		t.Fatalf("full: %v", err)
	}
	if _, err := f.Apply(withdrawal(t, l, 1, 1, 5, match.EntryID{0xff})); !errors.Is(err, audit.ErrTooLarge) {
		t.Errorf("one more removal: got %v, want %v", err, audit.ErrTooLarge)
	}
	p := l.Offer(20)
	g := audit.Genesis()
	for i := range audit.MaxLists {
		q := p
		q.List = match.ListID("hotline-one/list-" + string(rune('a'+i)))
		leaf, err := audit.NewLeaf(1, 1, q)
		if err != nil {
			t.Fatal(err)
		}
		g = apply(t, g, leaf)
	}
	leaf, err := audit.NewLeaf(1, 1, p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Apply(leaf); !errors.Is(err, audit.ErrTooLarge) {
		t.Errorf("one more list: got %v, want %v", err, audit.ErrTooLarge)
	}
}

func TestUnsortedInForceIsRefused(t *testing.T) {
	l := audittest.Honest("sorted")
	f := l.InForce
	f.Removals = []audit.Removal{f.Removals[1], f.Removals[0]}
	if _, err := audit.DecodeInForce(f.Encode()); !errors.Is(err, audit.ErrFormat) {
		t.Errorf("swapped: got %v, want %v", err, audit.ErrFormat)
	}
	f.Removals = []audit.Removal{f.Removals[0], f.Removals[0]}
	if _, err := audit.DecodeInForce(f.Encode()); !errors.Is(err, audit.ErrFormat) {
		t.Errorf("twice: got %v, want %v", err, audit.ErrFormat)
	}
}
