// Package analysts is the file of accredited analysts' prefixes, towards which nothing is stopped once two officers have signed its SHA-256.
//
// In come prefixes, out comes their one text, and the other way round; cluster/audit/LEAF.md says what is in it. It is made where officers are
// and read again by whoever signs it and by each edge; the log has its hash alone.
package analysts

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/cluster/audit/order"
)

// MaxSize bounds the file: 64 prefixes of at most 44 bytes, and the head.
const MaxSize = 8 << 10

const (
	head     = "cordon/analysts/v1\n"
	saltWord = "salt "
)

// An office has a few addresses: shorter prefixes would exempt subscribers.
const (
	minIPv4 = 24
	minIPv6 = 48
)

// Write makes the one text of a set of prefixes, with a salt of its own that keeps its hash from being guessed. What Read would refuse is an error.
func Write(prefixes []netip.Prefix) ([]byte, error) {
	sorted := slices.Clone(prefixes)
	slices.SortFunc(sorted, compare)
	var salt [32]byte
	_, _ = rand.Read(salt[:]) // never fails
	b := []byte(head + saltWord + hex.EncodeToString(salt[:]) + "\n")
	for _, p := range sorted {
		b = append(p.AppendTo(b), '\n')
	}
	if _, err := Read(b); err != nil {
		return nil, err
	}
	return b, nil
}

// compare: IPv4 before IPv6, then by address, then the shorter first.
func compare(a, b netip.Prefix) int {
	return cmp.Or(cmp.Compare(a.Addr().BitLen(), b.Addr().BitLen()), a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// Read gives the prefixes of what Write makes, and takes nothing else.
func Read(b []byte) ([]netip.Prefix, error) {
	text, ok := strings.CutPrefix(string(b), head+saltWord)
	salt, rest, end := strings.Cut(text, "\n")
	if raw, err := hex.DecodeString(salt); !ok || !end || err != nil || len(raw) != 32 || hex.EncodeToString(raw) != salt || len(b) > MaxSize {
		return nil, errors.New("this is no file of analysts' prefixes; cordon analysts writes one")
	}
	var out []netip.Prefix
	for line := range strings.Lines(rest) {
		p, err := netip.ParsePrefix(strings.TrimSuffix(line, "\n"))
		switch {
		case err != nil || !strings.HasSuffix(line, "\n") || p.String()+"\n" != line || p != p.Masked() || p.Addr().Is4In6():
			return nil, fmt.Errorf("%.64q is no prefix; write one like 192.0.2.0/29 or 2001:db8::/56", strings.TrimSuffix(line, "\n"))
		case p.Addr().Is4() && p.Bits() < minIPv4, p.Addr().Is6() && p.Bits() < minIPv6:
			return nil, fmt.Errorf("%v is more than an office; at least /%d of IPv4 and /%d of IPv6", p, minIPv4, minIPv6)
		case len(out) > 0 && compare(out[len(out)-1], p) >= 0:
			return nil, fmt.Errorf("%v is there twice, or not in its place", p)
		}
		out = append(out, p)
	}
	if len(out) == 0 || len(out) > order.MaxExempt {
		return nil, fmt.Errorf("%d prefixes, 1 to %d can be exempted", len(out), order.MaxExempt)
	}
	return out, nil
}
