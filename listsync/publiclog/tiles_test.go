package publiclog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/listsync/publiclog"
)

// files serves a map as a repository.
func files(m map[string][]byte) publiclog.Read {
	return func(_ context.Context, name string, limit int64) ([]byte, error) {
		b, ok := m[name]
		if !ok {
			return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		}
		if int64(len(b)) > limit {
			return nil, errors.New("too large")
		}
		return b, nil
	}
}

func TestTreeProvesWhatTheLogProves(t *testing.T) {
	log := filled(600)
	m := log.Files()
	tree, err := publiclog.Open(t.Context(), log.VKey(), files(m), fs.ErrNotExist)
	if err != nil || tree.Head != log.Head(600) {
		t.Fatalf("got %+v, %v", tree, err)
	}
	for _, size := range []uint64{0, 1, 255, 256, 257, 511, 512, 600} {
		if err := tree.Continues(log.Head(size)); err != nil {
			t.Errorf("size %d: %v", size, err)
		}
	}
	for _, test := range []struct{ n, size, from uint64 }{{0, 1, 0}, {0, 600, 1}, {255, 256, 256}, {598, 599, 511}, {300, 301, 600}, {9, 10, 600}} {
		m[publiclog.ProofName("hotline-one/main", test.n+1)] = log.TLogProof(test.n, test.size)
		x := publiclog.Expect{Leaf: leaf(test.n + 1), Log: log.VKey(), Before: log.Head(test.from)}
		p, _, err := publiclog.Prove(t.Context(), x, files(m), fs.ErrNotExist)
		if err != nil {
			t.Fatalf("%+v: %v", test, err)
		}
		want := log.Proof(test.n, max(test.size, test.from), x.Before) // a proof older than what was accepted is made anew
		if test.size < test.from {
			want = log.Proof(test.n, 600, x.Before)
		}
		if fmt.Sprint(p) != fmt.Sprint(want) {
			t.Errorf("%+v: got %+v, want %+v", test, p, want)
		}
	}
	// Logs take partial tiles away once there is the full one.
	for name := range maps.Clone(m) {
		if base, _, ok := strings.Cut(name, ".p/"); ok && m[base] != nil {
			delete(m, name)
		}
	}
	old, err := publiclog.At(t.Context(), log.VKey(), log.Checkpoint(100), files(m), fs.ErrNotExist)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Continues(log.Head(99)); err != nil {
		t.Errorf("an older tree without its partial tiles: %v", err)
	}
	n := 0
	if err := old.Entries(func(i uint64, b []byte) error {
		n++
		if !bytes.Equal(b, leaf(i+1).Encode()) {
			return fmt.Errorf("entry %d is another", i)
		}
		return nil
	}); err != nil || n != 100 {
		t.Errorf("entries of the older tree: got %d, %v", n, err)
	}
}

func TestRewrittenLogIsASplitView(t *testing.T) {
	log := filled(300)
	for _, at := range []int{0, 255, 299} {
		lie := log.Fork(at)
		for seq := uint64(at) + 1; seq <= 310; seq++ {
			l := leaf(seq)
			l.Audit = fill(9)
			lie.Append(l.Encode())
		}
		tree, err := publiclog.Open(t.Context(), log.VKey(), files(lie.Files()), fs.ErrNotExist)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Continues(log.Head(300)); !errors.Is(err, publiclog.ErrSplitView) {
			t.Errorf("rewritten from %d on: got %v", at, err)
		}
		same, err := publiclog.At(t.Context(), log.VKey(), lie.Checkpoint(300), files(nil), fs.ErrNotExist)
		if err != nil {
			t.Fatal(err)
		}
		if err := same.Continues(log.Head(300)); !errors.Is(err, publiclog.ErrSplitView) {
			t.Errorf("another root at the same size, from %d on: got %v", at, err)
		}
	}
	if tree, err := publiclog.Open(t.Context(), log.VKey(), files(log.Fork(200).Files()), fs.ErrNotExist); err != nil || !errors.Is(tree.Continues(log.Head(300)), publiclog.ErrBehind) {
		t.Errorf("a mirror that is behind: %v", err)
	}
}

// A mirror can spoil or withhold tiles; that never passes for a log that was rewritten, and never proves anything.
func TestSpoiledTilesProveNothing(t *testing.T) {
	log := filled(300)
	whole := log.Files()
	for name := range whole {
		if strings.Contains(name, ".p/") && !strings.Contains(name, ".p/44") && !strings.Contains(name, ".p/1") {
			continue
		}
		for what, spoil := range map[string]func(map[string][]byte){
			"flipped": func(m map[string][]byte) { b := bytes.Clone(m[name]); b[len(b)/2] ^= 1; m[name] = b },
			"cut":     func(m map[string][]byte) { m[name] = m[name][:len(m[name])/2] },
			"gone":    func(m map[string][]byte) { delete(m, name) },
			"long":    func(m map[string][]byte) { m[name] = make([]byte, 1<<20) },
		} {
			m := maps.Clone(whole)
			spoil(m)
			tree, err := publiclog.Open(t.Context(), log.VKey(), files(m), fs.ErrNotExist)
			if err != nil {
				continue
			}
			if err := tree.Continues(log.Head(257)); errors.Is(err, publiclog.ErrSplitView) {
				t.Errorf("%s %s passes for a split view: %v", name, what, err)
			}
			if err := tree.Entries(func(n uint64, b []byte) error {
				if !bytes.Equal(b, leaf(n+1).Encode()) {
					return errSpoiled
				}
				return nil
			}); strings.Contains(name, "/entries/") && err == nil && strings.Contains(name, "/entries/000") && !strings.Contains(name, ".p/") {
				t.Errorf("%s %s: nobody noticed", name, what)
			}
		}
	}
}

var errSpoiled = errors.New("spoiled")

// Entry bundles are a stranger's bytes: nothing passes that the signed root does not prove.
func FuzzEntries(f *testing.F) {
	log := filled(3)
	whole := log.Files()
	f.Add(whole["log/tile/entries/000.p/3"], whole["log/tile/0/000.p/3"])
	f.Fuzz(func(t *testing.T, bundle, tile []byte) {
		m := maps.Clone(whole)
		m["log/tile/entries/000.p/3"], m["log/tile/0/000.p/3"] = bundle, tile
		tree, err := publiclog.Open(t.Context(), log.VKey(), files(m), fs.ErrNotExist)
		if err != nil {
			t.Fatal(err)
		}
		var got [][]byte
		if err := tree.Entries(func(_ uint64, b []byte) error { got = append(got, b); return nil }); err == nil && fmt.Sprint(got) != fmt.Sprint(log.Leaves) {
			t.Fatalf("other entries pass: %q", got)
		}
		if err := tree.Continues(log.Head(2)); errors.Is(err, publiclog.ErrSplitView) {
			t.Fatalf("spoiled tiles pass for a split view: %v", err)
		}
	})
}
