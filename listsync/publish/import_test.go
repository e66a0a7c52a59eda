package publish

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

func testRules() *rules {
	return &rules{
		filter: match.Filter{
			Kinds: []canon.Kind{canon.KindURL, canon.KindPrefix, canon.KindHost, canon.KindDomain}, Bases: []match.Basis{match.BasisLaw, match.BasisVoluntary}, Jurisdictions: []string{"XA"},
		},
		canary: "canary.hotline-one.test", now: start,
	}
}

func TestEveryBadRowIsNamed(t *testing.T) {
	day := start.Add(100 * 24 * time.Hour).Format(time.DateOnly)
	good := func(expr, kind string) string {
		return expr + "," + kind + ",csam-baseline,law,XA," + day + ",ann,bob,why"
	}
	tests := []struct {
		name, row, want string
	}{
		{"unknown kind", good("a.test", "site"), "line 2, column 2 (kind): not one of url"},
		{"steer is no entry", good("a.test", "steer"), "line 2, column 2 (kind): not one of url"},
		{"no host", good("", "url"), "line 2, column 1 (expression): not a url: empty"},
		{"domain with a path", good("a.test/x", "domain"), "line 2, column 1 (expression): not a domain: "},
		{"domain that is an address", good("192.0.2.1", "domain"), "line 2, column 1 (expression): not a domain: "},
		{"host that is an address", good("192.0.2.1", "host"), "line 2, column 1 (expression): "},
		{"public suffix", good("co.uk", "domain"), "line 2, column 1 (expression): a public suffix"},
		{"top level", good("test", "domain"), "line 2, column 1 (expression): a public suffix"},
		{"canary", good("canary.hotline-one.test", "host"), "covers this hotline's canary"},
		{"above the canary", good("hotline-one.test", "domain"), "covers this hotline's canary"},
		{"category", strings.Replace(good("a.test", "host"), "csam-baseline", "csam", 1), "line 2, column 3 (category): not one of csam-baseline, csam-national"},
		{"another scope", strings.Replace(good("a.test", "host"), "csam-baseline", "copyright", 1), "column 3 (category)"},
		{"basis", strings.Replace(good("a.test", "host"), ",law,", ",request,", 1), "line 2, column 4 (basis): not one of law, order, voluntary"},
		{"basis outside of the charter", strings.Replace(good("a.test", "host"), ",law,", ",order,", 1), "the charter does not allow entries by order"},
		{"jurisdiction outside of the charter", strings.Replace(good("a.test", "host"), ",XA,", ",XB,", 1), "line 2, column 5 (jurisdiction): not a jurisdiction of the charter (XA)"},
		{"no day", strings.Replace(good("a.test", "host"), day, "soon", 1), "line 2, column 6 (review_by): not a day such as"},
		{"in the past", strings.Replace(good("a.test", "host"), day, "2030-01-02", 1), "line 2, column 6 (review_by): not in the future"},
		{"too far ahead", strings.Replace(good("a.test", "host"), day, "2030-07-02", 1), "line 2, column 6 (review_by): later than 2030-07-01"},
		{"one assessor", strings.Replace(good("a.test", "host"), ",bob,", ",,", 1), "line 2, column 8 (assessor_2): an assessor has"},
		{"same assessor", strings.Replace(good("a.test", "host"), ",bob,", ",ANN,", 1), "line 2, column 8 (assessor_2): the same person"},
		{"same assessor but for an invisible character", strings.Replace(good("a.test", "host"), ",bob,", ",an\u200bn,", 1), "line 2, column 8 (assessor_2): the character U+200B is not one"},
		{"same assessor but for a soft hyphen", strings.Replace(good("a.test", "host"), ",bob,", ",an\u00adn,", 1), "column 8 (assessor_2): the character U+00AD"},
		{"same assessor but for a letter of another script", strings.Replace(good("a.test", "host"), ",bob,", ",\u0430nn,", 1), "column 8 (assessor_2): the character U+0430"},
		{"same assessor in full width", strings.Replace(good("a.test", "host"), ",ann,", ",\uff42ob,", 1), "line 2, column 7 (assessor_1): the character U+FF42"},
		{"an accent that can be written twice", strings.Replace(good("a.test", "host"), ",ann,", ",be\u0301a,", 1), "column 7 (assessor_1): the character U+0301"},
		{"same assessor but for spaces", strings.Replace(good("a.test", "host"), ",bob,", ", a nn ,", 1), "line 2, column 8 (assessor_2): the same person"},
		{"same assessor but for a no-break space", strings.Replace(good("a.test", "host"), ",bob,", ",ann\u00a0x,", 1), "column 8 (assessor_2): the character U+00A0"},
		{"same assessor but for marks", strings.Replace(good("a.test", "host"), ",bob,", ",a.nn-,", 1), "line 2, column 8 (assessor_2): the same person"},
		{"same assessor to the eye", strings.Replace(good("a.test", "host"), ",ann,bob,", ",analyst-10,analyst-lO,", 1), "line 2, column 8 (assessor_2): the same person"},
		{"an assessor of marks", strings.Replace(good("a.test", "host"), ",bob,", ",--,", 1), "line 2, column 8 (assessor_2): an assessor's id has a letter"},
		{"broad without a reason", strings.TrimSuffix(good("a.test", "host"), "why"), "line 2, column 9 (reason): a host entry blocks a whole site"},
		{"too few columns", "a.test,host", "line 2: 2 columns, want 9"},
		{"too many columns", good("a.test", "host") + ",x", "line 2: 10 columns, want 9"},
		{"open quote", `"a.test,host`, "line 2: column 1: the quote is not closed on this line"},
		{"stray quote", `a"b.test,host`, "line 2: column 1: a quote inside a field"},
		{"text after a quote", `"a.test"x,host`, "line 2: column 1: text after the closing quote"},
		{"not UTF-8", "\xff.test,host", "line 2: the text is not UTF-8"},
		{"control character", "a\x07.test,host", "line 2: a control character"},
		{"too long", strings.Repeat("a", maxRow+1), "line 2: longer than"},
		{"twice", good("a.test", "host") + "\n" + good("A.TEST.", "host"), "line 3, column 1 (expression): the same host entry as line 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rows, _, err := readAll(t, strings.NewReader(Header+"\n"+tt.row+"\n"), testRules())
			if !errors.Is(err, ErrRows) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %d rows and %v, want %q", len(rows), err, tt.want)
			}
		})
	}
}

func TestAllBadRowsAreListedAndNothingIsImported(t *testing.T) {
	w := newWorld(t)
	text := w.csv("good.test,host", "co.uk,domain", "also-good.test,host", "x,y")
	_, err := w.h.Import(strings.NewReader(text))
	var bad *RowErrors
	if !errors.As(err, &bad) || ExitCode(err) != int(CodeInput) {
		t.Fatalf("got %v", err)
	}
	if len(bad.Rows) != 2 || bad.Rows[0].Line != 3 || bad.Rows[1].Line != 5 {
		t.Errorf("got %+v, want lines 3 and 5", bad.Rows)
	}
	if strings.Contains(err.Error(), "co.uk") || strings.Contains(bad.Error(), "co.uk") {
		t.Errorf("an error repeats an expression: %v", bad)
	}
	if exists(w.path("hotline", "entries.jsonl")) {
		t.Error("something was imported")
	}
}

func TestTheHeaderIsExact(t *testing.T) {
	for name, tt := range map[string]struct {
		head string
		ok   bool
	}{
		"exact":                  {Header, true},
		"windows":                {Header + "\r", true},
		"byte order mark":        {"\uFEFF" + Header, true},
		"semicolons":             {strings.ReplaceAll(Header, ",", ";"), true},
		"tabs":                   {strings.ReplaceAll(Header, ",", "\t"), true},
		"semicolons and commas":  {strings.Replace(Header, ",", ";", 1), false},
		"all in quotes":          {`"` + strings.ReplaceAll(Header, ",", `";"`) + `"`, true},
		"stray spaces":           {strings.ReplaceAll(Header, ",", " , "), true},
		"empty columns behind":   {Header + ",,", true},
		"a tenth column":         {Header + ",note", false},
		"the column of --errors": {Header + ",error", true},
		"a spreadsheet's note":   {"sep=;\n" + strings.ReplaceAll(Header, ",", ";"), true},
		"UTF-16":                 {"\xff\xfee\x00x\x00", false},
		"a spreadsheet":          {"PK\x03\x04" + Header, false},
		"capitals":               {strings.ToUpper(Header), false},
		"a column is missing":    {strings.TrimSuffix(Header, ",reason"), false},
		"columns in other order": {strings.Replace(Header, "expression,kind", "kind,expression", 1), false},
		"empty":                  {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := readAll(t, strings.NewReader(tt.head+"\n"), testRules())
			if (err == nil) != tt.ok {
				t.Errorf("got %v, want ok %t", err, tt.ok)
			}
		})
	}
}

func TestQuotedFieldsAndSpacesAreTaken(t *testing.T) {
	day := start.Add(time.Hour * 24 * 10).Format(time.DateOnly)
	rows, _, err := readAll(t, strings.NewReader(Header+"\r\n\r\n\"http://a.test/x?y=\"\"1,2\"\"\",url,csam-national, law ,XA,"+day+",\"Ann, A.\",bob,\r\n"), testRules())
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || rows[0].Assessors[0] != "Ann, A." || !strings.HasPrefix(rows[0].Expression, "a.test/x?y=") {
		t.Errorf("got %+v", rows)
	}
}

func TestImportNeedsAnAccreditation(t *testing.T) {
	w := unaccredited(t)
	if _, err := w.h.Import(strings.NewReader(Header + "\n")); !errors.Is(err, ErrNotAccredited) {
		t.Errorf("got %v", err)
	}
}

func TestUpdatesKeepTheirID(t *testing.T) {
	w := newWorld(t)
	w.importRows("a.test,host")
	before, _, err := readEntries(w.path("hotline", "entries.jsonl"))
	w.must(err)
	w.now = w.now.Add(24 * time.Hour)
	text := strings.Replace(w.csv("A.test,host"), "bob", "carol", 1)
	done, err := w.h.Import(strings.NewReader(text))
	w.must(err)
	if done.Updated != 1 || done.Added != 0 {
		t.Errorf("got %+v, want one update", done)
	}
	after, _, err := readEntries(w.path("hotline", "entries.jsonl"))
	w.must(err)
	if after[0].ID != before[0].ID || after[0].Assessors[1] != "carol" || !after[0].Since.Equal(start) {
		t.Errorf("got %+v, want the id and since of %+v", after[0], before[0])
	}
}

func TestCanonStreams(t *testing.T) {
	tests := []struct {
		name, in, want string
		expressions    bool
	}{
		{"names and URLs", "www.x.test\nHTTP://X.test:80/a/../b?q#f\n", "http://www.x.test/\nhttp://x.test/b?q\n", false},
		{"windows and no last newline", "x.test\r\ny.test", "http://x.test/\nhttp://y.test/\n", false},
		{"empty lines", "\n\r\nx.test\n", "!empty\n!empty\nhttp://x.test/\n", false},
		{"no form", "http:///path\n", "!no host\n", false},
		{"too long", strings.Repeat("a", 8<<10+1) + "\nx.test\n", "!too long\nhttp://x.test/\n", false},
		{"nothing", "", "", false},
		{"expressions", "www.x.test\n", "host www.x.test\tdomain www.x.test\tdomain x.test\tdomain test\tsteer www.x.test\turl www.x.test/\tprefix www.x.test/\n", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			if err := Canon(strings.NewReader(tt.in), &out, tt.expressions); err != nil {
				t.Fatal(err)
			}
			if out.String() != tt.want {
				t.Errorf("got %q, want %q", out.String(), tt.want)
			}
		})
	}
}

func TestBrakesHold(t *testing.T) {
	tests := []struct {
		name  string
		rows  []string
		later time.Duration
		never string
		want  string // brake, or empty
	}{
		{"nothing wrong", []string{"a.test,host"}, 0, "", ""},
		{"protected name", []string{"www.popular.test,host"}, 0, "www.popular.test", "never_block"},
		{"domain above a protected name", []string{"popular.test,domain"}, 0, "deep.www.popular.test # the help line", "never_block"},
		{"every page of a protected name", []string{"popular.test/,prefix"}, 0, "popular.test", "never_block"},
		{"one page of a protected name", []string{"popular.test/x,url"}, 0, "popular.test", ""},
		{"a site below a protected name", []string{"bad.popular.test,domain"}, 0, "popular.test", ""},
		{"special-use name", []string{"x.onion,domain"}, 0, "", ""},
		{"expired", []string{"a.test,host"}, 171 * 24 * time.Hour, "", "expired"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.importRows(tt.rows...)
			w.now = w.now.Add(tt.later)
			var files []string
			if tt.never != "" {
				files = []string{w.path("never.txt")}
				w.must(os.WriteFile(files[0], []byte("# names\n\n"+tt.never+"\n"), 0o600))
			}
			r, err := w.h.Check(files...)
			w.must(err)
			got := ""
			if len(r.Holds) > 0 {
				got = r.Holds[0].Brake
			}
			if got != tt.want || (r.Err() == nil) != (tt.want == "") {
				t.Errorf("got %+v, want %q", r.Holds, tt.want)
			}
			_, err = w.h.SignWith(SignOptions{Officer: w.officers[0], NeverBlock: files, Approve: "we are sure"})
			if errors.Is(err, ErrHeld) != (tt.want != "") {
				t.Errorf("sign: got %v", err)
			}
		})
	}
}

func TestALargeChangeNeedsAReason(t *testing.T) {
	w := newWorld(t)
	w.importRows("first.test,host")
	w.publishAll()
	var rows []string
	for i := range 101 {
		rows = append(rows, fmt.Sprintf("n%d.test,host", i))
	}
	w.importRows(rows...)
	g, err := w.h.Sign(w.officers[0])
	if !errors.Is(err, ErrHeld) || ExitCode(err) != int(CodeHeld) || g.Check.Holds[0].Brake != "change" {
		t.Fatalf("got %v", err)
	}
	for _, o := range w.officers[:2] {
		_, err := w.h.SignWith(SignOptions{Officer: o, Approve: "a court order of 101 names"})
		w.must(err)
	}
	_, err = w.h.Publish("")
	w.must(err)
	m, err := os.ReadFile(w.path("hotline", "versions", "2.json"))
	w.must(err)
	if strings.Count(string(m), "a court order of 101 names") != 4 { // two officers, the brakes change and broad
		t.Errorf("the reasons are not kept: %s", m)
	}
}

func TestExpiredEntriesAreTakenOutAtOnce(t *testing.T) {
	w := newWorld(t)
	w.importRows("old.test,host")
	w.now = w.now.Add(100 * 24 * time.Hour)
	w.importRows("new.test,host")
	w.now = w.now.Add(100 * 24 * time.Hour)
	done, err := w.h.RemoveExpired()
	w.must(err)
	if len(done) != 1 || done[0].Expression != "old.test" {
		t.Errorf("got %+v", done)
	}
}

func TestRemoveNamesEntriesByAddressOrID(t *testing.T) {
	w := newWorld(t)
	w.importRows("a.test,host", "a.test,domain", "a.test/,url", "b.test/x,url", "b.test/x,prefix", "c.test,host")
	set, _, err := readEntries(w.path("hotline", "entries.jsonl"))
	w.must(err)
	if _, err := w.h.Remove("error", "c.test", "unknown.test"); ExitCode(err) != int(CodeInput) {
		t.Errorf("unknown entry: got %v", err)
	}
	for _, tt := range []struct {
		which string
		want  int
	}{{"http://A.test", 2}, {"a.test", 1}, {"b.test/x", 2}, {set[len(set)-1].ID.String(), 1}} {
		done, err := w.h.Remove("error", tt.which)
		w.must(err)
		if len(done) != tt.want {
			t.Errorf("%s: got %+v, want %d entries", tt.which, done, tt.want)
		}
	}
}

func FuzzImport(f *testing.F) {
	f.Add(Header + "\nbad.test,domain,csam-baseline,law,XA,2030-03-01,ann,bob,why\n")
	f.Add(Header + "\r\n\"http://a.test/x?y=\"\"1\"\"\",url,csam-national,voluntary,XA,2030-03-01,\"A, B\",bob,\r\n")
	f.Add(Header + "\n\"open,url\n,,,,,,,,\n")
	f.Add("\uFEFF" + Header + "\n\xff\x00\n")
	f.Add(strings.ReplaceAll(Header, ",", ";"))
	f.Add(`[{"expression":"bad.test","kind":"domain","category":"csam-baseline","basis":"law","jurisdiction":"XA","review_by":"2030-03-01","assessor_1":"ann","assessor_2":"bob","reason":"why"}]`)
	f.Add("{\"expression\":\"bad.test\"}\n{\"kind\":[1,{}]}\n")
	f.Fuzz(func(t *testing.T, text string) {
		rows, _, err := readAll(t, strings.NewReader(text), testRules())
		if err != nil {
			if len(rows) > 0 {
				t.Fatalf("%d rows beside an error: %v", len(rows), err)
			}
			if _, ok := errors.AsType[*RowErrors](err); !ok && ExitCode(err) != int(CodeInput) {
				t.Fatalf("an import failed with code %d: %v", ExitCode(err), err)
			}
			return
		}
		seen := map[entryKey]bool{}
		for i := range rows {
			e := &rows[i]
			again, err := canon.Expression(e.Kind, e.Expression)
			if err != nil || again != e.Expression {
				t.Fatalf("expression %q is not canonical: %q, %v", e.Expression, again, err)
			}
			if seen[keyOf(e)] {
				t.Fatalf("%s %q is there twice", e.Kind, e.Expression)
			}
			seen[keyOf(e)] = true
			line := appendRow(nil, e)
			back, err := newRowReader().read(string(line[:len(line)-1]))
			if err != nil || back != *e {
				t.Fatalf("entries.jsonl gives %+v, want %+v (%v)", back, *e, err)
			}
		}
	})
}

func FuzzEntries(f *testing.F) {
	f.Add([]byte(`{"id":"00112233445566778899aabbccddeeff","kind":"host","expression":"a.test","category":"csam-baseline","basis":"law","jurisdiction":"XA","since":1,"review_by":2,"assessor_1":"a","assessor_2":"b","reason":"c"}`))
	f.Add([]byte(`{"id":"\u0030"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, ok := newRowReader().fast(string(line))
		if !ok {
			return
		}
		var slow row
		if err := decodeJSON(line, &slow); err != nil {
			return // stricter: the fast way reads only lines that appendRow could have written, or worse ones that list.Build refuses
		}
		want, err := slow.entry()
		if err != nil || e != want {
			t.Fatalf("%q: got %+v, encoding/json reads %+v (%v)", line, e, want, err)
		}
	})
}
