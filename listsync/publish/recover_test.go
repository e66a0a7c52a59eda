package publish

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
)

func TestACrashDuringPublishIsFinished(t *testing.T) {
	record := func(w *world) error {
		return os.Rename(w.path("hotline", "staging", "entries.jsonl"), w.recordFile("2"))
	}
	for name, done := range map[string]func(w *world, after string) error{
		"before anything else was written down": func(*world, string) error { return nil },
		"after the record":                      func(w *world, _ string) error { return record(w) },
		"after the manifest": func(w *world, after string) error {
			return errors.Join(record(w), os.Rename(filepath.Join(after, "versions", "2.json"), w.path("hotline", "versions", "2.json")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.importRows("bad.test,domain")
			w.publishAll()
			w.importRows("more.test,host")
			for _, o := range w.officers[:2] {
				_, err := w.h.Sign(o)
				w.must(err)
			}
			backup, after := w.path("before"), w.path("after")
			w.must(copyDir(backup, w.path("hotline")))
			_, err := w.h.Publish("")
			w.must(err)
			// The machine went down after timestamp.json was out.
			w.must(os.RemoveAll(filepath.Join(backup, "repository")))
			w.must(os.Rename(w.path("hotline", "repository"), filepath.Join(backup, "repository")))
			w.must(os.Rename(w.path("hotline"), after))
			w.must(os.Rename(backup, w.path("hotline")))
			w.must(done(w, after))
			st, err := w.h.Status()
			w.must(err)
			if st.Seq != 2 || st.Staged != nil || len(st.Problems) > 0 {
				t.Errorf("got seq %d, staged %+v, problems %q; want 2 and nothing", st.Seq, st.Staged, st.Problems)
			}
			w.importRows("third.test,host")
			if p := w.publishAll(); p.Seq != 3 {
				t.Errorf("got seq %d, want 3", p.Seq)
			}
			w.fetchAll(trust.HighWater{})
		})
	}
}

func TestAnOldBackupCannotSignASecondVersion(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain")
	w.publishAll()
	backup := w.path("before")
	w.must(copyDir(backup, w.path("hotline")))
	w.importRows("more.test,host")
	w.publishAll()
	w.must(os.RemoveAll(filepath.Join(backup, "repository")))
	w.must(os.Rename(w.path("hotline", "repository"), filepath.Join(backup, "repository")))
	h, err := Open(w.c, backup)
	w.must(err)
	if _, err := h.Sign(w.officers[0]); ExitCode(err) != int(CodeInput) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("got %v", err)
	}
}

func TestACrashDuringWithdrawIsFinished(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain", "only.test,host")
	w.publishAll()
	keep, err := os.ReadFile(w.path("hotline", "entries.jsonl"))
	w.must(err)
	d, err := w.h.Withdraw(w.officers[:1], "error", "bad.test")
	w.must(err)
	w.must(os.Remove(d.File))
	w.must(os.WriteFile(w.path("hotline", "entries.jsonl"), keep, 0o600))
	st, err := w.h.Status()
	w.must(err)
	if st.Entries != 1 || !exists(d.File) {
		t.Errorf("got %d entries and statement there %t, want 1 and true", st.Entries, exists(d.File))
	}
}

func TestTheRepositoryMoves(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain", "only.test,host")
	w.publishAll()
	_, err := w.h.Withdraw(w.officers[:1], "error", "bad.test")
	w.must(err)
	for _, o := range w.officers[:2] {
		_, err := w.h.Sign(o)
		w.must(err)
	}
	w.must(os.Mkdir(w.path("foreign"), 0o700))
	w.must(os.WriteFile(w.path("foreign", "index.html"), []byte("x"), 0o600))
	if _, err := w.h.Publish(w.path("foreign")); !errors.Is(err, ErrForeign) {
		t.Errorf("foreign directory: got %v", err)
	}
	out := w.path("www", "list")
	_, err = w.h.Publish(out)
	w.must(err)
	for _, name := range []string{"metadata/timestamp.json", "metadata/1.root.json", "withdrawals/hotline-one/main/1.cbor"} {
		if !exists(filepath.Join(out, name)) {
			t.Errorf("%s is not in the new place", name)
		}
	}
	if _, err := w.h.Refresh(); err != nil {
		t.Error(err)
	}
}

func TestOneCommandAtATime(t *testing.T) {
	w := newWorld(t)
	release, err := lock(w.c, w.h.Dir())
	w.must(err)
	w.h.c.Wait = time.Millisecond
	if _, err := w.h.Status(); !errors.Is(err, ErrLocked) || ExitCode(err) != int(CodeFailure) {
		t.Errorf("got %v, want ErrLocked", err)
	}
	release()
	if _, err := w.h.Status(); err != nil {
		t.Error(err)
	}
}

// copyDir copies a directory with the modes of its files, as a backup does.
func copyDir(to, from string) error {
	return filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), info.Mode().Perm())
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, info.Mode().Perm())
	})
}

func TestWhatAKilledCommandLeftIsTakenAway(t *testing.T) {
	w := newWorld(t)
	w.importRows("a.test,host")
	w.publishAll()
	before := w.names()
	for _, path := range [][]string{{".entries.jsonl123"}, {".import-123"}, {"staging", ".edge123"}, {"versions", ".1.entries.jsonl123"}} {
		w.must(os.WriteFile(w.path(append([]string{"hotline"}, path...)...), []byte("plain addresses"), 0o600))
	}
	_, err := w.h.Status()
	w.must(err)
	if got := w.names(); !slices.Equal(got, before) {
		t.Errorf("got %q, want %q", got, before)
	}
	for _, dir := range []string{"staging", "versions"} {
		if left, err := filepath.Glob(w.path("hotline", dir, ".*")); err != nil || len(left) > 0 {
			t.Errorf("got %q and %v, want nothing", left, err)
		}
	}
}

// A line that a full disk or a crash has cut off stops no command and spoils no line after it.
func TestALineThatWasCutOffIsTakenOffTheLog(t *testing.T) {
	w := newWorld(t)
	w.importRows("a.test,host", "b.test,host", "c.test,host")
	w.publishAll()
	_, err := w.hold(30, "b.test")
	w.must(err)
	_, err = w.h.Remove("error", "c.test")
	w.must(err)
	for _, name := range []string{"holdbacks.jsonl", "removals.jsonl"} {
		path := w.path("hotline", name)
		whole, err := os.ReadFile(path)
		w.must(err)
		last := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
		for _, tail := range [][]byte{whole[last : len(whole)-9], {'{'}, make([]byte, 5000)} {
			w.must(os.WriteFile(path, append(bytes.Clone(whole), tail...), 0o600))
			if _, err := w.h.Diff(); err != nil {
				t.Errorf("%s with %d bytes of a line: %v", name, len(tail), err)
			}
			if got, _ := os.ReadFile(path); !bytes.Equal(got, whole) {
				t.Errorf("%s with %d bytes of a line was not mended", name, len(tail))
			}
		}
		w.must(os.WriteFile(path, whole[:len(whole)-1], 0o600)) // as an editor leaves it
		_, err = w.h.Diff()
		w.must(err)
		if got, _ := os.ReadFile(path); !bytes.Equal(got, whole) {
			t.Errorf("the last line of %s is gone", name)
		}
	}
}
