package edge

import (
	"bytes"
	"crypto/sha256"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/resolver/match"
)

// settled loads what is in force, from a control node, and keeps it.
func (e *edgeDisk) settled(c source) *loaded {
	e.t.Helper()
	l, err := e.load(c)
	if err == nil {
		err = l.settle(e.t.Context())
	}
	if err != nil {
		e.t.Fatal(err)
	}
	return l
}

// TestARestartTakesTheIndexFromDisk, that of a whole list and that of one that came from deltas.
func TestARestartTakesTheIndexFromDisk(t *testing.T) {
	e := newEdgeDisk(t)
	for _, what := range []string{"whole list", "deltas"} {
		e.log.Publish(size)
		e.settled(e.src)
		e.restart()
		l, err := e.load(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := l.set.StateID(), e.log.State(e.log.InForce); got != want {
			t.Errorf("%s: state %v, an auditor computes %v", what, got, want)
		}
		if l.maps[0].(*sharedList).fresh {
			t.Errorf("%s: the index was computed again", what)
		}
	}
}

// TestAnIndexThatIsNotTheLogsIsComputedAgain, whatever is wrong with the file, and is good again afterwards.
func TestAnIndexThatIsNotTheLogsIsComputedAgain(t *testing.T) {
	e := newEdgeDisk(t)
	read := func() ([]byte, string) {
		path := e.shelf.indexPath(e.log.InForce.Lists[0].Edge)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b, path
	}
	e.log.Publish(size)
	e.settled(e.src)
	before, _ := read()
	e.log.Publish(size + 2)
	want := e.settled(e.src).set.StateID()
	good, path := read()
	o := e.opened()
	files := map[string][]byte{
		"empty": {}, "cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0), "that of another version": before, "one that lets all names pass": emptied(t, good),
	}
	for at := 0; at < len(good); at += 101 {
		b := bytes.Clone(good)
		b[at] ^= 0x10
		files["flipped"] = b
		for what, b := range files {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			e.restart()
			l, err := e.shelf.load(t.Context(), o, nil, nil, e.log.Now)
			if err != nil {
				t.Fatalf("%s, %d: %v", what, at, err)
			}
			if !l.maps[0].(*sharedList).fresh || l.set.StateID() != want {
				t.Fatalf("%s, %d: index from disk %v, state %v, want %v", what, at, !l.maps[0].(*sharedList).fresh, l.set.StateID(), want)
			}
			if err := l.settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, good) {
				t.Fatalf("%s, %d: not put right on disk: %v", what, at, err)
			}
			l.Close()
		}
		files = map[string][]byte{}
	}
}

// emptied is an index whose hashes are right and whose filter says no to everything: what somebody makes who can write to the disk.
func emptied(t *testing.T, index []byte) []byte {
	t.Helper()
	const table, head, trailer = 256, 256 + 64 + 64, 64
	b := bytes.Clone(index)
	clear(b[head:])
	sum := sha256.Sum256(b[head:])
	copy(b[table+24:], sum[:])
	sum = sha256.Sum256(b[:head-trailer])
	copy(b[head-trailer:], sum[:])
	if _, err := match.Open(b); err != nil {
		t.Fatalf("the lie is no index: %v", err)
	}
	return b
}

// TestAnIndexThatTheLogDoesNotNameIsNotKept, and an error is in the log: every restart computes it, and receipts will not fit.
func TestAnIndexThatTheLogDoesNotNameIsNotKept(t *testing.T) {
	e := newEdgeDisk(t)
	var said strings.Builder
	e.shelf.log = slog.New(slog.NewTextHandler(&said, nil))
	l, err := e.load(e.src)
	if err != nil {
		t.Fatal(err)
	}
	list := l.maps[0].(*sharedList)
	list.named[0] ^= 1
	if err := l.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(e.shelf.indexPath(list.file)); err == nil || !strings.Contains(said.String(), "index not kept") {
		t.Errorf("kept an index that the log does not name; log %q", said.String())
	}
}

// TestAListIsVerifiedWhenItsIndexIsGood: every byte of it, before anything is answered from it.
func TestAListIsVerifiedWhenItsIndexIsGood(t *testing.T) {
	e := newEdgeDisk(t)
	e.log.Publish(size)
	e.settled(e.src)
	path := e.shelf.files.Path(e.log.InForce.Lists[0].Edge)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o := e.opened()
	for at := 0; at < len(good); at += 211 {
		b := bytes.Clone(good)
		b[at] ^= 0x10
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		e.restart()
		if _, err := e.shelf.load(t.Context(), o, nil, nil, e.log.Now); err == nil {
			t.Errorf("byte %d of %d of the list flipped: served", at, len(good))
		}
	}
}
