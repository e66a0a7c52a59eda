package publish

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

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

// signedBody reads a statement and takes its body out.
func signedBody(t *testing.T, path string) (raw, body []byte, signatures int) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s trust.SignedStatement
	if err := cbor.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	return raw, s.Body, len(s.Signatures)
}

func TestASecondSignatureChangesNothingElse(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain", "only.test,host")
	w.publishAll()
	d, err := w.h.Withdraw(w.officers[:1], "error", "bad.test")
	w.must(err)
	before, body, n := signedBody(t, d.File)
	if n != 1 {
		t.Fatalf("got %d signatures, want 1", n)
	}
	reader, err := os.Open(d.File) // an operator's download under way
	w.must(err)
	defer reader.Close()
	w.now = w.now.Add(time.Hour)
	done, err := w.h.Countersign(w.officers[1], 1)
	w.must(err)
	if done.Note != "" {
		t.Errorf("the newest one: got note %q", done.Note)
	}
	_, after, n := signedBody(t, d.File)
	if !bytes.Equal(body, after) || n != 2 {
		t.Errorf("got body %x with %d signatures, want %x with 2", after, n, body)
	}
	if got, err := io.ReadAll(reader); err != nil || !bytes.Equal(got, before) {
		t.Errorf("the statement was changed under its reader: got %x, %v; want %x", got, err, before)
	}
	_, own, _ := signedBody(t, w.path("hotline", "withdrawals", "1.cbor"))
	if !bytes.Equal(own, body) {
		t.Error("the own copy has another body")
	}
}

func TestSeveralStatementsMayOweASignatureAtOnce(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain", "only.test,host", "third.test,host")
	w.publishAll()
	for _, which := range []string{"bad.test", "only.test", "third.test"} {
		_, err := w.h.Withdraw(w.officers[:1], "error", which)
		w.must(err)
	}
	d, err := w.h.Countersign(w.officers[1], 1)
	w.must(err)
	if d.Owed != 0 || d.Note != "" {
		t.Errorf("got %d owed and note %q, want neither", d.Owed, d.Note)
	}
	owed := func() (numbers []uint64) {
		stat, err := w.h.Status()
		w.must(err)
		for _, o := range stat.Owed {
			numbers = append(numbers, o.Number)
		}
		return numbers
	}
	if got := owed(); !slices.Equal(got, []uint64{2, 3}) {
		t.Errorf("owed %v, want 2 and 3", got)
	}
	w.publishAll()
	if got := owed(); got != nil {
		t.Errorf("owed %v after the next version, want none", got)
	}
	_, err = w.h.Countersign(w.officers[1], 2)
	w.refused(err, "settled: version 2")
}

func TestACrashDuringCountersignIsFinished(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain", "only.test,host")
	w.publishAll()
	d, err := w.h.Withdraw(w.officers[:1], "error", "bad.test")
	w.must(err)
	single, err := os.ReadFile(d.File)
	w.must(err)
	_, err = w.h.Withdraw(w.officers[:1], "error", "only.test")
	w.must(err)
	_, err = w.h.Countersign(w.officers[1], 1)
	w.must(err)
	double, err := os.ReadFile(d.File)
	w.must(err)
	// The machine went down before the repository had it.
	w.must(os.WriteFile(d.File, single, 0o644))
	_, err = w.h.Status()
	w.must(err)
	if got, err := os.ReadFile(d.File); err != nil || !bytes.Equal(got, double) {
		t.Errorf("got %x, %v; want both signatures in the repository", got, err)
	}
}

func TestAnOldBackupCannotWithdrawUnderAUsedNumber(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain", "only.test,host")
	w.publishAll()
	d, err := w.h.Withdraw(w.officers[:1], "error", "bad.test")
	w.must(err)
	w.must(os.RemoveAll(w.path("hotline", "withdrawals")))
	before, err := os.ReadFile(d.File)
	w.must(err)
	if _, err := w.h.Withdraw(w.officers[:1], "error", "only.test"); ExitCode(err) != int(CodeInput) || !strings.Contains(err.Error(), "restore the newest backup") {
		t.Errorf("got %v, want exit code 3 and what to do", err)
	}
	if after, err := os.ReadFile(d.File); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the statement in the repository was replaced: %v", err)
	}
}

// A backup of the entries that is older than a withdrawal brings nothing back into force.
func TestAWithdrawnEntryDoesNotComeBackWithABackup(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain", "wrong.test,host")
	w.publishAll()
	entries := w.path("hotline", "entries.jsonl")
	backup, err := os.ReadFile(entries)
	w.must(err)
	_, err = w.h.Withdraw(w.officers[:1], "error", "wrong.test")
	w.must(err)
	w.must(os.WriteFile(entries, backup, 0o600))
	w.importRows("next.test,host")
	_, err = w.h.Sign(w.officers[0])
	w.wantCode(err, CodeHeld)
	r, err := w.h.Check()
	w.must(err)
	if len(r.Holds) != 1 || r.Holds[0].Brake != "withdrawn" || r.Holds[0].Address != "wrong.test" || !r.Holds[0].Approve {
		t.Errorf("holds %+v", r.Holds)
	}
	_, err = w.h.Remove("error", "wrong.test")
	w.must(err)
	w.importRows("wrong.test,host") // assessed again: another entry
	w.publishAll()
}
