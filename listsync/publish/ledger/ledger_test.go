package ledger_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/publish/ledger"
	"github.com/cordon-project/cordon/listsync/trust"
)

const origin = "canary.hotline-one.test/hotline-one/log"

func config(t *testing.T, repository string, seed byte) ledger.Config {
	t.Helper()
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), 32)))
	vkey, err := trust.LogKey(origin, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Config{Dir: filepath.Join(repository, "log"), VKey: vkey, Signer: key}
}

func leaf(n int) []byte { return fmt.Appendf(nil, "leaf %d\n", n) }

func TestALeafIsAppendedOnce(t *testing.T) {
	repository := t.TempDir()
	c := config(t, repository, 'a')
	for n := range 4 {
		for again := range 2 {
			got, err := ledger.Append(t.Context(), c, leaf(n))
			if err != nil {
				t.Fatal(err)
			}
			if got.Index != uint64(n) || got.New != (again == 0) || got.Head.Size != uint64(n+1) {
				t.Fatalf("leaf %d: got %+v", n, got)
			}
			c.Before = got.Head
		}
		tree, err := publiclog.Open(t.Context(), c.VKey, ledger.Read(repository), fs.ErrNotExist)
		if err != nil || tree.Head != c.Before {
			t.Fatalf("leaf %d: read %+v, %v, written %+v", n, tree, err, c.Before)
		}
	}
}

// What a full disk or a kill has left half written goes with the next leaf, and nothing else does.
func TestHalfWrittenFilesAreTakenAway(t *testing.T) {
	repository := t.TempDir()
	c := config(t, repository, 'a')
	put := func(n int) {
		t.Helper()
		got, err := ledger.Append(t.Context(), c, leaf(n))
		if err != nil {
			t.Fatal(err)
		}
		c.Before = got.Head
	}
	files := func() (all []string) {
		t.Helper()
		err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				all = append(all, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	put(0)
	before := files()
	for _, name := range []string{"checkpoint3710258077", ".state/treeState306096064", "tile/entries/000.p/33710258077", "tile/0/000710258077"} {
		if err := os.WriteFile(filepath.Join(c.Dir, filepath.FromSlash(name)), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(0)
	if after := files(); !slices.Equal(after, before) {
		t.Errorf("files\n%q, want\n%q", after, before)
	}
}

// golang.org/x/mod/sumdb/note and tlog, which Tessera does not use for this, verify checkpoint, tiles and entries.
func TestOthersVerifyWhatTesseraWrote(t *testing.T) {
	repository := t.TempDir()
	c := config(t, repository, 'a')
	const leaves = 7
	for n := range leaves {
		got, err := ledger.Append(t.Context(), c, leaf(n))
		if err != nil {
			t.Fatal(err)
		}
		c.Before = got.Head
	}
	v, err := note.NewVerifier(c.VKey)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(c.Dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(b, note.VerifierList(v))
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	var root64 string
	if _, err := fmt.Sscanf(n.Text, origin+"\n%d\n%s\n", &size, &root64); err != nil || size != leaves {
		t.Fatalf("checkpoint %q: %v", n.Text, err)
	}
	root, err := tlog.ParseHash(root64)
	if err != nil {
		t.Fatal(err)
	}
	hashes := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, files{c.Dir})
	for i := range int64(leaves) {
		p, err := tlog.ProveRecord(size, i, hashes)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(p, size, root, i, tlog.RecordHash(leaf(int(i)))); err != nil {
			t.Errorf("leaf %d: %v", i, err)
		}
	}
	entries, err := os.ReadFile(filepath.Join(c.Dir, "tile/entries/000.p/7"))
	if want := "\x00\x07leaf 0\n\x00\x07leaf 1\n"; err != nil || !strings.HasPrefix(string(entries), want) {
		t.Errorf("entries: got %q, %v", entries, err)
	}
}

// files is tlog's reader of tiles over the directory: x/mod names the height in the path, tlog-tiles does not.
type files struct{ dir string }

func (f files) Height() int { return 8 }
func (f files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, t := range tiles {
		b, err := os.ReadFile(filepath.Join(f.dir, strings.Replace(t.Path(), "tile/8/", "tile/", 1)))
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}
func (f files) SaveTiles([]tlog.Tile, [][]byte) {}

func TestALogThatLostLeavesIsNotSignedOn(t *testing.T) {
	repository := t.TempDir()
	c := config(t, repository, 'a')
	for n := range 2 {
		got, err := ledger.Append(t.Context(), c, leaf(n))
		if err != nil {
			t.Fatal(err)
		}
		c.Before = got.Head
	}
	for name, before := range map[string]publiclog.Head{
		"fewer leaves": {Size: 3, Root: c.Before.Root}, "another leaf": {Size: 2, Root: [32]byte{1}}, "another first leaf": {Size: 1, Root: [32]byte{1}},
	} {
		lost := c
		lost.Before = before
		if got, err := ledger.Append(t.Context(), lost, leaf(2)); !errors.Is(err, ledger.ErrLost) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	tree, err := publiclog.Open(t.Context(), c.VKey, ledger.Read(repository), fs.ErrNotExist)
	if err != nil || tree.Size != 2 {
		t.Errorf("the log has changed: %+v, %v", tree, err)
	}
}

// A crash behind the leaf and before the checkpoint: Tessera has integrated it, and nobody has signed it.
func TestALeafThatNoCheckpointHasIsFoundAgain(t *testing.T) {
	repository := t.TempDir()
	c := config(t, repository, 'a')
	first, err := ledger.Append(t.Context(), c, leaf(0))
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, err := os.ReadFile(filepath.Join(c.Dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	c.Before = first.Head
	if _, err := ledger.Append(t.Context(), c, leaf(1)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "checkpoint"), checkpoint, 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := ledger.Append(t.Context(), c, leaf(1))
	if err != nil || got.New || got.Index != 1 || got.Head.Size != 2 {
		t.Fatalf("got %+v, %v", got, err)
	}
	tree, err := publiclog.Open(t.Context(), c.VKey, ledger.Read(repository), fs.ErrNotExist)
	if err != nil || tree.Head != got.Head {
		t.Errorf("the checkpoint: %+v, %v", tree, err)
	}
}

func TestALogGoesOnUnderANewKey(t *testing.T) {
	repository := t.TempDir()
	c := config(t, repository, 'a')
	first, err := ledger.Append(t.Context(), c, leaf(0))
	if err != nil {
		t.Fatal(err)
	}
	next := config(t, repository, 'b')
	next.Before = first.Head
	if _, err := ledger.Append(t.Context(), next, leaf(1)); err != nil {
		t.Fatal(err)
	}
	tree, err := publiclog.Open(t.Context(), next.VKey, ledger.Read(repository), fs.ErrNotExist)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := tree.Entries(func(i uint64, b []byte) error { n++; return nil }); err != nil || n != 2 {
		t.Errorf("%d entries, %v", n, err)
	}
	wrong := c
	wrong.Signer = next.Signer
	if _, err := ledger.Append(context.Background(), wrong, leaf(2)); err == nil {
		t.Error("a key that the charter does not name has signed")
	}
}

// Mirrors have what readers read, and nothing of Tessera's own.
func TestALogThatWasPutBackFromAMirrorGoesOn(t *testing.T) {
	repository := t.TempDir()
	c := config(t, repository, 'a')
	for n := range 3 {
		got, err := ledger.Append(t.Context(), c, leaf(n))
		if err != nil {
			t.Fatal(err)
		}
		c.Before = got.Head
	}
	state := filepath.Join(c.Dir, ".state")
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
	got, err := ledger.Append(t.Context(), c, leaf(3))
	if err != nil || got.Index != 3 {
		t.Fatalf("got %+v, %v", got, err)
	}
	c.Before = got.Head
	for name, spoil := range map[string]func() error{
		"an entry was changed": func() error {
			if err := os.RemoveAll(state); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(c.Dir, "tile/entries/000.p/4"), []byte(strings.Repeat("\x00\x07leaf 9\n", 4)), 0o644)
		},
		"its state is behind": func() error {
			if err := os.MkdirAll(state, 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(state, "treeState"), []byte(`{"size":3,"root":"AAAA"}`), 0o644)
		},
		"its checkpoint is damaged": func() error { return os.WriteFile(filepath.Join(c.Dir, "checkpoint"), []byte("x\n"), 0o644) },
		"its checkpoint is gone":    func() error { return errors.Join(os.RemoveAll(state), os.Remove(filepath.Join(c.Dir, "checkpoint"))) },
	} {
		before, err := os.ReadFile(filepath.Join(c.Dir, "checkpoint"))
		if err != nil {
			t.Fatal(err)
		}
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		spoiled, _ := os.ReadFile(filepath.Join(c.Dir, "checkpoint"))
		if got, err := ledger.Append(t.Context(), c, leaf(4)); !errors.Is(err, ledger.ErrLost) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
		if after, _ := os.ReadFile(filepath.Join(c.Dir, "checkpoint")); string(after) != string(spoiled) {
			t.Errorf("%s: something was signed", name)
		}
		if err := os.WriteFile(filepath.Join(c.Dir, "checkpoint"), before, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
