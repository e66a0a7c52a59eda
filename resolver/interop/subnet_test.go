package interop

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/serve"
	"github.com/cordon-project/cordon/resolver/upstream"
)

const (
	ownResolver = "192.0.2.60" // forwards to the edge, with its clients' subnets
	subscriber  = "192.0.2.61"
)

// startNear serves slow.example with addresses near who asks: 192.0.2.N for a subnet whose third byte is N, for all of its /24. Names that begin with
// alias lead to a listed name when N is 9. near counts questions for near.slow.example.
func startNear(t *testing.T) (near *atomic.Int64) {
	t.Helper()
	near = new(atomic.Int64)
	socket, err := net.ListenPacket("udp", slowServer+":53")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: socket, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		name, last := q.Question[0].Name, byte(99)
		if opt := q.IsEdns0(); opt != nil {
			m.SetEdns0(1232, opt.Do())
			for _, o := range opt.Option {
				if s, ok := o.(*dns.EDNS0_SUBNET); ok && s.SourceNetmask > 0 {
					s.SourceScope, last = 24, s.Address.To4()[2]
					m.IsEdns0().Option = []dns.EDNS0{s}
				}
			}
		}
		switch {
		case q.Question[0].Qtype != dns.TypeA:
			m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: "slow.example.", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60}, Ns: "ns.slow.example.", Mbox: "host.slow.example.", Minttl: 60}}
		case strings.EqualFold(name, "alias.slow.example.") && last == 9:
			m.Answer = []dns.RR{&dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 300}, Target: "listed.slow.example."}}
			name = "listed.slow.example."
			fallthrough
		default:
			if strings.EqualFold(name, "near.slow.example.") {
				near.Add(1)
			}
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, A: net.IPv4(192, 0, 2, last)})
		}
		_ = w.WriteMsg(m)
	})}
	served := make(chan error, 1)
	go func() { served <- server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown(); <-served })
	return near
}

// TestSubnetsOfOnesOwnResolversGoAllTheWay: dig, an Unbound of one's own, the edge, an Unbound as its upstream, and a server whose answers differ.
func TestSubnetsOfOnesOwnResolversGoAllTheWay(t *testing.T) {
	near := startNear(t)
	unbound := func(at, to, how, zone string) {
		daemon(t, func() error {
			_, err := dns.Exchange(new(dns.Msg).SetQuestion("up.slow.example.", dns.TypeMX), at+":53")
			return err
		}, "unbound", "-d", "-p", "-c", scratch(t, fmt.Sprintf(`server:
  interface: %[1]s
  outgoing-interface: %[1]s
  access-control: 192.0.2.0/24 allow
  chroot: ""
  username: ""
  pidfile: ""
  directory: %[2]q
  use-syslog: no
  logfile: ""
  module-config: "subnetcache iterator"
  send-client-subnet: %[3]s
  max-client-subnet-ipv4: 24
  qname-minimisation: no
%[4]s-zone:
  name: %[5]q
  %[4]s-addr: %[3]s
remote-control:
  control-enable: no
`, at, t.TempDir(), to, how, zone)))
	}
	unbound(forwarder, slowServer, "stub", "slow.example")
	pool, err := upstream.Open(upstream.Config{Servers: []netip.AddrPort{netip.MustParseAddrPort(forwarder + ":53")}, Attempt: patience, Total: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	r := startPlain(t, resolver.Config{Upstream: pool, Subnets: []netip.Prefix{netip.MustParsePrefix(ownResolver + "/32")}}, serve.Config{}, edgeAddress)
	r.Swap(setOf(t, "listed.slow.example"))
	unbound(ownResolver, edgeAddress, "forward", ".")
	known := map[string]bool{} // subnets that near.slow.example has been asked for
	for i, tt := range []struct {
		from, at, name, subnet string
		want                   []string
	}{
		// those who ask the edge themselves
		{ownResolver, edgeAddress, "www.slow.example", "+subnet=198.51.7.0/24", []string{"192.0.2.7", "CLIENT-SUBNET: 198.51.7.0/24/24"}},
		{ownResolver, edgeAddress, "www.slow.example", "+subnet=198.51.8.0/24", []string{"192.0.2.8", "CLIENT-SUBNET: 198.51.8.0/24/24"}},
		{ownResolver, edgeAddress, "www.slow.example", "+subnet=0", []string{"192.0.2.99", "CLIENT-SUBNET: 0.0.0.0/0/0"}},
		{subscriber, edgeAddress, "www.slow.example", "+subnet=198.51.7.0/24", []string{"192.0.2.2", "!CLIENT-SUBNET"}},
		{subscriber, edgeAddress, "www.slow.example", "+nosubnet", []string{"192.0.2.2", "!CLIENT-SUBNET"}},
		{ownResolver, edgeAddress, "listed.slow.example", "+subnet=198.51.7.0/24", []string{stopIPv4, "EDE: 16", "CLIENT-SUBNET: 198.51.7.0/24/0"}},
		{ownResolver, edgeAddress, "alias.slow.example", "+subnet=198.51.9.0/24", []string{stopIPv4, "EDE: 16", "CLIENT-SUBNET: 198.51.9.0/24/24"}},
		{ownResolver, edgeAddress, "alias.slow.example", "+subnet=198.51.7.0/24", []string{"192.0.2.7", "!EDE"}},
		{subscriber, edgeAddress, "alias.slow.example", "+nosubnet", []string{"192.0.2.2", "!EDE"}},
		// clients of one's own resolver
		{subscriber, ownResolver, "near.slow.example", "+subnet=198.51.7.0/24", []string{"192.0.2.7"}},
		{subscriber, ownResolver, "near.slow.example", "+subnet=198.51.8.0/24", []string{"192.0.2.8"}},
		{subscriber, ownResolver, "near.slow.example", "+subnet=198.51.7.0/24", []string{"192.0.2.7"}},
		{subscriber, ownResolver, "listed.slow.example", "+subnet=198.51.7.0/24", []string{stopIPv4, "!192.0.2.7"}},
		{subscriber, ownResolver, "alias.slow.example", "+subnet=198.51.9.0/24", []string{stopIPv4, "!192.0.2.9"}},
		{subscriber, ownResolver, "alias.slow.example", "+subnet=198.51.7.0/24", []string{"192.0.2.7", "!" + stopIPv4}},
	} {
		before := near.Load()
		has(t, fmt.Sprintf("row %d: of %s for %s %s", i, tt.from, tt.name, tt.subnet),
			output(t, "dig", "-r", "-b", tt.from, "@"+tt.at, "+tries=1", "+timeout=60", tt.name, "A", tt.subnet), append(tt.want, "NOERROR")...)
		if tt.name != "near.slow.example" {
			continue
		}
		// On a busy machine an Unbound may ask more than once until it has an answer.
		if n := near.Load() - before; (n == 0) != known[tt.subnet] {
			t.Errorf("row %d: the server was asked %d times, and the subnet was asked about before: %v; the scope has not come back to one's own resolver", i, n, known[tt.subnet])
		}
		known[tt.subnet] = true
	}
}
