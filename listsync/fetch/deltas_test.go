package fetch_test

import (
	"crypto/sha256"
	"errors"
	"os"
	"testing"

	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
)

func TestADraftHasItsNameOnlyWhenItIsWhole(t *testing.T) {
	dir := t.TempDir()
	s, err := fetch.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Draft(5000)
	if err != nil {
		t.Fatal(err)
	}
	copy(d.Bytes()[4990:], "the end")
	sum := sha256.Sum256(d.Bytes())
	if err := d.Commit(t.Context(), [32]byte{1}); !errors.Is(err, fetch.ErrHash) || s.Has([32]byte{1}) {
		t.Errorf("under another hash: %v, want %v", err, fetch.ErrHash)
	}
	if s.Has(sum) {
		t.Error("there before it was committed")
	}
	if _, err := d.Room(4999); !errors.Is(err, fetch.ErrHash) {
		t.Errorf("room for another size: %v, want %v", err, fetch.ErrHash)
	}
	if err := d.Commit(t.Context(), sum); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	if b, err := s.ReadFile(sum); err != nil || string(b[4990:4997]) != "the end" {
		t.Errorf("committed file: %v", err)
	}
	gone, err := s.Draft(64)
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Close(); err != nil {
		t.Error(err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%d files after a draft was given up, want 1 (%v)", len(files), err)
	}
	for _, size := range []int64{-1, 0, fetch.MaxFile + 1} {
		if _, err := s.Draft(size); !errors.Is(err, fetch.ErrTooLarge) {
			t.Errorf("draft of %d bytes: %v, want %v", size, err, fetch.ErrTooLarge)
		}
	}
}

// TestAControlNodeMakesAVersionFromDeltas: both files, byte for byte; and nothing when a delta is missing or leads elsewhere.
func TestAControlNodeMakesAVersionFromDeltas(t *testing.T) {
	s, err := fetch.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var target trust.ListTarget
	var base fetch.Base
	var before *list.Edge
	for seq := uint64(1); seq <= 4; seq++ {
		edge, audit, sum, err := listtest.Build(200+int(seq), 1, seq)
		if err != nil {
			t.Fatal(err)
		}
		e, err := list.OpenEdge(edge)
		if err != nil {
			t.Fatal(err)
		}
		target.List, target.Seq, target.EdgeHead, target.EntriesRoot = listtest.List, seq, sum.EdgeHead, sum.EntriesRoot
		target.Edge = trust.File{Length: int64(len(edge)), SHA256: sha256.Sum256(edge)}
		target.Audit = trust.File{Length: int64(len(audit)), SHA256: sha256.Sum256(audit)}
		if before == nil {
			base = fetch.Base{Seq: seq, Edge: target.Edge.SHA256, Audit: target.Audit.SHA256}
			for _, b := range [][]byte{edge, audit} {
				if _, err := s.Add(t.Context(), b); err != nil {
					t.Fatal(err)
				}
			}
		} else {
			a, err := list.OpenAudit(audit)
			if err != nil {
				t.Fatal(err)
			}
			d, err := list.Diff(before, e, a)
			if err != nil {
				t.Fatal(err)
			}
			b, err := d.Encode()
			if err != nil {
				t.Fatal(err)
			}
			f, err := s.Add(t.Context(), b)
			if err != nil {
				t.Fatal(err)
			}
			target.Deltas = append(target.Deltas, trust.DeltaFile{From: seq - 1, To: seq, File: trust.File{Length: int64(len(b)), SHA256: f}})
		}
		before = e
	}
	lies := target
	lies.EdgeHead[0]++
	if err := s.FromDeltas(t.Context(), base, lies); !errors.Is(err, fetch.ErrHash) {
		t.Errorf("another list was signed: %v, want %v", err, fetch.ErrHash)
	}
	elsewhere := base
	elsewhere.Seq = 9
	if err := s.FromDeltas(t.Context(), elsewhere, target); !errors.Is(err, fetch.ErrNoDeltas) {
		t.Errorf("from a version no delta starts at: %v, want %v", err, fetch.ErrNoDeltas)
	}
	huge := target
	huge.Deltas = append([]trust.DeltaFile(nil), target.Deltas...)
	huge.Deltas[2].Length = target.Edge.Length
	if err := s.FromDeltas(t.Context(), base, huge); !errors.Is(err, fetch.ErrNoDeltas) {
		t.Errorf("deltas longer than the list: %v, want %v", err, fetch.ErrNoDeltas)
	}
	if s.Has(target.Edge.SHA256) {
		t.Fatal("made all the same")
	}
	if err := s.FromDeltas(t.Context(), base, target); err != nil {
		t.Fatal(err)
	}
	for _, f := range []trust.File{target.Edge, target.Audit} {
		if b, err := s.ReadFile(f.SHA256); err != nil || int64(len(b)) != f.Length {
			t.Errorf("made file: %v", err)
		}
	}
	if err := s.FromDeltas(t.Context(), base, target); err != nil {
		t.Errorf("once more: %v", err)
	}
	if err := s.Remove(target.Edge.SHA256); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(target.Deltas[1].SHA256); err != nil {
		t.Fatal(err)
	}
	if err := s.FromDeltas(t.Context(), base, target); err == nil || s.Has(target.Edge.SHA256) {
		t.Error("made with a delta missing")
	}
}
