package dns64

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

// reverse is the end of the names that PTR questions for a prefix have.
func reverse(p netip.Prefix) string {
	const hex = "0123456789abcdef"
	b := p.Addr().As16()
	var s strings.Builder
	for i := p.Bits()/4 - 1; i >= 0; i-- {
		s.WriteByte(hex[b[i/2]>>(4*(1-i%2))&0xf])
		s.WriteByte('.')
	}
	return s.String() + "ip6.arpa."
}

// pointed is the IPv4 address that the name of a PTR question stands for.
func (d *DNS64) pointed(name string) (netip.Addr, bool) {
	const nibbles = 32
	if !strings.HasSuffix(name, "."+d.reverse) || len(name) != 2*nibbles+len("ip6.arpa.") {
		return netip.Addr{}, false
	}
	var b [16]byte
	for i := range nibbles {
		v := strings.IndexByte("0123456789abcdef", name[2*i])
		if v < 0 || name[2*i+1] != '.' {
			return netip.Addr{}, false
		}
		at := nibbles - 1 - i
		b[at/2] |= byte(v) << (4 * (1 - at%2))
	}
	return extract(d.prefix, netip.AddrFrom16(b))
}

// pointer answers a PTR question for an embedded address: an alias of the IPv4 address's name, and what is there (RFC 6147 5.3.1).
func (d *DNS64) pointer(ctx context.Context, q wire.Question, name string, four netip.Addr, w upstream.Waiter) {
	target := reverse4(four)
	packed := make([]byte, wire.MaxName)
	n, err := dns.PackDomainName(target, packed, 0, nil, false)
	if err != nil {
		w.Told(nil, nil, fmt.Errorf("dns64: %w", err))
		w.Flush()
		return
	}
	q.Name = packed[:n]
	d.Queue(ctx, q, &pointer{Waiter: w, q: q, name: name, target: target})
}

// pointer waits for the answer about an IPv4 address's name.
type pointer struct {
	upstream.Waiter
	q            wire.Question // for target
	name, target string
}

// Told puts the alias in front.
func (p *pointer) Told(reply []byte, _ *wire.Summary, err error) {
	var m dns.Msg
	if err == nil && (!answers(p.q, reply) || m.Unpack(reply) != nil) {
		err = errReply
	}
	if err != nil {
		p.Waiter.Told(nil, nil, err)
		return
	}
	m.Question[0].Name = p.name
	m.AuthenticatedData, m.Compress = false, true
	alias := &dns.CNAME{Hdr: dns.RR_Header{Name: p.name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: defaultTTL}, Target: p.target}
	m.Answer = append([]dns.RR{alias}, m.Answer...)
	reply, err = m.Pack()
	p.Waiter.Told(reply, nil, err)
}

func reverse4(four netip.Addr) string {
	b := four.As4()
	return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa.", b[3], b[2], b[1], b[0])
}

// discovery is the name by which clients find the prefix: it has these two addresses and nothing else, and their reverse names have it.
const discovery = "ipv4only.arpa."

var (
	discoveryAddrs = []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 0, 170}), netip.AddrFrom4([4]byte{192, 0, 0, 171})}
	discoveryZones = []string{discovery, reverse4(discoveryAddrs[0]), reverse4(discoveryAddrs[1])}
)

// zone is the one of these names that a name is or lies below; empty for all others.
func zone(name string) string {
	for _, z := range discoveryZones {
		if name == z || strings.HasSuffix(name, "."+z) {
			return z
		}
	}
	return ""
}

// discoveryTTL is that of the real zone.
const discoveryTTL = 86400

// discovered answers for one of these zones, and says of names below that there are none.
func (d *DNS64) discovered(q wire.Question, name, zone string) ([]byte, error) {
	m := new(dns.Msg).SetQuestion(name, q.Type)
	m.Response, m.RecursionAvailable = true, true
	h := dns.RR_Header{Name: name, Rrtype: q.Type, Class: dns.ClassINET, Ttl: discoveryTTL}
	switch {
	case name != zone:
		m.Rcode = dns.RcodeNameError
	case zone != discovery:
		if q.Type == wire.TypePTR {
			m.Answer = []dns.RR{&dns.PTR{Hdr: h, Ptr: discovery}}
		}
	case q.Type == wire.TypeA:
		for _, a := range discoveryAddrs {
			m.Answer = append(m.Answer, &dns.A{Hdr: h, A: a.AsSlice()})
		}
	case q.Type == wire.TypeAAAA && q.NAT64:
		for _, a := range discoveryAddrs {
			m.Answer = append(m.Answer, &dns.AAAA{Hdr: h, AAAA: Embed(d.prefix, a).AsSlice()})
		}
	}
	if len(m.Answer) == 0 {
		m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: discoveryTTL},
			Ns: ".", Mbox: ".", Serial: 1, Refresh: discoveryTTL, Retry: discoveryTTL, Expire: discoveryTTL, Minttl: discoveryTTL}}
	}
	return m.Pack()
}
