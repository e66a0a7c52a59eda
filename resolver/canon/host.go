package canon

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

const (
	maxName  = 253     // octets of a name in text without its final dot, RFC 1035 section 2.3.4
	maxLabel = 63      // octets of a label, RFC 1035 section 2.3.1
	maxRaw   = 1 << 10 // bytes of a name as written: 253 characters of four bytes fit
	maxRunes = 126     // characters of a label before IDNA, which composes two into one: punycode is quadratic in them
)

// host is a canonical host.
type host struct {
	text    string // as it stands in a URL, escaped where need be
	address bool   // an IPv4 address, or an IPv6 address in brackets
	plain   bool   // an address, or a name of letters, digits, hyphens and underscores
}

// profile maps as UTS 46 does for looking a name up, without transitional mappings (ß stays ß, as in all browsers today).
// Hyphens are not checked ("r3---sn" is in use), underscores pass, lengths are checked here; what may not stand in a
// host is refused after mapping, since full-width characters map to '/', '%' and '@'.
var profile = idna.New(
	idna.MapForLookup(),
	idna.Transitional(false),
	idna.StrictDomainName(false),
	idna.CheckHyphens(false),
	idna.CheckJoiners(true),
	idna.BidiRule(),
	idna.VerifyDNSLength(false),
)

// Host returns the canonical form of a bare name or numeric host: lower-case ASCII, IDNA labels in their ASCII form, no
// dot at either end; 192.0.2.1 for every spelling of an IPv4 address; [2001:db8::1] for IPv6, with or without brackets.
// Only letters, digits, hyphens and underscores may stand in a name, and percent-escapes are not read: this is for names,
// not for URLs. Host(Host(x)) == Host(x). The error is an *Error.
func Host(raw string) (string, error) {
	const act = "canonicalise host"
	if len(raw) > maxRaw {
		return "", &Error{Act: act, Reason: ReasonNameLength}
	}
	s := strings.Trim(raw, " \t\r\n")
	if s == "" {
		return "", &Error{Act: act, Reason: ReasonEmpty}
	}
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			return "", &Error{Act: act, Reason: ReasonControl}
		}
	}
	if strings.Count(s, ":") > 1 && s[0] != '[' {
		s = "[" + s + "]"
	}
	h, reason := canonHost(s)
	if reason == "" && !h.plain {
		reason = ReasonHost
	}
	if reason != "" {
		return "", &Error{Act: act, Reason: reason}
	}
	return h.text, nil
}

// canonHost canonicalises an unescaped host.
func canonHost(s string) (h host, reason string) {
	if len(s) > maxRaw {
		return host{}, ReasonNameLength
	}
	if strings.HasPrefix(s, "[") {
		text, ok := canonIPv6(s)
		if !ok {
			return host{}, ReasonAddress
		}
		return host{text: text, address: true, plain: true}, ""
	}
	name, reason := toASCII(s)
	if reason != "" {
		return host{}, reason
	}
	if strings.ContainsAny(name, `/?\@:[]`) {
		// Written out, any of these would end the host somewhere else.
		return host{}, ReasonHost
	}
	name = trimDots(name)
	if name == "" {
		return host{}, ReasonNoHost
	}
	if endsInNumber(name) {
		text, ok := canonIPv4(name)
		if !ok {
			return host{}, ReasonAddress
		}
		return host{text: text, address: true, plain: true}, ""
	}
	if len(name) > maxName {
		return host{}, ReasonNameLength
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) > maxLabel {
			return host{}, ReasonLabel
		}
	}
	return host{text: string(appendEscaped(nil, name)), plain: isPlain(name)}, ""
}

// toASCII lowers an ASCII name and maps any other through IDNA. A name in ASCII is never mapped, A-labels included: it is
// what DNS carries, and a lookup compares it as it came. Bytes that are no UTF-8 stay as they are.
func toASCII(s string) (name, reason string) {
	ascii := true
	for i := 0; i < len(s) && ascii; i++ {
		ascii = s[i] < utf8.RuneSelf
	}
	if ascii || !utf8.ValidString(s) {
		return asciiLower(s), ""
	}
	if longestLabel(s) > maxRunes {
		return "", ReasonLabel
	}
	name, err := profile.ToASCII(s)
	if err != nil {
		return "", ReasonHost
	}
	name = asciiLower(name)
	for i := 0; i < len(name); i++ {
		if c := name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`#%<>^|/?\@:[]`, c) >= 0 {
			return "", ReasonHost
		}
	}
	return name, ""
}

// longestLabel counts the characters of the longest label, before mapping: all four dots of UTS 46 end a label.
func longestLabel(s string) int {
	longest, n := 0, 0
	for _, r := range s {
		switch r {
		case '.', '\u3002', '\uff0e', '\uff61':
			n = 0
			continue
		}
		n++
		longest = max(longest, n)
	}
	return longest
}

// trimDots takes the dots off both ends and joins runs of dots.
func trimDots(s string) string {
	s = strings.Trim(s, ".")
	if !strings.Contains(s, "..") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '.' || s[i-1] != '.' {
			out = append(out, s[i])
		}
	}
	return string(out)
}

// isPlain reports whether name holds nothing but letters, digits, hyphens, underscores and dots: the names that resolve
// in practice. Underscores do (service names, many real hosts); anything else in a list is a slip of the pen.
func isPlain(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}
