package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"
)

// What an edge does when its file does not say.
const (
	DefaultCacheMB    = 64
	DefaultServeStale = 24 * time.Hour
	DefaultMaxStale   = 5 * time.Minute
	DefaultTTL        = 30 * time.Second
	DefaultListenPort = 80
)

func (f *file) edge(data []byte) *Edge {
	s := f.root(data)
	e := &Edge{
		Name:           must(s, "name", "this edge's name in the cluster", node),
		Dir:            s.onDisk("dir", "a folder for this edge's data", true),
		Cluster:        s.onDisk("cluster", "cluster.json", false),
		Key:            s.onDisk("key", "node.key", false),
		Certificate:    s.onDisk("certificate", "tls.crt", false),
		CertificateKey: s.onDisk("certificate_key", "tls.key", false),
		CA:             s.onDisk("ca", "ca.crt", false),
		Identity:       s.onDisk("identity", "edge.agekey", false),
		Control:        some(s, "control", "a list of https://ADDRESS:PORT of control nodes", maxMembers, api),
		NSID:           read(s, "nsid", true, boolean),
		CacheMB:        read(s, "cache_mb", DefaultCacheMB, number(1, 65536)),
		ServeStale:     read(s, "serve_stale", DefaultServeStale, stale),
		NeverBlock:     each(s, "never_block", maxNeverBlock, domain),
		MaxStale:       read(s, "max_stale", DefaultMaxStale, duration(2*time.Minute, 720*time.Hour)),
		LogLevel:       read(s, "log_level", slog.LevelInfo, level),
	}
	e.Hotlines = s.hotlines()
	e.Clients = s.clients()
	e.Analysts = s.later("analysts")
	s.network(e)
	e.StructuredErrors = s.structuredErrors()
	e.AcceptKeyOnDisk = s.accepted(e.Key, e.CertificateKey, e.Identity)

	var taken, udp places
	e.DNSListen = some(s, "dns_listen", "a list of addresses and ports such as 192.0.2.53:53", maxListen, addrPort(true))
	e.Freebind = read(s, "freebind", false, boolean)
	for _, a := range e.DNSListen {
		taken.add(s, "dns_listen", a)
	}
	udp.taken, udp.by = slices.Clone(taken.taken), slices.Clone(taken.by)
	e.resolvers(s)
	e.UpstreamTLS = s.upstreamTLS(e)
	e.Forward = s.forwards(e)
	if e.Recursive && len(e.ClientSubnets) > 0 {
		s.f.bad(s.at("client_subnets"), "client_subnets: this edge's own Unbound (upstream: recursive) makes no use of client subnets; name upstreams that do, or leave client_subnets out")
	}
	e.Encrypted = s.encrypted(&taken, &udp)
	e.Proxies = s.proxies(e)
	e.Stop = s.stop(&taken)
	for _, a := range slices.Concat(e.Stop.Law.Answers(), e.Stop.Voluntary.Answers()) {
		if at := netip.AddrPortFrom(a, 443); slices.Contains(taken.taken, at) {
			s.f.bad(s.at("stop"), "stop: %s must stay closed, because who comes there looks for a listed site, whose certificate nobody else has; give the resolver another address", at)
		}
	}
	if e.MetricsListen = read(s, "metrics_listen", netip.AddrPort{}, private); e.MetricsListen.IsValid() {
		taken.add(s, "metrics_listen", e.MetricsListen)
	}
	s.done()
	return e
}

// private reads an address that the world does not reach.
func private(n *yaml.Node) (netip.AddrPort, string) {
	a, wrong := addrPort(true)(n)
	if ip := a.Addr(); wrong == "" && !ip.IsLoopback() && !ip.IsPrivate() && !ip.IsLinkLocalUnicast() {
		wrong = a.String() + " can be reached from anywhere; write a loopback or private address such as 127.0.0.1:9153"
	}
	return a, wrong
}

// places are the addresses an edge listens on so far, and the key of the file that took each.
type places struct {
	taken []netip.AddrPort
	by    []string
}

// add takes an address for a key of s, and notes whoever has it already.
func (p *places) add(s *section, key string, a netip.AddrPort) {
	for i, b := range p.taken {
		if meet(a, b) {
			s.f.bad(s.at(key), "%s and %s both take %s; give one another address or port", p.by[i], s.path+key, both(b, a))
		}
	}
	p.taken, p.by = append(p.taken, a), append(p.by, s.path+key)
}

// both names two addresses that meet.
func both(a, b netip.AddrPort) string {
	if a == b {
		return a.String()
	}
	return fmt.Sprintf("the same place, as %s and %s", a, b)
}

func (s *section) stop(taken *places) Stop {
	s.missing("stop", "the section with law, voluntary, implementer and contact")
	n := s.take("stop")
	if n == nil {
		return Stop{}
	}
	in := s.f.section(n, "stop")
	stop := Stop{
		ListenPort:  uint16(read(in, "listen_port", DefaultListenPort, number(1, 65535))),
		Implementer: must(in, "implementer", "https://isp.example/blocking", link("https://isp.example/blocking", "https")),
		Contact:     must(in, "contact", "mailto:blocking@isp.example", link("mailto:blocking@isp.example or tel:+99900123456", "mailto", "tel")),
		Report:      read(in, "report", "", link("https://hotline.example/report", "https")),
		Help:        read(in, "help", "", link("https://help.example or tel:+99900123456", "https", "tel")),
		Languages:   each(in, "languages", len(languages), language),
		TTL:         read(in, "ttl", DefaultTTL, duration(10*time.Second, time.Minute)),
	}
	if in == nil {
		return stop
	}
	if stop.ListenPort == 443 {
		in.f.bad(in.at("listen_port"), "stop.listen_port: 443 must stay closed, no certificate could be right there; browsers come to 80 for the page")
	}
	stop.Law = in.stopAddress("law", stop.ListenPort, taken)
	stop.Voluntary = in.stopAddress("voluntary", stop.ListenPort, taken)
	for _, a := range stop.Voluntary.Answers() {
		if slices.Contains(stop.Law.Answers(), a) {
			in.f.bad(in.at("voluntary"), "stop.voluntary: %s is the address of stop.law too, but the address alone tells the pages apart; give each its own", a)
		}
	}
	in.done()
	return stop
}

func (s *section) stopAddress(key string, port uint16, taken *places) StopAddress {
	s.missing(key, "the section with ipv4, ipv6 or both")
	n := s.take(key)
	if n == nil {
		return StopAddress{}
	}
	in := s.f.section(n, s.path+key)
	a := StopAddress{
		IPv4: read(in, "ipv4", netip.Addr{}, addr(true, false)),
		IPv6: read(in, "ipv6", netip.Addr{}, addr(false, true)),

		Reference: read(in, "reference", "", sentence(200)),
	}
	if in != nil && !in.has("ipv4") && !in.has("ipv6") {
		in.f.bad(in.at(""), "%s has no address; add ipv4, ipv6 or both", s.path+key)
	}
	a.Listen = a.Answers()
	if in.has("listen") {
		a.Listen = append([]netip.Addr{}, each(in, "listen", maxListen, addr(true, true))...)
	}
	for _, ip := range a.Listen {
		taken.add(s, key, netip.AddrPortFrom(ip, port))
	}
	in.done()
	return a
}

// StaleOff is the ServeStale of an edge that serves nothing stale.
const StaleOff time.Duration = -1

func stale(n *yaml.Node) (time.Duration, string) {
	if word, wrong := scalar(n); wrong == "" && word == "off" {
		return StaleOff, ""
	}
	d, wrong := duration(time.Second, 168*time.Hour)(n)
	if wrong != "" {
		wrong += ", or off"
	}
	return d, wrong
}
