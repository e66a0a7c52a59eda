package publish

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
)

func (w *world) hold(days int, which ...string) ([]HeldBack, error) {
	return w.h.HoldBack(HoldOptions{Until: w.now.AddDate(0, 0, days).Format(time.DateOnly), Authority: "Police of XA", Reference: "case 12"}, which...)
}

// listed gives the names of the working set.
func (w *world) listed() string {
	w.t.Helper()
	var names []string
	for _, e := range w.entries() {
		names = append(names, e.Expression)
	}
	return strings.Join(names, " ")
}

func TestAnEntryIsHeldBackAndComesInByItself(t *testing.T) {
	w := newWorld(t)
	cluster := w.addOperator("isp-one")
	w.importRows("a.test,host", "b.test,host", "c.test,host")
	w.publishAll()
	id := w.entries()[1].ID
	held, err := w.hold(30, "b.test")
	w.must(err)
	if len(held) != 1 || held[0].ID != id || w.listed() != "a.test c.test" {
		t.Fatalf("got %+v, and %s in the list", held, w.listed())
	}
	d, err := w.h.Diff()
	w.must(err)
	var text strings.Builder
	w.must(d.Write(&text, 0))
	for _, want := range []string{"- whole site b.test", "= not in this version: host b.test, held back until 2030-02-01 for Police of XA, case 12\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("diff lacks %q:\n%s", want, text.String())
		}
	}
	w.publishAll()
	f, _ := w.fetchAll(trust.HighWater{})
	k, err := trust.UnwrapKeys(f.keys[cluster], w.cluster)
	w.must(err)
	if w.lookup(f, k.Keys, "b.test").Listed || !w.lookup(f, k.Keys, "c.test").Listed {
		t.Error("the version has what is held back, or lacks what is not")
	}
	for _, secret := range []string{"Police", "case 12", "b.test"} {
		w.mustNotBePublished(secret)
	}
	st, err := w.h.Status()
	w.must(err)
	if len(st.HeldBack) != 1 || len(st.CameBack) != 0 || len(st.Problems) != 0 {
		t.Errorf("got %+v", st)
	}

	w.now = w.now.AddDate(0, 0, 30)
	st, err = w.h.Status()
	w.must(err)
	if len(st.HeldBack) != 0 || len(st.CameBack) != 1 || st.CameBack[0].ID != id {
		t.Errorf("got held back %+v, came back %+v", st.HeldBack, st.CameBack)
	}
	text.Reset()
	w.must(st.Write(&text))
	if !strings.Contains(text.String(), "came back   host b.test: it was held back, and its day has come; the next version has it\n") {
		t.Errorf("status does not say so:\n%s", text.String())
	}
	if got := w.entries(); w.listed() != "a.test b.test c.test" || got[1].ID != id {
		t.Errorf("got %s", w.listed())
	}
	w.publishAll()
	if st, err = w.h.Status(); err != nil || len(st.CameBack) != 0 {
		t.Errorf("after the next version: got %+v and %v", st.CameBack, err)
	}
}

// mustNotBePublished looks for a text in every file of the repository.
func (w *world) mustNotBePublished(text string) {
	w.t.Helper()
	w.must(filepath.WalkDir(w.path("hotline", "repository"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), text) {
			w.t.Errorf("%s has %q", path, text)
		}
		return err
	}))
}

func TestAHoldIsLifted(t *testing.T) {
	w := newWorld(t)
	w.importRows("a.test,host", "b.test/x,url")
	_, err := w.hold(10, "a.test", "b.test/x")
	w.must(err)
	if st, err := w.h.Status(); err != nil || st.Entries != 0 || len(st.HeldBack) != 2 {
		t.Errorf("got %+v and %v", st, err)
	}
	_, err = w.h.LiftHoldback("a.test")
	w.must(err)
	if w.listed() != "a.test" {
		t.Errorf("got %s", w.listed())
	}
	if _, err := w.h.LiftHoldback("a.test"); ExitCode(err) != int(CodeInput) || !strings.Contains(err.Error(), "not held back") {
		t.Errorf("lifted twice: %v", err)
	}
	held, err := w.h.Holdbacks()
	w.must(err)
	if len(held) != 1 || held[0].Expression != "b.test/x" {
		t.Errorf("got %+v", held)
	}
	if n := strings.Count(w.read("hotline", "holdbacks.jsonl"), "\n"); n != 5 { // two begun, two out, one lifted
		t.Errorf("got %d lines in the record", n)
	}
}

func TestAHoldGetsANewEnd(t *testing.T) {
	w := newWorld(t)
	w.importRows("a.test,host", "b.test,host")
	_, err := w.hold(10, "a.test")
	w.must(err)
	w.now = w.now.AddDate(0, 0, 5)
	_, err = w.hold(60, "a.test")
	w.must(err)
	w.now = w.now.AddDate(0, 0, 30)
	if st, err := w.h.Status(); err != nil || len(st.HeldBack) != 1 || w.listed() != "b.test" {
		t.Errorf("got %+v and %v, %s in the list", st, err, w.listed())
	}
}

func TestWhatIsImportedMeanwhileStaysHeldBack(t *testing.T) {
	w := newWorld(t)
	w.importRows("a.test,host", "b.test,host")
	_, err := w.hold(10, "a.test")
	w.must(err)
	done, err := w.h.Import(strings.NewReader(strings.ReplaceAll(w.csv("a.test,host", "c.test,host"), "bob", "carol")))
	w.must(err)
	if done.HeldBack != 1 || done.Added != 1 || w.listed() != "b.test c.test" {
		t.Errorf("got %+v, %s in the list", done, w.listed())
	}
	w.importRows("a.test,domain") // another kind is another entry: diff says that it stops the site
	d, err := w.h.Diff()
	w.must(err)
	if len(d.HeldBack) != 1 || d.HeldBack[0].CoveredBy != "domain a.test" {
		t.Errorf("got %+v", d.HeldBack)
	}
	_, err = w.h.LiftHoldback("a.test")
	w.must(err)
	if e := w.entries()[0]; e.Expression != "a.test" || e.Assessors[1] != "carol" {
		t.Errorf("the newer assessment is lost: %+v", e)
	}
}

func TestWhatIsWithdrawnDoesNotComeBack(t *testing.T) {
	w := newWorld(t)
	w.importRows("a.test,host", "b.test,host")
	w.publishAll()
	_, err := w.hold(10, "a.test")
	w.must(err)
	if _, err := w.h.Remove("error", "a.test"); ExitCode(err) != int(CodeInput) || !strings.Contains(err.Error(), "held back until") {
		t.Errorf("remove: got %v", err)
	}
	_, err = w.h.Withdraw(w.officers[:2], "error", "a.test")
	w.must(err)
	w.now = w.now.AddDate(0, 0, 20)
	if st, err := w.h.Status(); err != nil || len(st.HeldBack)+len(st.CameBack) != 0 || w.listed() != "b.test" {
		t.Errorf("got %+v and %v, %s in the list", st, err, w.listed())
	}
	if done := w.importRows("a.test,host"); done.PutBackCount != 1 {
		t.Errorf("its withdrawal is forgotten: %+v", done)
	}
}

func TestAHoldThatWasCutOffIsFinished(t *testing.T) {
	w := newWorld(t)
	w.importRows("a.test,host", "b.test,host")
	before := w.read("hotline", "entries.jsonl")
	_, err := w.hold(10, "a.test")
	w.must(err)
	log := w.read("hotline", "holdbacks.jsonl")
	first := strings.SplitAfter(log, "\n")[0]
	// Cut off before entries.jsonl was written: only the first line is there.
	w.must(os.WriteFile(w.path("hotline", "holdbacks.jsonl"), []byte(first), 0o600))
	w.must(os.WriteFile(w.path("hotline", "entries.jsonl"), []byte(before), 0o600))
	_, err = w.h.Status()
	w.must(err)
	if w.listed() != "b.test" || w.read("hotline", "holdbacks.jsonl") != log {
		t.Errorf("got %s in the list and the record\n%s", w.listed(), w.read("hotline", "holdbacks.jsonl"))
	}
	// Cut off on the way back, after entries.jsonl was written.
	w.now = w.now.AddDate(0, 0, 10)
	w.must(os.WriteFile(w.path("hotline", "entries.jsonl"), []byte(before), 0o600))
	_, err = w.h.Status()
	w.must(err)
	if w.read("hotline", "entries.jsonl") != before {
		t.Errorf("got %s in the list", w.listed())
	}
	if held, err := w.h.Holdbacks(); err != nil || len(held) != 0 {
		t.Errorf("got %+v and %v", held, err)
	}
}

func TestAHoldIsBounded(t *testing.T) {
	w := newWorld(t)
	w.ending(map[string]int{"short.test": 20, "long.test": 120})
	for name, tt := range map[string]struct {
		days  int
		which string
		want  string
	}{
		"too long":       {91, "long.test", "at most 90 days"},
		"past review_by": {30, "short.test", "has to be assessed again by"},
		"unknown":        {30, "none.test", "no entry is"},
		"past":           {0, "long.test", "is not in the future"},
		"the canary":     {30, "canary.hotline-one.test", "is this hotline's canary"},
	} {
		if _, err := w.hold(tt.days, tt.which); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	for _, o := range []HoldOptions{{Until: w.review(), Reference: "x"}, {Until: w.review(), Authority: "x"}, {Until: "31.1.2030", Authority: "x", Reference: "y"}} {
		if _, err := w.h.HoldBack(o, "long.test"); ExitCode(err) != int(CodeUsage) {
			t.Errorf("%+v: got %v", o, err)
		}
	}
	if _, err := w.hold(10, "long.test", "none.test"); err == nil || exists(w.path("hotline", "holdbacks.jsonl")) {
		t.Errorf("a refused hold has left a trace (%v)", err)
	}
	w.must(os.WriteFile(w.path("hotline", "holdbacks.jsonl"), []byte(`{"act":"lift"}`+"\n"), 0o600))
	if _, err := w.h.Status(); ExitCode(err) != int(CodeInput) || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a damaged record: got %v", err)
	}
}

func TestStatusIsShortHoweverMuchIsHeldBack(t *testing.T) {
	w := newWorld(t)
	var rows, names []string
	for i := range 15 {
		names = append(names, fmt.Sprintf("n%d.test", i))
		rows = append(rows, names[i]+",host")
	}
	w.importRows(rows...)
	_, err := w.hold(10, names...)
	w.must(err)
	for _, want := range []string{"held back   and 5 more: see holdback --list\n", "came back   and 5 more\n"} {
		var text strings.Builder
		st, err := w.h.Status()
		w.must(err)
		w.must(st.Write(&text))
		if !strings.Contains(text.String(), want) {
			t.Errorf("status lacks %q:\n%s", want, text.String())
		}
		_, err = w.h.LiftHoldback(names...)
		if len(st.HeldBack) > 0 {
			w.must(err)
		}
	}
}

// What comes back must not make a lost working set look like a whole one.
func TestNothingComesBackIntoALostWorkingSet(t *testing.T) {
	w := newWorld(t)
	w.importRows("a.test,host", "b.test,host", "c.test,host")
	w.publishAll()
	_, err := w.hold(30, "b.test")
	w.must(err)
	entries := w.path("hotline", "entries.jsonl")
	w.must(os.Rename(entries, w.path("backup")))
	_, err = w.h.LiftHoldback("b.test")
	w.wantCode(err, CodeInput, "put entries.jsonl back")
	w.now = w.now.AddDate(0, 0, 31)
	_, err = w.h.Sign(w.officers[0])
	w.wantCode(err, CodeInput, "put entries.jsonl back")
	_, err = w.h.Withdraw(w.officers[:1], "error", "a.test")
	w.must(err)
	w.must(os.Rename(w.path("backup"), entries))
	if _, err = w.h.Holdbacks(); err != nil || w.listed() != "a.test b.test c.test" {
		t.Errorf("got %s in the list, %v", w.listed(), err)
	}
}
