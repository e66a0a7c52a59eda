package publish

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
)

// readEntries reads a whole entries file in order, and the SHA-256 of its bytes.
func readEntries(path string) (all []list.Entry, sum [32]byte, err error) {
	sum, err = scanEntries(path, func(e *list.Entry) error {
		all = append(all, keep(e))
		return nil
	})
	return all, sum, err
}

// readAll reads a whole import into memory: the rows in the order of entries, and the line of each.
func readAll(t testing.TB, r io.Reader, ru *rules) ([]list.Entry, map[entryKey]int, error) {
	t.Helper()
	in, err := readRows(r, ru, t.TempDir())
	if err != nil {
		return nil, nil, err
	}
	defer in.close()
	var rows []list.Entry
	lines := map[entryKey]int{}
	for {
		row, err := in.next()
		if err != nil {
			return nil, nil, err
		}
		if row == nil {
			break
		}
		rows = append(rows, row.Entry)
		lines[row.key()] = row.line
	}
	bad, err := in.end()
	switch {
	case err != nil:
		return nil, nil, err
	case bad != nil && !in.wanted():
		return nil, nil, bad
	case bad != nil:
		return rows, lines, bad
	}
	return rows, lines, nil
}

// TestAnImportInRunsEqualsOneInAMap imports several files, with runs of a few rows, and does the same in the plainest way.
func TestAnImportInRunsEqualsOneInAMap(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(t *rapid.T) {
		if err := os.RemoveAll(w.entriesFile()); err != nil {
			t.Fatal(err)
		}
		model := map[entryKey]string{} // to its second assessor
		ids := map[entryKey]string{}
		for range rapid.IntRange(1, 3).Draw(t, "imports") {
			takeGood := rapid.Bool().Draw(t, "take good")
			text := new(strings.Builder)
			fmt.Fprintln(text, Header)
			next, first, want := maps.Clone(model), map[entryKey]int{}, Imported{}
			var bad []string
			// Seldom more than a few kinds and names, so that rows meet each other and what is there; now and then enough for several batches.
			rows := rapid.OneOf(rapid.IntRange(0, 30), rapid.IntRange(0, 3000)).Draw(t, "rows")
			names := rapid.IntRange(1, 2*rows+1).Draw(t, "names")
			seed := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
			for i := range rows {
				kind := []canon.Kind{canon.KindHost, canon.KindDomain, canon.KindURL}[seed.IntN(3)]
				expr := fmt.Sprintf("n%d.test", seed.IntN(names))
				if kind == canon.KindURL {
					expr += "/p"
				}
				who, category := []string{"bob", "carol"}[seed.IntN(2)], "csam-baseline"
				if seed.IntN(40) == 0 && rows < 30 {
					category = "csam" // a bad row
				}
				fmt.Fprintf(text, "%s,%s,%s,law,XA,%s,ann,%s,why\n", strings.ToUpper(expr[:1])+expr[1:], kind, category, w.review(), who)
				k := entryKey{kind, expr}
				switch {
				case category == "csam":
					bad = append(bad, fmt.Sprintf("line %d, column 3 (category): not one of %s", i+2, categories()))
					continue
				case first[k] > 0:
					bad = append(bad, fmt.Sprintf("line %d, column 1 (expression): the same %s entry as line %d", i+2, kind, first[k]))
					continue
				}
				first[k] = i + 2
				switch old, there := next[k]; {
				case !there:
					want.Added++
				case old == who:
					want.Unchanged++
				default:
					want.Updated++
				}
				want.Rows++
				next[k] = who
			}
			got, gotBad := importInRuns(t, w, text.String(), takeGood)
			if strings.Join(gotBad, "\n") != strings.Join(bad, "\n") {
				t.Fatalf("bad rows:\ngot  %q\nwant %q", gotBad, bad)
			}
			if len(bad) == 0 || takeGood {
				model, want.Entries = next, len(next)
				if got.Rows != want.Rows || got.Added != want.Added || got.Updated != want.Updated || got.Unchanged != want.Unchanged || got.Entries != want.Entries {
					t.Fatalf("got %+v, want %+v", got, want)
				}
			}
			set, _, err := readEntries(w.entriesFile())
			if err != nil || len(set) != len(model) {
				t.Fatalf("got %d entries and %v, want %d", len(set), err, len(model))
			}
			for _, e := range set {
				if model[keyOf(&e)] != e.Assessors[1] {
					t.Fatalf("%s %s: got assessor %s, want %s", e.Kind, e.Expression, e.Assessors[1], model[keyOf(&e)])
				}
				if id, known := ids[keyOf(&e)]; known && id != e.ID.String() {
					t.Fatalf("%s %s has a new id", e.Kind, e.Expression)
				}
				ids[keyOf(&e)] = e.ID.String()
			}
		}
	})
}

// importInRuns is Import with runs of about 1,000 bytes.
func importInRuns(t *rapid.T, w *world, text string, takeGood bool) (Imported, []string) {
	fail := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := w.h.begin()
	fail(err)
	defer s.release()
	ru := testRules()
	ru.takeGood, ru.run = takeGood, 1000
	rows, err := readRows(strings.NewReader(text), ru, s.dir)
	fail(err)
	defer rows.close()
	var done Imported
	to, err := s.merge(rows, nil, &done)
	fail(err)
	defer to.abort()
	bad, err := rows.end()
	fail(err)
	if rows.wanted() {
		fail(to.replace())
	}
	var lines []string
	if bad != nil {
		for _, b := range bad.Rows {
			lines = append(lines, b.String())
		}
	}
	return done, lines
}

func TestRowsComeBackAsTheyWentIn(t *testing.T) {
	ru := testRules()
	ru.run = 1
	long := strings.Repeat("x", 8000)
	rows, lines, err := readAll(t, strings.NewReader(Header+"\n"+
		"b.test,host,csam-national,voluntary,XA,2030-03-01,\"Ann, A.\",bob,\"the \"\"reason\"\"\"\n"+
		"b.test/"+long+",url,csam-baseline,law,XA,2030-03-01T12:00:01Z,ann,bob,\n"+
		"b.test,domain,csam-baseline,law,XA,2030-03-01,ann,bob,\u00e9\n"), ru)
	if err != nil || len(rows) != 3 {
		t.Fatalf("got %d rows and %v", len(rows), err)
	}
	for i, want := range []string{
		`b.test host csam-national voluntary 2030-03-01T00:00:00Z Ann, A. bob the "reason" 2`,
		`b.test domain csam-baseline law 2030-03-01T00:00:00Z ann bob ` + "\u00e9" + ` 4`,
		`b.test/` + long + ` url csam-baseline law 2030-03-01T12:00:01Z ann bob  3`,
	} {
		e := rows[i]
		got := fmt.Sprint(e.Expression, " ", e.Kind, " ", e.Category, " ", e.Basis, " ", e.ReviewBy.Format("2006-01-02T15:04:05Z07:00"), " ", e.Assessors[0], " ", e.Assessors[1], " ", e.Reason, " ", lines[keyOf(&e)])
		if got != want || !e.Since.Equal(start) || e.Jurisdiction != "XA" {
			t.Errorf("row %d: got %.200s\nwant %.200s", i, got, want)
		}
	}
}

// A closed file stands for a disk that fails or is full: nothing changes, and nothing is left behind.
func TestADiskThatFailsChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.importRows("a.test,host")
	before, names := w.read("hotline", "entries.jsonl"), w.names()
	s, err := w.h.begin()
	w.must(err)
	defer s.release()
	var more []string
	for i := range 300 {
		more = append(more, fmt.Sprintf("b.test/%d%0500d,url", i, i))
	}
	ru := testRules()
	ru.run = 5000
	for name, fail := range map[string]func() error{
		"runs cannot be written": func() error {
			sorter := &rowSorter{dir: w.path("nowhere"), size: 1}
			var run sortRun
			run.add(&importRow{Entry: list.Entry{Kind: canon.KindHost, Expression: "b.test"}, line: 2})
			return sorter.add(&run)
		},
		"runs cannot be read back": func() error {
			rows, err := readRows(strings.NewReader(w.csv(more...)), ru, s.dir)
			w.must(err)
			defer rows.close()
			w.must(rows.sorter.file.Close())
			_, err = s.merge(rows, nil, &Imported{})
			return err
		},
		"entries cannot be written": func() error {
			to, err := createEntries(w.entriesFile())
			w.must(err)
			defer to.abort()
			w.must(to.file.File.Close())
			w.must(to.add(&list.Entry{Kind: canon.KindHost, Expression: "b.test"}))
			return to.replace()
		},
	} {
		if err := fail(); ExitCode(err) != int(CodeFailure) || !strings.Contains(err.Error(), "nothing") {
			t.Errorf("%s: got %v", name, err)
		}
		if got := w.read("hotline", "entries.jsonl"); got != before {
			t.Errorf("%s: got %s, want %s", name, got, before)
		}
		if got := w.names(); !slices.Equal(got, names) {
			t.Errorf("%s: got the files %q, want %q", name, got, names)
		}
	}
}

// names are the files of the hotline's directory.
func (w *world) names() []string {
	names, err := filepath.Glob(w.path("hotline", ".*"))
	w.must(err)
	more, err := filepath.Glob(w.path("hotline", "*"))
	w.must(err)
	return append(names, more...)
}
