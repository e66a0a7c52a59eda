package canon

// Host returns the canonical form of a bare name or numeric host: lower-case ASCII, IDNA labels in their ASCII form, no
// dot at either end; 192.0.2.1 for every spelling of an IPv4 address; [2001:db8::1] for IPv6. Only letters, digits,
// hyphens and underscores may stand in a name. The error is an *Error.
func Host(raw string) (string, error) {
	return "", &Error{Act: "canonicalise host", Reason: ReasonHost}
}
