package canon

import (
	"net/netip"
	"net/url"
	"path"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// slowUnescape is the rule as written: pass over the whole text until a pass changes nothing.
func slowUnescape(s string) string {
	for {
		var out []byte
		for i := 0; i < len(s); i++ {
			if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
				out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
				i += 2
				continue
			}
			out = append(out, s[i])
		}
		if string(out) == s {
			return s
		}
		s = string(out)
	}
}

func TestUnescapingInOneWalkEqualsRepeatedPasses(t *testing.T) {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("%%%0123456789abfF z")), 0, 60, -1)
	rapid.Check(t, func(t *rapid.T) {
		s := text.Draw(t, "text")
		got, want := unescape(s), slowUnescape(s)
		if got != want {
			t.Fatalf("unescape(%q)\n got %q\nwant %q", s, got, want)
		}
		if back := unescape(string(appendEscaped(nil, got))); back != got {
			t.Fatalf("escaping and unescaping %q gives %q", got, back)
		}
	})
}

func TestPathsResolveAsInTheStandardLibrary(t *testing.T) {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("//..ab")), 0, 24, -1)
	rapid.Check(t, func(t *rapid.T) {
		s := "/" + text.Draw(t, "path")
		want := path.Clean(s)
		// path.Clean drops the slash at the end; a directory keeps it here.
		if last := s[strings.LastIndexByte(s, '/')+1:]; want != "/" && (last == "" || last == "." || last == "..") {
			want += "/"
		}
		if got := cleanPath(s); got != want {
			t.Fatalf("cleanPath(%q)\n got %q\nwant %q", s, got, want)
		}
	})
}

// disguise writes the canonical URL http://name/path?query in one of the many ways that mean the same.
func disguise(t *rapid.T, name, path, query string) string {
	escape := func(s, label string) string {
		var out strings.Builder
		for i := 0; i < len(s); i++ {
			switch rapid.IntRange(0, 9).Draw(t, label) {
			case 0:
				out.WriteString(escapeByte(s[i], rapid.IntRange(1, 3).Draw(t, "depth")))
			case 1:
				out.WriteString(rapid.SampledFrom([]string{"\t", "\r\n", "\n"}).Draw(t, "break"))
				out.WriteByte(s[i])
			default:
				out.WriteByte(s[i])
			}
		}
		return out.String()
	}
	host := escape(strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' && rapid.Bool().Draw(t, "upper") {
			return r - 'a' + 'A'
		}
		return r
	}, name), "host")
	host = rapid.SampledFrom([]string{"", ".", "..", "%2e"}).Draw(t, "before") + host +
		rapid.SampledFrom([]string{"", ".", "...", "%2E", "。"}).Draw(t, "behind")
	user := rapid.SampledFrom([]string{"", "a@", "a:b@", "y.test@", "y.test%2f@", "@@"}).Draw(t, "user")
	port := rapid.SampledFrom([]string{"", ":", ":80", ":65535", ":0"}).Draw(t, "port")
	var target strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '/' {
			target.WriteString(rapid.SampledFrom([]string{"/", "//", "/./", "/z/../", "/%2e/", "/%2E/", "%2f", "/x//%2e%2e/"}).Draw(t, "slash"))
			continue
		}
		target.WriteString(escape(path[i:i+1], "path"))
	}
	fragment := rapid.SampledFrom([]string{"", "#", "#a/b?c#d"}).Draw(t, "fragment")
	around := rapid.SampledFrom([]string{"", " ", "\t \n"}).Draw(t, "around")
	if !strings.HasPrefix(target.String(), "/") {
		// An escaped slash cannot end the host.
		return around + "HttP://" + user + host + port + "/" + target.String() + "?" + escape(query, "query") + fragment + around
	}
	return around + "http://" + user + host + port + target.String() + "?" + escape(query, "query") + fragment + around
}

func escapeByte(c byte, depth int) string {
	const hex = "0123456789abcdef"
	s := "%" + string(hex[c>>4]) + string(hex[c&15])
	for ; depth > 1; depth-- {
		s = "%25" + s[1:]
	}
	return s
}

func TestDisguisesOfAPageHaveOneCanonicalForm(t *testing.T) {
	label := rapid.StringMatching(`[a-z][a-z0-9_-]{0,7}`)
	part := rapid.StringMatching(`[a-zA-Z0-9~_-]{1,6}`)
	rapid.Check(t, func(t *rapid.T) {
		name := label.Draw(t, "label") + "." + label.Draw(t, "label") + ".test"
		path := "/" + strings.Join(rapid.SliceOfN(part, 0, 4).Draw(t, "parts"), "/")
		query := rapid.StringMatching(`[a-zA-Z0-9=&/.+]{0,10}`).Draw(t, "query")
		want := "http://" + name + path + "?" + query
		in := disguise(t, name, path, query)
		got, err := URL(in)
		if err != nil || got != want {
			t.Fatalf("URL(%q)\n got %q, %v\nwant %q", in, got, err, want)
		}
		if again, err := URL(got); err != nil || again != got {
			t.Fatalf("URL(%q) is not stable: %q, %v", got, again, err)
		}
	})
}

func TestEverySpellingOfAnAddressIsOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.Uint32().Draw(t, "address")
		parts := rapid.IntRange(1, 4).Draw(t, "parts")
		number := func(v uint64) string {
			const hex, octal, decimal = 16, 8, 10
			switch rapid.SampledFrom([]int{hex, octal, decimal}).Draw(t, "base") {
			case hex:
				return rapid.SampledFrom([]string{"0x", "0X", "0x000"}).Draw(t, "zeros") + formatUint(v, 16)
			case octal:
				return rapid.SampledFrom([]string{"0", "000"}).Draw(t, "zeros") + formatUint(v, 8)
			}
			return formatUint(v, 10)
		}
		var text []string
		for i := range parts - 1 {
			text = append(text, number(uint64(byte(value>>(24-8*i)))))
		}
		text = append(text, number(uint64(value)&(1<<(8*(5-parts))-1)))
		in := strings.Join(text, ".")
		want := netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}).String()
		if got, err := Host(in); err != nil || got != want {
			t.Fatalf("Host(%q)\n got %q, %v\nwant %q", in, got, err, want)
		}
	})
}

func formatUint(v uint64, base uint64) string {
	const digits = "0123456789abcdef"
	s := ""
	for {
		s = string(digits[v%base]) + s
		if v /= base; v == 0 {
			return s
		}
	}
}

// sameHostAsStandardLibrary compares with net/url where that package reads raw at all and the host is plain.
func sameHostAsStandardLibrary(raw, canonical string) (want string, same bool) {
	u, err := url.Parse(strings.Trim(raw, " \t\r\n"))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "", true
	}
	host := strings.ToLower(u.Hostname())
	if !isPlain(host) || strings.HasPrefix(host, ".") || strings.HasSuffix(host, ".") || strings.Contains(host, "..") || host == "" || endsInNumber(host) {
		return "", true
	}
	return host, HostOf(strings.TrimPrefix(strings.TrimPrefix(canonical, "http://"), "https://")) == host
}
