package edge

import (
	"net/netip"

	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/dns64"
)

// upstreams are asked with and without waiting, and many questions at once.
type upstreams interface {
	resolver.Exchanger
	resolver.Asker
	resolver.Queuer
}

// translated puts DNS64 in front of an upstream, when the file has a prefix.
func translated(c *config.Edge, next upstreams) (resolver.Exchanger, error) {
	if !c.DNS64.IsValid() {
		return next, nil
	}
	return dns64.New(next, c.DNS64)
}

// behindNAT64 are the clients it is for: everybody where the file does not say.
func behindNAT64(c *config.Edge) []netip.Prefix {
	if c.DNS64.IsValid() && len(c.DNS64Clients) == 0 {
		return []netip.Prefix{netip.MustParsePrefix("::/0"), netip.MustParsePrefix("0.0.0.0/0")}
	}
	return c.DNS64Clients
}

// stops are where listed names lead. Behind a NAT64 an IPv6-only client reaches a stop page that has an IPv4 address alone through the
// translator, like any other site.
func stops(c *config.Edge) resolver.Stop {
	translated := func(a config.StopAddress) netip.Addr {
		if a.IPv4.IsValid() && c.DNS64.IsValid() {
			return dns64.Embed(c.DNS64, a.IPv4)
		}
		return netip.Addr{}
	}
	law, voluntary := c.Stop.Law, c.Stop.Voluntary
	return resolver.Stop{
		LawIPv4: law.IPv4, LawIPv6: law.IPv6, LawNAT64: translated(law),
		VoluntaryIPv4: voluntary.IPv4, VoluntaryIPv6: voluntary.IPv6, VoluntaryNAT64: translated(voluntary),
	}
}
