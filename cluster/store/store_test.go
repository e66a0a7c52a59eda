package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func open(t testing.TB, c Config) *Store {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func fresh(t testing.TB) (*Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "raft.db")
	return open(t, Config{Path: path}), path
}

func entry(i uint64) *raft.Log {
	return &raft.Log{Index: i, Term: i / 3, Type: raft.LogCommand, Data: bytes.Repeat([]byte{byte(i)}, int(i%700)), AppendedAt: time.Unix(1767225600, int64(i))}
}

func fill(t testing.TB, s *Store, from, to uint64) {
	t.Helper()
	var logs []*raft.Log
	for i := from; i <= to; i++ {
		logs = append(logs, entry(i))
	}
	if err := s.StoreLogs(logs); err != nil {
		t.Fatal(err)
	}
}

func span(t testing.TB, s *Store) (first, last uint64) {
	t.Helper()
	first, err := s.FirstIndex()
	if err != nil {
		t.Fatal(err)
	}
	if last, err = s.LastIndex(); err != nil {
		t.Fatal(err)
	}
	return first, last
}

func TestWhatWasStoredIsReadBackAfterARestart(t *testing.T) {
	s, path := fresh(t)
	if f, l := span(t, s); f != 0 || l != 0 {
		t.Errorf("empty log spans %d to %d", f, l)
	}
	fill(t, s, 1, 50)
	ext := entry(51)
	ext.Extensions, ext.Type, ext.AppendedAt = []byte("x"), raft.LogNoop, time.Time{}
	if err := s.StoreLog(ext); err != nil {
		t.Fatal(err)
	}
	if err := s.Set([]byte("CurrentTerm"), []byte("v")); err != nil {
		t.Fatal(err)
	}
	if err := s.SetUint64([]byte("n"), 1<<63); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, Config{Path: path})
	if f, l := span(t, s); f != 1 || l != 51 {
		t.Errorf("log spans %d to %d, want 1 to 51", f, l)
	}
	for i := uint64(1); i <= 50; i++ {
		var got raft.Log
		want := entry(i)
		if err := s.GetLog(i, &got); err != nil || got.Term != want.Term || !bytes.Equal(got.Data, want.Data) || !got.AppendedAt.Equal(want.AppendedAt) {
			t.Fatalf("log %d: %+v (%v), want %+v", i, got, err, want)
		}
	}
	var got raft.Log
	if err := s.GetLog(51, &got); err != nil || got.Type != raft.LogNoop || string(got.Extensions) != "x" || !got.AppendedAt.IsZero() {
		t.Errorf("log 51: %+v (%v), want %+v", got, err, ext)
	}
	if err := s.GetLog(52, &got); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("log 52: %v, want ErrLogNotFound", err)
	}
	if v, err := s.Get([]byte("CurrentTerm")); err != nil || string(v) != "v" {
		t.Errorf("stable value %q (%v), want v", v, err)
	}
	if v, err := s.GetUint64([]byte("n")); err != nil || v != 1<<63 {
		t.Errorf("stable number %d (%v), want 2^63", v, err)
	}
	if _, err := s.Get([]byte("none")); err == nil || err.Error() != "not found" {
		t.Errorf("missing value: %v, want the text raft compares with", err)
	}
	if v, err := s.GetUint64([]byte("none")); err != nil || v != 0 {
		t.Errorf("missing number: %d (%v), want 0", v, err)
	}
}

func TestRangesAreDeletedBothEndsIncluded(t *testing.T) {
	for _, c := range []struct {
		name                      string
		min, max, first, last, in uint64
	}{
		{"the beginning", 1, 40, 41, 100, 41},
		{"the end", 60, 100, 1, 59, 59},
		{"all", 1, 100, 0, 0, 0},
		{"beyond both ends", 0, 5000, 0, 0, 0},
		{"one", 100, 100, 1, 99, 99},
		{"nothing", 200, 300, 1, 100, 100},
		{"nothing, reversed", 60, 50, 1, 100, 60},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := fresh(t)
			fill(t, s, 1, 100)
			if err := s.DeleteRange(c.min, c.max); err != nil {
				t.Fatal(err)
			}
			if f, l := span(t, s); f != c.first || l != c.last {
				t.Errorf("log spans %d to %d, want %d to %d", f, l, c.first, c.last)
			}
			var got raft.Log
			if err := s.GetLog(c.in, &got); c.in != 0 && err != nil {
				t.Errorf("log %d: %v", c.in, err)
			}
		})
	}
}

func TestTheLogHasNoGaps(t *testing.T) {
	s, _ := fresh(t)
	fill(t, s, 5, 9)
	fill(t, s, 8, 12) // raft may write an entry again
	if f, l := span(t, s); f != 5 || l != 12 {
		t.Fatalf("log spans %d to %d, want 5 to 12", f, l)
	}
	for _, bad := range []func(s *Store) error{
		func(s *Store) error { return s.StoreLog(entry(14)) },
		func(s *Store) error { return s.StoreLog(entry(4)) },
		func(s *Store) error { return s.DeleteRange(7, 8) },
	} {
		s, _ := fresh(t)
		fill(t, s, 5, 12)
		if err := bad(s); err == nil {
			t.Errorf("a gap was written")
		}
		if f, l := span(t, s); f != 5 || l != 12 {
			t.Errorf("log spans %d to %d, want 5 to 12", f, l)
		}
	}
}

func TestTheCommitIndexTravelsWithTheNextEntries(t *testing.T) {
	s, path := fresh(t)
	fill(t, s, 1, 5)
	commit := func(want uint64) {
		t.Helper()
		if got, err := s.GetCommitIndex(); err != nil || got != want {
			t.Errorf("commit index %d (%v), want %d", got, err, want)
		}
	}
	commit(0)
	if err := s.StageCommitIndex(4); err != nil {
		t.Fatal(err)
	}
	commit(0)
	fill(t, s, 6, 6)
	commit(4)
	if err := s.StageCommitIndex(99); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveCommitIndex(); err != nil {
		t.Fatal(err)
	}
	commit(6)
	if err := s.DeleteRange(5, 6); err != nil {
		t.Fatal(err)
	}
	commit(4)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, Config{Path: path})
	commit(4)
	if err := s.DeleteRange(1, 6); err != nil {
		t.Fatal(err)
	}
	commit(0)
}

func TestTheFileBelongsToOneProcess(t *testing.T) {
	_, path := fresh(t)
	if _, err := Open(Config{Path: path}); !errors.Is(err, ErrInUse) {
		t.Errorf("second open: %v, want ErrInUse", err)
	}
}

// TestABitFlipIsNeverSilent is fault 4: whatever bit of the file flips, the
// store opens with exactly what was written, or refuses.
func TestABitFlipIsNeverSilent(t *testing.T) {
	s, path := fresh(t)
	fill(t, s, 1, 30)
	if err := s.SetUint64([]byte("CurrentTerm"), 7); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused, same := 0, 0
	for at := 0; at < len(good); at++ {
		if at%4096 > 100 && at%37 != 0 { // every byte of a page's head, of the rest some
			continue
		}
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at % 8)
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(Config{Path: path})
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("bit of byte %d: %v, want ErrCorrupt", at, err)
			}
			refused++
			continue
		}
		same++
		f, l := span(t, s)
		if f != 1 || l != 30 {
			t.Errorf("bit of byte %d: log spans %d to %d, want 1 to 30", at, f, l)
		}
		if v, err := s.GetUint64([]byte("CurrentTerm")); err != nil || v != 7 {
			t.Errorf("bit of byte %d: term %d (%v), want 7", at, v, err)
		}
		for i := f; i <= l; i++ {
			var got raft.Log
			if err := s.GetLog(i, &got); err != nil || !bytes.Equal(got.Data, entry(i).Data) || got.Term != entry(i).Term {
				t.Errorf("bit of byte %d: log %d is another one: %v", at, i, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if refused == 0 || same == 0 {
		t.Errorf("%d flips refused, %d without effect: the test proves nothing", refused, same)
	}
}

func TestAFileCutShortIsRefused(t *testing.T) {
	s, path := fresh(t)
	fill(t, s, 1, 300)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 100, 4096, 8192, len(good) / 2, len(good) - 40000} {
		if err := os.WriteFile(path, good[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(Config{Path: path})
		if err == nil { // what was cut off held nothing
			if f, l := span(t, s); f != 1 || l != 300 || n < len(good)/2 {
				t.Errorf("cut to %d of %d bytes: log spans %d to %d, want 1 to 300", n, len(good), f, l)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		} else if !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut to %d of %d bytes: %v, want ErrCorrupt", n, len(good), err)
		}
	}
	if err := os.WriteFile(path, []byte("this is no database, it is a letter to the operator"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Path: path}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a letter: %v, want ErrCorrupt", err)
	}
}

// TestAFailedWriteIsTheLast is fault 8.
func TestAFailedWriteIsTheLast(t *testing.T) {
	eio := errors.New("input/output error")
	var broken bool
	s := open(t, Config{Path: filepath.Join(t.TempDir(), "raft.db"), beforeCommit: func() error {
		if broken {
			return eio
		}
		return nil
	}})
	fill(t, s, 1, 3)
	select {
	case <-s.Failed():
		t.Fatal("failed before any write failed")
	default:
	}
	broken = true
	if err := s.StoreLog(entry(4)); !errors.Is(err, eio) {
		t.Errorf("failing write: %v, want its error", err)
	}
	broken = false
	if err := s.StoreLog(entry(4)); !errors.Is(err, ErrFailed) {
		t.Errorf("write after a failed one: %v, want ErrFailed", err)
	}
	select {
	case <-s.Failed():
	default:
		t.Error("Failed is not closed")
	}
	if !errors.Is(s.Err(), eio) {
		t.Errorf("Err: %v, want the write's error", s.Err())
	}
	if _, l := span(t, s); l != 3 {
		t.Errorf("last index %d, want 3: the failed write was acknowledged", l)
	}
}

// TestAStalledDiskFencesTheNode is fault 6.
func TestAStalledDiskFencesTheNode(t *testing.T) {
	gate := make(chan struct{})
	fenced := make(chan bool, 4)
	var stall bool
	s := open(t, Config{
		Path: filepath.Join(t.TempDir(), "raft.db"), Limit: 20 * time.Millisecond,
		Fence: func(on bool) { fenced <- on },
		beforeCommit: func() error {
			if stall {
				<-gate
			}
			return nil
		},
	})
	fill(t, s, 1, 3)
	for len(fenced) > 0 { // a slow test machine
		<-fenced
	}
	stall = true
	done := make(chan error, 1)
	go func() { done <- s.StoreLog(entry(4)) }()
	wait := func(want bool) {
		t.Helper()
		select {
		case got := <-fenced:
			if got != want {
				t.Fatalf("fence %t, want %t", got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("no fence %t", want)
		}
	}
	wait(true)
	close(gate)
	wait(false)
	if err := <-done; err != nil {
		t.Errorf("the stalled write: %v", err)
	}
}
