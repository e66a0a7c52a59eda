package canon

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// vector is one case of the shared vector file.
type vector struct {
	In    string          `json:"in"`
	InHex string          `json:"in_hex"` // the input where it is no UTF-8
	Out   json.RawMessage `json:"out"`
	Fail  bool            `json:"fail"`
}

func (v vector) input(t *testing.T) string {
	t.Helper()
	if v.InHex == "" {
		return v.In
	}
	b, err := hex.DecodeString(v.InHex)
	if err != nil {
		t.Fatalf("in_hex %q: %v", v.InHex, err)
	}
	return string(b)
}

func (v vector) text(t *testing.T) string {
	t.Helper()
	var s string
	if err := json.Unmarshal(v.Out, &s); err != nil {
		t.Fatalf("out %s: %v", v.Out, err)
	}
	return s
}

func (v vector) texts(t *testing.T) []string {
	t.Helper()
	var s []string
	if err := json.Unmarshal(v.Out, &s); err != nil {
		t.Fatalf("out %s: %v", v.Out, err)
	}
	return s
}

type vectorFile struct {
	Spec struct {
		Canonicalize []vector `json:"canonicalize"`
		Expressions  []vector `json:"expressions"`
	} `json:"canonicalize_spec"`
	Google struct {
		CanonicalHost       []vector
		CanonicalPath       []vector
		CanonicalURL        []vector
		GenerateLookupHosts []vector
		GenerateLookupPaths []vector
		GeneratePatterns    []vector
		ParseIPAddress      []vector
	} `json:"google_go"`
}

// sharedVectors reads the vector file that lies beside the project. A clone elsewhere has none: canon_test.go covers the
// same ground with names of its own.
func sharedVectors(t *testing.T) vectorFile {
	t.Helper()
	root := os.Getenv("CORDON_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	b, err := os.ReadFile(filepath.Join(root, "vectors", "safebrowsing.json"))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("shared vectors: %v", err)
		}
		t.Skipf("shared vectors: %v", err)
	}
	var f vectorFile
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatalf("shared vectors: %v", err)
	}
	return f
}

func TestPublishedVectorsHoldWhole(t *testing.T) {
	cases := sharedVectors(t).Spec.Canonicalize
	if len(cases) < 33 {
		t.Fatalf("got %d vectors, want at least 33", len(cases))
	}
	for _, v := range cases {
		in, want := v.input(t), v.text(t)
		got, err := URL(in)
		if err != nil || got != want {
			t.Errorf("URL(%q)\n got %q, %v\nwant %q", in, got, err, want)
		}
	}
}

// deviations are the google_go vectors this package answers differently, by set and input, each with its row in CANON.md.
// "" is a refusal. That package also drops the query; where only that differs, the vector is held with its query put back.
var deviations = map[string]string{
	"CanonicalURL http://some%1bhost.com/%1b":       "http://some%1Bhost.com/%1B", // the specification: escapes in upper case
	"CanonicalHost http://[::192.9.5.5]/ipng":       "[::c009:505]",               // Safe Browsing v5 and browsers write IPv6 in hex
	"GenerateLookupHosts http://[::192.9.5.5]/ipng": "[::c009:505]",
	"ParseIPAddress 276.2.3":                        "", // 276 is no byte; the package cuts it to 20
	"ParseIPAddress 10.192.95.89 xy":                "", // a rule of old Windows resolvers
}

// refusedAddresses are what ParseIPAddress answers with "", which says only "no address": the second column is our host.
var refusedAddresses = map[string]string{
	"123.123.0.0.1": "",           // ends in a number and is no address: nothing resolves it
	"1.2.3.00x0":    "1.2.3.00x0", // ends in no number: a name like any other
}

func TestGoogleVectorsHoldWhereTheyAgree(t *testing.T) {
	f := sharedVectors(t).Google
	seen := 0
	check := func(set string, cases []vector, get func(in string) (string, error), want func(in, out string) string) {
		for _, v := range cases {
			in := v.input(t)
			got, err := get(in)
			expect := ""
			if !v.Fail {
				expect = want(in, v.text(t))
			}
			if d, ok := deviations[set+" "+in]; ok {
				expect = d
				seen++
			}
			if (err != nil) != (expect == "") || got != expect {
				t.Errorf("%s %q\n got %q, %v\nwant %q", set, in, got, err, expect)
			}
		}
	}
	same := func(_, out string) string { return out }
	part := func(pick func(p parsed) string) func(string) (string, error) {
		return func(in string) (string, error) {
			p, err := parse("test", in)
			if err != nil {
				return "", err
			}
			return pick(p), nil
		}
	}
	hostOf := part(func(p parsed) string { return p.host.text })
	check("CanonicalURL", f.CanonicalURL, URL, func(in, out string) string {
		in, _, _ = strings.Cut(in, "#")
		if _, query, ok := strings.Cut(in, "?"); ok {
			return out + "?" + string(appendEscaped(nil, unescape(query)))
		}
		return out
	})
	check("CanonicalPath", f.CanonicalPath, part(func(p parsed) string { return p.path }), same)
	check("CanonicalHost", f.CanonicalHost, hostOf, same)
	check("ParseIPAddress", f.ParseIPAddress, Host, func(in, out string) string {
		if out == "" {
			return refusedAddresses[in]
		}
		return out
	})
	if want := len(deviations) - 1; seen != want { // the row of GenerateLookupHosts belongs to another test
		t.Errorf("got %d deviations in the vectors, want %d: a row of the table is out of date", seen, want)
	}
}

// The vectors' lookup expressions cut hosts to five suffixes and paths to four prefixes. Ours are every label suffix for
// names and every "/" boundary for the full host's pages: all of theirs for the full host must be among ours.
func TestLookupExpressionsOfTheFullHostAreAllTested(t *testing.T) {
	f := sharedVectors(t)
	for _, v := range append(f.Spec.Expressions, f.Google.GeneratePatterns...) {
		if v.Fail {
			if got, err := Expressions(v.In); err == nil {
				t.Errorf("Expressions(%q) = %v, want an error", v.In, got)
			}
			continue
		}
		exprs, err := Expressions(v.In)
		if err != nil {
			t.Errorf("Expressions(%q): %v", v.In, err)
			continue
		}
		var pages, names []string
		for _, e := range exprs {
			switch e.Kind {
			case KindURL, KindPrefix:
				pages = append(pages, e.Text)
			case KindHost, KindDomain:
				names = append(names, e.Text)
			}
		}
		full := exprs[0].Text
		for _, want := range v.texts(t) {
			if host := HostOf(want); host != full {
				if !slices.Contains(names, host) {
					t.Errorf("Expressions(%q): name %q missing in %q", v.In, host, names)
				}
				continue
			}
			text := want
			if path := strings.TrimPrefix(text, full); len(path) > 1 && !slices.Contains(pages, text) {
				text = strings.TrimSuffix(text, "/") // our prefixes carry no slash at their end
			}
			if !slices.Contains(pages, text) {
				t.Errorf("Expressions(%q): page %q missing in %q", v.In, want, pages)
			}
		}
	}
}

func TestLookupHostsAndPathsAreAllTested(t *testing.T) {
	f := sharedVectors(t).Google
	for _, v := range f.GenerateLookupHosts {
		var want []string
		if d, ok := deviations["GenerateLookupHosts "+v.In]; ok {
			want = []string{d}
		} else if !v.Fail {
			want = v.texts(t)
		}
		holdsAll(t, v.In, ClassName, want)
	}
	for _, v := range f.GenerateLookupPaths {
		var want []string
		if !v.Fail {
			for _, path := range v.texts(t) {
				if len(path) > 1 {
					path = strings.TrimSuffix(path, "/") // our prefixes carry no slash at their end
				}
				host, err := parse("test", v.In)
				if err != nil {
					t.Fatalf("%q: %v", v.In, err)
				}
				want = append(want, host.host.text+path)
			}
		}
		holdsAll(t, v.In, ClassPage, want)
	}
}

// holdsAll fails unless every text of want is among the expressions of in, or in is refused when want is empty.
func holdsAll(t *testing.T, in string, class Class, want []string) {
	t.Helper()
	exprs, err := Expressions(in)
	if (err != nil) != (len(want) == 0) {
		t.Errorf("Expressions(%q): error %v, want %q", in, err, want)
		return
	}
	for _, text := range want {
		if !slices.ContainsFunc(exprs, func(e Expr) bool { return e.Class == class && e.Text == text }) {
			t.Errorf("Expressions(%q) = %v: %q missing", in, exprs, text)
		}
	}
}

func TestEveryDeviationIsInTheDocument(t *testing.T) {
	doc, err := os.ReadFile("CANON.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), RuleSet()) {
		t.Errorf("CANON.md does not name the rule set %q", RuleSet())
	}
	rows := strings.Split(string(doc), "\n")
	for key := range deviations {
		set, in, _ := strings.Cut(key, " ")
		if !slices.ContainsFunc(rows, func(row string) bool {
			return strings.Contains(row, set) && strings.Contains(row, "`"+in+"`")
		}) {
			t.Errorf("CANON.md has no row for %s %q", set, in)
		}
	}
}
