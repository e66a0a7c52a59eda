package operator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

// node serves a log as a control node does.
type logNode struct {
	l     *audittest.Log
	asked int
}

func (n *logNode) checkpoint(context.Context) ([]byte, error) { return n.l.Checkpoint(), nil }

func (n *logNode) tile(_ context.Context, path string) ([]byte, error) {
	n.asked++
	return n.l.Tree().Tile(path)
}

func TestAnExportGrowsAndNeverTakesBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	n := &logNode{l: audittest.Honest("export")}
	write := func() (Exported, error) { return export(t.Context(), dir, n.checkpoint, n.tile) }
	first, err := write()
	if err != nil || first.Size != uint64(len(n.l.Leaves)) || first.New != 2 {
		t.Fatalf("got %+v, %v", first, err)
	}
	if again, err := write(); err != nil || again.New != 0 {
		t.Fatalf("again: got %+v, %v", again, err)
	}
	for range 300 {
		n.l.Append(audit.Alarm{Node: "c1", What: "test"})
	}
	if grown, err := write(); err != nil || grown.Size != first.Size+300 || grown.New != 5 {
		t.Fatalf("grown: got %+v, %v", grown, err)
	}
	n.asked = 0
	if _, err := write(); err != nil || n.asked != 0 {
		t.Errorf("nothing new: %d files asked for, %v", n.asked, err)
	}
	checkExported(t, dir, n.l)
	if left, err := filepath.Glob(filepath.Join(dir, "tile/0/000.p/*")); err != nil || len(left) != 0 {
		t.Errorf("the full tile is there, and so are %d partial ones: %v", len(left), left)
	}

	before := digest(t, dir)
	for name, other := range map[string]*audittest.Log{"shorter": audittest.Honest("export"), "of another past": audittest.Honest("forked")} {
		if name != "shorter" {
			for range 400 {
				other.Append(audit.Alarm{Node: "c1", What: "other"})
			}
		}
		n.l = other
		if _, err := write(); !errors.Is(err, ErrOtherHistory) {
			t.Errorf("a log that is %s: got %v, want %v", name, err, ErrOtherHistory)
		}
	}
	if digest(t, dir) != before {
		t.Error("a refused log changed the directory")
	}
}

func TestAnExportGoesIntoItsOwnDirectoryOnly(t *testing.T) {
	for _, x := range []struct {
		name  string
		files []string
		ok    bool
	}{
		{"that is not there", nil, true},
		{"with an exported log and what its web server needs", []string{"checkpoint", "tile/0/000", "robots.txt"}, true},
		{"with an export that broke off", []string{".checkpoint123456789", "tile/entries/000.p/3"}, true},
		{"with somebody's files", []string{"tile/0/000", "thesis.txt"}, false},
	} {
		dir := filepath.Join(t.TempDir(), "log")
		for _, f := range x.files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, f)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, f), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var bad *appliance.InputError
		switch _, err := (&Operator{}).Export(t.Context(), dir); {
		case x.ok == errors.As(err, &bad):
			t.Errorf("a directory %s: got %v", x.name, err)
		case !x.ok && !strings.Contains(err.Error(), "thesis.txt"):
			t.Errorf("a directory %s: %v does not say what is in it", x.name, err)
		}
	}
}

// checkExported compares every file with the tree's.
func checkExported(t *testing.T, dir string, l *audittest.Log) {
	t.Helper()
	size := l.Tree().Size()
	for _, path := range append(audit.StaticEntries(size), audit.StaticTiles(size)...) {
		want, err := l.Tree().Tile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, path)); err != nil || string(got) != string(want) {
			t.Errorf("%s: %v, %d bytes, want %d", path, err, len(got), len(want))
		}
	}
}

func digest(t *testing.T, dir string) (all string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, rerr := os.ReadFile(path)
			all += fmt.Sprintf("%s %x\n", path, b)
			err = rerr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
