package canon

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	whatwg "github.com/nlnwa/whatwg-url/url"
	"pgregory.net/rapid"
)

// The second opinion: github.com/nlnwa/whatwg-url reads URLs as the WHATWG standard has browsers read them, and was written by others.
// What a browser makes of a text must be, in our canonical form, what we make of the text itself: then nobody is sent to another page than
// the one that was compared. Where the two differ is a closed list, below and in CANON.md; anything else fails.

// reading is one text as both sides read it.
type reading struct {
	raw    string
	text   string // raw without what both sides drop: surrounding blanks, tabs and line ends, the fragment
	ours   string
	reason string // ours, when we refuse
	theirs *whatwg.Url
}

func readBoth(raw string) reading {
	r := reading{raw: raw}
	r.text = strings.TrimFunc(raw, func(c rune) bool { return c <= ' ' })
	r.text, _, _ = strings.Cut(lineBreaks.Replace(r.text), "#")
	ours, err := URL(raw)
	if err != nil {
		r.reason = err.(*Error).Reason
	}
	r.ours = ours
	if u, err := whatwg.Parse(raw); err == nil {
		r.theirs = u
	}
	return r
}

// agree reports that both refuse, or that the browser's form is ours when it is made canonical.
func (r reading) agree() bool {
	if r.theirs == nil || r.reason != "" {
		return r.theirs == nil && r.reason != ""
	}
	again, err := URL(r.theirs.Href(true))
	return err == nil && again == r.ours
}

// authority is what stands between "scheme://" and the path as written; ok is false for a text without a scheme of the web and "://".
func (r reading) authority() (authority string, ok bool) {
	scheme, rest, found := strings.Cut(r.text, "://")
	if !found || !isWebScheme(scheme) {
		return "", false
	}
	if end := strings.IndexAny(rest, `/\?`); end >= 0 {
		rest = rest[:end]
	}
	return rest, true
}

// host is the part of the authority behind the last "@".
func (r reading) host() string {
	a, _ := r.authority()
	return a[strings.LastIndexByte(a, '@')+1:]
}

// mapped is the host in ASCII, dots as they came.
func (r reading) mapped() string {
	s, _ := profile.ToASCII(unescape(r.host()))
	return s
}

func (r reading) ourHost() string {
	_, page, _ := strings.Cut(r.ours, "://")
	return HostOf(page)
}

// onePass takes escapes out once, as browsers do.
func onePass(s string) string {
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

// differences is the closed list. Each has its row, under the same name, in CANON.md.
var differences = []struct {
	name    string
	is      func(reading) bool
	example string
}{
	{"no scheme://", func(r reading) bool {
		_, ok := r.authority()
		// Where both find a host of the web, it is the same one.
		return !ok && (r.reason != "" || r.theirs == nil || !isWebScheme(strings.TrimSuffix(r.theirs.Protocol(), ":")))
	}, "http:/a.test"},
	{"no host", func(r reading) bool {
		a, ok := r.authority()
		return ok && a == "" && r.reason != ""
	}, "http:///a.test"},
	{"backslash before the path", func(r reading) bool { return r.reason == ReasonAmbiguous }, `http://a.test\b`},
	{"backslash in the path", func(r reading) bool {
		if r.theirs == nil || r.reason != "" || !strings.Contains(r.theirs.Pathname()+r.text, `\`) {
			return false
		}
		path, query, has := strings.Cut(r.text, "?")
		slashed := readBoth(strings.ReplaceAll(path, `\`, "/") + map[bool]string{true: "?" + query}[has] + "#")
		return slashed.theirs != nil && slashed.theirs.Href(true) == r.theirs.Href(true) && (slashed.agree() || dotSegments(slashed))
	}, `http://a.test/a\b`},
	{"no UTF-8", func(r reading) bool {
		return !utf8.ValidString(r.raw) && r.reason == "" && (r.theirs == nil && !utf8.ValidString(unescape(r.host())) || r.theirs != nil && sameHost(r))
	}, "http://a.test/\x80"},
	{"any byte in a host", func(r reading) bool {
		_, err := Expression(KindURL, r.raw)
		return r.theirs == nil && r.reason == "" && err != nil && err.(*Error).Reason == ReasonHost
	}, "http://a%20b.test/"},
	{"escapes in escapes", func(r reading) bool {
		once := onePass(r.host())
		return r.theirs == nil && r.reason == "" && onePass(once) != once
	}, "http://%252561.test/"},
	{"A-labels", func(r reading) bool {
		written := "." + asciiLower(unescape(r.host()))
		return r.theirs == nil && r.reason == "" && strings.Contains(written, "xn--") || strings.Contains("."+r.ourHost()+".", ".xn--.") // the standard drops an empty one
	}, "http://xn--a.test/"},
	{"only dots", func(r reading) bool {
		return r.reason == ReasonNoHost && r.theirs != nil && strings.Trim(r.theirs.Hostname(), ".") == ""
	}, "http://.../"},
	{"dots around a number", func(r reading) bool {
		host := r.mapped()
		dots := strings.Contains("."+host, "..") || strings.HasSuffix(host, ".")
		return dots && (r.theirs == nil && r.reason == "" && isAddress(r.ourHost()) || r.theirs != nil && r.reason == ReasonAddress)
	}, "http://.1.2.3.4/"},
	{"underscore beside IDN", func(r reading) bool {
		return r.theirs == nil && r.reason == "" && strings.Contains(r.ourHost(), "_") && strings.IndexFunc(unescape(r.host()), func(c rune) bool { return c >= utf8.RuneSelf }) >= 0
	}, "http://a_b.ö.test/"},
	{"escapes in an address", func(r reading) bool {
		return r.theirs == nil && strings.HasPrefix(r.ourHost(), "[") && strings.Contains(r.host(), "%")
	}, "http://[%3a:1]/"},
	{"slashes and escapes before dot segments", dotSegments, "http://a.test/a//../b"},
	{"long names", func(r reading) bool {
		return (r.reason == ReasonLabel || r.reason == ReasonNameLength || r.reason == ReasonTooLong) && r.theirs != nil
	}, "http://" + strings.Repeat("a", 64) + ".test/"},
	{"signs in an address", func(r reading) bool {
		return signedNumber(r.mapped()) && (r.theirs == nil || isAddress(r.theirs.Hostname()))
	}, "http://+1.2.3.4/"},
	{"digits beyond 64 bits", func(r reading) bool {
		return r.theirs == nil && r.reason == "" && longNumber.MatchString(r.ourHost())
	}, "http://18446744073709551616a/"},
	{"brackets in brackets", func(r reading) bool {
		return r.reason == ReasonAddress && r.theirs != nil && strings.Count(r.host(), "[")+strings.Count(r.host(), "]") > 2
	}, "http://[[::1]/"},
}

// dotSegments reports a path in which dots take away other segments when escapes and double slashes are read first.
func dotSegments(r reading) bool {
	if r.reason != "" || r.theirs == nil || !sameHost(r) {
		return false
	}
	authority, _ := r.authority()
	_, rest, _ := strings.Cut(r.text, "://")
	path, _, _ := strings.Cut(strings.TrimPrefix(rest, authority), "?")
	flat := strings.ToLower(path)
	return strings.Contains(unescape(path), "/.") && (strings.Contains(flat, "//") || strings.Contains(unescape(flat), "//") || strings.Contains(flat, "%"))
}

// sameHost reports that both found the same host, but for dots that only we take away.
func sameHost(r reading) bool {
	theirs, err := URL("http://" + r.theirs.Hostname())
	return err == nil && theirs == "http://"+r.ourHost()+"/"
}

var longNumber = regexp.MustCompile(`(^|\.)([0-9]{16,}|0x[0-9a-f]{16,})[^.]*$`)

func signedNumber(host string) bool {
	for label := range strings.SplitSeq(host, ".") {
		if len(label) > 1 && (label[0] == '+' || label[0] == '-') {
			return true
		}
	}
	return false
}

// judge names the difference between the two readings: "" when there is none, ok is false when it is not in the list.
func judge(r reading) (name string, ok bool) {
	if r.agree() {
		return "", true
	}
	for _, d := range differences {
		if d.is(r) {
			return d.name, true
		}
	}
	return "", false
}

func sayBoth(t interface{ Fatalf(string, ...any) }, r reading) {
	theirs := "refused"
	if r.theirs != nil {
		theirs = r.theirs.Href(true)
	}
	t.Fatalf("%q\n   ours %q (%s)\n theirs %q\nis a difference that CANON.md does not name", r.raw, r.ours, r.reason, theirs)
}

func TestDifferencesToBrowsersAreThoseWritten(t *testing.T) {
	doc, err := os.ReadFile("CANON.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(doc), "## Where browsers read it differently\n")
	if !ok {
		t.Fatal("CANON.md has no such section")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	if rows := strings.Count(section, "\n| "); rows != len(differences)+1 {
		t.Errorf("CANON.md has %d rows, want the head and one for each of %d differences", rows, len(differences))
	}
	for _, d := range differences {
		if got, ok := judge(readBoth(d.example)); !ok || got != d.name {
			t.Errorf("example %q: got %q, %v, want %q", d.example, got, ok, d.name)
		}
		if !strings.Contains(section, "\n| "+d.name+" |") {
			t.Errorf("CANON.md has no row for %q", d.name)
		}
	}
	for _, same := range []string{
		"http://a.test", "HTTPS://www.A.test:8080/a/../b?x=/../y#z", "http://user:pw@a.test/", " http://a.test/ö?ä ", "http://bücher.test/", "http://0x7f.1/",
		"http://[2001:DB8::1]/", "http://a.test/%2e%2E/b", "http://a.test//b", "http://", "http://256.256.256.256/", "http://[::1/", "http://a.test:65536/",
	} {
		if r := readBoth(same); !r.agree() {
			t.Errorf("%q: ours %q (%s), theirs %v: want no difference", same, r.ours, r.reason, r.theirs)
		}
	}
}

// pieces are what URLs that two parsers read differently are made of.
var pieces = []string{
	"a", "B", "test", "www.a.test", ".", "..", "/", "//", `\`, "?", "#", "@", ":", "80", "99999", "65536", "%2e", "%2E", "%2f", "%3f", "%23", "%40", "%5c", "%25", "%252e", "%25252f",
	"%00", "%20", "%C3%B6", "%ff", " ", "\t", "\n", "\x01", "\x7f", "\x80", "ß", "ς", "ö", "a\u0308", "。", "／", "％", "＠", "？", "[", "]", "[::1]", "[::ffff:1.2.3.4]", "1.2.3.4", "0x7f", "0177",
	"08", "256", "4294967296", "xn--", "xn--a", "xn--bcher-kva", "-", "_", "+", "<", ">", "^", "|", "`", "{", "}", "\"", "'", ";", "=", "&", "%", "%zz", "\u00ad", "\u200d", "\u200c",
	"\u2060", "İ", "ﬁ", "א", "ا", "١", "𝟙", "～", "~", "*", "!", "$", ",", "(", ")", strings.Repeat("a", 62), "://", "http:",
}

func TestBrowsersReadTheSamePage(t *testing.T) {
	start := rapid.SampledFrom([]string{"http://", "https://", "HTTP://", "ftp://", "ws://", "wss://", "http://a.test", "http://a.test/", "http://a.test?", "", "http:", "http:/", "http:///", `http:\\`, "file://", "x://", "mailto:"})
	text := rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 8)
	rapid.Check(t, func(t *rapid.T) {
		r := readBoth(start.Draw(t, "start") + strings.Join(text.Draw(t, "text"), ""))
		if _, ok := judge(r); !ok {
			sayBoth(t, r)
		}
	})
}

func FuzzBrowsersReadTheSamePage(f *testing.F) {
	seed(f)
	for _, d := range differences {
		f.Add(d.example)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		r := readBoth(raw)
		if _, ok := judge(r); !ok {
			sayBoth(t, r)
		}
	})
}
