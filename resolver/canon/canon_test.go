package canon

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ownCase is one case of testdata/vectors.json: the same ground as the shared vectors and more, with names of our own.
type ownCase struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	In     string `json:"in"`
	InHex  string `json:"in_hex"`
	Out    string `json:"out"`
	Reason string `json:"reason"`
}

type ownVectors struct {
	Note        string    `json:"note"`
	URL         []ownCase `json:"url"`
	Host        []ownCase `json:"host"`
	Expression  []ownCase `json:"expression"`
	Expressions []struct {
		In  string   `json:"in"`
		Out []string `json:"out"`
	} `json:"expressions"`
}

func readOwnVectors(t testing.TB) ownVectors {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var v ownVectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("testdata/vectors.json: %v", err)
	}
	for i, c := range v.URL {
		if c.InHex != "" {
			raw, err := hex.DecodeString(c.InHex)
			if err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			v.URL[i].In = string(raw)
		}
	}
	return v
}

// holds fails unless get answers c.Out, and answers it again for c.Out, or refuses with c.Reason.
func holds(t *testing.T, c ownCase, get func(string) (string, error)) {
	t.Helper()
	got, err := get(c.In)
	if c.Reason != "" {
		var refused *Error
		if !errors.As(err, &refused) || refused.Reason != c.Reason {
			t.Errorf("%q\n got %q, %v\nwant refusal %q", c.In, got, err, c.Reason)
		}
		return
	}
	if err != nil || got != c.Out {
		t.Errorf("%q\n got %q, %v\nwant %q", c.In, got, err, c.Out)
		return
	}
	if again, err := get(got); err != nil || again != got {
		t.Errorf("%q is not stable\n got %q, %v", got, again, err)
	}
}

func TestURLsTakeTheirCanonicalForm(t *testing.T) {
	for _, c := range readOwnVectors(t).URL {
		t.Run(c.Name, func(t *testing.T) { holds(t, c, URL) })
	}
}

func TestHostsTakeTheirCanonicalForm(t *testing.T) {
	for _, c := range readOwnVectors(t).Host {
		t.Run(c.Name, func(t *testing.T) { holds(t, c, Host) })
	}
}

func TestEntriesTakeTheirCanonicalForm(t *testing.T) {
	for _, c := range readOwnVectors(t).Expression {
		t.Run(c.Kind+" "+c.Name, func(t *testing.T) {
			kind, err := ParseKind(c.Kind)
			if c.Kind == "steer" {
				kind, err = KindSteer, nil
			}
			if err != nil {
				t.Fatal(err)
			}
			holds(t, c, func(s string) (string, error) { return Expression(kind, s) })
		})
	}
}

func TestExpressionsComeInOrder(t *testing.T) {
	for _, c := range readOwnVectors(t).Expressions {
		exprs, err := Expressions(c.In)
		if err != nil {
			t.Errorf("%q: %v", c.In, err)
			continue
		}
		var got []string
		for _, e := range exprs {
			got = append(got, e.Kind.String()+" "+e.Text)
			if e.Class != e.Kind.Class() {
				t.Errorf("%q: %s has class %s, want %s", c.In, e.Text, e.Class, e.Kind.Class())
			}
		}
		if !slices.Equal(got, c.Out) {
			t.Errorf("%q\n got %q\nwant %q", c.In, got, c.Out)
		}
	}
}

func TestAnEntryOfAnyKindIsAmongTheExpressionsOfItsPages(t *testing.T) {
	cases := []struct {
		kind        Kind
		entry, page string
		want        bool
	}{
		{KindURL, "http://x.test/a?b=1", "https://X.test:444/a?b=1#c", true},
		{KindURL, "http://x.test/a?b=1", "http://x.test/a?b=2", false},
		{KindURL, "http://x.test/a", "http://x.test/a/", false},
		{KindURL, "http://x.test/a", "http://y.x.test/a", false},
		{KindPrefix, "http://x.test/a/", "http://x.test/a", true},
		{KindPrefix, "http://x.test/a", "http://x.test/a/b/c?d", true},
		{KindPrefix, "http://x.test/a", "http://x.test/ab", false},
		{KindPrefix, "http://x.test/a", "http://x.test/b/../a/c", true},
		{KindPrefix, "http://x.test/", "http://x.test/b", true},
		{KindPrefix, "http://x.test/a", "http://x.test" + strings.Repeat("/a", 2000), true},
		{KindHost, "x.test", "x.test.", true},
		{KindHost, "x.test", "www.x.test", false},
		{KindDomain, "x.test", "www.x.test", true},
		{KindDomain, "x.test", "wwwx.test", false},
		{KindDomain, "bücher.test", "www.XN--bcher-kva.test", true},
	}
	for _, c := range cases {
		entry, err := Expression(c.kind, c.entry)
		if err != nil {
			t.Errorf("Expression(%s, %q): %v", c.kind, c.entry, err)
			continue
		}
		exprs, err := Expressions(c.page)
		if err != nil {
			t.Errorf("Expressions(%q): %v", c.page, err)
			continue
		}
		if got := slices.Contains(exprs, Expr{c.kind.Class(), c.kind, entry}); got != c.want {
			t.Errorf("%s %q among the expressions of %q: got %v, want %v", c.kind, c.entry, c.page, got, c.want)
		}
		if got := HostOf(entry); got != "x.test" && got != "xn--bcher-kva.test" {
			t.Errorf("HostOf(%q) = %q", entry, got)
		}
	}
}

func TestLengthAndDepthAreBounded(t *testing.T) {
	long := "http://x.test/" + strings.Repeat("a", MaxLength)
	grows := "http://x.test/" + strings.Repeat(" ", MaxLength/2) + "a" // three bytes each once escaped
	fits := "ws://x.test/" + strings.Repeat("a", maxBody-len("x.test/")-1)
	for _, in := range []string{long, grows} {
		for name, get := range map[string]func(string) (string, error){
			"URL":        URL,
			"Expression": func(s string) (string, error) { return Expression(KindURL, s) },
		} {
			var refused *Error
			if got, err := get(in); !errors.As(err, &refused) || refused.Reason != ReasonTooLong {
				t.Errorf("%s of %d bytes: got %d bytes, %v, want %q", name, len(in), len(got), err, ReasonTooLong)
			}
		}
	}
	text, err := Expression(KindURL, fits)
	if err != nil {
		t.Fatalf("Expression of %d bytes: %v", len(fits), err)
	}
	if again, err := Expression(KindURL, text); err != nil || again != text {
		t.Errorf("the longest expression is not stable: %v", err)
	}
	exprs, err := Expressions("x.test" + strings.Repeat("/a", 3000))
	if err != nil {
		t.Fatal(err)
	}
	prefixes := 0
	for _, e := range exprs {
		if e.Kind == KindPrefix {
			prefixes++
		}
	}
	if want := MaxDepth + 1; prefixes != want {
		t.Errorf("got %d prefixes, want %d", prefixes, want)
	}
}

func TestErrorsDoNotRepeatTheName(t *testing.T) {
	const secret = "hidden-name"
	for _, in := range []string{
		secret + ".test:99999999", "http://" + secret + ".test:99999999/", "x@" + secret + ".test", secret + "://a.test/",
		"http://" + secret + "!\\a", "http://" + secret + "。／/", "http://" + secret + strings.Repeat("a", 64) + ".test/",
		"http://" + secret + ".1/", secret + "*", secret + ".test/a", "[" + secret + "]",
	} {
		for _, k := range []Kind{KindURL, KindPrefix, KindHost, KindDomain, KindSteer, 9} {
			if _, err := Expression(k, in); err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("Expression(%s): the error repeats the name: %v", k, err)
			}
		}
		if _, err := Host(in); err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("Host: the error repeats the name: %v", err)
		}
	}
}

func TestKindsAreTheClosedSet(t *testing.T) {
	for word, want := range map[string]Kind{"url": KindURL, "prefix": KindPrefix, "host": KindHost, "domain": KindDomain} {
		got, err := ParseKind(word)
		if err != nil || got != want || got.String() != word || !got.Valid() {
			t.Errorf("ParseKind(%q) = %s, %v", word, got, err)
		}
	}
	for _, word := range []string{"", "URL", "steer", "Domain", "ip", "url "} {
		if got, err := ParseKind(word); err == nil {
			t.Errorf("ParseKind(%q) = %s, want an error", word, got)
		}
	}
	for _, k := range []Kind{0, 6, 255} {
		if k.Valid() || k.Class() != 0 {
			t.Errorf("kind %d: valid %v, class %s, want neither", uint8(k), k.Valid(), k.Class())
		}
		if got, err := Expression(k, "x.test"); err == nil {
			t.Errorf("Expression(%s) = %q, want an error", k, got)
		}
	}
}
