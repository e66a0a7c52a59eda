package edge

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/identity"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// control is a control node as a shelf sees it: files by hash and wrapped keys, or lies.
type control struct {
	log       *audittest.Log
	recipient string
	keys      *match.Keys     // nil: those of the epoch asked for
	late      map[uint32]bool // epochs whose keys are not here yet
	spoil     func([]byte) []byte
	asked     int
}

func (c *control) File(_ context.Context, sum [32]byte) (io.ReadCloser, error) {
	c.asked++
	b := bytes.Clone(c.log.Files[sum])
	if c.spoil != nil {
		b = c.spoil(b)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (c *control) Keys(_ context.Context, list match.ListID, epoch uint32) ([]byte, error) {
	c.asked++
	if c.late[epoch] {
		return nil, errors.New("keys of this epoch are not here yet")
	}
	return trust.WrapKeys(trust.EpochKeys{List: list, Epoch: epoch, Keys: cmp.Or(c.keys, listtest.Keys(int64(epoch)))}, c.recipient)
}

// edgeDisk is an edge's shelf, the honest log it follows and the control node it asks.
type edgeDisk struct {
	t     testing.TB
	log   *audittest.Log
	shelf *shelf
	src   *control
	dir   string
}

func newEdgeDisk(t testing.TB) *edgeDisk {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	d, err := appliance.Claim(filepath.Join(dir, "data"), "id", "edge", "e1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	s, err := openShelf(d, identity.AgeKey{Identity: id}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l := audittest.Honest("shelf")
	l.Publish(50)
	return &edgeDisk{t, l, s, &control{log: l, recipient: id.Recipient().String(), late: map[uint32]bool{}}, d.Join()}
}

// restart is the shelf of a new process on the same disk.
func (e *edgeDisk) restart() {
	e.t.Helper()
	s, err := openShelf(e.shelf.dir, e.shelf.key, e.shelf.log)
	if err != nil {
		e.t.Fatal(err)
	}
	e.shelf = s
}

func (e *edgeDisk) opened() *audit.Opened {
	e.t.Helper()
	o, err := e.log.Desc.Quorum().OpenManifest(e.log.Manifest(0), e.log.Desc.Anchors())
	if err != nil {
		e.t.Fatal(err)
	}
	return o
}

func (e *edgeDisk) load(src source, neverBlock ...string) (*loaded, error) {
	l, err := e.shelf.load(e.t.Context(), e.opened(), src, neverBlock, e.log.Now)
	if err == nil {
		e.t.Cleanup(func() { l.Close() })
	}
	return l, err
}

func TestASetIsWhatTheLogSays(t *testing.T) {
	e := newEdgeDisk(t)
	l, err := e.load(e.src)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := l.set.StateID(), e.log.State(e.log.InForce); got != want {
		t.Errorf("state %v, an auditor computes %v", got, want)
	}
	e.restart()
	again, err := e.load(nil) // with nobody to ask
	if err != nil {
		t.Fatal(err)
	}
	if again.set.StateID() != l.set.StateID() {
		t.Error("another state after a restart")
	}
}

func TestNothingOnDiskAndNobodyToAskIsAnError(t *testing.T) {
	if _, err := newEdgeDisk(t).load(nil); err == nil || !strings.Contains(err.Error(), "no control node can be asked") {
		t.Errorf("error %v", err)
	}
}

func TestAFileThatIsNotTheSignedOneIsRefused(t *testing.T) {
	for name, spoil := range map[string]func([]byte) []byte{
		"flipped":   func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"truncated": func(b []byte) []byte { return b[:len(b)/2] },
		"longer":    func(b []byte) []byte { return append(b, 0) },
	} {
		e := newEdgeDisk(t)
		e.src.spoil = spoil
		if _, err := e.load(e.src); err == nil {
			t.Errorf("%s file accepted", name)
		}
		e.src.spoil = nil
		if _, err := e.load(e.src); err != nil {
			t.Errorf("after a %s file: %v", name, err)
		}
	}
}

// Each file below the data directory, damaged while the edge was down, is made good from a control node and never served.
func TestADamagedDiskIsMadeGood(t *testing.T) {
	for _, dir := range []string{"lists", "keys"} {
		e := newEdgeDisk(t)
		want, err := e.load(e.src)
		if err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(e.dir, dir, "*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s", dir)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/3] ^= 0x10
			os.Remove(f)
			if err := os.WriteFile(f, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		e.restart()
		got, err := e.load(e.src)
		if err != nil {
			t.Errorf("damaged %s: %v", dir, err)
		} else if got.set.StateID() != want.set.StateID() {
			t.Errorf("damaged %s: another state", dir)
		}
	}
}

// Sets of the same lists share them: a withdrawal reads and computes nothing anew, and the last set to go takes them along.
func TestSetsOfTheSameListsShareThem(t *testing.T) {
	e := newEdgeDisk(t)
	first, err := e.load(e.src)
	if err != nil {
		t.Fatal(err)
	}
	e.log.Withdraw(canaryID(t, e.log))
	second, err := e.load(nil)
	if err != nil {
		t.Fatal(err)
	}
	if first.maps[0] != second.maps[0] {
		t.Error("the list was loaded again for a withdrawal")
	}
	first.Close()
	if len(e.shelf.lists) != 1 || !second.set.Name([]byte(listtest.Name(1)), uint32(e.log.Now.Unix())).Listed {
		t.Error("the list went with the first of two sets")
	}
	second.Close()
	if len(e.shelf.lists) != 0 {
		t.Errorf("%d lists are held by nobody", len(e.shelf.lists))
	}
}

func TestKeysThatDoNotFitAreFetchedAnew(t *testing.T) {
	e := newEdgeDisk(t)
	e.src.keys = listtest.Keys(99)
	if _, err := e.load(e.src); !errors.Is(err, errCanary) {
		t.Fatalf("wrong keys: %v", err)
	}
	e.src.keys = nil
	if _, err := e.load(e.src); err != nil {
		t.Errorf("right keys after wrong ones: %v", err)
	}
	// Such as a hotline that was restored from an old backup makes: other keys under the number of an epoch that was.
	wrong, err := trust.WrapKeys(trust.EpochKeys{List: listtest.List, Epoch: 1, Keys: listtest.Keys(99)}, e.src.recipient)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(e.shelf.keyPath(e.log.InForce.Lists[0]), wrong, 0o600); err != nil {
		t.Fatal(err)
	}
	e.restart()
	if _, err := e.load(e.src); err != nil {
		t.Errorf("right keys after wrong ones on disk: %v", err)
	}
}

// A control node that hands out keys that fit nothing must not cost an edge the keys it has: they are what a restart needs (found reading).
func TestWrongKeysFromAControlNodeTakeNothingAway(t *testing.T) {
	e := newEdgeDisk(t)
	want, err := e.load(e.src)
	if err != nil {
		t.Fatal(err)
	}
	before := e.opened()
	e.log.Epoch = 2
	e.log.Publish(50)
	e.src.keys = listtest.Keys(99)
	if _, err := e.load(e.src); !errors.Is(err, errCanary) {
		t.Fatalf("keys that fit nothing: %v", err)
	}
	e.restart()
	got, err := e.shelf.load(t.Context(), before, nil, nil, e.log.Now)
	if err != nil {
		t.Fatalf("the list that was in force, alone after a restart: %v", err)
	}
	defer got.Close()
	if got.set.StateID() != want.set.StateID() {
		t.Error("another state")
	}
}

// A withdrawn canary proves as much as one in force; it must not take everything else out of force (found in review).
func TestAWithdrawnCanaryHoldsNothingUp(t *testing.T) {
	e := newEdgeDisk(t)
	e.log.Withdraw(canaryID(t, e.log))
	l, err := e.load(e.src)
	if err != nil {
		t.Fatal(err)
	}
	if l.set.Name([]byte(listtest.Canary), uint32(e.log.Now.Unix())).Listed {
		t.Error("withdrawn canary is still stopped")
	}
}

func canaryID(t testing.TB, l *audittest.Log) match.EntryID {
	t.Helper()
	edge, err := list.OpenEdge(l.Files[l.InForce.Lists[0].Edge])
	if err != nil {
		t.Fatal(err)
	}
	for i := range edge.Len() {
		if r := edge.Record(i); r.Meta.Flags == match.FlagCanary {
			return r.EntryID
		}
	}
	t.Fatal("no canary in the list")
	return match.EntryID{}
}

func TestANeverBlockNameHoldsANewListBack(t *testing.T) {
	e := newEdgeDisk(t)
	if _, err := e.load(e.src, "fine.test", listtest.Canary); err == nil || !strings.Contains(err.Error(), "entry 2 of never_block") {
		t.Errorf("error %v", err)
	}
	if _, err := e.load(e.src, "fine.test"); err != nil {
		t.Error(err)
	}
}

func TestTheShelfKeepsTwoVersions(t *testing.T) {
	e := newEdgeDisk(t)
	var before audit.InForce
	for range 5 {
		e.log.Publish(50)
		l, err := e.load(e.src)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.shelf.tidy(before, e.log.InForce)
		before = e.log.InForce
	}
	if files, _ := filepath.Glob(filepath.Join(e.dir, "lists", "*")); len(files) > 2 {
		t.Errorf("%d lists are on disk, want at most 2", len(files))
	}
	e.restart()
	if _, err := e.load(nil); err != nil {
		t.Errorf("what is in force after tidying: %v", err)
	}
}
