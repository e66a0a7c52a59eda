package trust_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

// rotated is a hotline whose root has been rotated n times, and all roots after the pinned one.
func rotated(n int) (h *trusttest.Hotline, roots [][]byte) {
	h = trusttest.New(seed, "north", now)
	for range n {
		h.RotateRoot(now)
	}
	for v := range n {
		roots = append(roots, h.Repository()[trust.RootName(int64(v+2))])
	}
	return h, roots
}

func pin(t *testing.T, root []byte) trust.Roots {
	t.Helper()
	r, err := trust.PinRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAChainOfRootsGrowsStepByStep(t *testing.T) {
	h, roots := rotated(20)
	r := pin(t, h.Pinned)
	for _, upTo := range []int{3, 3, 2, 11, 20} {
		next, err := r.Follow(roots[:upTo])
		if err != nil {
			t.Fatal(err)
		}
		if want := max(r.Version(), int64(upTo+1)); next.Version() != want {
			t.Fatalf("after %d roots: version %d, want %d", upTo, next.Version(), want)
		}
		r = next
	}
	m := h.Publish(now, trusttest.Files(mainID, 1))
	if _, err := trust.Verify(r.Newest(), trust.HighWater{}, m, now); err != nil {
		t.Errorf("from the newest root: %v", err)
	}
	_, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now) // brings the last eight roots only
	wantReason(t, err, "signature")
}

func TestAChainOfRootsRefuses(t *testing.T) {
	h, roots := rotated(4)
	whole, err := pin(t, h.Pinned).Follow(roots)
	if err != nil {
		t.Fatal(err)
	}
	twin := trusttest.New(seed, "north", now)
	twin.Break(trusttest.Expires("root", now.AddDate(0, 9, 0)))
	twin.RotateRoot(now)
	second := twin.Repository()[trust.RootName(2)]
	for _, test := range []struct {
		name   string
		from   trust.Roots
		roots  [][]byte
		reason string
	}{
		{"a root left out", pin(t, h.Pinned), [][]byte{roots[0], roots[2]}, "rollback"},
		{"a root twice", pin(t, h.Pinned), [][]byte{roots[0], roots[0], roots[1]}, "rollback"},
		{"another second root", whole, [][]byte{second}, "signature"},
		{"what is no root", whole, [][]byte{[]byte("{}")}, "format"},
		{"a new root signed by nobody", pin(t, h.Pinned), [][]byte{trusttest.Sign(roots[0])}, "signature"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.from.Follow(test.roots)
			wantReason(t, err, test.reason)
		})
	}
	if _, err := trust.PinRoot(trusttest.Sign(h.Pinned)); !errors.Is(err, trust.ErrSignature) {
		t.Errorf("pinning what nobody signed: got %v", err)
	}
}

func TestAChainOfRootsIsBounded(t *testing.T) {
	h, roots := rotated(trust.MaxRoots)
	r, err := pin(t, h.Pinned).Follow(roots[:trust.MaxRoots-1])
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Follow(roots)
	wantReason(t, err, "too_large")
}

// The same publication has the same bytes whichever root it is fetched from.
func TestMetadataIsCompletedAlike(t *testing.T) {
	h, roots := rotated(3)
	m := h.Publish(now, trusttest.Files(mainID, 1))
	short, err := pin(t, h.Pinned).Follow(roots[:1])
	if err != nil {
		t.Fatal(err)
	}
	whole, err := short.Follow(roots)
	if err != nil {
		t.Fatal(err)
	}
	want := m.Hash()
	for _, fetched := range [][][]byte{nil, roots, roots[1:], roots[2:]} {
		c := m
		c.Roots = fetched
		if got := whole.Complete(c); got.Hash() != want {
			t.Errorf("with %d roots fetched, completed to %d: another hash", len(fetched), len(got.Roots))
		}
	}
	c := m
	c.Roots = roots[1:]
	if got := short.Complete(c); got.Hash() != want {
		t.Errorf("before the new roots were trusted: another hash")
	}
	if start, err := whole.Start(m); err != nil || !bytes.Equal(start, roots[0]) {
		t.Errorf("start: %v; want root 2, the first that the metadata brings", err)
	}
	m.Roots = nil
	if start, err := whole.Start(m); err != nil || !bytes.Equal(start, h.Pinned) {
		t.Errorf("start of metadata without roots: %v; want the pinned root", err)
	}
}

// Large metadata carries as many roots as fit, and goes on from the last of them.
func TestLongChainsLeaveRoomForTheList(t *testing.T) {
	h, roots := rotated(20)
	r, err := pin(t, h.Pinned).Follow(roots)
	if err != nil {
		t.Fatal(err)
	}
	m := h.Publish(now, trusttest.Files(mainID, 1))
	m.Roots = nil
	if got := r.Complete(m); len(got.Roots) != trust.MaxRootSteps {
		t.Errorf("got %d roots, want %d", len(got.Roots), trust.MaxRootSteps)
	}
	m.List = bytes.Repeat([]byte(" "), trust.MaxMetadata-len(m.Timestamp)-len(m.Snapshot)-len(m.Targets)-len(m.Charter)-2*len(roots[19])-500)
	if got := r.Complete(m); len(got.Roots) == 0 || len(got.Roots) > 3 || !bytes.Equal(got.Roots[len(got.Roots)-1], roots[19]) {
		t.Errorf("got %d roots, want the last one or two", len(got.Roots))
	}
}

func FuzzRoots(f *testing.F) {
	h, roots := rotated(2)
	f.Add(roots[0], roots[1])
	f.Add(roots[1], []byte("{}"))
	r, err := trust.PinRoot(h.Pinned)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		next, err := r.Follow([][]byte{a, b})
		if err != nil {
			if trust.Reason(err) == "other" {
				t.Errorf("no reason: %v", err)
			}
			return
		}
		if next.Version() > 1 && !slices.ContainsFunc(roots, func(k []byte) bool { return bytes.Equal(k, next.Newest()) }) {
			t.Errorf("believed another root: %s", next.Newest())
		}
		m := next.Complete(trust.Metadata{Roots: [][]byte{a, b}, Timestamp: a, Snapshot: b, Targets: a, List: b, Charter: a})
		_, _ = next.Start(m)
		_ = next.Before(m)
	})
}
