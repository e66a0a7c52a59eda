package stoppage

import (
	"bytes"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

func example() Config {
	return Config{
		Implementer: "https://isp.example/blocking", Contact: "mailto:blocking@isp.example",
		LawReference: "Example Child Protection Act, section 12", Agreement: "Example agreement of 2024",
		Report: "https://hotline.example/report", Help: "tel:+99900123456",
	}
}

func page(t *testing.T, c Config, b Basis) *Page {
	t.Helper()
	p, err := NewPage(c, b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// walk calls visit for each element of a page, whose text a strict reading must give back unchanged.
func walk(t *testing.T, body []byte, visit func(n *html.Node)) {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode {
			visit(n)
		}
	}
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func TestAPageFetchesAndRunsNothing(t *testing.T) {
	allowed := strings.Fields("html head meta title style body nav ul li a main section h1 h2 p footer")
	attributes := strings.Fields("lang dir charset name content href id class aria-labelledby")
	for _, b := range []Basis{Law, Voluntary} {
		walk(t, page(t, example(), b).Body(), func(n *html.Node) {
			if !slices.Contains(allowed, n.Data) {
				t.Errorf("page %d has a <%s>", b, n.Data)
			}
			for _, a := range n.Attr {
				if !slices.Contains(attributes, a.Key) {
					t.Errorf("page %d: <%s %s=%q>", b, n.Data, a.Key, a.Val)
				}
			}
		})
	}
	if regexp.MustCompile(`(?i)url\(|@import|image|content:`).MatchString(style) {
		t.Errorf("the style fetches something: %s", style)
	}
}

func TestAPageIsWellFormed(t *testing.T) {
	void := map[string]bool{"meta": true}
	for _, b := range []Basis{Law, Voluntary} {
		var open []string
		z := html.NewTokenizer(bytes.NewReader(page(t, example(), b).Body()))
		for z.Next() != html.ErrorToken {
			switch tok := z.Token(); tok.Type {
			case html.StartTagToken:
				if !void[tok.Data] {
					open = append(open, tok.Data)
				}
			case html.EndTagToken:
				if len(open) == 0 || open[len(open)-1] != tok.Data {
					t.Fatalf("</%s> closes %v", tok.Data, open)
				}
				open = open[:len(open)-1]
			}
		}
		if len(open) > 0 {
			t.Errorf("left open: %v", open)
		}
	}
}

func TestEveryLanguageOfTheUnitedNationsIsOnEveryPage(t *testing.T) {
	for _, first := range []string{"", "ar", "zh"} {
		c := example()
		if first != "" {
			c.Languages = []string{first}
		}
		var sections []string
		ids := map[string]int{}
		heads := map[string]int{}
		var links []string
		walk(t, page(t, c, Law).Body(), func(n *html.Node) {
			if id := attr(n, "id"); id != "" {
				ids[id]++
			}
			switch n.Data {
			case "html":
				if want := firstOf(first, "en"); attr(n, "lang") != want {
					t.Errorf("html lang %q, want %q", attr(n, "lang"), want)
				}
			case "section":
				sections = append(sections, attr(n, "lang"))
				if want := map[bool]string{true: "rtl", false: "ltr"}[attr(n, "lang") == "ar"]; attr(n, "dir") != want {
					t.Errorf("section %s runs %s, want %s", attr(n, "lang"), attr(n, "dir"), want)
				}
			case "h1", "h2":
				heads[attr(n.Parent, "lang")]++
			case "a":
				if to, ok := strings.CutPrefix(attr(n, "href"), "#"); ok {
					links = append(links, to)
				}
			}
		})
		if got := slices.Sorted(slices.Values(sections)); !slices.Equal(got, []string{"ar", "en", "es", "fr", "ru", "zh"}) {
			t.Errorf("languages: got %v", sections)
		}
		if sections[0] != firstOf(first, "en") || !slices.Equal(links, sections) {
			t.Errorf("wished %q: sections %v, links %v", first, sections, links)
		}
		for id, n := range ids {
			if n != 1 {
				t.Errorf("id %s stands %d times", id, n)
			}
		}
		for _, s := range sections {
			if heads[s] != 7 {
				t.Errorf("%s has %d headings, want 7", s, heads[s])
			}
		}
	}
}

func firstOf(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func TestEveryTextIsThereInEveryLanguage(t *testing.T) {
	for _, x := range texts {
		for what, s := range map[string]string{"Title": x.Title, "Why": x.Why, "NotYou": x.NotYou, "WhatHead": x.WhatHead, "What": x.What,
			"LegalHead": x.LegalHead, "Law": x.Law, "Voluntary": x.Voluntary, "ListHead": x.ListHead, "List": x.List, "About": x.About,
			"WrongHead": x.WrongHead, "Wrong": x.Wrong, "ReportHead": x.ReportHead, "Report": x.Report, "Tell": x.Tell,
			"HelpHead": x.HelpHead, "Help": x.Help, "Ask": x.Ask, "Danger": x.Danger} {
			if strings.TrimSpace(s) != s || s == "" {
				t.Errorf("%s.%s is %q", x.Code, what, s)
			}
		}
	}
}

func TestThePagesSayTheirOwnLegalBasis(t *testing.T) {
	law, voluntary := string(page(t, example(), Law).Body()), string(page(t, example(), Voluntary).Body())
	for _, x := range texts {
		for _, c := range []struct {
			in, notIn, text string
		}{{law, voluntary, x.Law}, {voluntary, law, x.Voluntary}} {
			if text := html.EscapeString(c.text); !strings.Contains(html.UnescapeString(c.in), c.text) || strings.Contains(c.notIn, text) {
				t.Errorf("%s: %q is not on its own page alone", x.Code, c.text)
			}
		}
	}
	if strings.Contains(voluntary, example().LawReference) || strings.Contains(law, example().Agreement) {
		t.Error("a reference is on the other basis's page")
	}
}

func TestAPageWithoutLinksStillSaysWhereToTurn(t *testing.T) {
	c := example()
	c.Report, c.Help = "", ""
	body := html.UnescapeString(string(page(t, c, Law).Body()))
	for _, x := range texts {
		if !strings.Contains(body, x.Tell) || !strings.Contains(body, x.Ask) {
			t.Errorf("%s: no word on reporting or help", x.Code)
		}
	}
}

func TestConfiguredTextIsEscaped(t *testing.T) {
	c := example()
	c.LawReference = `</p><script>alert(1)</script>&"'`
	body := page(t, c, Law).Body()
	walk(t, body, func(n *html.Node) {
		if n.Data == "script" {
			t.Error("a script got in through the reference")
		}
	})
	if !strings.Contains(html.UnescapeString(string(body)), c.LawReference) {
		t.Error("the reference is not shown as written")
	}
}

func TestAPageRefusesWhatItCannotShow(t *testing.T) {
	tests := []struct {
		name string
		edit func(*Config)
	}{
		{"a script as implementer", func(c *Config) { c.Implementer = "javascript:alert(1)" }},
		{"a header in the implementer", func(c *Config) { c.Implementer = "https://isp.example/\r\nSet-Cookie: a=b" }},
		{"an end of the Link header", func(c *Config) { c.Implementer = "https://isp.example/>; rel=x" }},
		{"no implementer", func(c *Config) { c.Implementer = "" }},
		{"a password", func(c *Config) { c.Implementer = "https://a:b@isp.example/" }},
		{"no contact", func(c *Config) { c.Contact = "" }},
		{"a web page as contact", func(c *Config) { c.Contact = "https://isp.example" }},
		{"an empty mail address", func(c *Config) { c.Contact = "mailto:" }},
		{"data as help", func(c *Config) { c.Help = "data:text/html,x" }},
		{"mail as report", func(c *Config) { c.Report = "mailto:a@isp.example" }},
		{"an unknown language", func(c *Config) { c.Languages = []string{"xx"} }},
		{"lines in the reference", func(c *Config) { c.LawReference = "a\nb" }},
		{"broken text", func(c *Config) { c.LawReference = "a\xff" }},
		{"more than fits", func(c *Config) { c.LawReference = strings.Repeat("x", MaxPage) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := example()
			tt.edit(&c)
			if p, err := NewPage(c, Law); err == nil {
				t.Errorf("got a page of %d bytes", len(p.Body()))
			}
		})
	}
}

// TestTextAndBackgroundDifferEnough computes the contrast of each colour on the paper: WCAG 2.2 AA wants 4.5 for text.
func TestTextAndBackgroundDifferEnough(t *testing.T) {
	themes := regexp.MustCompile(`:root\{([^}]*)\}`).FindAllStringSubmatch(style, -1)
	if len(themes) != 2 {
		t.Fatalf("got %d themes, want light and dark", len(themes))
	}
	for i, theme := range themes {
		colours := map[string]float64{}
		for _, m := range regexp.MustCompile(`--(\w+):#([0-9a-f]{3,6})`).FindAllStringSubmatch(theme[1], -1) {
			colours[m[1]] = luminance(t, m[2])
		}
		for _, ink := range []string{"ink", "soft", "mark"} {
			high, low := max(colours[ink], colours["paper"]), min(colours[ink], colours["paper"])
			if ratio := (high + 0.05) / (low + 0.05); ratio < 4.5 {
				t.Errorf("theme %d: %s on paper has contrast %.2f, want 4.5", i, ink, ratio)
			}
		}
	}
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(v) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
