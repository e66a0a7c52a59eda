package audit_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cordon-project/cordon/cluster/audit"
)

func treeOf(n int) *audit.Tree {
	t := new(audit.Tree)
	for i := range n {
		t.Append(fmt.Appendf(nil, "leaf %d", i))
	}
	return t
}

func TestProofsVerifyAtEverySize(t *testing.T) {
	const n = 40
	tree := treeOf(n)
	for size := uint64(1); size <= n; size++ {
		root, err := tree.RootAt(size)
		if err != nil {
			t.Fatal(err)
		}
		for i := range size {
			p, err := tree.ProveRecord(i, size)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := tree.Leaf(i)
			if err != nil {
				t.Fatal(err)
			}
			if err := audit.CheckRecord(p, size, root, i, leaf); err != nil {
				t.Fatal(err)
			}
			if err := audit.CheckRecord(p, size, root, i, []byte("another")); !errors.Is(err, audit.ErrProof) {
				t.Fatalf("another leaf at %d of %d: got %v", i, size, err)
			}
		}
		for old := range size + 1 {
			p, err := tree.ProveTree(old, size)
			if err != nil {
				t.Fatal(err)
			}
			oldRoot, err := tree.RootAt(old)
			if err != nil {
				t.Fatal(err)
			}
			if err := audit.CheckTree(p, size, root, old, oldRoot); err != nil {
				t.Fatal(err)
			}
			oldRoot[0] ^= 1
			if err := audit.CheckTree(p, size, root, old, oldRoot); old > 0 && !errors.Is(err, audit.ErrProof) {
				t.Fatalf("fork at %d of %d: got %v", old, size, err)
			}
		}
	}
}

// tileReader reads our tiles as golang.org/x/mod/sumdb/tlog asks for them.
type tileReader struct{ tree *audit.Tree }

func (r tileReader) Height() int { return 8 }

func (r tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range tiles {
		path := "tile/" + tile.Path()[len("tile/8/"):] // C2SP leaves the height out
		b, err := r.tree.Tile(path)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func (r tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

func TestStandardToolsReadOurTiles(t *testing.T) {
	for _, n := range []int{1, 255, 256, 257, 600, 66000} {
		tree := treeOf(n)
		size, root := tree.Head()
		hashes := tlog.TileHashReader(tlog.Tree{N: int64(size), Hash: root}, tileReader{tree})
		for _, i := range []int64{0, int64(n) / 2, int64(n) - 1} {
			proof, err := tlog.ProveRecord(int64(n), i, hashes)
			if err != nil {
				t.Fatalf("size %d: %v", n, err)
			}
			if err := tlog.CheckRecord(proof, int64(n), root, i, tlog.RecordHash(fmt.Appendf(nil, "leaf %d", i))); err != nil {
				t.Fatalf("size %d, leaf %d: %v", n, i, err)
			}
		}
	}
}

func TestEntryBundlesHoldTheLeaves(t *testing.T) {
	tree := treeOf(300)
	for path, want := range map[string][2]int{"tile/entries/000": {0, 256}, "tile/entries/001.p/44": {256, 300}, "tile/entries/001.p/1": {256, 257}} {
		b, err := tree.Tile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := want[0]; i < want[1]; i++ {
			n := int(binary.BigEndian.Uint16(b))
			if got := string(b[2 : 2+n]); got != fmt.Sprintf("leaf %d", i) {
				t.Fatalf("%s: got %q at %d", path, got, i)
			}
			b = b[2+n:]
		}
		if len(b) > 0 {
			t.Errorf("%s: %d bytes too many", path, len(b))
		}
	}
}

func TestTilesThatAreNotThereAreNotFound(t *testing.T) {
	tree := treeOf(300)
	for _, path := range []string{
		"", "tile", "tile/", "tile/0", "tile/0/", "tile/0/001", "tile/0/001.p/45", "tile/0/001.p/0", "tile/0/001.p/256", "tile/0/001.p/044",
		"tile/1/000", "tile/1/000.p/2", "tile/-1/000", "tile/00/000", "tile/6/000", "tile/0/0", "tile/0/00", "tile/0/x000/000", "tile/0/x001/000",
		"tile/0/000/", "tile/0/../000", "tile/0//000", "/tile/0/000", "tile/8/0/000", "tile/entries/001", "tile/entries/x999/x999/x999/999",
		"tile/0/x999/x999/x999/x999/x999/x999/x999/999", "tile/0/000.p/1x", "tile/0/0x0", "tile/0/000\x00",
	} {
		if b, err := tree.Tile(path); !errors.Is(err, audit.ErrNotFound) {
			t.Errorf("%q: got %d bytes, %v, want %v", path, len(b), err, audit.ErrNotFound)
		}
	}
}

func TestReadersSeeWholeTreesWhileItGrows(t *testing.T) {
	tree, full := new(audit.Tree), treeOf(500)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for tree.Size() < 500 {
				size, root := tree.Head()
				if want, err := full.RootAt(size); err != nil || want != root {
					t.Errorf("size %d: got root %x, want %x (%v)", size, root[:4], want[:4], err)
					return
				}
			}
		})
	}
	for i := range 500 {
		tree.Append(fmt.Appendf(nil, "leaf %d", i))
	}
	wg.Wait()
}

func TestATreeFromASnapshotIsTheSame(t *testing.T) {
	full := treeOf(77)
	var leaves [][]byte
	for i := range uint64(77) {
		b, err := full.Leaf(i)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, bytes.Clone(b))
	}
	if audit.NewTree(leaves).Root() != full.Root() {
		t.Error("another root")
	}
}
