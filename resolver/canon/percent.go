package canon

// unescape takes percent-escapes out of s until none is left, as if whole passes were repeated, in one walk.
//
// An escape is three bytes that begin with '%', and '%' is no hex digit, so two escapes never overlap and the order of
// replacing does not change the result. Decoding at the end of what is already written therefore reaches the same text
// as passes over the whole, in linear time, where "%252525…" would cost one pass for each "25".
func unescape(s string) string {
	first := -1
	for i := 0; i+2 < len(s); i++ {
		if s[i] == '%' && isHex(s[i+1]) && isHex(s[i+2]) {
			first = i
			break
		}
	}
	if first < 0 {
		return s
	}
	out := make([]byte, first, len(s))
	copy(out, s[:first])
	for i := first; i < len(s); i++ {
		out = append(out, s[i])
		for n := len(out); n >= 3 && out[n-3] == '%' && isHex(out[n-2]) && isHex(out[n-1]); n = len(out) {
			out[n-3] = unhex(out[n-2])<<4 | unhex(out[n-1])
			out = out[:n-2]
		}
	}
	return string(out)
}

// appendEscaped appends s with every byte escaped that the rules name: up to space, from DEL on, '#' and '%'.
// It is the inverse of unescape for any s that unescape returned.
func appendEscaped(dst []byte, s string) []byte {
	const upper = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c <= ' ' || c >= 0x7f || c == '#' || c == '%' {
			dst = append(dst, '%', upper[c>>4], upper[c&15])
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// unhex returns the value of a digit for which isHex holds.
func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}
