package canon

import "strings"

// Expr is one text that a URL or a name is tested against. Class is Kind.Class(), kept beside it because the digest takes it.
type Expr struct {
	Class Class
	Kind  Kind
	Text  string
}

// Expression returns the canonical text of an entry of kind k, stable under a second call. The error is an *Error.
//
//	url                  host/path?query, no scheme, no port
//	prefix               host/path without a slash at the end, or host/ for all pages of the host
//	host, domain, steer  host
//
// What would silently widen an entry is refused: a path, port or user in a name, a query in a prefix, and an IP address
// as host or domain (only pages have addresses for hosts; a steer record of such a page has one too).
func Expression(k Kind, raw string) (string, error) {
	act := "canonicalise " + k.String()
	fail := func(reason string) (string, error) { return "", &Error{Act: act, Reason: reason} }
	if !k.Valid() {
		return fail(ReasonKind)
	}
	p, err := parsePlain(act, raw)
	if err != nil {
		return "", err
	}
	switch k {
	case KindURL:
		return p.page(), nil
	case KindPrefix:
		if p.hasQuery {
			return fail(ReasonPrefixQuery)
		}
		path := trimSlash(p.path)
		if pathDepth(path) > MaxDepth {
			return fail(ReasonDepth)
		}
		return p.host.text + path, nil
	}
	switch {
	case p.path != "/" || p.hasQuery:
		return fail(ReasonNamePath)
	case p.port:
		return fail(ReasonNamePort)
	case p.user:
		return fail(ReasonNameUser)
	case p.host.address && k != KindSteer:
		return fail(ReasonIsAddress)
	}
	return p.host.text, nil
}

// HostOf returns the host part of any expression that Expression or Expressions returned.
func HostOf(expression string) string {
	host, _, _ := strings.Cut(expression, "/")
	return host
}

// Expressions returns everything raw is tested against, in order: Host of the full name, Domain of every label suffix from
// the full name to the last label, Steer of the full name, URL of the page, Prefix at every "/" boundary of the path,
// shortest first, at most MaxDepth parts deep. A bare name has the page of its root. An address has no Domain.
// The texts share one string. The error is an *Error; a caller on the path of a question passes what is refused.
func Expressions(raw string) ([]Expr, error) {
	p, err := parsePlain("expand expressions", raw)
	if err != nil {
		return nil, err
	}
	page := p.page()
	name := page[:len(p.host.text)]
	out := make([]Expr, 0, 8+strings.Count(name, ".")+min(pathDepth(p.path), MaxDepth))
	add := func(k Kind, text string) { out = append(out, Expr{Class: k.Class(), Kind: k, Text: text}) }

	add(KindHost, name)
	if !p.host.address {
		for rest, more := name, true; more; {
			add(KindDomain, rest)
			_, rest, more = strings.Cut(rest, ".")
		}
	}
	add(KindSteer, name)
	add(KindURL, page)

	// "/a/b" has the boundaries "/", "/a" and "/a/b"; so has "/a/b/".
	root := len(name) + 1
	add(KindPrefix, page[:root])
	path := trimSlash(p.path)
	for i, depth := 1, 0; i < len(path) && depth < MaxDepth; depth++ {
		end := strings.IndexByte(path[i:], '/')
		if end < 0 {
			end = len(path) - i
		}
		add(KindPrefix, page[:len(name)+i+end])
		i += end + 1
	}
	return out, nil
}

// parsePlain parses and refuses hosts that no list and no lookup may hold.
func parsePlain(act, raw string) (parsed, error) {
	p, err := parse(act, raw)
	if err != nil {
		return parsed{}, err
	}
	if !p.host.plain {
		return parsed{}, &Error{Act: act, Reason: ReasonHost}
	}
	return p, nil
}

// trimSlash takes the slash off the end of a clean path, but not from "/".
func trimSlash(path string) string {
	if len(path) > 1 {
		return strings.TrimSuffix(path, "/")
	}
	return path
}
