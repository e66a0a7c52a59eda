// Package devupstream is an upstream resolver for `cordon dev` and for tests: it makes up an answer for every name
// under .test and .example, so that nothing needs a network.
//
// In comes a query, out comes the same answer each time. The first label of a name can ask for more:
//
//	cname-to--NAME    an alias of NAME (which may be another one: a chain)
//	x.dname-to--NAME  a redirection of everything below dname-to--NAME to below NAME
//	svcb-to--NAME     HTTPS and SVCB records whose TargetName is NAME
//	signed--NAME      AD is set for those who ask, as if validated
//	bogus--NAME       SERVFAIL with EDE 6 unless CD is set, as if validation had failed
//	big--NAME         TXT records of about 3,000 bytes
//	nx--NAME          NXDOMAIN, as for every name under .invalid and all other top-level names
package devupstream

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

const (
	ttl      = 300
	negative = 60
	maxChain = 8
)

// Server answers on one address over UDP and TCP.
type Server struct {
	udp net.PacketConn
	tcp net.Listener
}

// Listen binds addr; with port 0 the kernel chooses one for both transports.
func Listen(addr netip.AddrPort) (*Server, error) {
	for try := 0; ; try++ {
		udp, err := net.ListenPacket("udp", addr.String())
		if err != nil {
			return nil, fmt.Errorf("listen on udp %s: %w", addr, err)
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err == nil {
			return &Server{udp: udp, tcp: tcp}, nil
		}
		_ = udp.Close()
		if addr.Port() != 0 || try == 9 {
			return nil, fmt.Errorf("listen on tcp %s: %w", addr, err)
		}
	}
}

// Addr is the address bound.
func (s *Server) Addr() netip.AddrPort { return s.udp.LocalAddr().(*net.UDPAddr).AddrPort() }

// Run answers until ctx ends, then closes the sockets and returns nil. It may be called once.
func (s *Server) Run(ctx context.Context) error {
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, req *dns.Msg) {
		reply := Answer(req)
		if _, udp := w.LocalAddr().(*net.UDPAddr); udp {
			size := dns.MinMsgSize
			if opt := req.IsEdns0(); opt != nil {
				size = int(opt.UDPSize())
			}
			reply.Truncate(size)
		}
		_ = w.WriteMsg(reply)
	})
	started := make(chan struct{}, 2)
	note := func() { started <- struct{}{} }
	servers := []*dns.Server{
		{PacketConn: s.udp, Handler: handler, NotifyStartedFunc: note},
		{Listener: s.tcp, Handler: handler, NotifyStartedFunc: note},
	}
	ended := make(chan error, len(servers))
	for _, d := range servers {
		go func() { ended <- d.ActivateAndServe() }()
	}
	<-started
	<-started
	var errs []error
	left := len(servers)
	select {
	case <-ctx.Done():
	case err := <-ended:
		left--
		errs = append(errs, err)
	}
	for _, d := range servers {
		_ = d.Shutdown()
	}
	for range left {
		if err := <-ended; err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Answer makes the reply to a query. It may be called concurrently and does not keep or change req.
func Answer(req *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(req)
	m.RecursionAvailable, m.CheckingDisabled, m.Compress = true, req.CheckingDisabled, true
	opt := req.IsEdns0()
	if opt != nil {
		m.SetEdns0(dns.DefaultMsgSize, opt.Do())
	}
	if req.Opcode != dns.OpcodeQuery || len(req.Question) != 1 || req.Question[0].Qclass != dns.ClassINET {
		m.Rcode = dns.RcodeRefused
		return m
	}
	name, typ := strings.ToLower(req.Question[0].Name), req.Question[0].Qtype
	if strings.HasPrefix(name, "bogus--") && !req.CheckingDisabled {
		m.Rcode = dns.RcodeServerFailure
		if o := m.IsEdns0(); o != nil {
			o.Option = append(o.Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeDNSBogus})
		}
		return m
	}
	m.AuthenticatedData = strings.HasPrefix(name, "signed--") && (req.AuthenticatedData || opt != nil && opt.Do())
	follow(m, name, typ)
	return m
}

// follow fills the answer section along aliases.
func follow(m *dns.Msg, name string, typ uint16) {
	for range maxChain {
		if !exists(name) {
			m.Rcode = dns.RcodeNameError
			break
		}
		if owner, target, to, ok := redirect(name); ok {
			m.Answer = append(m.Answer, &dns.DNAME{Hdr: header(owner, dns.TypeDNAME), Target: target},
				&dns.CNAME{Hdr: header(name, dns.TypeCNAME), Target: to})
			name = to
			continue
		}
		if target, ok := strings.CutPrefix(name, "cname-to--"); ok {
			m.Answer = append(m.Answer, &dns.CNAME{Hdr: header(name, dns.TypeCNAME), Target: target})
			if typ == dns.TypeCNAME || typ == dns.TypeANY {
				return
			}
			name = target
			continue
		}
		if rrs := records(name, typ); len(rrs) > 0 {
			m.Answer = append(m.Answer, rrs...)
			return
		}
		break
	}
	apex := name[strings.LastIndexByte(strings.TrimSuffix(name, "."), '.')+1:]
	soa := soaOf(apex)
	soa.Hdr.Ttl = negative
	m.Ns = append(m.Ns, soa)
}

func exists(name string) bool {
	if strings.HasPrefix(name, "nx--") {
		return false
	}
	n := "." + name
	return strings.HasSuffix(n, ".test.") || strings.HasSuffix(n, ".example.")
}

// redirect finds a DNAME above name.
func redirect(name string) (owner, target, to string, ok bool) {
	for i := strings.IndexByte(name, '.') + 1; i > 0 && i < len(name); {
		if t, found := strings.CutPrefix(name[i:], "dname-to--"); found {
			return name[i:], t, name[:i] + t, true
		}
		next := strings.IndexByte(name[i:], '.') + 1
		if next == 0 {
			break
		}
		i += next
	}
	return "", "", "", false
}

func records(name string, typ uint16) []dns.RR {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(name))
	h := sum.Sum64()
	hdr := header(name, typ)
	switch typ {
	case dns.TypeA:
		return []dns.RR{&dns.A{Hdr: hdr, A: net.IPv4(192, 0, 2, byte(1+h%254))}}
	case dns.TypeAAAA:
		ip := net.ParseIP("2001:db8::1")
		ip[14] = byte(h >> 8)
		ip[15] = byte(h)
		return []dns.RR{&dns.AAAA{Hdr: hdr, AAAA: ip}}
	case dns.TypeMX:
		return []dns.RR{&dns.MX{Hdr: hdr, Preference: 10, Mx: "mail." + name}}
	case dns.TypeNS:
		return []dns.RR{&dns.NS{Hdr: hdr, Ns: "ns." + name}}
	case dns.TypeSOA:
		return []dns.RR{soaOf(name)}
	case dns.TypeTXT:
		rr := &dns.TXT{Hdr: hdr, Txt: []string{"made up by cordon's development upstream"}}
		for strings.HasPrefix(name, "big--") && len(rr.Txt) < 16 {
			rr.Txt = append(rr.Txt, strings.Repeat("x", 190))
		}
		return []dns.RR{rr}
	case dns.TypeHTTPS, dns.TypeSVCB:
		svcb := dns.SVCB{Hdr: hdr, Priority: 1, Target: ".", Value: []dns.SVCBKeyValue{&dns.SVCBAlpn{Alpn: []string{"h2"}}}}
		if t, ok := strings.CutPrefix(name, "svcb-to--"); ok {
			svcb.Target = t
		}
		if typ == dns.TypeSVCB {
			return []dns.RR{&svcb}
		}
		return []dns.RR{&dns.HTTPS{SVCB: svcb}}
	case dns.TypeANY:
		return append(records(name, dns.TypeA), records(name, dns.TypeMX)...)
	}
	return nil
}

func soaOf(zone string) *dns.SOA {
	below := strings.TrimPrefix(zone, ".") // nothing for the root
	return &dns.SOA{
		Hdr: header(zone, dns.TypeSOA), Ns: "ns." + below, Mbox: "hostmaster." + below,
		Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: negative,
	}
}

func header(name string, typ uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: typ, Class: dns.ClassINET, Ttl: ttl}
}
