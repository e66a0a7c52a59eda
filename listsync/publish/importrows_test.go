package publish

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// object is a good JSON row for expression and kind, with members replaced or, when empty, left out.
func object(expr, kind string, instead ...string) string {
	values := map[string]string{
		"expression": expr, "kind": kind, "category": "csam-baseline", "basis": "law", "jurisdiction": "XA",
		"review_by": start.Add(100 * 24 * time.Hour).Format(time.DateOnly), "assessor_1": "ann", "assessor_2": "bob", "reason": "why",
	}
	members := map[string]string{}
	for k, v := range values {
		members[k] = fmt.Sprintf("%q: %q", k, v)
	}
	for i := 0; i+1 < len(instead); i += 2 {
		members[instead[i]] = instead[i+1]
	}
	var all []string
	for _, c := range columns {
		if members[c] != "" {
			all = append(all, members[c])
		}
	}
	return "{" + strings.Join(all, ", ") + "}"
}

func TestJSONRowsAreTaken(t *testing.T) {
	tests := []struct {
		name, text string
		want       int
	}{
		{"an array", "[" + object("a.test", "host") + ",\n " + object("http://b.test/x?y=[{", "url") + "]\n", 2},
		{"an empty array", " [ ] ", 0},
		{"lines", object("a.test", "host") + "\r\n" + object("b.test", "domain") + "\n\n", 2},
		{"no last newline", object("a.test", "host"), 1},
		{"a mark before UTF-8", "\uFEFF[" + object("a.test", "host") + "]", 1},
		{"an object over several lines", "[" + strings.ReplaceAll(object("a.test", "host"), ", ", ",\n") + "]", 1},
		{"escapes", object("a.test", "host", "reason", `"reason": "a \"quote\" and a \\ and \u00e9"`), 1},
		{"no reason for a page", object("a.test/x", "url", "reason", ""), 1},
		{"null reason for a page", object("a.test/x", "url", "reason", `"reason": null`), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rows, _, err := readAll(t, strings.NewReader(tt.text), testRules())
			if err != nil || len(rows) != tt.want {
				t.Errorf("got %d rows and %v, want %d", len(rows), err, tt.want)
			}
		})
	}
}

func TestEveryBadJSONRowIsNamed(t *testing.T) {
	good := object("good.test", "host")
	tests := []struct {
		name, text, want string
	}{
		{"kind", "[" + good + ",\n" + object("a.test", "site") + "]", "line 2, entry 2 (kind): not one of url"},
		{"a number", "[" + object("a.test", "host", "review_by", `"review_by": 20300101`) + "]", "line 1, entry 1 (review_by): not a text in quotes"},
		{"a list", "[" + object("a.test", "host", "reason", `"reason": ["x"]`) + "]", "line 1, entry 1 (reason): not a text in quotes"},
		{"unknown member", good + "\n" + object("a.test", "host", "reason", `"reasons": "x"`), `line 2, entry 2: "reasons" is no column; the columns are expression`},
		{"folded case", object("a.test", "host", "kind", `"Kind": "host"`), `entry 1: "Kind" is no column`},
		{"twice", object("a.test", "host", "kind", `"kind": "host", "kind": "url"`), "entry 1 (kind): stands there twice"},
		{"missing", object("a.test", "host", "basis", ""), "entry 1 (basis): is missing"},
		{"broken inside", good + "\n" + `{"kind": }` + "\n", "line 2, entry 2: not JSON"},
		{"an open quote costs one line", good + "\n" + `{"kind": "host}` + "\n" + object("co.uk", "domain"), "line 3, entry 3 (expression): a public suffix"},
		{"half a surrogate", object("a.test", "host", "reason", `"reason": "\ud800"`), "entry 1 (reason): a character is in it"},
		{"a control character", object("a.test", "host", "reason", `"reason": "a\nb"`), "entry 1 (reason): a character is in it"},
		{"not UTF-8", object("a.test", "host", "reason", "\"reason\": \"\xff\""), "entry 1: the text is not UTF-8"},
		{"the same twice", good + good, "entry 2 (expression): the same host entry as line 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rows, _, err := readAll(t, strings.NewReader(tt.text), testRules())
			if !errors.Is(err, ErrRows) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %d rows and %v, want %q", len(rows), err, tt.want)
			}
		})
	}
	_, _, err := readAll(t, strings.NewReader("["+good+","+object("b.test", "site")+"]"), testRules())
	bad, ok := errors.AsType[*RowErrors](err)
	if !ok || len(bad.Rows) != 1 || bad.Rows[0].Pointer != "/1/kind" {
		t.Errorf("got %+v, want the pointer /1/kind", bad)
	}
}

func TestBrokenJSONEndsTheImport(t *testing.T) {
	good := object("good.test", "host")
	for name, tt := range map[string][2]string{
		"cut off in the array":   {"[" + good + ",", "line 1: the array is not closed"},
		"cut off in an entry":    {"[" + good + ",\n{", "line 2: entry 2 is not closed"},
		"no comma":               {"[" + good + good + "]", "a comma or ] is missing after entry 1"},
		"text behind":            {"[" + good + "] x", "'x' stands after the end"},
		"no object":              {"[1]", "a row begins with {"},
		"a comma between lines":  {good + ",\n" + good, "a row begins with {"},
		"an endless entry":       {"[{\"kind\": \"" + strings.Repeat("a", 3*maxRow), "entry 1 is longer than"},
		"a line break in quotes": {"[{\"kind\": \"ho\nst\"}]", "a quote that is not closed"},
	} {
		t.Run(name, func(t *testing.T) {
			rows, _, err := readAll(t, strings.NewReader(tt[0]), testRules())
			if len(rows) > 0 || ExitCode(err) != int(CodeInput) || !strings.Contains(err.Error(), tt[1]) {
				t.Errorf("got %d rows and %v, want %q", len(rows), err, tt[1])
			}
		})
	}
	_, _, err := readAll(t, io.MultiReader(strings.NewReader("["), brokenReader{}), testRules())
	if ExitCode(err) != int(CodeFailure) {
		t.Errorf("a disk that fails: got %v", err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("input/output error") }

func TestSpreadsheetHabitsAreTaken(t *testing.T) {
	day := start.Add(100 * 24 * time.Hour).Format(time.DateOnly)
	row := "a.test;Host; CSAM-Baseline ;Law;xa;" + day + ";ann;bob;\"why; because\""
	head := strings.ReplaceAll(Header, ",", ";")
	for name, text := range map[string]string{
		"semicolons and capitals": head + "\n" + row + "\n",
		"rows that were cleared":  head + "\n;;;;;;;;\n" + row + "\n ; ; ;;;;;;\n",
		"columns that are empty":  head + ";;\n" + row + ";;\n",
		"a mended file of errors": head + ";error\n" + row + ";line 7: not a day\n",
		"its error was taken out": head + ";error\n" + row + "\n",
		"tabs":                    strings.ReplaceAll(head+"\n"+strings.Replace(row, "why; ", "why, ", 1), ";", "\t"),
	} {
		t.Run(name, func(t *testing.T) {
			rows, _, err := readAll(t, strings.NewReader(text), testRules())
			if err != nil || len(rows) != 1 || rows[0].Jurisdiction != "XA" || !strings.HasPrefix(rows[0].Reason, "why") {
				t.Errorf("got %+v and %v", rows, err)
			}
		})
	}
}

func TestADryRunChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.importRows("a.test,host")
	before := w.read("hotline", "entries.jsonl")
	done, err := w.h.ImportWith(strings.NewReader(strings.Replace(w.csv("a.test,host", "b.test,host"), "bob", "carol", 1)), ImportOptions{DryRun: true})
	w.must(err)
	if done.Rows != 2 || done.Added != 1 || done.Updated != 1 || done.Entries != 2 || !done.DryRun {
		t.Errorf("got %+v", done)
	}
	if after := w.read("hotline", "entries.jsonl"); after != before {
		t.Errorf("entries.jsonl was changed:\n%s", after)
	}
}

// mendable has two good rows and three bad ones, each bad in its own way.
func (w *world) mendable() string {
	return strings.ReplaceAll(w.csv("good.test,host", "co.uk,domain", "also-good.test,host")+"x,y\n"+strings.SplitAfter(w.csv("gone.test,site"), "\n")[1], ",", ";")
}

func TestBadRowsAreSetAsideAndMended(t *testing.T) {
	w := newWorld(t)
	path := w.path("bad.csv")
	done, err := w.h.ImportWith(strings.NewReader(w.mendable()), ImportOptions{Errors: path, TakeGood: true})
	if ExitCode(err) != int(CodeInput) || !errors.Is(err, ErrRows) {
		t.Fatalf("got %v", err)
	}
	if done.Rows != 2 || done.Added != 2 || done.SetAside != 3 || done.Entries != 2 {
		t.Errorf("got %+v", done)
	}
	bad := w.read("bad.csv")
	for _, want := range []string{
		strings.ReplaceAll(Header, ",", ";") + ";error\n", "co.uk;domain;", ";line 3, column 1 (expression): a public suffix", "\"x;y\";;;;;;;;;\"line 5: 2 columns, want 9", "gone.test;site;",
	} {
		if !strings.Contains(bad, want) {
			t.Errorf("the file of bad rows lacks %q:\n%s", want, bad)
		}
	}
	if strings.Contains(bad, "good.test") {
		t.Errorf("a good row is among the bad ones:\n%s", bad)
	}
	mended := strings.NewReplacer("co.uk;domain", "x.co.uk;domain", ";site;", ";host;").Replace(bad)
	mended = strings.Join(strings.SplitAfter(mended, "\n")[:2], "") + strings.SplitAfter(mended, "\n")[3] // the unreadable one is left out
	done, err = w.h.Import(strings.NewReader(mended))
	w.must(err)
	if done.Added != 2 || done.Entries != 4 {
		t.Errorf("got %+v", done)
	}
}

func TestWithoutTakeGoodNothingIsImported(t *testing.T) {
	w := newWorld(t)
	path := w.path("bad.csv")
	done, err := w.h.ImportWith(strings.NewReader(w.mendable()), ImportOptions{Errors: path})
	if ExitCode(err) != int(CodeInput) || done.Rows != 0 || !strings.Contains(err.Error(), "nothing is imported: 3 things are wrong; the bad rows are in") {
		t.Errorf("got %+v and %v", done, err)
	}
	if exists(w.path("hotline", "entries.jsonl")) {
		t.Error("something was imported")
	}
	if n := strings.Count(w.read("bad.csv"), "\n"); n != 4 {
		t.Errorf("the file of bad rows has %d lines, want the header and 3", n)
	}
	for name, o := range map[string]ImportOptions{"written over": {Errors: path}, "no file for the bad rows": {TakeGood: true}} {
		if _, err := w.h.ImportWith(strings.NewReader(w.csv("a.test,host")), o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	_, err = w.h.ImportWith(strings.NewReader(w.csv("co.uk,domain")), ImportOptions{Errors: w.path("all.csv"), TakeGood: true})
	if ExitCode(err) != int(CodeInput) || !strings.Contains(err.Error(), "nothing is imported") {
		t.Errorf("no good row: got %v", err)
	}
	_, err = w.h.ImportWith(strings.NewReader(w.csv("a.test,host")), ImportOptions{Errors: w.path("none.csv")})
	w.must(err)
	if exists(w.path("none.csv")) {
		t.Error("a file of bad rows without any")
	}
}

// read gives a file of the world.
func (w *world) read(elem ...string) string {
	w.t.Helper()
	b, err := os.ReadFile(w.path(elem...))
	w.must(err)
	return string(b)
}
