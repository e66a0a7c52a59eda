package resolver

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

const (
	forwards  = "10.0.0.7" // whose subnets go upstream
	subscribe = "10.0.0.8" // whose do not
)

// with adds a client subnet to a query.
func with(subnet string) func(m *dns.Msg) {
	p := netip.MustParsePrefix(subnet)
	family := uint16(1)
	if p.Addr().Is6() {
		family = 2
	}
	return func(m *dns.Msg) {
		edns(m)
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: family, SourceNetmask: uint8(p.Bits()), Address: net.IP(p.Addr().AsSlice())})
	}
}

// subnetOf is what an answer says of whom it is for: prefix/scope, or empty.
func subnetOf(m *dns.Msg) string {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if s, ok := o.(*dns.EDNS0_SUBNET); ok {
				return fmt.Sprintf("%v/%d scope %d", s.Address, s.SourceNetmask, s.SourceScope)
			}
		}
	}
	return ""
}

// subnetRig is a resolver whose upstream answers by subnet: the address ends in the subnet's third byte, 99 without one, and holds for a /20.
func subnetRig(t *testing.T) *rig {
	clock := newClock()
	g := newRigOf(t, clock, Config{Clock: clock.now, Subnets: []netip.Prefix{netip.MustParsePrefix(forwards + "/32")}})
	g.Swap(makeSet(t, law(canon.KindDomain, "bad.test")))
	g.up.set("*", func(q wire.Question) ([]byte, error) {
		name, _, _ := dns.UnpackDomainName(q.Name, 0)
		b, err := reply(q, nil)
		m := new(dns.Msg)
		if err != nil || m.Unpack(b) != nil {
			return nil, err
		}
		m.SetEdns0(1232, q.DO)
		last := byte(99)
		if q.Subnet.Is() {
			sent := q.AppendSubnet(q.AppendQuery(nil, 0, 1232), 0)
			asked := new(dns.Msg)
			if err := asked.Unpack(sent); err != nil {
				return nil, err
			}
			s := asked.IsEdns0().Option[0].(*dns.EDNS0_SUBNET)
			last = s.Address.To16()[14]
			s.SourceScope = 20
			if name == "other.test." {
				s.Address = s.Address.To4()
				s.Address[0]++
			}
			if name != "silent.test." {
				m.IsEdns0().Option = []dns.EDNS0{s}
			}
		}
		if name == "fails.test." {
			return nil, upstream.ErrNoAnswer
		}
		if name == "alias.test." && last != 99 {
			m.Answer = append(m.Answer, &dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: 1, Ttl: 300}, Target: "www.bad.test."})
			name = "www.bad.test."
		}
		m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: 1, Ttl: 300}, A: net.IPv4(192, 0, 2, last)})
		return m.Pack()
	})
	return g
}

func TestAnAnswerForASubnetIsForNobodyElse(t *testing.T) {
	g := subnetRig(t)
	calls := 0
	for i, tt := range []struct {
		client, subnet, name string // no subnet: plain EDNS
		rcode                int
		address, back        string
		calls                int // questions to the upstream
	}{
		{forwards, "198.51.7.0/24", "a.test", 0, "192.0.2.7", "198.51.7.0/24 scope 20", 1},
		{forwards, "198.51.7.0/24", "a.test", 0, "192.0.2.7", "198.51.7.0/24 scope 20", 1}, // is not cached
		{forwards, "198.51.8.0/24", "a.test", 0, "192.0.2.8", "198.51.8.0/24 scope 20", 1},
		{subscribe, "", "a.test", 0, "192.0.2.99", "", 1},
		{subscribe, "198.51.7.0/24", "a.test", 0, "192.0.2.99", "", 0}, // what subscribers send is left out: one cached answer
		{forwards, "", "a.test", 0, "192.0.2.99", "", 0},
		{forwards, "198.51.7.0/24", "a.test", 0, "192.0.2.7", "198.51.7.0/24 scope 20", 1}, // nor taken from the cache
		{forwards, "2001:db8:7::/56", "a.test", 0, "192.0.2.0", "2001:db8:7::/56 scope 20", 1},
		{forwards, "0.0.0.0/0", "a.test", 0, "192.0.2.0", "0.0.0.0/0 scope 20", 1},
		{forwards, "198.51.7.0/24", "silent.test", 0, "192.0.2.7", "198.51.7.0/24 scope 0", 1}, // holds for everybody
		{subscribe, "198.51.7.0/24", "silent.test", 0, "192.0.2.99", "", 1},                    // and is not cached all the same
		{forwards, "198.51.7.0/24", "other.test", dns.RcodeServerFailure, "", "198.51.7.0/24 scope 0", 1},
		{subscribe, "", "other.test", 0, "192.0.2.99", "", 1}, // nor is that failure
		{forwards, "198.51.7.0/24", "www.bad.test", 0, testStop.LawIPv4.String(), "198.51.7.0/24 scope 0", 0},
		{forwards, "198.51.7.0/24", "alias.test", 0, testStop.LawIPv4.String(), "198.51.7.0/24 scope 20", 1},
		{subscribe, "", "alias.test", 0, "192.0.2.99", "", 1}, // whose way does not lead there
		{forwards, "198.51.7.0/24", "fails.test", dns.RcodeServerFailure, "", "198.51.7.0/24 scope 0", 1},
		{subscribe, "", "fails.test", dns.RcodeServerFailure, "", "", 1},
	} {
		change := edns
		if tt.subnet != "" {
			change = with(tt.subnet)
		}
		for _, via := range []wire.Transport{wire.UDP, wire.TCP}[:1+i%2] {
			m := g.from(t, tt.client, via, question(t, tt.name, dns.TypeA, change))
			if m == nil {
				t.Fatalf("%+v: no answer", tt)
			}
			got := ""
			if n := len(m.Answer); n > 0 {
				got = m.Answer[n-1].(*dns.A).A.String()
			}
			if m.Rcode != tt.rcode || got != tt.address || subnetOf(m) != tt.back {
				t.Errorf("row %d, %+v: got %v", i, tt, m)
			}
			if via == wire.UDP {
				if n := g.up.calls() - calls; n != tt.calls {
					t.Errorf("row %d, %+v: the upstream was asked %d times", i, tt, n)
				}
			}
			calls = g.up.calls()
		}
	}
}

// TestAStaleAnswerIsNotForASubnet: it was found for everybody.
func TestAStaleAnswerIsNotForASubnet(t *testing.T) {
	g := subnetRig(t)
	g.from(t, subscribe, wire.UDP, question(t, "a.test", dns.TypeA))
	g.up.set("*", nil)
	g.clock.step(10 * time.Minute)
	for _, held := range []bool{false, true} { // the first failure has the entry held
		if m := g.from(t, forwards, wire.UDP, question(t, "a.test", dns.TypeA, with("198.51.7.0/24"))); m.Rcode != dns.RcodeServerFailure {
			t.Errorf("held %v: got %v", held, m)
		}
		if m := g.from(t, subscribe, wire.UDP, question(t, "a.test", dns.TypeA, edns)); ede(m) != wire.EDEStale {
			t.Errorf("others, held %v: got %v", held, m)
		}
	}
}

func TestMalformedSubnetsAreRefusedOfWhoMaySendThem(t *testing.T) {
	g := subnetRig(t)
	for name, data := range map[string][]byte{"a scope": {0, 1, 24, 24, 198, 51, 7}, "too long": {0, 1, 8, 0, 198, 51}, "half": {0, 1}} {
		q := question(t, "a.test", dns.TypeA, func(m *dns.Msg) {
			edns(m)
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: dns.EDNS0SUBNET, Data: data}}
		})
		for client, want := range map[string]int{forwards: dns.RcodeFormatError, subscribe: dns.RcodeSuccess} {
			resp, done := g.Fast(nil, q, wire.Client{Addr: netip.MustParseAddr(client)})
			if !done {
				resp = g.slow(t.Context(), q, wire.Client{Addr: netip.MustParseAddr(client)})
			}
			if got := int(resp[3] & 0xf); got != want {
				t.Errorf("%s of %s: response code %d, want %d", name, client, got, want)
			}
		}
	}
}

// TestWhatIsTranslatedIsForClientsBehindTheNAT64: in turn, over one cache, listed and unlisted names.
func TestWhatIsTranslatedIsForClientsBehindTheNAT64(t *testing.T) {
	const behind, before = "2001:db8:64::1", "2001:db8:65::1"
	g := translating(t, netip.MustParsePrefix("2001:db8:64::/48"))
	g.config.Stop.VoluntaryNAT64 = netip.MustParseAddr("64:ff9b::127.0.0.15")
	g.Swap(makeSet(t, law(canon.KindDomain, "bad.test"), voluntary(canon.KindHost, "four.bad.example")))
	const soa = "authority test. 300 IN SOA ns.test. host.test. 1 2 3 4 60"
	g.up.records("four.test", dns.TypeAAAA, soa)
	g.up.records("four.test", dns.TypeA, "four.test. 300 IN A 192.0.2.1")
	g.up.records("alias.test", dns.TypeAAAA, "alias.test. 300 IN CNAME four.bad.example.", soa)
	g.up.records("alias.test", dns.TypeA, "alias.test. 300 IN CNAME four.bad.example.", "four.bad.example. 300 IN A 192.0.2.2")
	g.up.records("1.2.0.192.in-addr.arpa", dns.TypePTR, "1.2.0.192.in-addr.arpa. 300 IN PTR four.test.")
	pointer := "1.0.2.0.0.0.0.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa"
	g.up.records(pointer, dns.TypePTR, "authority arpa. 300 IN SOA ns.test. host.test. 1 2 3 4 60")
	for _, tt := range []struct {
		name           string
		typ            uint16
		behind, others []string
	}{
		{"four.test", dns.TypeAAAA, []string{"four.test. 60 IN AAAA 64:ff9b::c000:201"}, nil},
		{"four.test", dns.TypeA, []string{"four.test. 300 IN A 192.0.2.1"}, []string{"four.test. 300 IN A 192.0.2.1"}},
		{"bad.test", dns.TypeAAAA, []string{"bad.test. 30 IN AAAA fd00::16"}, []string{"bad.test. 30 IN AAAA fd00::16"}}, // the stop page has IPv6 itself
		{"four.bad.example", dns.TypeAAAA, []string{"four.bad.example. 30 IN AAAA 64:ff9b::7f00:f"}, nil},
		{"alias.test", dns.TypeAAAA, []string{"alias.test. 30 IN AAAA 64:ff9b::7f00:f"}, nil},
		{pointer, dns.TypePTR, []string{pointer + ". 600 IN CNAME 1.2.0.192.in-addr.arpa.", "1.2.0.192.in-addr.arpa. 300 IN PTR four.test."}, nil},
		{"ipv4only.arpa", dns.TypeAAAA, []string{"ipv4only.arpa. 86400 IN AAAA 64:ff9b::c000:aa", "ipv4only.arpa. 86400 IN AAAA 64:ff9b::c000:ab"}, nil},
	} {
		for _, client := range []string{behind, before, behind, before} {
			want := tt.behind
			if client == before {
				want = tt.others
			}
			m := g.from(t, client, wire.UDP, question(t, tt.name, tt.typ, edns))
			if got := lines(m.Answer); m.Rcode != 0 || !slices.Equal(got, append([]string{}, want...)) {
				t.Errorf("%s %s of %s: got %v, want %v", tt.name, dns.TypeToString[tt.typ], client, got, want)
			}
		}
	}
}
