package canon

import (
	"net/netip"
	"strings"
)

// nat64 is the well-known prefix of RFC 6052: an address in it reaches the IPv4 address in its last four bytes.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// isAddress reports whether a canonical host is an IP address. No canonical name ends in a number, so the last byte
// and the brackets decide.
func isAddress(host string) bool {
	return strings.HasPrefix(host, "[") || endsInNumber(host)
}

// endsInNumber reports whether the last label is a number, decimal or 0x hex, so that resolvers read the whole as an
// IPv4 address or not at all (the "ends in a number" rule of the URL standard). s is lower case, without a dot at its end.
func endsInNumber(s string) bool {
	last := s[strings.LastIndexByte(s, '.')+1:]
	if last == "" {
		return false
	}
	if digits, ok := strings.CutPrefix(last, "0x"); ok {
		for i := 0; i < len(digits); i++ {
			if !isHex(digits[i]) {
				return false
			}
		}
		return true
	}
	for i := 0; i < len(last); i++ {
		if last[i] < '0' || last[i] > '9' {
			return false
		}
	}
	return true
}

// canonIPv4 reads the spellings inet_aton and browsers read: one to four parts, each decimal, octal with a leading 0 or
// hex with 0x, the last part filling the bytes that are left. A part that does not fit is refused, never cut.
func canonIPv4(s string) (string, bool) {
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return "", false
	}
	var addr uint64
	for i, part := range parts {
		value, ok := ipv4Number(part)
		if !ok {
			return "", false
		}
		if i < len(parts)-1 {
			if value > 255 {
				return "", false
			}
			addr |= value << (8 * (3 - i))
			continue
		}
		if value >= 1<<(8*(4-i)) {
			return "", false
		}
		addr |= value
	}
	return netip.AddrFrom4([4]byte{byte(addr >> 24), byte(addr >> 16), byte(addr >> 8), byte(addr)}).String(), true
}

// ipv4Number reads one part; "0x" alone is 0, as in browsers.
func ipv4Number(s string) (uint64, bool) {
	base := uint64(10)
	if digits, ok := strings.CutPrefix(s, "0x"); ok {
		base, s = 16, digits
	} else if s == "" {
		return 0, false
	} else if len(s) > 1 && s[0] == '0' {
		base, s = 8, s[1:]
	}
	var value uint64
	for i := 0; i < len(s); i++ {
		if !isHex(s[i]) || uint64(unhex(s[i])) >= base {
			return 0, false
		}
		if value = value*base + uint64(unhex(s[i])); value >= 1<<32 {
			return 0, false
		}
	}
	return value, true
}

// canonIPv6 reads an address in brackets and writes it as RFC 5952 does, in hex throughout. Addresses that only carry an IPv4
// address (mapped, or behind NAT64's well-known prefix) become that address, as Safe Browsing v5 asks. A zone is refused:
// it has a meaning on one machine only.
func canonIPv6(s string) (string, bool) {
	inner, ok := strings.CutSuffix(s[1:], "]")
	if !ok {
		return "", false
	}
	addr, err := netip.ParseAddr(inner)
	if err != nil || !addr.Is6() || addr.Zone() != "" {
		return "", false
	}
	if addr.Is4In6() {
		return addr.Unmap().String(), true
	}
	if nat64.Contains(addr) {
		b := addr.As16()
		return netip.AddrFrom4([4]byte(b[12:])).String(), true
	}
	return "[" + addr.String() + "]", true
}
