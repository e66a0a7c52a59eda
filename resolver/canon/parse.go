package canon

import "strings"

// parsed is a URL taken apart, each part canonical.
type parsed struct {
	scheme   string // http, https, ftp, ws or wss
	host     host
	path     string // escaped, begins with a slash
	query    string // escaped, without its question mark
	hasQuery bool   // "?" with nothing behind it is a query too
	user     bool   // a user stood before the host
	port     bool   // a port stood behind it
}

// parse takes raw apart. The structure is read from the text as it came, before any escape is taken out, because that is
// where browsers and servers read it: http://a.test%2F@b.test/ goes to b.test. Only the parts are unescaped.
//
//	scheme "://" [user "@"] host [":" port] [path] ["?" query] ["#" dropped]
//
// Without a scheme nothing is certain yet, so the whole text is unescaped first (http%3A%2F%2Fx.test is a scheme after all).
func parse(act, raw string) (parsed, error) {
	fail := func(reason string) (parsed, error) { return parsed{}, &Error{Act: act, Reason: reason} }
	if len(raw) > MaxLength {
		return fail(ReasonTooLong)
	}
	s := strings.TrimFunc(raw, func(r rune) bool { return r <= ' ' })
	if strings.ContainsAny(s, "\t\r\n") {
		s = lineBreaks.Replace(s)
	}
	s, _, _ = strings.Cut(s, "#")
	if s == "" {
		return fail(ReasonEmpty)
	}

	scheme, rest, reason := cutScheme(s)
	if scheme == "" && reason == "" {
		head, _, _ := strings.Cut(s, ":")
		s = unescape(s)
		if scheme, rest, reason = cutScheme(s); scheme != "" && isWebScheme(head) {
			// http:/%2Fb.test%2F@a.test: browsers repair the slash as it stands and connect to a.test.
			return fail(ReasonScheme)
		}
	}
	if reason != "" {
		return fail(reason)
	}
	bare := scheme == ""
	if bare {
		scheme = "http"
	}

	end := strings.IndexAny(rest, `/?\`)
	if end < 0 {
		end = len(rest)
	}
	if end < len(rest) && rest[end] == '\\' {
		// Browsers read a slash here, other parsers go on to the next "@".
		return fail(ReasonAmbiguous)
	}
	p := parsed{scheme: scheme}
	name, reason := p.cutAuthority(rest[:end], bare)
	if reason != "" {
		return fail(reason)
	}
	if p.host, reason = canonHost(unescape(name)); reason != "" {
		return fail(reason)
	}

	// An escaped question mark begins the query like a bare one: the rules unescape before they look at the path.
	path, query, hasQuery := strings.Cut(unescape(rest[end:]), "?")
	p.path = string(appendEscaped(nil, cleanPath(path)))
	p.query, p.hasQuery = string(appendEscaped(nil, query)), hasQuery
	if len(p.host.text)+len(p.path)+len(p.query)+1 > maxBody {
		return fail(ReasonTooLong)
	}
	return p, nil
}

var lineBreaks = strings.NewReplacer("\t", "", "\r", "", "\n", "")

// cutScheme returns the lower-case scheme and what stands behind "://", or no scheme and s itself.
func cutScheme(s string) (scheme, rest, reason string) {
	head, rest, ok := strings.Cut(s, "://")
	if !ok || strings.ContainsAny(head, "/?\\@[%") {
		return "", s, "" // an "://" further in belongs to path or query; an escaped scheme is read after unescaping
	}
	switch head = asciiLower(head); head {
	case "http", "https", "ftp", "ws", "wss":
		return head, rest, ""
	}
	return "", s, ReasonScheme
}

// cutAuthority notes and drops user and port and returns the host as written.
func (p *parsed) cutAuthority(authority string, bare bool) (name, reason string) {
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		if bare {
			// someone@mail.test in a list would otherwise become an entry for the whole mail provider.
			return "", ReasonMail
		}
		authority, p.user = authority[at+1:], true
	}
	name = authority
	colon := strings.LastIndexByte(authority, ':')
	if strings.HasPrefix(authority, "[") && colon < strings.LastIndexByte(authority, ']') {
		colon = -1 // the colons of an IPv6 address
	}
	if colon >= 0 {
		port := authority[colon+1:]
		name, p.port = authority[:colon], true
		switch {
		case !isPort(port):
			if bare {
				return "", ReasonScheme // mailto:, javascript:, http:/x.test
			}
			return "", ReasonPort
		case bare && (port == "" || isWebScheme(name)):
			return "", ReasonScheme // http:8080 is a damaged URL, not a host named http
		}
	}
	if name == "" {
		return "", ReasonNoHost
	}
	return name, ""
}

// isPort reports whether s is empty or a number up to 65535, with zeros in front if need be.
func isPort(s string) bool {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		if n = n*10 + int(s[i]-'0'); n > 65535 {
			return false
		}
	}
	return true
}

func isWebScheme(s string) bool {
	switch asciiLower(s) {
	case "http", "https", "ftp", "ws", "wss":
		return true
	}
	return false
}

// asciiLower lowers A to Z and leaves every other byte, so that invalid UTF-8 stays as it came.
func asciiLower(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
