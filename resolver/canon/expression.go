package canon

// Expr is one text that a URL or a name is tested against. Class and Kind belong together: Class is Kind.Class().
type Expr struct {
	Class Class
	Kind  Kind
	Text  string
}

// Expression returns the canonical text of an entry of kind k. The error is an *Error.
//
//	url                  host/path?query, no scheme, no port
//	prefix               host/path without a slash at the end, or host/ for the whole host's pages
//	host, domain, steer  host
func Expression(k Kind, raw string) (string, error) {
	return "", &Error{Act: "canonicalise expression", Reason: ReasonKind}
}

// HostOf returns the host part of any expression that Expression returned.
func HostOf(expression string) string { return expression }

// Expressions returns everything raw is tested against, in order: Host of the full name, Domain of every label suffix from
// the full name to the last label, Steer of the full name, URL of the page, Prefix at every "/" boundary of the path.
// The error is an *Error.
func Expressions(raw string) ([]Expr, error) {
	return nil, &Error{Act: "expand expressions", Reason: ReasonKind}
}
