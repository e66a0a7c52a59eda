package canon

// URL returns the canonical URL of raw: scheme://host/path?query, without user, port and fragment. A bare name or a name
// with a path is read as http. The host may hold any byte (escaped), as the published vectors demand; Host and Expression
// are stricter. URL(URL(x)) == URL(x). The error is an *Error.
func URL(raw string) (string, error) {
	p, err := parse("canonicalise url", raw)
	if err != nil {
		return "", err
	}
	return p.scheme + "://" + p.page(), nil
}

// page returns the parts behind the scheme: host/path?query.
func (p *parsed) page() string {
	if p.hasQuery {
		return p.host.text + p.path + "?" + p.query
	}
	return p.host.text + p.path
}
