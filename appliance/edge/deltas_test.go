package edge

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/resolver/match"
)

// counting is a control node that counts what it is asked for, and may spoil deltas.
type counting struct {
	*control
	whole int // edge lists
	spoil func([]byte) []byte
}

func (c *counting) File(ctx context.Context, sum [32]byte) (io.ReadCloser, error) {
	b := c.log.Files[sum]
	if bytes.HasPrefix(b, []byte("CORDEDG")) {
		c.whole++
	} else if c.spoil != nil {
		b = c.spoil(bytes.Clone(b))
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// size is large enough for lists of several blocks.
const size = 300

// behind publishes so many versions more and loads the last.
func (e *edgeDisk) behind(versions int, c *counting) *loaded {
	e.t.Helper()
	for range versions {
		e.log.Publish(size + len(e.log.Leaves)%7)
	}
	c.whole = 0
	l, err := e.load(c)
	if err != nil {
		e.t.Fatal(err)
	}
	if got, want := l.set.StateID(), e.log.State(e.log.InForce); got != want {
		e.t.Errorf("%d versions behind: state %v, an auditor computes %v", versions, got, want)
	}
	return l
}

// TestAnEdgeCatchesUpThroughDeltas is 1, 5 and 40 versions behind; the last is more than any metadata names.
func TestAnEdgeCatchesUpThroughDeltas(t *testing.T) {
	e := newEdgeDisk(t)
	c := &counting{control: e.src}
	if e.behind(1, c); c.whole != 1 {
		t.Errorf("first list: %d whole lists fetched, want 1", c.whole)
	}
	for _, tt := range []struct{ versions, whole int }{{1, 0}, {5, 0}, {40, 1}, {2, 0}} {
		l := e.behind(tt.versions, c)
		if c.whole != tt.whole {
			t.Errorf("%d versions behind: %d whole lists fetched, want %d", tt.versions, c.whole, tt.whole)
		}
		if in := e.log.InForce.Lists[0]; tt.whole == 0 && e.shelf.files.Has(in.Edge) {
			t.Errorf("%d versions behind: kept before it was verified", tt.versions)
		}
		if err := l.settle(t.Context()); err != nil {
			t.Error(err)
		}
		e.shelf.tidy(audit.InForce{}, e.log.InForce)
	}
	e.restart()
	if l, err := e.load(nil); err != nil || l.set.StateID() != e.log.State(e.log.InForce) {
		t.Errorf("after a restart: %v", err)
	}
}

// TestDeltasThatDoNotLeadThereAreReplacedByTheWholeList, with a line in the log.
func TestDeltasThatDoNotLeadThereAreReplacedByTheWholeList(t *testing.T) {
	for name, spoil := range map[string]func([]byte) []byte{
		"damaged": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"gone":    func([]byte) []byte { return nil },
		"longer":  func(b []byte) []byte { return append(b, 0) },
	} {
		var said strings.Builder
		e := newEdgeDisk(t)
		e.shelf.log = slog.New(slog.NewTextHandler(&said, nil))
		c := &counting{control: e.src}
		e.behind(1, c)
		c.spoil = spoil
		if e.behind(3, c); c.whole != 1 || !strings.Contains(said.String(), "deltas do not lead") {
			t.Errorf("%s: %d whole lists fetched, log %q", name, c.whole, said.String())
		}
	}
}

// TestDamageUnderADeltaIsMadeGood: a bit of the old list that flipped after it was verified, in a block that the delta does not touch, is in
// the new list too. It is found before that is kept, and the whole list is fetched in its place.
func TestDamageUnderADeltaIsMadeGood(t *testing.T) {
	e := newEdgeDisk(t)
	c := &counting{control: e.src}
	old := e.behind(1, c).maps[0].(*sharedList)
	e.log.Publish(size)
	in := e.log.InForce.Lists[0]
	var l *loaded
	for at := len(old.edge.Bytes()) - 100; c.whole > 0; at -= 500 { // until it is a byte that the delta does not touch
		b := bytes.Clone(old.edge.Bytes())
		b[at] ^= 0x40
		edge, err := match.OpenEdgeHead(b)
		if err != nil {
			t.Fatal(err)
		}
		damaged := *old
		damaged.edge = edge
		e.shelf.lists[old.file] = &damaged
		c.whole = 0
		if l, err = e.load(c); err != nil {
			t.Fatal(err)
		}
		if c.whole > 0 { // found at once
			delete(e.shelf.lists, in.Edge)
			if err := e.shelf.files.Remove(in.Edge); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.settle(t.Context()); err == nil || e.shelf.files.Has(in.Edge) {
		t.Fatalf("settled a damaged list: %v", err)
	}
	again, err := e.load(c)
	if err != nil || c.whole != 1 {
		t.Fatalf("load after it: %v, %d whole lists fetched, want 1", err, c.whole)
	}
	if err := again.settle(t.Context()); err != nil || again.set.StateID() != e.log.State(e.log.InForce) {
		t.Errorf("whole list: %v", err)
	}
	if b, err := e.shelf.files.ReadFile(in.Edge); err != nil || !bytes.Equal(b, e.log.Files[in.Edge]) {
		t.Errorf("list on disk: %v", err)
	}
}
