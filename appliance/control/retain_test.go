package control

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/match"
)

// size is large enough for lists of several blocks.
const size = 300

// keeper is a log whose files lie in a node's stores.
type keeper struct {
	*audittest.Log
	b *backfill
}

func (k keeper) File(hash [32]byte) (io.ReadCloser, int64, error) {
	return stored(k.b.files.Open(hash))
}
func (k keeper) Delta(edge [32]byte) (io.ReadCloser, int64, error) {
	return stored(k.b.deltas.Open(edge))
}

func stored(f *os.File, err error) (io.ReadCloser, int64, error) {
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fs.ErrNotExist
		}
		return nil, 0, err
	}
	info, err := f.Stat()
	return f, info.Size(), err
}

func newKeeper(t *testing.T, l *audittest.Log) keeper {
	t.Helper()
	b := &backfill{log: slog.New(slog.DiscardHandler), wanted: map[[32]byte]int64{}, lists: map[match.ListID][]kept{}, cannot: map[[32]byte]bool{}}
	var err error
	if b.files, err = fetch.OpenStore(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if b.deltas, err = fetch.OpenDeltas(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	for n := range l.Leaves {
		if p, ok := publishLeaf(l.Tree(), uint64(n)); ok {
			b.lists[p.List] = append(b.lists[p.List], keptOf(p))
		}
	}
	for _, f := range l.Files {
		if _, err := b.files.Add(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	return keeper{l, b}
}

func (k keeper) retain(t *testing.T) {
	for _, versions := range k.b.lists {
		k.b.retainList(t.Context(), versions)
	}
}

// verify verifies the bundle of every version that the keeper gives.
func (k keeper) verify(t *testing.T) *audit.Report {
	t.Helper()
	var bundle bytes.Buffer
	if err := audit.WriteBundle(t.Context(), &bundle, k, audit.Part{All: true}, k.Now); err != nil {
		t.Fatal(err)
	}
	r, err := audit.Verify(t.Context(), &bundle, k.TrustFile(), audit.Options{Now: k.Now.Add(time.Minute), All: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// twoEpochs is a log of 24 versions, the first 6 of them with the keys of another epoch.
func twoEpochs() *audittest.Log {
	l := audittest.New("retain")
	for i := range 24 {
		if i == 6 {
			l.Epoch = 2
		}
		l.Publish(size + i%5)
	}
	return l
}

func TestANodeKeepsOldVersionsAsDeltas(t *testing.T) {
	k := newKeeper(t, twoEpochs())
	k.retain(t)
	for _, versions := range k.b.lists {
		for i, v := range versions {
			whole := i == 0 || i == 6 || i >= len(versions)-audit.KeptVersions
			if got := k.b.holds(v); got != whole || k.b.holdsAny(v) != whole {
				t.Errorf("version %d: whole %v, want %v", i+1, got, whole)
			}
			if got, want := k.b.deltas.Has(v.Edge), i != 0 && i != 6; got != want {
				t.Errorf("version %d: delta %v, want %v", i+1, got, want)
			}
		}
	}
	if len(k.b.wanted) != 0 {
		t.Errorf("%d files wanted, want none", len(k.b.wanted))
	}
	if r := k.verify(t); !r.Pass {
		var text bytes.Buffer
		_ = r.WriteText(&text)
		t.Errorf("every version of it fails:\n%s", text.String())
	}
}

func TestAFileThatNoDeltaReplacesIsKept(t *testing.T) {
	l := twoEpochs()
	k := newKeeper(t, l)
	versions := k.b.lists[listtest.List]
	bad := k.b.files.Path(versions[9].Edge) // the disk has forgotten a bit of it
	b, err := os.ReadFile(bad)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-70] ^= 1
	if err := os.WriteFile(bad, b, 0o600); err != nil {
		t.Fatal(err)
	}
	k.retain(t)
	for _, i := range []int{9, 10} {
		if k.b.deltas.Has(versions[i].Edge) {
			t.Errorf("a delta was made from or to a damaged file: version %d", i+1)
		}
		if !k.b.holds(versions[i]) {
			t.Errorf("version %d was let go without a delta", i+1)
		}
	}
	// As at the next check of the store: the file is had anew.
	if err := k.b.files.Remove(versions[9].Edge); err != nil {
		t.Fatal(err)
	}
	k.retain(t)
	if _, ok := k.b.wanted[versions[9].Edge]; !ok {
		t.Error("the file that is gone is not wanted")
	}
	if _, err := k.b.files.Add(t.Context(), l.Files[versions[9].Edge]); err != nil {
		t.Fatal(err)
	}
	clear(k.b.cannot)
	k.retain(t)
	if r := k.verify(t); !r.Pass || k.b.holdsAny(versions[9]) {
		t.Errorf("healed: pass %v, version 10 still whole %v", r.Pass, k.b.holdsAny(versions[9]))
	}
}

func TestAnotherNodesDeltaIsTakenForItsVersionOnly(t *testing.T) {
	k := newKeeper(t, twoEpochs())
	k.retain(t)
	other := newKeeper(t, twoEpochs())
	for _, v := range k.b.lists {
		for _, i := range []int{3, 4} {
			f, err := k.b.deltas.Open(v[3].Edge)
			if err != nil {
				t.Fatal(err)
			}
			err = other.b.deltas.Put(t.Context(), v[i].list, v[i].root, v[i-1].Kept, v[i].Kept, f)
			f.Close()
			if i == 3 && err != nil || i == 4 && !errors.Is(err, fetch.ErrHash) {
				t.Errorf("as the delta to version %d: %v", i+1, err)
			}
		}
		if err := other.b.deltas.Put(t.Context(), v[5].list, v[5].root, v[4].Kept, v[5].Kept, bytes.NewReader([]byte("no delta"))); !errors.Is(err, list.ErrFormat) && err == nil {
			t.Errorf("something that is no delta: %v", err)
		}
		big := bytes.NewReader(make([]byte, v[5].EdgeSize+v[5].AuditSize+1))
		if err := other.b.deltas.Put(t.Context(), v[5].list, v[5].root, v[4].Kept, v[5].Kept, big); !errors.Is(err, fetch.ErrTooLarge) {
			t.Errorf("more than the files: %v, want %v", err, fetch.ErrTooLarge)
		}
	}
}
