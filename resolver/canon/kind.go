package canon

import "fmt"

// Kind says how much of the web an entry names. The numbers are part of the file formats and never change.
type Kind uint8

const (
	KindURL    Kind = 1 // one exact page: host, path and query
	KindPrefix Kind = 2 // a path and everything below it
	KindHost   Kind = 3 // exactly one host name
	KindDomain Kind = 4 // a name and everything below it
	KindSteer  Kind = 5 // a host that has page entries: may be steered to the URL filter, is never blocked
)

// ParseKind reads one of the four words an entry may carry: url, prefix, host, domain. Steer is not among them: steer
// records are derived from page entries and are never written by a person.
func ParseKind(s string) (Kind, error) {
	switch s {
	case "url":
		return KindURL, nil
	case "prefix":
		return KindPrefix, nil
	case "host":
		return KindHost, nil
	case "domain":
		return KindDomain, nil
	}
	return 0, &Error{Act: "parse kind", Reason: ReasonKind}
}

// String returns the word of the kind, "steer" and "kind(n)" included, so that it is fit for messages.
func (k Kind) String() string {
	switch k {
	case KindURL:
		return "url"
	case KindPrefix:
		return "prefix"
	case KindHost:
		return "host"
	case KindDomain:
		return "domain"
	case KindSteer:
		return "steer"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Valid reports whether k is one of the five kinds.
func (k Kind) Valid() bool { return k >= KindURL && k <= KindSteer }

// Class returns the hashing class of the kind, or 0 when the kind is not one of the five.
func (k Kind) Class() Class {
	switch k {
	case KindURL, KindPrefix:
		return ClassPage
	case KindHost, KindDomain, KindSteer:
		return ClassName
	}
	return 0
}

// Class is what goes into the digest beside the expression: one hash of a name serves host, domain and steer records,
// one hash of a page serves url and prefix records.
type Class uint8

const (
	ClassName Class = 1 // host, domain, steer
	ClassPage Class = 2 // url, prefix
)

// String returns "name", "page" or "class(n)".
func (c Class) String() string {
	switch c {
	case ClassName:
		return "name"
	case ClassPage:
		return "page"
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}
