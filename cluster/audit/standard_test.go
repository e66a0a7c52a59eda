package audit_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"

	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

// standard is somebody who has only golang.org/x/mod/sumdb and transparency-dev/formats, and the log's files by their paths. Nothing of
// this project's verifies anything here.
type standard struct {
	get func(path string) ([]byte, error)
}

func (standard) Height() int                     { return 8 }
func (standard) SaveTiles([]tlog.Tile, [][]byte) {}
func (s standard) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, t := range tiles {
		path := strings.Replace(t.Path(), "tile/8/", "tile/", 1) // sumdb names the height, C2SP does not
		b, err := s.get(path)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// open verifies a checkpoint under verifier keys, with sumdb's own parser and formats' own.
func (standard) open(t *testing.T, b []byte, origin, plain string, cosigners ...string) tlog.Tree {
	t.Helper()
	v, err := note.NewVerifier(plain)
	if err != nil {
		t.Fatal(err)
	}
	var others []note.Verifier
	for _, k := range cosigners {
		c, err := fnote.NewVerifierForCosignatureV1(k)
		if err != nil {
			t.Fatalf("key %s: %v", k, err)
		}
		others = append(others, c)
	}
	c, _, n, err := log.ParseCheckpoint(b, origin, v, others...)
	if err != nil {
		t.Fatal(err)
	}
	if len(n.Sigs) != 1+len(others) {
		t.Fatalf("%d signatures verify, want %d", len(n.Sigs), 1+len(others))
	}
	return tlog.Tree{N: int64(c.Size), Hash: tlog.Hash(c.Hash)}
}

// leaves reads every entry through the tiles, which sumdb holds to the tree's root, and proves each into it.
func (s standard) leaves(t *testing.T, tree tlog.Tree) (all [][]byte) {
	t.Helper()
	reader := tlog.TileHashReader(tree, s)
	for n := int64(0); n < tree.N; n += 256 {
		path := fmt.Sprintf("tile/entries/%03d", n/256)
		width := min(256, tree.N-n)
		if width < 256 {
			path += fmt.Sprintf(".p/%d", width)
		}
		b, err := s.get(path)
		if err != nil {
			t.Fatal(err)
		}
		for range width {
			size := int(b[0])<<8 | int(b[1])
			all = append(all, b[2:2+size])
			b = b[2+size:]
		}
		if len(b) != 0 {
			t.Fatalf("%s: %d bytes too many", path, len(b))
		}
	}
	for i, leaf := range all {
		p, err := tlog.ProveRecord(tree.N, int64(i), reader)
		if err != nil {
			t.Fatalf("leaf %d: %v", i, err)
		}
		if err := tlog.CheckRecord(p, tree.N, tree.Hash, int64(i), tlog.RecordHash(leaf)); err != nil {
			t.Fatalf("leaf %d: %v", i, err)
		}
	}
	return all
}

func TestStandardToolsVerifyTheLog(t *testing.T) {
	l := audittest.Honest("standard")
	for range 300 {
		l.Append(audit.Alarm{Node: "c1", What: "test"})
	}
	files := staticFiles(t, l)
	s := standard{func(path string) ([]byte, error) {
		if b, ok := files[path]; ok {
			return b, nil
		}
		return nil, fmt.Errorf("404 %s", path)
	}}
	plain, cosigners := vkeys(t, l)
	tree := s.open(t, files["checkpoint"], l.Desc.Origin, plain, cosigners...)
	leaves := s.leaves(t, tree)
	if len(leaves) != len(l.Leaves) {
		t.Fatalf("got %d leaves, want %d", len(leaves), len(l.Leaves))
	}
	old, err := tlog.TreeHash(100, tlog.TileHashReader(tree, s))
	if err != nil {
		t.Fatal(err)
	}
	p, err := tlog.ProveTree(tree.N, 100, tlog.TileHashReader(tree, s))
	if err != nil {
		t.Fatal(err)
	}
	if err := tlog.CheckTree(p, tree.N, tree.Hash, 100, old); err != nil {
		t.Errorf("consistency from size 100: %v", err)
	}

	// And they see a lie: one bit of one tile, and a checkpoint that another key signed.
	bad := standard{func(path string) ([]byte, error) {
		b := bytes.Clone(files[path])
		if path == "tile/0/001.p/59" {
			b[40] ^= 1
		}
		return b, nil
	}}
	if _, err := tlog.ProveRecord(tree.N, 257, tlog.TileHashReader(tree, bad)); err == nil {
		t.Error("a tile was altered and a leaf is proven by it all the same")
	}
	other, _ := vkeys(t, audittest.New("another"))
	v, err := note.NewVerifier(other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(files["checkpoint"], note.VerifierList(v)); err == nil {
		t.Error("a stranger's key opens the checkpoint")
	}
}

// vkeys are the log's verifier keys as its documents write them: the plain one of the node that begins checkpoints, and all cosigners'.
func vkeys(t *testing.T, l *audittest.Log) (plain string, cosigners []string) {
	t.Helper()
	for _, name := range l.Signers {
		key := l.Members[name].Public().(ed25519.PublicKey)
		if plain == "" {
			p, err := note.NewEd25519VerifierKey(l.Desc.Origin, key)
			if err != nil {
				t.Fatal(err)
			}
			plain = p
		}
		co, err := audit.CosignatureKey(l.Desc.Origin, name, key)
		if err != nil {
			t.Fatal(err)
		}
		cosigners = append(cosigners, co)
	}
	return plain, cosigners
}

func staticFiles(t *testing.T, l *audittest.Log) map[string][]byte {
	t.Helper()
	tree, files := l.Tree(), map[string][]byte{"checkpoint": l.Checkpoint()}
	for _, path := range append(audit.StaticEntries(tree.Size()), audit.StaticTiles(tree.Size())...) {
		b, err := tree.Tile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[path] = b
	}
	return files
}

func TestStaticFilesRebuildTheLog(t *testing.T) {
	l := audittest.Honest("static")
	for range 300 {
		l.Append(audit.Alarm{Node: "c1", What: "test"})
	}
	files := staticFiles(t, l)
	c, err := audit.PeekCheckpoint(files["checkpoint"])
	if err != nil {
		t.Fatal(err)
	}
	read := func(path string) ([]byte, error) { return files[path], nil }
	tree, err := audit.ReadStatic(c, read)
	if err != nil || tree.Size() != c.Size {
		t.Fatalf("got %v", err)
	}
	files["tile/entries/000"][30] ^= 1
	if _, err := audit.ReadStatic(c, read); err == nil {
		t.Error("an altered entry bundle is taken")
	}
	c.Size = audit.MaxLeaves + 1
	if _, err := audit.ReadStatic(c, read); err == nil {
		t.Error("a log of any size is taken")
	}
	want := "tile/0/000 tile/0/001.p/59 tile/1/000.p/1"
	if got := strings.Join(audit.StaticTiles(315), " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
