package edge

import (
	"log/slog"
	"net/netip"

	"github.com/cordon-project/cordon/appliance/config"
)

// Listening is every address on which an edge with this file answers somebody, for its log at the start: what is not there is left out.
func Listening(c *config.Edge) (all []any) {
	e := &c.Encrypted
	page := append(pageAddrs(c.Stop.Law, c.Stop.ListenPort), pageAddrs(c.Stop.Voluntary, c.Stop.ListenPort)...)
	var metrics []netip.AddrPort
	if c.MetricsListen.IsValid() {
		metrics = []netip.AddrPort{c.MetricsListen}
	}
	for _, one := range []struct {
		what string
		at   []netip.AddrPort
	}{{"dns", c.DNSListen}, {"tls", e.TLSListen}, {"https", e.HTTPSListen}, {"quic", e.QUICListen}, {"page", page}, {"metrics", metrics}} {
		if len(one.at) > 0 {
			all = append(all, slog.Any(one.what, one.at))
		}
	}
	return all
}
