package publish

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// notWritten fails when act leaves another working set, log or statement behind than before.
func (w *world) notWritten(act func()) {
	w.t.Helper()
	snap := func() string {
		var all strings.Builder
		for _, dir := range []string{"withdrawals", "repository/withdrawals/hotline-one/main"} {
			files, err := os.ReadDir(w.path("hotline", dir))
			w.must(err)
			for _, f := range files {
				b, err := os.ReadFile(w.path("hotline", dir, f.Name()))
				w.must(err)
				all.WriteString(dir + f.Name() + string(b))
			}
		}
		for _, f := range []string{"entries.jsonl", "removals.jsonl"} {
			b, err := os.ReadFile(w.path("hotline", f))
			w.must(err)
			all.Write(b)
		}
		return all.String()
	}
	before := snap()
	act()
	if after := snap(); after != before {
		w.t.Errorf("something was written: got %q, want %q", after, before)
	}
}

func (w *world) refused(err error, words ...string) {
	w.t.Helper()
	if ExitCode(err) != int(CodeInput) {
		w.t.Errorf("got %v, want exit code 3", err)
		return
	}
	for _, want := range words {
		if !strings.Contains(err.Error(), want) {
			w.t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestAnEntryIsWithdrawnOnce(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain", "only.test,host", "third.test,host")
	w.publishAll()
	d, err := w.h.Withdraw(w.officers[:1], "error", "bad.test")
	w.must(err)
	w.notWritten(func() {
		for _, which := range []string{"bad.test", d.Entries[0].ID.String()} {
			_, err = w.h.Withdraw(w.officers[:1], "error", which)
			w.refused(err, "already withdrawn: domain bad.test by number 1", "officer-2 or officer-3 signs it", "--officer THEIR_DIR 1")
		}
		_, err = w.h.Withdraw(w.officers[:2], "error", "bad.test", "only.test")
		w.refused(err, "already withdrawn: domain bad.test by number 1", "name them alone")
	})
	_, err = w.h.Countersign(w.officers[1], 1)
	w.must(err)
	w.notWritten(func() {
		_, err = w.h.Withdraw(w.officers[:1], "error", "bad.test")
		w.refused(err, "by number 1", "nothing more is needed")
		if strings.Contains(err.Error(), "countersign") {
			t.Errorf("got %v, want no word of countersign", err)
		}
	})
	w.importRows("bad.test,domain")
	_, err = w.h.Withdraw(w.officers[:1], "error", "bad.test")
	w.refused(err, "imported again since: take it out with remove --reason")
	w.publishAll() // it came back
	if d, err = w.h.Withdraw(w.officers[:1], "error", "bad.test"); err != nil || d.Number != 2 {
		t.Errorf("after it came back: got %+v, %v; want number 2", d, err)
	}
}

func TestAnEntryThatCameBackUnderItsOldIDIsWithdrawnAgain(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain")
	w.publishAll()
	backup, err := os.ReadFile(w.path("hotline", "entries.jsonl"))
	w.must(err)
	_, err = w.h.Withdraw(w.officers[:2], "error", "bad.test")
	w.must(err)
	w.must(os.WriteFile(w.path("hotline", "entries.jsonl"), backup, 0o600))
	for _, o := range w.officers[:2] {
		_, err := w.h.SignWith(SignOptions{Officer: o, Again: true, ApproveEntries: map[string]string{"bad.test": "it serves the same again"}})
		w.must(err)
	}
	_, err = w.h.Publish("")
	w.must(err)
	if d, err := w.h.Withdraw(w.officers[:2], "error", "bad.test"); err != nil || d.Number != 2 {
		t.Errorf("got %+v, %v; want number 2", d, err)
	}
}

func TestAnOfficerCountersignsForAnotherOnly(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain")
	w.publishAll()
	_, err := w.h.Withdraw(w.officers[:1], "error", "bad.test")
	w.must(err)
	w.notWritten(func() {
		_, err = w.h.Countersign(w.officers[0], 1)
		w.refused(err, "officer-1 has signed withdrawal 1 already", "officer-2 or officer-3")
		if !errors.Is(err, errTwice) {
			t.Errorf("got %v, want errTwice", err)
		}
	})
	_, err = w.h.Countersign(w.officers[2], 1)
	w.must(err)
	_, err = w.h.Countersign(w.officers[2], 1)
	w.refused(err, "officer-3 has signed withdrawal 1 already", "nothing more is needed: it has the signatures of officer-1 and officer-3")
}
