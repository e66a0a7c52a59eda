package dns64

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

// TestAddressesAreEmbeddedAsRFC6052Shows has the table of RFC 6052 2.4.
func TestAddressesAreEmbeddedAsRFC6052Shows(t *testing.T) {
	four := netip.MustParseAddr("192.0.2.33")
	for prefix, want := range map[string]string{
		"2001:db8::/32": "2001:db8:c000:221::", "2001:db8:100::/40": "2001:db8:1c0:2:21::", "2001:db8:122::/48": "2001:db8:122:c000:2:2100::",
		"2001:db8:122:300::/56": "2001:db8:122:3c0:0:221::", "2001:db8:122:344::/64": "2001:db8:122:344:c0:2:2100:0", "2001:db8:122:344::/96": "2001:db8:122:344::192.0.2.33",
		"64:ff9b::/96": "64:ff9b::192.0.2.33",
	} {
		p := netip.MustParsePrefix(prefix)
		got := Embed(p, four)
		if got != netip.MustParseAddr(want) {
			t.Errorf("%s: got %v, want %s", prefix, got, want)
		}
		if back, ok := extract(p, got); !ok || back != four {
			t.Errorf("%s: back it is %v, %v", prefix, back, ok)
		}
		if got.As16()[8] != 0 {
			t.Errorf("%s: bits 64 to 71 are set", prefix)
		}
	}
}

func TestPrefixesThatNoTranslatorHasAreRefused(t *testing.T) {
	for _, p := range []string{"64:ff9b::/95", "2001:db8::/33", "192.0.2.0/24", "2001:db8::1/96", "2001:db8:0:0:100::/96", "2001:db8::/128"} {
		if _, err := New(nil, netip.MustParsePrefix(p)); err == nil {
			t.Errorf("%s is accepted", p)
		}
	}
	if _, err := New(nil, netip.Prefix{}); err == nil {
		t.Error("no prefix is accepted")
	}
}

// world answers from records, by "name TYPE"; "rcode NAME" as a first record is a response code. What it does not have is NODATA.
type world struct {
	records map[string][]string
	asked   []string
}

var errAway = errors.New("nobody answered")

func (w *world) Queue(_ context.Context, q wire.Question, to upstream.Waiter) {
	reply, err := w.answer(q)
	to.Told(reply, nil, err)
	to.Flush()
}
func (*world) Flush() {}

func (w *world) answer(q wire.Question) ([]byte, error) {
	name, _, err := dns.UnpackDomainName(q.Name, 0)
	if err != nil {
		return nil, err
	}
	key := name + " " + dns.TypeToString[q.Type]
	w.asked = append(w.asked, key)
	m := new(dns.Msg).SetQuestion(name, q.Type)
	m.Response, m.RecursionAvailable, m.AuthenticatedData = true, true, true
	for _, s := range w.records[key] {
		if s == "away" {
			return nil, errAway
		}
		if code, ok := strings.CutPrefix(s, "rcode "); ok {
			m.Rcode = dns.StringToRcode[code]
			continue
		}
		rr, err := dns.NewRR(s)
		if err != nil {
			return nil, err
		}
		if rr.Header().Rrtype == dns.TypeSOA {
			m.Ns = append(m.Ns, rr)
		} else {
			m.Answer = append(m.Answer, rr)
		}
	}
	return m.Pack()
}

func question(t *testing.T, s string) wire.Question {
	t.Helper()
	name, typ, _ := strings.Cut(s, " ")
	b := make([]byte, wire.MaxName)
	n, err := dns.PackDomainName(name, b, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return wire.Question{Name: b[:n], Type: dns.StringToType[typ], Class: wire.ClassIN, NAT64: true}
}

func lines(rrs []dns.RR) (out []string) {
	for _, rr := range rrs {
		out = append(out, strings.Join(strings.Fields(rr.String()), " "))
	}
	return out
}

func TestWhatHasIPv4AloneGetsIPv6(t *testing.T) {
	records := map[string][]string{
		"four.test. AAAA":                       {"test. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"four.test. A":                          {"four.test. 900 IN A 192.0.2.1", "four.test. 30 IN A 192.0.2.2", "four.test. 900 IN RRSIG A 13 2 900 20300101000000 20290101000000 1 test. AAAA"},
		"nosoa.test. A":                         {"nosoa.test. 900 IN A 192.0.2.3"},
		"six.test. AAAA":                        {"six.test. 300 IN AAAA 2001:db8::6"},
		"six.test. A":                           {"six.test. 300 IN A 192.0.2.6"},
		"mapped.test. AAAA":                     {"mapped.test. 300 IN AAAA ::ffff:192.0.2.7"},
		"mapped.test. A":                        {"mapped.test. 300 IN A 192.0.2.7"},
		"alias.test. AAAA":                      {"alias.test. 300 IN CNAME end.test."},
		"alias.test. A":                         {"alias.test. 300 IN CNAME end.test.", "end.test. 300 IN A 192.0.2.8"},
		"gone.test. AAAA":                       {"rcode NXDOMAIN", "test. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"gone.test. A":                          {"gone.test. 300 IN A 192.0.2.9"},
		"broken.test. AAAA":                     {"rcode SERVFAIL"},
		"broken.test. A":                        {"broken.test. 300 IN A 192.0.2.10"},
		"empty.test. AAAA":                      {"test. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"empty.test. A":                         {"test. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"half.test. A":                          {"away"},
		"half.test. AAAA":                       {"test. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"halfbroken.test. A":                    {"rcode SERVFAIL"},
		"none.test. AAAA":                       {"away"},
		"none.test. A":                          {"away"},
		"away.test. AAAA":                       {"away"},
		"away.test. A":                          {"away.test. 900 IN A 192.0.2.11"},
		"awayempty.test. AAAA":                  {"away"},
		"awayempty.test. A":                     {"test. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"awaygone.test. AAAA":                   {"away"},
		"awaygone.test. A":                      {"rcode NXDOMAIN", "test. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"awayprivate.test. AAAA":                {"away"},
		"awayprivate.test. A":                   {"awayprivate.test. 300 IN A 10.0.0.1"},
		"mixed.test. AAAA":                      {"mixed.test. 300 IN AAAA ::ffff:192.0.2.7", "mixed.test. 300 IN AAAA 2001:db8::7"},
		"x.4.0.arpa. A":                         {"x.4.0.arpa. 900 IN A 192.0.2.12"},
		"chain.test. A":                         {"chain.test. 300 IN CNAME a.x.test.", "x.test. 300 IN DNAME y.test.", "a.x.test. 300 IN CNAME a.y.test.", "a.y.test. 300 IN A 192.0.2.13", "A.Y.test. 300 IN A 192.0.2.14"},
		"four.test. MX":                         {"four.test. 300 IN MX 1 mail.test."},
		"1.2.0.192.in-addr.arpa. PTR":           {"1.2.0.192.in-addr.arpa. 300 IN PTR four.test."},
		"1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR": {"1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 300 IN PTR other.test."},
	}
	reverse := "1.0.2.0.0.0.0.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa."
	found := "a.a.0.0.0.0.0.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa."
	others := func(q *wire.Question) { q.NAT64 = false }
	for _, tt := range []struct {
		question string
		change   func(q *wire.Question)
		rcode    int
		want     []string
		ad       bool // as the upstream said it
	}{
		{"four.test. AAAA", nil, 0, []string{"four.test. 60 IN AAAA 64:ff9b::c000:201", "four.test. 30 IN AAAA 64:ff9b::c000:202"}, false},
		{"nosoa.test. AAAA", nil, 0, []string{"nosoa.test. 600 IN AAAA 64:ff9b::c000:203"}, false},
		{"six.test. AAAA", nil, 0, []string{"six.test. 300 IN AAAA 2001:db8::6"}, true},
		{"mapped.test. AAAA", nil, 0, []string{"mapped.test. 300 IN AAAA 64:ff9b::c000:207"}, false},
		{"alias.test. AAAA", nil, 0, []string{"alias.test. 300 IN CNAME end.test.", "end.test. 300 IN AAAA 64:ff9b::c000:208"}, false},
		{"gone.test. AAAA", nil, dns.RcodeNameError, nil, true},
		{"broken.test. AAAA", nil, 0, []string{"broken.test. 300 IN AAAA 64:ff9b::c000:20a"}, false},
		{"empty.test. AAAA", nil, 0, nil, true},
		{"mixed.test. AAAA", nil, 0, []string{"mixed.test. 300 IN AAAA 2001:db8::7"}, false},
		{"away.test. AAAA", nil, 0, []string{"away.test. 600 IN AAAA 64:ff9b::c000:20b"}, false},
		{"awayempty.test. AAAA", nil, 0, nil, false},
		{"awaygone.test. AAAA", nil, dns.RcodeNameError, nil, false},
		{"awayprivate.test. AAAA", nil, 0, nil, false},
		{"halfbroken.test. AAAA", nil, dns.RcodeServerFailure, nil, false},
		{"x.4.0.arpa. AAAA", nil, 0, []string{"x.4.0.arpa. 600 IN AAAA 64:ff9b::c000:20c"}, false},
		{"chain.test. AAAA", nil, 0, []string{"chain.test. 300 IN CNAME a.x.test.", "x.test. 300 IN DNAME y.test.", "a.x.test. 300 IN CNAME a.y.test.",
			"a.y.test. 300 IN AAAA 64:ff9b::c000:20d", "a.y.test. 300 IN AAAA 64:ff9b::c000:20e"}, false},
		{"four.test. A", nil, 0, records["four.test. A"], true},
		{"four.test. MX", nil, 0, records["four.test. MX"], true},
		{"four.test. AAAA", func(q *wire.Question) { q.DO = true }, 0, []string{"four.test. 60 IN AAAA 64:ff9b::c000:201", "four.test. 30 IN AAAA 64:ff9b::c000:202"}, false},
		{"four.test. AAAA", func(q *wire.Question) { q.DO, q.CD = true, true }, 0, nil, true},
		{reverse + " PTR", nil, 0, []string{reverse + " 600 IN CNAME 1.2.0.192.in-addr.arpa.", "1.2.0.192.in-addr.arpa. 300 IN PTR four.test."}, false},
		{"1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR", nil, 0, records["1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR"], true},
		{"ipv4only.arpa. A", nil, 0, []string{"ipv4only.arpa. 86400 IN A 192.0.0.170", "ipv4only.arpa. 86400 IN A 192.0.0.171"}, false},
		{"ipv4only.arpa. AAAA", nil, 0, []string{"ipv4only.arpa. 86400 IN AAAA 64:ff9b::c000:aa", "ipv4only.arpa. 86400 IN AAAA 64:ff9b::c000:ab"}, false},
		{"ipv4only.arpa. MX", nil, 0, nil, false},
		{"x.ipv4only.arpa. AAAA", nil, dns.RcodeNameError, nil, false},
		{"171.0.0.192.in-addr.arpa. PTR", nil, 0, []string{"171.0.0.192.in-addr.arpa. 86400 IN PTR ipv4only.arpa."}, false},
		{"170.0.0.192.in-addr.arpa. TXT", nil, 0, nil, false},
		{"x.170.0.0.192.in-addr.arpa. PTR", nil, dns.RcodeNameError, nil, false},
		{found + " PTR", nil, 0, []string{found + " 600 IN CNAME 170.0.0.192.in-addr.arpa.", "170.0.0.192.in-addr.arpa. 86400 IN PTR ipv4only.arpa."}, false},
		// who is not behind it
		{"four.test. AAAA", others, 0, nil, true},
		{reverse + " PTR", others, 0, nil, true},
		{"ipv4only.arpa. A", others, 0, []string{"ipv4only.arpa. 86400 IN A 192.0.0.170", "ipv4only.arpa. 86400 IN A 192.0.0.171"}, false},
		{"ipv4only.arpa. AAAA", others, 0, nil, false},
	} {
		w := &world{records: records}
		d, err := New(w, WellKnown)
		if err != nil {
			t.Fatal(err)
		}
		q := question(t, tt.question)
		if tt.change != nil {
			tt.change(&q)
		}
		reply, err := d.Exchange(t.Context(), q)
		if err != nil {
			t.Errorf("%s: %v", tt.question, err)
			continue
		}
		var m dns.Msg
		var sum wire.Summary
		if err := m.Unpack(reply); err != nil || wire.Scan(reply, &sum) != nil || !q.Answers(reply, m.Id) {
			t.Errorf("%s: not an answer to it: %v, %v", tt.question, err, &m)
			continue
		}
		if got := lines(m.Answer); !slices.Equal(got, lines(parse(t, tt.want))) || m.Rcode != tt.rcode || m.AuthenticatedData != tt.ad {
			t.Errorf("%s: got rcode %d, AD %v\n%s\nwant %d, %v\n%s", tt.question, m.Rcode, m.AuthenticatedData, strings.Join(got, "\n"), tt.rcode, tt.ad, strings.Join(tt.want, "\n"))
		}
		if len(m.Answer) == 0 && zone(m.Question[0].Name) != "" && (sum.Life == 0 || len(w.asked) != 0) {
			t.Errorf("%s: life %d, asked %v", tt.question, sum.Life, w.asked)
		}
	}
	d, _ := New(&world{records: records}, WellKnown)
	// An empty answer would be kept, and half of the truth.
	for _, q := range []string{"none.test. AAAA", "half.test. AAAA"} {
		if reply, err := d.Exchange(t.Context(), question(t, q)); !errors.Is(err, errAway) {
			t.Errorf("%s: got %x, %v", q, reply, err)
		}
	}
}

func parse(t *testing.T, all []string) (out []dns.RR) {
	t.Helper()
	for _, s := range all {
		rr, err := dns.NewRR(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rr)
	}
	return out
}

func TestPrivateAddressesAreNotPutBehindTheWellKnownPrefix(t *testing.T) {
	w := &world{records: map[string][]string{"in.test. A": {"in.test. 300 IN A 10.1.2.3", "in.test. 300 IN A 192.0.2.1"}, "only.test. A": {"only.test. 300 IN A 10.1.2.3"}}}
	own := netip.MustParsePrefix("2001:db8:64::/96")
	for _, tt := range []struct {
		prefix   netip.Prefix
		question string
		want     int
	}{{WellKnown, "in.test. AAAA", 1}, {WellKnown, "only.test. AAAA", 0}, {own, "in.test. AAAA", 2}, {own, "only.test. AAAA", 1}} {
		d, err := New(w, tt.prefix)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := d.Exchange(t.Context(), question(t, tt.question))
		var m dns.Msg
		if err != nil || m.Unpack(reply) != nil || len(m.Answer) != tt.want {
			t.Errorf("%v %s: got %v, %v, want %d addresses", tt.prefix, tt.question, &m, err, tt.want)
		}
	}
}

// FuzzReplies gives whatever bytes as the upstream's: no panic, and what comes out is those bytes, or a message that can be read: by the library
// as well, unless it could not read what came (records of a type that is passed on unread, RFC 3597).
func FuzzReplies(f *testing.F) {
	good, _ := new(dns.Msg).SetQuestion("a.test.", dns.TypeA).Pack()
	f.Add(good, good)
	m := new(dns.Msg).SetReply(new(dns.Msg).SetQuestion("a.test.", dns.TypeA))
	rr, _ := dns.NewRR("a.test. 300 IN A 192.0.2.1")
	m.Answer = []dns.RR{rr}
	withA, _ := m.Pack()
	f.Add(good, withA)
	f.Fuzz(func(t *testing.T, six, four []byte) {
		for _, typ := range []uint16{wire.TypeAAAA, wire.TypePTR} {
			n := 0
			d, err := New(exchange(func(q wire.Question) ([]byte, error) {
				if n++; n == 1 {
					return six, nil
				}
				return four, nil
			}), WellKnown)
			if err != nil {
				t.Fatal(err)
			}
			name := "\x01a\x04test\x00"
			if typ == wire.TypePTR {
				name = "\x011\x010\x012\x010\x010\x010\x010\x01c"
				name += strings.Repeat("\x010", 16) + "\x01b\x019\x01f\x01f\x014\x016\x010\x010\x03ip6\x04arpa\x00"
			}
			reply, err := d.Exchange(t.Context(), wire.Question{Name: []byte(name), Type: typ, Class: wire.ClassIN, NAT64: true})
			if err != nil || string(reply) == string(six) {
				continue
			}
			if err := wire.Scan(reply, new(wire.Summary)); err != nil {
				t.Errorf("the answer cannot be read: %v", err)
			}
			if err := new(dns.Msg).Unpack(reply); err != nil && new(dns.Msg).Unpack(four) == nil {
				t.Errorf("the answer cannot be read by the library: %v", err)
			}
		}
	})
}

type exchange func(q wire.Question) ([]byte, error)

func (f exchange) Queue(_ context.Context, q wire.Question, to upstream.Waiter) {
	reply, err := f(q)
	to.Told(reply, nil, err)
	to.Flush()
}
func (exchange) Flush() {}

func mustPrefix(t *testing.T, s string) netip.Prefix {
	t.Helper()
	p, err := netip.ParsePrefix(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustAddr(t *testing.T, s string) netip.Addr {
	t.Helper()
	a, err := netip.ParseAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestWhatIsMadeOfAnswersForASubnetIsForThatSubnet: of the two scopes the narrower one.
func TestWhatIsMadeOfAnswersForASubnetIsForThatSubnet(t *testing.T) {
	subnet := func(scope uint8) *dns.EDNS0_SUBNET {
		return &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, SourceScope: scope, Address: net.IPv4(198, 51, 100, 0)}
	}
	parsed, _ := wire.ParseSubnet([]byte{0, 1, 24, 0, 198, 51, 100})
	for _, tt := range []struct {
		six, four *dns.EDNS0_SUBNET
		want      int // -1: no option
	}{{nil, nil, -1}, {subnet(24), nil, 24}, {nil, subnet(20), 20}, {subnet(16), subnet(24), 24}, {subnet(24), subnet(16), 24}, {subnet(0), subnet(0), 0}} {
		d, err := New(exchange(func(q wire.Question) ([]byte, error) {
			if q.Subnet != parsed {
				t.Errorf("%d was asked without the subnet", q.Type)
			}
			m := new(dns.Msg).SetReply(new(dns.Msg).SetQuestion("a.test.", q.Type))
			s := tt.six
			if q.Type == dns.TypeA {
				m.Answer, s = parse(t, []string{"a.test. 300 IN A 192.0.2.1"}), tt.four
			}
			if m.SetEdns0(1232, false); s != nil {
				m.IsEdns0().Option = []dns.EDNS0{s}
			}
			return m.Pack()
		}), WellKnown)
		if err != nil {
			t.Fatal(err)
		}
		q := question(t, "a.test. AAAA")
		q.Subnet = parsed
		reply, err := d.Exchange(t.Context(), q)
		var sum wire.Summary
		if err != nil || wire.Scan(reply, &sum) != nil {
			t.Fatalf("%x, %v", reply, err)
		}
		got := -1
		if back, ok := wire.ParseSubnet(sum.Subnet); ok && back.WithScope(0) == parsed {
			got = int(back.Scope())
		}
		if got != tt.want {
			t.Errorf("of %v and %v: scope %d, want %d", tt.six, tt.four, got, tt.want)
		}
	}
}

// TestNothingIsMadeOfAnAnswerForAnotherSubnet: what is made would say that it is for the subnet that was asked about.
func TestNothingIsMadeOfAnAnswerForAnotherSubnet(t *testing.T) {
	parsed, _ := wire.ParseSubnet([]byte{0, 1, 24, 0, 198, 51, 100})
	for _, other := range []uint16{dns.TypeA, dns.TypeAAAA} {
		d, err := New(exchange(func(q wire.Question) ([]byte, error) {
			m := new(dns.Msg).SetReply(new(dns.Msg).SetQuestion("a.test.", q.Type))
			s := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, SourceScope: 24, Address: net.IPv4(198, 51, 100, 0)}
			if q.Type == other {
				s.SourceScope, s.Address = 16, net.IPv4(203, 0, 113, 0)
			}
			if q.Type == dns.TypeA {
				m.Answer = parse(t, []string{"a.test. 300 IN A 192.0.2.1"})
			}
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = []dns.EDNS0{s}
			return m.Pack()
		}), WellKnown)
		if err != nil {
			t.Fatal(err)
		}
		q := question(t, "a.test. AAAA")
		q.Subnet, q.NAT64 = parsed, true
		reply, err := d.Exchange(t.Context(), q)
		var m dns.Msg
		if other == dns.TypeA && !errors.Is(err, errReply) || other == dns.TypeAAAA && (err != nil || m.Unpack(reply) != nil || len(m.Answer) != 0) {
			t.Errorf("type %d for another subnet: got %v, %v", other, lines(m.Answer), err)
		}
	}
}
