package publish

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
)

// inPlace changes a file as an editor or a shell's ">" does: the same inode, other bytes.
func (w *world) inPlace(path string, change func([]byte) []byte) {
	w.t.Helper()
	b, err := os.ReadFile(path)
	w.must(err)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	w.must(err)
	_, err = f.Write(change(b))
	w.must(err)
	w.must(f.Close())
}

func (w *world) entriesFile() string { return w.path("hotline", "entries.jsonl") }

func (w *world) recordFile(version string) string {
	return w.path("hotline", "versions", version+".entries.jsonl")
}

// slipIn gives the lines with one entry more, in order, which no import has seen.
func slipIn(b []byte) []byte {
	first, _, _ := bytes.Cut(b, []byte("\n"))
	more := bytes.Replace(first, []byte(`"expression":"bad.test"`), []byte(`"expression":"bad.test.victim.test"`), 1)
	more = append([]byte(`{"id":"00112233445566778899aabbccddeeff"`), more[len(`{"id":"00112233445566778899aabbccddeeff"`):]...)
	return bytes.Join([][]byte{first, more, nil}, []byte("\n"))
}

func TestAnEntryWrittenIntoTheFileByHandIsInTheDifference(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain")
	w.publishAll()
	w.inPlace(w.entriesFile(), slipIn)
	d, err := w.h.Diff()
	w.must(err)
	if d.AddedCount != 1 || len(d.Added) != 1 || d.Added[0].Expression != "bad.test.victim.test" {
		t.Errorf("diff: got %+v, want the entry written by hand", d.Added)
	}
	r, err := w.h.Check()
	w.must(err)
	if r.Added != 1 {
		t.Errorf("check: got %d added, want 1", r.Added)
	}
	g, err := w.h.Sign(w.officers[0])
	w.must(err)
	if g.Diff.AddedCount != 1 {
		t.Errorf("sign: got %d added, want 1", g.Diff.AddedCount)
	}
	// The file is changed once more while it is staged: what is recorded is what was signed.
	w.inPlace(w.entriesFile(), func(b []byte) []byte { return bytes.Replace(b, []byte("victim"), []byte("martyr"), 1) })
	staged, err := os.ReadFile(w.path("hotline", "staging", "entries.jsonl"))
	w.must(err)
	if !bytes.Contains(staged, []byte("victim")) {
		t.Errorf("the staged record follows entries.jsonl: %s", staged)
	}
}

func TestAChangedRecordIsNoBase(t *testing.T) {
	sum := func(b []byte) string {
		h := sha256.Sum256(b)
		return hex.EncodeToString(h[:])
	}
	tests := []struct {
		name   string
		change func(w *world)
		signs  bool // only the proof at a signature can see it: the manifest was changed alike
	}{
		{"an entry more", func(w *world) { w.inPlace(w.recordFile("1"), slipIn) }, false},
		{"emptied", func(w *world) { w.inPlace(w.recordFile("1"), func([]byte) []byte { return nil }) }, false},
		{"gone", func(w *world) { w.must(os.Remove(w.recordFile("1"))) }, false},
		{"no JSON", func(w *world) { w.inPlace(w.recordFile("1"), func([]byte) []byte { return []byte("x\n") }) }, false},
		{"with its manifest", func(w *world) {
			old, err := os.ReadFile(w.recordFile("1"))
			w.must(err)
			w.inPlace(w.recordFile("1"), slipIn)
			w.inPlace(w.path("hotline", "versions", "1.json"), func(b []byte) []byte { return bytes.Replace(b, []byte(sum(old)), []byte(sum(slipIn(old))), 1) })
		}, true},
		{"an entry less, with its manifest", func(w *world) {
			old, err := os.ReadFile(w.recordFile("1"))
			w.must(err)
			w.inPlace(w.recordFile("1"), func([]byte) []byte { return nil })
			w.inPlace(w.path("hotline", "versions", "1.json"), func(b []byte) []byte { return bytes.Replace(b, []byte(sum(old)), []byte(sum(nil)), 1) })
		}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.importRows("bad.test,domain")
			w.publishAll()
			w.inPlace(w.entriesFile(), slipIn)
			tt.change(w)
			_, err := w.h.Sign(w.officers[0])
			if ExitCode(err) != int(CodeInput) || !errors.Is(err, errRecord) || !strings.Contains(err.Error(), "1.entries.jsonl") || !strings.Contains(err.Error(), "backup") {
				t.Errorf("sign: got %v, want exit code 3 and what to do", err)
			}
			if exists(w.path("hotline", "staging", "candidate.json")) {
				t.Error("a candidate was made from it")
			}
			_, err = w.h.Diff()
			if (ExitCode(err) == int(CodeInput)) == tt.signs {
				t.Errorf("diff: got %v", err)
			}
			_, err = w.h.Check()
			if (ExitCode(err) == int(CodeInput)) == tt.signs {
				t.Errorf("check: got %v", err)
			}
			st, err := w.h.Status()
			w.must(err)
			if (len(st.Problems) == 1) == tt.signs {
				t.Errorf("status: got problems %q", st.Problems)
			}
		})
	}
}

func TestTheRecordIsProvedAgainstWhatOfficersHaveSigned(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"edge list": func(w *world) {
			f, _ := w.fetchAll(trust.HighWater{})
			w.inPlace(w.path("hotline", "repository", trust.TargetName(f.Lists[0].Edge)), func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
		},
		"a signature": func(w *world) {
			w.inPlace(w.path("hotline", "repository", trust.ListName("hotline-one", 1)), func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"added":1`), []byte(`"added":0`), 1)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.importRows("bad.test,domain")
			w.publishAll()
			change(w)
			w.importRows("more.test,host")
			if _, err := w.h.Sign(w.officers[0]); ExitCode(err) != int(CodeInput) || !strings.Contains(err.Error(), "put the repository back from a mirror") {
				t.Errorf("got %v, want exit code 3 and what to do", err)
			}
		})
	}
}

// TestTheRecordFitsEveryKindOfEntry also renews the accreditation: the officers who signed the last version are those of the old one.
func TestTheRecordFitsEveryKindOfEntry(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain", "only.test,host", "http://page.test/a?b=c,url", "page.test/gallery/,prefix", "page.test/other/,prefix")
	w.publishAll()
	w.now = w.now.Add(10 * time.Hour)
	w.accredit(700)
	_, err := w.h.Accept(w.accredits)
	w.must(err)
	for range 2 { // with the old accreditation's version, then with the new one's
		w.now = w.now.Add(31 * 24 * time.Hour) // and new keys
		w.publishAll()
	}
}

func TestAnEmptyWorkingSetIsNotTakenForAnAnswer(t *testing.T) {
	tests := []struct {
		name string
		do   func(w *world)
		want string // in the error, or empty
	}{
		{"truncated", func(w *world) { w.inPlace(w.entriesFile(), func([]byte) []byte { return nil }) }, "is empty, but version 1 has 2 entries"},
		{"gone", func(w *world) { w.must(os.Remove(w.entriesFile())) }, "is not there, but version 1 has 2 entries"},
		{"one of two taken out", func(w *world) {
			_, err := w.h.Remove("error", "bad.test")
			w.must(err)
			w.inPlace(w.entriesFile(), func([]byte) []byte { return nil })
		}, "no command has taken 1 of them out"},
		{"all taken out", func(w *world) {
			_, err := w.h.Remove("error", "bad.test")
			w.must(err)
			_, err = w.h.Withdraw(w.officers[:2], "error", "only.test")
			w.must(err)
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.importRows("bad.test,domain", "only.test,host")
			w.publishAll()
			tt.do(w)
			for name, act := range map[string]func() error{
				"check":  func() error { _, err := w.h.Check(); return err },
				"diff":   func() error { _, err := w.h.Diff(); return err },
				"sign":   func() error { _, err := w.h.Sign(w.officers[0]); return err },
				"import": func() error { _, err := w.h.Import(strings.NewReader(Header + "\n")); return err },
			} {
				err := act()
				if tt.want == "" {
					w.must(err)
				} else if ExitCode(err) != int(CodeInput) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "backup") {
					t.Errorf("%s: got %v, want exit code 3 and %q", name, err, tt.want)
				}
			}
			st, err := w.h.Status()
			w.must(err)
			if (len(st.Problems) == 0) != (tt.want == "") {
				t.Errorf("status: got problems %q", st.Problems)
			}
		})
	}
}

// A hotline must be able to stop harm even while its own files are in disorder.
func TestAWithdrawalNeedsNoWorkingSet(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain")
	w.publishAll()
	w.must(os.Remove(w.entriesFile()))
	if _, err := w.h.Withdraw(w.officers[:1], "error", "bad.test"); err != nil {
		t.Error(err)
	}
}

func TestASecondOfficerSeesWhatTheFirstSigned(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain")
	w.publishAll()
	w.importRows("more.test,host")
	_, err := w.h.Sign(w.officers[0])
	w.must(err)
	// Someone makes the candidate say that nothing is added, in both places, and has the first officer's key.
	c := w.path("hotline", "staging", "candidate.json")
	w.inPlace(c, func(b []byte) []byte { return bytes.Replace(b, []byte(`"added": 1`), []byte(`"added": 0`), 1) })
	w.inPlace(w.path("hotline", "staging", "list.json"), func(b []byte) []byte { return bytes.Replace(b, []byte(`"added":1`), []byte(`"added":0`), 1) })
	if _, err := w.h.Sign(w.officers[1]); ExitCode(err) != int(CodeVerify) {
		t.Errorf("got %v, want exit code 5", err)
	}
}

func TestCheckHoldsWhatOnePersonWroteIntoTheFile(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain")
	w.inPlace(w.entriesFile(), func(b []byte) []byte { return bytes.Replace(b, []byte(`"bob"`), []byte("\"an\u200bn\""), 1) })
	r, err := w.h.Check()
	w.must(err)
	if len(r.Holds) != 1 || r.Holds[0].Brake != "assessors" || r.Holds[0].Approve {
		t.Errorf("got %+v, want the brake assessors", r.Holds)
	}
}
