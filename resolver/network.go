package resolver

import (
	"net/netip"
	"slices"

	"github.com/cordon-project/cordon/resolver/wire"
)

// What is answered to some clients only, by where they are. Neither costs anything where nothing of it is configured.
//
// Behind a NAT64: AAAA and PTR questions are marked, an upstream that translates (dns64) goes by the mark, and it is in the cache's key.
//
// With a client subnet (ECS, RFC 7871), from a resolver of one's own that Config.Subnets names: it goes upstream as it came, and the reply's scope
// comes back. The answer is for that subnet alone, so it is never taken from the cache nor put there, and listed names are stopped in it as in any
// other. Everybody else's subnets are left out, unread. The resolver never adds one.

// mark sets what a question's client makes of it. Hot path: no allocation.
func (r *Resolver) mark(w *scratch, query []byte, from wire.Client) error {
	if (w.q.Type == wire.TypeAAAA || w.q.Type == wire.TypePTR) && holds(r.config.NAT64, from.Addr) {
		w.q.NAT64 = true
	}
	if len(r.config.Subnets) > 0 && w.q.EDNS && holds(r.config.Subnets, from.Addr) {
		s, ok := w.q.ReadSubnet(query)
		if !ok {
			return wire.ErrFormat // RFC 7871 7.2.1
		}
		w.q.Subnet = s
	}
	return nil
}

func holds(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// shared reports whether the answer may be another client's as well, and so be in the cache.
func (w *scratch) shared() bool { return !w.q.Subnet.Is() }

// scoped takes the scope of a scanned reply for the answer; false when the reply is about another subnet than was asked for (RFC 7871 7.3). A reply
// without any holds for everybody.
func (w *scratch) scoped() bool {
	if w.shared() || w.sum.Subnet == nil {
		return true
	}
	got, ok := wire.ParseSubnet(w.sum.Subnet)
	if !ok || got.WithScope(0) != w.q.Subnet {
		return false
	}
	w.opt.Subnet = got
	return true
}
