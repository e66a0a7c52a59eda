package guard

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"sort"
)

// Local are the prefixes served without being named: loopback, private use (RFC 1918, RFC 4193), a carrier's NAT (RFC 6598), link-local.
func Local() []netip.Prefix {
	var out []netip.Prefix
	for _, p := range []string{
		"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10",
	} {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// MaxPrefixes is how many prefixes a Config may have; an operator's routing table in its own country has hundreds.
const MaxPrefixes = 4096

// class says what an address is.
type class uint8

const (
	client class = 1 << iota
	exempt

	mixed class = 1 << 7
)

// ranges maps addresses to classes: the address space cut at the ends of all prefixes. Immutable.
type ranges struct {
	four      []uint32 // sorted first addresses; the first is 0
	fourClass []class
	first     [257]uint16 // place in four of the range that holds A.0.0.0
	top       [256]class  // of all of A.0.0.0/8, or mixed
	six       []upper     // the same for IPv6
	sixClass  []class
}

// upper is an IPv6 address in two halves.
type upper struct{ hi, lo uint64 }

func (a upper) less(b upper) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

func newRanges(c Config) (*ranges, error) {
	if n := len(c.Clients) + len(c.Strangers) + len(c.Exempt); n > MaxPrefixes {
		return nil, fmt.Errorf("%d prefixes, at most %d are allowed", n, MaxPrefixes)
	}
	rules := []rule{}
	for _, p := range append(Local(), c.Clients...) {
		rules = append(rules, rule{p, client, 0})
	}
	for _, p := range c.Strangers {
		rules = append(rules, rule{p, 0, client})
	}
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, p := range append(loopback, c.Exempt...) {
		rules = append(rules, rule{p, exempt, 0})
	}
	// A longer prefix comes later and so decides; a stranger's goes before a client's of the same length.
	slices.SortStableFunc(rules, func(a, b rule) int {
		return cmp.Or(cmp.Compare(a.prefix.Bits(), b.prefix.Bits()), cmp.Compare(a.clear, b.clear))
	})
	var four, six []rule
	for _, r := range rules {
		switch a := r.prefix.Addr(); {
		case !r.prefix.IsValid() || a.Is4In6() || r.prefix != r.prefix.Masked():
			return nil, fmt.Errorf("%v is not a prefix with all bits behind it zero", r.prefix)
		case a.Is4():
			four = append(four, r)
		default:
			six = append(six, r)
		}
	}
	out := &ranges{}
	for _, cut := range cuts(four, netip.IPv4Unspecified()) {
		a := cut.from.As4()
		out.four, out.fourClass = append(out.four, binary.BigEndian.Uint32(a[:])), append(out.fourClass, cut.class)
	}
	for _, cut := range cuts(six, netip.IPv6Unspecified()) {
		out.six, out.sixClass = append(out.six, halves(cut.from)), append(out.sixClass, cut.class)
	}
	for top := range out.first {
		at := sort.Search(len(out.four), func(i int) bool { return uint64(out.four[i]) > uint64(top)<<24 })
		out.first[top] = uint16(min(at-1, math.MaxUint16))
	}
	for top := range out.top {
		low, next := out.first[top], out.first[top+1]
		if out.top[top] = mixed; low == next || low+1 == next && out.four[next] == uint32(top+1)<<24 {
			out.top[top] = out.fourClass[low]
		}
	}
	return out, nil
}

// rule changes the class of the addresses of a prefix.
type rule struct {
	prefix     netip.Prefix
	set, clear class
}

type cut struct {
	from  netip.Addr
	class class
}

// cuts divides a family's addresses, from zero up, where their class changes. The rules are in the order in which they apply.
func cuts(rules []rule, zero netip.Addr) []cut {
	at := []netip.Addr{zero}
	for _, r := range rules {
		at = append(at, r.prefix.Addr())
		if next := last(r.prefix).Next(); next.IsValid() {
			at = append(at, next)
		}
	}
	slices.SortFunc(at, netip.Addr.Compare)
	var out []cut
	for _, a := range slices.Compact(at) {
		var c class
		for _, r := range rules {
			if r.prefix.Contains(a) {
				c = c&^r.clear | r.set
			}
		}
		if len(out) == 0 || out[len(out)-1].class != c {
			out = append(out, cut{a, c})
		}
	}
	return out
}

// last is the highest address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func halves(a netip.Addr) upper {
	b := a.As16()
	return upper{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// find is the class of an address, and its bits: all 32, or the upper 64.
func (r *ranges) find(a netip.Addr) (class, uint64) {
	if a.Is4() {
		b := a.As4()
		v := binary.BigEndian.Uint32(b[:])
		if c := r.top[v>>24]; c != mixed {
			return c, uint64(v)
		}
		low, high := int(r.first[v>>24]), int(r.first[v>>24+1])
		for low < high { // the last range that begins at or before v
			mid := int(uint(low+high+1) >> 1)
			if r.four[mid] <= v {
				low = mid
			} else {
				high = mid - 1
			}
		}
		return r.fourClass[low], uint64(v)
	}
	v := halves(a)
	low, high := 0, len(r.six)-1
	for low < high {
		mid := int(uint(low+high+1) >> 1)
		if v.less(r.six[mid]) {
			high = mid - 1
		} else {
			low = mid
		}
	}
	return r.sixClass[low], v.hi
}

// Holds is whether a prefix holds an address, for slices.ContainsFunc.
func Holds(a netip.Addr) func(netip.Prefix) bool {
	return func(p netip.Prefix) bool { return p.Contains(a) }
}
