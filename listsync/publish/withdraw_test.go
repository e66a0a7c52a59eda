package publish

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
)

func TestWithdrawalIsThereAtOnce(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain", "only.test,host", "page.test/x,url")
	if _, err := w.h.Withdraw(w.officers[:1], "error", "bad.test"); ExitCode(err) != int(CodeInput) {
		t.Errorf("before anything is published: got %v", err)
	}
	w.publishAll()
	d, err := w.h.Withdraw(w.officers[:1], "error", "bad.test")
	w.must(err)
	if d.Number != 1 || d.Owed != 1 || len(d.Entries) != 1 || d.Entries[0].Expression != "bad.test" {
		t.Errorf("got %+v", d)
	}
	f, repo := w.fetchAll(trust.HighWater{})
	raw, err := repo.Withdrawal(t.Context(), "hotline-one/main", 1)
	w.must(err)
	st, signers, err := trust.VerifyWithdrawal(f.Officers, raw, w.now)
	w.must(err)
	if st.List != "hotline-one/main" || st.Number != 1 || st.SeqTo != 1 || len(st.Entries) != 1 || st.Entries[0] != d.Entries[0].ID || len(signers) != 1 {
		t.Errorf("got %+v signed by %v", st, signers)
	}
	stat, err := w.h.Status()
	w.must(err)
	if len(stat.Owed) != 1 || stat.Entries != 2 {
		t.Errorf("got %d owed and %d entries, want 1 and 2", len(stat.Owed), stat.Entries)
	}
	w.now = w.now.Add(25 * time.Hour)
	stat, err = w.h.Status()
	w.must(err)
	if len(stat.Owed) != 1 || stat.Owed[0].LateFor == "" {
		t.Errorf("a day later: got %+v", stat.Owed)
	}
	d, err = w.h.Countersign(w.officers[2], 1)
	w.must(err)
	if d.Owed != 0 || len(d.SignedBy) != 2 {
		t.Errorf("countersigned: got %+v", d)
	}
	d, err = w.h.Withdraw(w.officers[:2], "court", "http://page.test/x", "only.test")
	w.must(err)
	if d.Number != 2 || d.Owed != 0 || len(d.Entries) != 2 {
		t.Errorf("by two officers: got %+v", d)
	}
	if _, err := w.h.Withdraw(w.officers[:1], "error", "nowhere.test"); ExitCode(err) != int(CodeInput) {
		t.Errorf("unknown entry: got %v", err)
	}
	if _, err := w.h.Withdraw(w.officers[:1], "because", "only.test"); ExitCode(err) != int(CodeUsage) {
		t.Errorf("reason outside of the set: got %v", err)
	}
}

func TestOneOfficerWithdrawsTwentyEntriesADay(t *testing.T) {
	w := newWorld(t)
	var rows, names []string
	for i := range 42 {
		names = append(names, "n"+string(rune('a'+i/26))+string(rune('a'+i%26))+".test")
		rows = append(rows, names[i]+",host")
	}
	w.importRows(rows...)
	w.publishAll()
	if _, err := w.h.Withdraw(w.officers[:1], "error", names[:21]...); !errors.Is(err, ErrHeld) {
		t.Errorf("21 at once: got %v", err)
	}
	_, err := w.h.Withdraw(w.officers[:1], "error", names[:20]...)
	w.must(err)
	if _, err := w.h.Withdraw(w.officers[:1], "error", names[20]); !errors.Is(err, ErrHeld) {
		t.Errorf("the 21st of a day: got %v", err)
	}
	_, err = w.h.Withdraw(w.officers[1:2], "error", names[20])
	w.must(err)
	w.now = w.now.Add(25 * time.Hour)
	_, err = w.h.Withdraw(w.officers[:1], "error", names[21])
	w.must(err)
	_, err = w.h.Withdraw(w.officers[1:], "error", names[22:]...)
	w.must(err)
}

func TestAWithdrawnEntryComesBackOnlyAsANewOne(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain")
	w.publishAll()
	d, err := w.h.Withdraw(w.officers[:2], "error", "bad.test")
	w.must(err)
	w.importRows("bad.test,domain")
	set, _, err := readEntries(w.path("hotline", "entries.jsonl"))
	w.must(err)
	if len(set) != 1 || set[0].ID == d.Entries[0].ID {
		t.Errorf("got %+v, want a new id", set)
	}
}

func TestTheCanaryCannotBeTakenOut(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain", "canary.hotline-one.test/page,url")
	w.publishAll()
	set, err := w.h.settings()
	w.must(err)
	for _, which := range []string{"canary.hotline-one.test", "http://CANARY.hotline-one.test/", set.CanaryID.String()} {
		for name, act := range map[string]func() error{
			"withdraw": func() error { _, err := w.h.Withdraw(w.officers[:2], "error", "bad.test", which); return err },
			"remove":   func() error { _, err := w.h.Remove("error", "bad.test", which); return err },
		} {
			err := act()
			if ExitCode(err) != int(CodeInput) || !strings.Contains(err.Error(), "is this hotline's canary and cannot be taken out: ") || strings.Contains(err.Error(), "no entry is") {
				t.Errorf("%s %s: got %v, want that the canary stays and why", name, which, err)
			}
		}
	}
	if d, err := w.h.Withdraw(w.officers[:2], "error", "canary.hotline-one.test/page"); err != nil || len(d.Entries) != 1 {
		t.Errorf("a page of the canary's host: got %v, %v", d, err)
	}
}
