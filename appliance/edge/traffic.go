package edge

import (
	"net/netip"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/appliance/metrics"
	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/cache"
	"github.com/cordon-project/cordon/resolver/guard"
	"github.com/cordon-project/cordon/resolver/serve"
	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/upstream/unbound"
	"github.com/cordon-project/cordon/resolver/wire"
)

// meters are what counts in an edge.
type meters struct {
	answers  *resolver.Resolver
	cache    *cache.Cache
	guard    *guard.Guard
	dns      *serve.Server
	has      []wire.Transport
	pool     *upstream.Zones
	unbound  *unbound.Resolver // nil unless upstream: recursive
	shown    *certificateWatch // nil without encrypted transports
	follower *follower
}

// transportsOf are those that an edge has.
func transportsOf(c *config.Edge) []wire.Transport {
	out := []wire.Transport{wire.UDP, wire.TCP}
	for _, x := range []struct {
		via    wire.Transport
		listen []netip.AddrPort
	}{{wire.TLS, c.Encrypted.TLSListen}, {wire.HTTPS, c.Encrypted.HTTPSListen}, {wire.QUIC, c.Encrypted.QUICListen}} {
		if len(x.listen) > 0 {
			out = append(out, x.via)
		}
	}
	return out
}

// traffic is what an edge tells control nodes of what went through it. An Unbound of its own is told of elsewhere.
func (m *meters) traffic() api.Traffic {
	r, s := m.answers.Counts(), m.dns.Counts()
	t := api.Traffic{Missed: r.Misses, Prefetched: r.Prefetch, Stale: r.Stale, ServFail: r.ServFail, Busy: s.Busy, Crowded: r.Crowded, Draining: s.Draining}
	for _, via := range m.has {
		c := s.By[via]
		t.Transports = append(t.Transports, api.Transport{
			Name: api.Transports[via], Questions: c.Questions, Connections: c.Conns, Open: c.Open, Crowded: c.Crowded, Strangers: c.Strangers, Unproxied: c.Unproxied,
			Handshakes: c.Handshakes, Yielded: c.Yielded,
		})
	}
	if m.unbound == nil {
		t.Upstreams = upstreamsOf(nil, "", m.pool.Counts().Servers)
	}
	for _, z := range m.pool.ZoneCounts() {
		t.Upstreams = upstreamsOf(t.Upstreams, z.Zone, z.Servers)
	}
	return t
}

// snapshot is what the metrics show.
func (m *meters) snapshot() metrics.Snapshot {
	s := metrics.Snapshot{
		Ready: m.answers.Set() != nil, Answers: m.answers.Counts(), CacheBytes: m.cache.Bytes(), CacheLen: m.cache.Len(), Guard: m.guard.Counts(), Serve: m.dns.Counts(), Transports: m.has,
	}
	s.Fresh = m.follower.freshness()
	s.Upstreams = append([]upstream.ZoneCounts{{Zone: ".", Counts: m.pool.Counts()}}, m.pool.ZoneCounts()...)
	if m.unbound != nil {
		state := m.unbound.State()
		s.Unbound = &state
	}
	if m.shown != nil {
		s.Ends = m.shown.says().Ends
	}
	return s
}

func upstreamsOf(out []api.Upstream, zone string, all []upstream.ServerCounts) []api.Upstream {
	for _, s := range all {
		u := api.Upstream{
			Server: s.Server, Zone: zone, RTT: s.RTT, Cookies: s.Cookies, Asked: s.Asked, Answers: s.Answers, Refusals: s.Refusals, Failures: s.Failures,
			Timeouts: s.Timeouts, Hedged: s.Hedged, TCP: s.TCP, BadCookies: s.BadCookies, Connections: s.Connections, Resumed: s.Resumed, Unproven: s.Unproven,
		}
		if !s.Failing.IsZero() {
			u.Failing = s.Failing.UTC().Truncate(time.Second)
		}
		out = append(out, u)
	}
	return out
}
