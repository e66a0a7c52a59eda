package appliance

import (
	"net/netip"

	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/dns64"
)

// upstreams are asked with and without waiting.
type upstreams interface {
	resolver.Exchanger
	resolver.Asker
}

// translated puts DNS64 in front of an upstream, when the file has a prefix.
func translated(c *config.Edge, next upstreams) (resolver.Exchanger, error) {
	if !c.DNS64.IsValid() {
		return next, nil
	}
	return dns64.New(next, c.DNS64)
}

// stops are where listed names lead. Behind a NAT64 an IPv6-only client reaches a stop page that has an IPv4 address alone through the
// translator, like any other site.
func stops(c *config.Edge) resolver.Stop {
	six := func(a config.StopAddress) netip.Addr {
		if !a.IPv6.IsValid() && a.IPv4.IsValid() && c.DNS64.IsValid() {
			return dns64.Embed(c.DNS64, a.IPv4)
		}
		return a.IPv6
	}
	return resolver.Stop{
		LawIPv4: c.Stop.Law.IPv4, LawIPv6: six(c.Stop.Law), VoluntaryIPv4: c.Stop.Voluntary.IPv4, VoluntaryIPv6: six(c.Stop.Voluntary),
	}
}
