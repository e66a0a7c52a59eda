package probe_test

import (
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/probe"
	"github.com/cordon-project/cordon/resolver/upstream/upstreamtest"
)

const canary = "canary.hotline-one.test"

// honest answers as an edge does; lie has its way with each answer.
type fake struct {
	lie   func(w dns.ResponseWriter, q, m *dns.Msg) *dns.Msg
	asked atomic.Int64
}

func (f *fake) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	f.asked.Add(1)
	m := honest(q)
	if f.lie != nil {
		m = f.lie(w, q, m)
	}
	if m != nil {
		_ = w.WriteMsg(m)
	}
}

func honest(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	listed := strings.EqualFold(q.Question[0].Name, canary+".")
	name, t := q.Question[0].Name, q.Question[0].Qtype
	head := func(t uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: t, Class: dns.ClassINET, Ttl: 30}
	}
	signal := listed && (t == dns.TypeA || t == dns.TypeAAAA || t == dns.TypeHTTPS)
	switch {
	case signal && t == dns.TypeA:
		m.Answer = []dns.RR{&dns.A{Hdr: head(t), A: stop.AsSlice()}}
	case signal && t == dns.TypeAAAA:
		m.Answer = []dns.RR{&dns.AAAA{Hdr: head(t), AAAA: stop6.AsSlice()}}
	case signal:
		m.Ns = []dns.RR{&dns.SOA{Hdr: head(dns.TypeSOA), Ns: ".", Mbox: ".", Serial: 1, Minttl: 30}}
	default:
		m.Rcode = dns.RcodeNameError
	}
	if o := q.IsEdns0(); o != nil {
		m.SetEdns0(1232, o.Do())
		if signal {
			ede(m, dns.ExtendedErrorCodeBlocked)
		}
		for _, x := range o.Option {
			if x.Option() == dns.EDNS0NSID {
				nsid(m, id)
			}
		}
	}
	return m
}

func ede(m *dns.Msg, code uint16) {
	if o := m.IsEdns0(); o != nil {
		o.Option = append(o.Option, &dns.EDNS0_EDE{InfoCode: code})
	}
}

func nsid(m *dns.Msg, hex string) {
	o := m.IsEdns0()
	o.Option = slices.DeleteFunc(o.Option, func(x dns.EDNS0) bool { return x.Option() == dns.EDNS0NSID })
	o.Option = append(o.Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID, Nsid: hex})
}

func recode(m *dns.Msg, code uint16) {
	if o := m.IsEdns0(); o != nil {
		for _, x := range o.Option {
			if e, ok := x.(*dns.EDNS0_EDE); ok {
				e.InfoCode = code
			}
		}
	}
}

// serve runs a fake over UDP and TCP on one port of loopback.
func serve(t *testing.T, f *fake) netip.AddrPort {
	t.Helper()
	udp, tcp := upstreamtest.Listen(t)
	for _, s := range []*dns.Server{{Listener: tcp, Handler: f, ReadTimeout: time.Minute}, {PacketConn: udp, Handler: f}} {
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		done := make(chan error, 1)
		go func() { done <- s.ActivateAndServe() }()
		<-up
		t.Cleanup(func() {
			_ = s.Shutdown()
			<-done
		})
	}
	return netip.MustParseAddrPort(tcp.Addr().String())
}

func run(t *testing.T, f *fake, change ...func(*probe.Config)) *probe.Result {
	t.Helper()
	c := probe.Config{Timeout: time.Minute, Resolver: serve(t, f), Canaries: []probe.Canary{{Name: canary, Voluntary: true}}, Unlisted: []string{"open.example"}}
	for _, ch := range change {
		ch(&c)
	}
	r, err := probe.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func find(r *probe.Result, name string) probe.Check {
	i := slices.IndexFunc(r.Checks, func(c probe.Check) bool { return c.Name == name })
	return r.Checks[i]
}
