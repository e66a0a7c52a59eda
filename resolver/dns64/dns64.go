// Package dns64 gives IPv6-only clients behind a NAT64 an AAAA answer for names that have IPv4 addresses alone (RFC 6147).
//
// In come questions on their way to an upstream; out come its answers, and for AAAA questions that are marked (wire.Question.NAT64) and have no
// IPv6 address the same name's A answer with each address embedded in a prefix (RFC 6052). It promises:
//   - a question that is not marked is answered as if there were no DNS64;
//   - a name that has IPv6 addresses keeps them, NXDOMAIN stays NXDOMAIN, and a client that validates by itself (DO and CD) gets what is signed;
//   - what is made up is never called validated: AD is clear, and no signature is left over it;
//   - names of aliases stay in the answer, so that whoever tests the names of an answer tests these too;
//   - ipv4only.arpa, by which clients find the prefix, and the reverse of its addresses are answered without an upstream (RFC 7050, RFC 8880);
//   - for whom the upstream says that its answer holds (RFC 7871) is said of what is made of it.
package dns64

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/wire"
)

// Asker asks an upstream resolver without waiting, as resolver.Asker says.
type Asker interface {
	Ask(ctx context.Context, q wire.Question, done func(reply []byte, err error))
}

// DNS64 is an Asker, and a resolver.Exchanger, in front of another one. It may be used concurrently.
type DNS64 struct {
	next    Asker
	prefix  netip.Prefix
	reverse string // of the prefix: what PTR questions end in, ".ip6.arpa." included
}

// WellKnown is the prefix that needs no agreement (RFC 6052 2.1). It must not be used for private IPv4 addresses.
var WellKnown = netip.MustParsePrefix("64:ff9b::/96")

// CheckPrefix says what is wrong with a prefix: RFC 6052 knows six lengths, and bits 64 to 71 are zero.
func CheckPrefix(p netip.Prefix) error {
	switch {
	case !p.IsValid() || !p.Addr().Is6() || p.Addr().Is4In6():
		return fmt.Errorf("%v is not an IPv6 prefix", p)
	case p != p.Masked():
		return fmt.Errorf("%v has bits behind the prefix", p)
	case p.Bits() != 32 && p.Bits() != 40 && p.Bits() != 48 && p.Bits() != 56 && p.Bits() != 64 && p.Bits() != 96:
		return fmt.Errorf("%v has %d bits; a NAT64 prefix has 32, 40, 48, 56, 64 or 96", p, p.Bits())
	case p.Addr().As16()[8] != 0:
		return fmt.Errorf("%v has bits 64 to 71 set, which must be zero", p)
	}
	return nil
}

// New puts DNS64 in front of next.
func New(next Asker, prefix netip.Prefix) (*DNS64, error) {
	if err := CheckPrefix(prefix); err != nil {
		return nil, fmt.Errorf("make dns64: %w", err)
	}
	return &DNS64{next: next, prefix: prefix, reverse: reverse(prefix)}, nil
}

// Embed is an IPv4 address in a checked prefix (RFC 6052 2.2): its bits follow the prefix and leave out bits 64 to 71.
func Embed(prefix netip.Prefix, four netip.Addr) netip.Addr {
	b, v4 := prefix.Addr().As16(), four.As4()
	at := prefix.Bits() / 8
	for _, v := range v4 {
		if at == 8 {
			at++
		}
		b[at] = v
		at++
	}
	return netip.AddrFrom16(b)
}

// extract is the reverse of Embed.
func extract(prefix netip.Prefix, six netip.Addr) (netip.Addr, bool) {
	b := six.As16()
	var v4 [4]byte
	at := prefix.Bits() / 8
	for i := range v4 {
		if at == 8 {
			at++
		}
		v4[i] = b[at]
		at++
	}
	four := netip.AddrFrom4(v4)
	return four, Embed(prefix, four) == six
}

// Exchange: see resolver.Exchanger.
func (d *DNS64) Exchange(ctx context.Context, q wire.Question) ([]byte, error) {
	type result struct {
		reply []byte
		err   error
	}
	ended := make(chan result, 1)
	d.Ask(ctx, q, func(reply []byte, err error) { ended <- result{slices.Clone(reply), err} })
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-ended:
		return r.reply, r.err
	}
}

// Ask: see resolver.Asker.
func (d *DNS64) Ask(ctx context.Context, q wire.Question, done func(reply []byte, err error)) {
	if q.Class != wire.ClassIN || q.DO && q.CD {
		d.next.Ask(ctx, q, done)
		return
	}
	name, _, err := dns.UnpackDomainName(q.Name, 0)
	if err != nil {
		done(nil, fmt.Errorf("dns64: read the name of a question: %w", err))
		return
	}
	if z := zone(name); z != "" {
		done(d.discovered(q, name, z))
		return
	}
	if !q.NAT64 {
		d.next.Ask(ctx, q, done)
		return
	}
	switch q.Type {
	case wire.TypeAAAA:
		d.address(ctx, q, name, done)
		return
	case wire.TypePTR:
		if four, ok := d.pointed(name); ok {
			d.pointer(ctx, q, name, four, done)
			return
		}
	}
	d.next.Ask(ctx, q, done)
}

// defaultTTL is how long a made-up answer is good when the empty one did not say how long that is (RFC 6147 5.1.7).
const defaultTTL = 600

// address answers an AAAA question.
func (d *DNS64) address(ctx context.Context, q wire.Question, name string, done func(reply []byte, err error)) {
	q.Name = slices.Clone(q.Name) // the caller's ends with this call
	d.next.Ask(ctx, q, func(reply []byte, err error) {
		var six dns.Msg
		if err != nil || !read(q, reply, &six) || six.Rcode == dns.RcodeNameError || hasAddress(&six) || !about(q, reply) {
			done(reply, err) // what cannot be read is the resolver's to refuse
			return
		}
		reply = slices.Clone(reply) // it ends with this call, too
		of4 := q
		of4.Type = wire.TypeA
		d.next.Ask(ctx, of4, func(reply4 []byte, err error) {
			var four dns.Msg
			if err == nil && read(of4, reply4, &four) && about(q, reply4) {
				if out, ok := d.translate(name, &six, &four); ok {
					reply = out
				}
			}
			done(reply, nil) // whatever is wrong with IPv4, the answer for IPv6 stands
		})
	})
}

// translate makes the AAAA answer of an A answer; ok is false when there is nothing in it to make one of.
func (d *DNS64) translate(name string, six, four *dns.Msg) (reply []byte, ok bool) {
	if four.Rcode != dns.RcodeSuccess {
		return nil, false
	}
	most := uint32(defaultTTL)
	for _, rr := range six.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			most = min(soa.Hdr.Ttl, soa.Minttl)
		}
	}
	out := new(dns.Msg).SetQuestion(name, dns.TypeAAAA)
	out.MsgHdr, out.Compress = four.MsgHdr, true
	out.AuthenticatedData = false
	for _, rr := range four.Answer {
		h := *rr.Header()
		switch rr := rr.(type) {
		case *dns.A:
			addr, is4 := netip.AddrFromSlice(rr.A.To4())
			if !is4 || d.prefix == WellKnown && private(addr) {
				continue
			}
			h.Rrtype, h.Ttl, ok = dns.TypeAAAA, min(h.Ttl, most), true
			out.Answer = append(out.Answer, &dns.AAAA{Hdr: h, AAAA: Embed(d.prefix, addr).AsSlice()})
		case *dns.CNAME, *dns.DNAME:
			out.Answer = append(out.Answer, rr)
		}
	}
	if !ok {
		return nil, false
	}
	if s := narrower(subnet(six), subnet(four)); s != nil {
		opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}, Option: []dns.EDNS0{s}}
		opt.SetUDPSize(wire.MaxUDP)
		out.Extra = []dns.RR{opt}
	}
	reply, err := out.Pack()
	return reply, err == nil
}

// subnet is for whom a reply holds; nil when it says nothing of that.
func subnet(m *dns.Msg) *dns.EDNS0_SUBNET {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if s, ok := o.(*dns.EDNS0_SUBNET); ok {
				return s
			}
		}
	}
	return nil
}

// narrower is for whom an answer holds that was made of two replies.
func narrower(a, b *dns.EDNS0_SUBNET) *dns.EDNS0_SUBNET {
	if a == nil || b != nil && b.SourceScope > a.SourceScope {
		return b
	}
	return a
}

// errReply is what an upstream sent that was no answer to the question.
var errReply = errors.New("dns64: the upstream's reply is no answer")

// read unpacks a reply when it is one to q.
func read(q wire.Question, reply []byte, m *dns.Msg) bool {
	return len(reply) >= wire.HeaderLen && q.Answers(reply, binary.BigEndian.Uint16(reply)) && m.Unpack(reply) == nil
}

// about is whether a reply is for the subnet that was asked about, or for everybody (RFC 7871 7.3).
func about(q wire.Question, reply []byte) bool {
	var sum wire.Summary
	if !q.Subnet.Is() || wire.Scan(reply, &sum) != nil || sum.Subnet == nil {
		return true // what Scan refuses the resolver refuses
	}
	got, ok := wire.ParseSubnet(sum.Subnet)
	return ok && got.WithScope(0) == q.Subnet
}

// private addresses mean nothing behind the well-known prefix (RFC 6052 3.1).
func private(a netip.Addr) bool { return !a.IsGlobalUnicast() || a.IsPrivate() }

// hasAddress is whether an answer has an IPv6 address that a client could use; IPv4 addresses written as IPv6 are none (RFC 6147 5.1.4).
func hasAddress(m *dns.Msg) bool {
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.AAAA); ok {
			if addr, _ := netip.AddrFromSlice(a.AAAA); !addr.Is4In6() {
				return true
			}
		}
	}
	return false
}

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
func (d *DNS64) pointer(ctx context.Context, q wire.Question, name string, four netip.Addr, done func(reply []byte, err error)) {
	target := reverse4(four)
	packed := make([]byte, wire.MaxName)
	n, err := dns.PackDomainName(target, packed, 0, nil, false)
	if err != nil {
		done(nil, fmt.Errorf("dns64: %w", err))
		return
	}
	q.Name = packed[:n]
	d.Ask(ctx, q, func(reply []byte, err error) {
		if err != nil {
			done(reply, err)
			return
		}
		var m dns.Msg
		if !read(q, reply, &m) {
			done(nil, errReply)
			return
		}
		m.Question[0].Name = name
		m.AuthenticatedData, m.Compress = false, true
		alias := &dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: defaultTTL}, Target: target}
		m.Answer = append([]dns.RR{alias}, m.Answer...)
		done(m.Pack())
	})
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
