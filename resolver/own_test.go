package resolver

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/wire"
)

func TestTheResolverSpeaksForItself(t *testing.T) {
	hints := []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("2001:db8::53")}
	g := newRigOf(t, nil, Config{Own: Own{
		Name: "DNS.isp.test.",
		Services: []Service{
			{Via: wire.TLS, Port: 853, Hints: hints},
			{Via: wire.QUIC, Port: 853},
			{Via: wire.HTTPS, Port: 443, Path: "/dns-query", HTTP3: true, Hints: hints[:1]},
		},
		InfoURL: "https://isp.test/dns", QNAMEMin: true,
	}})
	g.Swap(makeSet(t))
	services := []string{
		`	300	IN	SVCB	1 dns.isp.test. alpn="dot" port="853" ipv4hint="192.0.2.53" ipv6hint="2001:db8::53"`,
		`	300	IN	SVCB	2 dns.isp.test. alpn="doq" port="853"`,
		`	300	IN	SVCB	3 dns.isp.test. alpn="h2,h3" port="443" ipv4hint="192.0.2.53" dohpath="/dns-query{?dns}"`,
	}
	info := []string{`	300	IN	RESINFO	"qnamemin" "exterr=1-3,5-12,14-16,19,22-23" "infourl=https://isp.test/dns"`}
	for _, tt := range []struct {
		name  string
		typ   uint16
		rcode int
		want  []string
	}{
		{"_dns.resolver.arpa.", dns.TypeSVCB, 0, services},
		{"_DNS.Resolver.ARPA.", dns.TypeSVCB, 0, services},
		{"_dns.dns.isp.test.", dns.TypeSVCB, 0, services},
		{"resolver.arpa.", dns.TypeRESINFO, 0, info},
		{"dns.isp.test.", dns.TypeRESINFO, 0, info},
		{"_dns.resolver.arpa.", dns.TypeA, 0, nil},
		{"resolver.arpa.", dns.TypeSVCB, 0, nil},
		{"x.resolver.arpa.", dns.TypeSVCB, 3, nil},
		{"x._dns.resolver.arpa.", dns.TypeTXT, 3, nil},
	} {
		m := new(dns.Msg).SetQuestion(tt.name, tt.typ).SetEdns0(1232, false)
		query, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		resp, done := g.Fast(nil, query, wire.Client{Via: wire.UDP})
		if !done {
			t.Errorf("%s %s would be asked upstream", tt.name, dns.TypeToString[tt.typ])
			continue
		}
		var got dns.Msg
		if err := got.Unpack(resp); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got.Rcode != tt.rcode || len(got.Answer) != len(tt.want) || got.Question[0].Name != tt.name || got.IsEdns0() == nil {
			t.Errorf("%s: %v", tt.name, &got)
			continue
		}
		for i, rr := range got.Answer {
			if rr.String() != tt.name+tt.want[i] {
				t.Errorf("got  %s\nwant %s", rr, tt.name+tt.want[i])
			}
		}
		if len(tt.want) == 0 && (len(got.Ns) != 1 || got.Ns[0].Header().Rrtype != dns.TypeSOA) {
			t.Errorf("%s: no SOA: %v", tt.name, got.Ns)
		}
	}
}

func TestOnlyResolverArpaStays(t *testing.T) {
	g := newRigOf(t, nil, Config{})
	g.Swap(makeSet(t))
	for name, stays := range map[string]bool{
		"_dns.resolver.arpa.": true, "a.b.resolver.arpa.": true, "resolver.arpa.": true,
		"xresolver.arpa.": false, "a\\.resolver.arpa.": false, "arpa.": false, "resolver.arpa.test.": false, "dns.isp.test.": false,
	} {
		for _, typ := range []uint16{dns.TypeA, dns.TypeSVCB, dns.TypeRESINFO, dns.TypeDS} {
			query, err := new(dns.Msg).SetQuestion(name, typ).Pack()
			if err != nil {
				t.Fatal(err)
			}
			want := stays && (typ != dns.TypeDS || name != "resolver.arpa.") // DS is the parent's
			if _, done := g.Fast(nil, query, wire.Client{Via: wire.UDP}); done != want {
				t.Errorf("%s %s: answered here is %v, want %v", name, dns.TypeToString[typ], done, want)
			}
		}
	}
}

func TestWhatCannotBeSaidIsRefused(t *testing.T) {
	for name, o := range map[string]Own{
		"no name":       {InfoURL: "https://isp.test/"},
		"a bad name":    {Name: "a..test"},
		"a long name":   {Name: strings.Repeat("a.", 130) + "test"},
		"a long label":  {Name: strings.Repeat("a", 64) + ".test"},
		"a long URL":    {Name: "dns.isp.test", InfoURL: "https://isp.test/" + strings.Repeat("a", 250)},
		"not encrypted": {Name: "dns.isp.test", Services: []Service{{Via: wire.TCP}}},
	} {
		if _, err := newOwn(o); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// TestEveryErrorIsTold: exterr names each code that wire has for us to send.
func TestEveryErrorIsTold(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "wire/wire.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	told, found := map[uint16]bool{0: true}, 0
	for _, c := range ownErrors {
		told[c] = true
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "EDE") {
			return true
		}
		code, err := strconv.ParseUint(spec.Values[0].(*ast.BasicLit).Value, 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		if found++; !told[uint16(code)] {
			t.Errorf("%s (%d) is not in ownErrors, so RESINFO does not tell it", spec.Names[0].Name, code)
		}
		delete(told, uint16(code))
		return true
	})
	if found < 5 || len(told) != 0 {
		t.Errorf("%d codes found, and these are told and not in wire: %v", found, told)
	}
}
