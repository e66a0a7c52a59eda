package publish

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
)

// ending imports entries that end so many days from now, by name.
func (w *world) ending(days map[string]int) {
	w.t.Helper()
	text := Header + "\n"
	for name, n := range days {
		text += fmt.Sprintf("%s,host,csam-baseline,law,XA,%s,ann,bob,why\n", name, w.now.Add(time.Duration(n)*24*time.Hour).Format(time.RFC3339))
	}
	_, err := w.h.Import(strings.NewReader(text))
	w.must(err)
}

func (w *world) entries() []list.Entry {
	w.t.Helper()
	set, _, err := readEntries(w.path("hotline", "entries.jsonl"))
	w.must(err)
	return set
}

func TestAReviewCountsWhatEndsWhen(t *testing.T) {
	w := newWorld(t)
	w.ending(map[string]int{"gone.test": 10, "seven.test": 17, "eight.test": 18, "fortnight.test": 24, "month.test": 40, "later.test": 41})
	w.now = w.now.Add(10 * 24 * time.Hour)
	r, err := w.h.Review(14)
	w.must(err)
	want := Ends{Past: 1, In7: 1, In14: 2, In30: 1, Later: 1}
	if r.All != want || *r.ByKind["host"] != want || *r.ByAssessor["ann"] != want || *r.ByAssessor["bob"] != want {
		t.Errorf("got %+v, want %+v everywhere", r, want)
	}
	var names []string
	for _, e := range r.Entries {
		names = append(names, fmt.Sprintf("%s %d", e.Expression, e.DaysLeft))
	}
	if got := strings.Join(names, ", "); got != "gone.test 0, seven.test 7, eight.test 8, fortnight.test 14" {
		t.Errorf("got %s", got)
	}
	var text, table strings.Builder
	w.must(r.Write(&text, 2))
	for _, want := range []string{"all entries        1        1        2        1        1\n", "... and 2 more; --all", "1 entry is out of force: assess it again"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, text.String())
		}
	}
	w.must(r.WriteCSV(&table))
	if lines := strings.Split(strings.TrimSpace(table.String()), "\n"); len(lines) != 5 || !strings.HasPrefix(lines[0], "id,kind,") || !strings.HasSuffix(lines[2], ",7,ann,bob") {
		t.Errorf("got\n%s", table.String())
	}
	st, err := w.h.Status()
	w.must(err)
	if st.Expired != 1 || st.EndingSoon != 3 {
		t.Errorf("status: got %d ended and %d ending soon", st.Expired, st.EndingSoon)
	}
	if _, err := w.h.Review(181); ExitCode(err) != int(CodeUsage) {
		t.Errorf("181 days: got %v", err)
	}
}

func TestWhatAReviewWritesCanBeReattested(t *testing.T) {
	w := newWorld(t)
	w.ending(map[string]int{"soon.test": 5, "sooner.test": 3, "later.test": 90})
	r, err := w.h.Review(30)
	w.must(err)
	var table strings.Builder
	w.must(r.WriteCSV(&table))
	for name, text := range map[string]string{"as written": table.String(), "by a spreadsheet": "\uFEFF" + strings.ReplaceAll(table.String(), ",", `";"`) + "\r\n;;\r\n"} {
		w.must(os.WriteFile(w.path("soon.csv"), []byte(text), 0o600))
		done, err := w.h.Reattest(ReattestOptions{ReviewBy: w.review(), Assessors: [2]string{"carol", "dan"}, File: w.path("soon.csv"), DryRun: true})
		w.must(err)
		if done.Named != 2 || done.Changed != 2 {
			t.Errorf("%s: got %+v", name, done)
		}
	}
	if w.entries()[1].Assessors[0] != "ann" {
		t.Error("a dry run has changed entries")
	}
	done, err := w.h.Reattest(ReattestOptions{ReviewBy: w.review(), Assessors: [2]string{"carol", " dan "}, File: w.path("soon.csv")})
	w.must(err)
	for _, e := range w.entries() {
		again := e.Expression != "later.test"
		if (e.Assessors == [2]string{"carol", "dan"}) != again || e.ReviewBy.Equal(done.ReviewBy) != again {
			t.Errorf("got %+v", e)
		}
	}
	var line attestation
	w.must(decodeJSON([]byte(w.read("hotline", "attestations.jsonl")), &line))
	if line.One != "carol" || line.Two != "dan" || line.At != w.now.Unix() || len(line.IDs) != 2 {
		t.Errorf("got %+v", line)
	}
	again, err := w.h.Reattest(ReattestOptions{ReviewBy: w.review(), Assessors: [2]string{"carol", "dan"}, Before: w.review()})
	w.must(err)
	if again.Named != 1 || again.Changed != 1 { // later.test; the two others end on that day, not before it
		t.Errorf("got %+v", again)
	}
}

func TestARefusedReattestationChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.ending(map[string]int{"a.test": 5})
	before := w.read("hotline", "entries.jsonl")
	good := ReattestOptions{ReviewBy: w.review(), Assessors: [2]string{"ann", "bob"}, Which: []string{"a.test"}}
	w.must(os.WriteFile(w.path("bad.csv"), []byte("id,kind\nnot-an-id,host\n"), 0o600))
	w.must(os.WriteFile(w.path("unknown.csv"), []byte("00112233445566778899aabbccddeeff\n"), 0o600))
	for name, tt := range map[string]struct {
		change func(*ReattestOptions)
		code   Code
		want   string
	}{
		"unknown":             {func(o *ReattestOptions) { o.Which = []string{"a.test", "b.test", "c.test"} }, CodeInput, "2 of 3 are no entry"},
		"unknown in a file":   {func(o *ReattestOptions) { o.Which, o.File = nil, w.path("unknown.csv") }, CodeInput, "1 of 1 is no entry"},
		"not an id":           {func(o *ReattestOptions) { o.Which, o.File = nil, w.path("bad.csv") }, CodeInput, "line 2 of"},
		"no file":             {func(o *ReattestOptions) { o.Which, o.File = nil, w.path("none.csv") }, CodeInput, "cannot open"},
		"one person":          {func(o *ReattestOptions) { o.Assessors[1] = "A.N.N" }, CodeUsage, "the same person"},
		"too far ahead":       {func(o *ReattestOptions) { o.ReviewBy = "2031-01-01" }, CodeUsage, "within 180 days"},
		"in the past":         {func(o *ReattestOptions) { o.ReviewBy = "2030-01-01" }, CodeUsage, "not in the future"},
		"nothing named":       {func(o *ReattestOptions) { o.Which = nil }, CodeUsage, "no entry is named"},
		"named in two ways":   {func(o *ReattestOptions) { o.Before = "2030-02-01" }, CodeUsage, "more than one way"},
		"a day of two orders": {func(o *ReattestOptions) { o.Which, o.Before = nil, "01/02/2030" }, CodeUsage, "not a day such as"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			tt.change(&o)
			_, err := w.h.Reattest(o)
			if ExitCode(err) != int(tt.code) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	done, err := w.h.Reattest(ReattestOptions{ReviewBy: w.review(), Assessors: good.Assessors, Which: []string{"b.test"}})
	if !errors.Is(err, errNoEntry) || !slices.Equal(done.Unknown, []Unknown{{Text: "b.test"}}) {
		t.Errorf("got %+v and %v", done, err)
	}
	if w.read("hotline", "entries.jsonl") != before || exists(w.path("hotline", "attestations.jsonl")) {
		t.Error("something was changed")
	}
}

func TestALongAttestationHasSeveralLines(t *testing.T) {
	w := newWorld(t)
	var rows []string
	for i := range 2*attestationIDs + 1 {
		rows = append(rows, fmt.Sprintf("n%d.test,host", i))
	}
	w.importRows(rows...)
	done, err := w.h.Reattest(ReattestOptions{ReviewBy: w.review(), Assessors: [2]string{"carol", "dan"}, Before: w.now.Add(maxReview).Format(time.DateOnly)})
	w.must(err)
	lines := strings.Split(strings.TrimSpace(w.read("hotline", "attestations.jsonl")), "\n")
	ids := 0
	for _, l := range lines {
		var a attestation
		w.must(json.Unmarshal([]byte(l), &a))
		ids += len(a.IDs)
	}
	if len(lines) != 3 || ids != done.Changed || ids != len(rows) {
		t.Errorf("got %d lines of %d ids for %d changes", len(lines), ids, done.Changed)
	}
}

func TestIDsAndAddressesMayBeNamedTogetherAndTwice(t *testing.T) {
	w := newWorld(t)
	w.importRows("a.test,host", "a.test,domain", "a.test/,url", "b.test/x,url", "c.test,host")
	all := w.entries()
	n := newNamed([]string{all[0].ID.String(), "a.test", "http://b.test/x", all[0].ID.String(), "none.test", "00112233445566778899aabbccddeeff"})
	for i := range all {
		n.see(&all[i])
	}
	ids, unknown := n.found()
	if len(ids) != 3 || !ids[all[0].ID] || !slices.Equal(unknown, []int{4, 5}) {
		t.Errorf("got %v and unknown %v of %+v", ids, unknown, all)
	}
}
