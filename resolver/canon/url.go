package canon

// URL returns the canonical URL of raw: scheme://host/path?query, without user, port and fragment. A bare name or a name
// with a path is read as http. URL(URL(x)) == URL(x). The error is an *Error.
func URL(raw string) (string, error) {
	return "", &Error{Act: "canonicalise url", Reason: ReasonHost}
}
