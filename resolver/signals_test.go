package resolver

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/cache"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/wire"
)

// TestEveryRowOfTheSignalsTable asks each row with and without EDNS, DO, CD and AD, over UDP and a stream: 32 ways. The records, the response
// code and the EDE must be those of the row in all of them, OPT must be there when the query had one, and AD must be clear on a signal.
func TestEveryRowOfTheSignalsTable(t *testing.T) {
	const soa = " 30 IN SOA . . 1 30 30 30 30"
	entries := []entry{
		law(canon.KindDomain, "law.test"), {basis: law(0, "").basis + 1, kind: canon.KindHost, name: "order.test"}, voluntary(canon.KindHost, "voluntary.test"),
	}
	upstream := map[string][]string{ // what passes; everything else would be an error here
		"law.test MX":                       {"law.test. 300 IN MX 10 mail.law.test."},
		"law.test TXT":                      {`law.test. 300 IN TXT "v=spf1 -all"`},
		"law.test NS":                       {"law.test. 300 IN NS ns.law.test."},
		"law.test SOA":                      {"law.test. 300 IN SOA ns.law.test. host.law.test. 1 2 3 4 5"},
		"law.test DS":                       {"law.test. 300 IN DS 1 13 2 00"},
		"law.test DNSKEY":                   {"law.test. 300 IN DNSKEY 257 3 13 AAAA"},
		"law.test CAA":                      {`law.test. 300 IN CAA 0 issue "ca.example"`},
		"law.test NSEC":                     {"law.test. 300 IN NSEC mail.law.test. A MX AAAA HTTPS"},
		"law.test CNAME":                    {"law.test. 300 IN CNAME www.law.test."},
		"_sip._tcp.law.test SRV":            {"_sip._tcp.law.test. 300 IN SRV 1 1 5060 sip.law.test."},
		"_dmarc.law.test TXT":               {`_dmarc.law.test. 300 IN TXT "v=DMARC1"`},
		"_25._tcp.mail.law.test TLSA":       {"_25._tcp.mail.law.test. 300 IN TLSA 3 1 1 00"},
		"order.test MX":                     {"order.test. 300 IN MX 10 mail.order.test."},
		"mail.order.test A":                 {"mail.order.test. 300 IN A 192.0.2.25"},
		"www.order.test HTTPS":              {`www.order.test. 300 IN HTTPS 1 . alpn="h2" ipv4hint="192.0.2.1" ech="AAAA"`},
		"clean.test A":                      {"clean.test. 300 IN A 192.0.2.3"},
		"clean.test HTTPS":                  {`clean.test. 300 IN HTTPS 1 . alpn="h3" ipv4hint="192.0.2.3" ech="AAAA"`},
		"clean.test ANY":                    {"clean.test. 300 IN A 192.0.2.3", `clean.test. 300 IN TXT "all"`},
		"_8443._https.www.order.test HTTPS": {"_8443._https.www.order.test. 300 IN HTTPS 1 ."},
		// what must never be passed on
		"alias.test A":                  {"alias.test. 300 IN CNAME law.test.", "law.test. 300 IN A 192.0.2.4"},
		"alias.test AAAA":               {"alias.test. 300 IN CNAME voluntary.test.", "voluntary.test. 300 IN AAAA 2001:db8::4"},
		"moved.x.test A":                {"x.test. 300 IN DNAME law.test.", "moved.x.test. 300 IN CNAME moved.law.test.", "moved.law.test. 300 IN A 192.0.2.4"},
		"target.test HTTPS":             {`target.test. 300 IN HTTPS 1 cdn.law.test. ipv4hint="192.0.2.4"`},
		"target.test SVCB":              {"target.test. 300 IN SVCB 0 order.test."},
		"_8443._https.order.test ANY":   {"_8443._https.order.test. 300 IN HTTPS 1 order.test. ipv4hint=192.0.2.4"},
		"_8443._https.alias.test HTTPS": {"_8443._https.alias.test. 300 IN CNAME _8443._https.order.test.", "_8443._https.order.test. 300 IN HTTPS 1 . ipv4hint=192.0.2.4"},
		"_8443._https.alias.test SVCB":  {"_8443._https.alias.test. 300 IN SVCB 0 _8443._https.order.test."},
		"mixed.test ANY":                {"mixed.test. 300 IN MX 1 mail.example.", "mixed.test. 300 IN HTTPS 0 order.test."},
	}
	for _, tt := range []struct {
		question string
		ede      uint16
		want     []string // nil: what the upstream says, all of it
	}{
		{"law.test A", 16, []string{"law.test. 30 IN A 127.0.0.16"}},
		{"www.law.test A", 16, []string{"www.law.test. 30 IN A 127.0.0.16"}},
		{"law.test AAAA", 16, []string{"law.test. 30 IN AAAA fd00::16"}},
		{"order.test A", 16, []string{"order.test. 30 IN A 127.0.0.16"}},
		{"order.test AAAA", 16, []string{"order.test. 30 IN AAAA fd00::16"}},
		{"voluntary.test A", 15, []string{"voluntary.test. 30 IN A 127.0.0.15"}},
		{"voluntary.test AAAA", 15, []string{"voluntary.test." + soa}}, // no such stop address here
		{"law.test HTTPS", 16, []string{"law.test." + soa}},
		{"law.test SVCB", 16, []string{"law.test." + soa}},
		{"law.test ANY", 16, []string{"law.test." + soa}},
		{"voluntary.test HTTPS", 15, []string{"voluntary.test." + soa}},
		{"_8443._https.law.test HTTPS", 16, []string{"_8443._https.law.test." + soa}},
		{"_8443._https.order.test HTTPS", 16, []string{"_8443._https.order.test." + soa}},
		{"_8443._https.order.test ANY", 16, []string{"_8443._https.order.test." + soa}},
		{"_8443._https.alias.test HTTPS", 16, []string{"_8443._https.alias.test." + soa}},
		{"_8443._https.alias.test SVCB", 16, []string{"_8443._https.alias.test." + soa}},
		{"_8443._https.www.order.test HTTPS", 0, nil}, // another host
		{"law.test MX", 0, nil}, {"law.test TXT", 0, nil}, {"law.test NS", 0, nil}, {"law.test SOA", 0, nil}, {"law.test DS", 0, nil},
		{"law.test DNSKEY", 0, nil}, {"law.test CAA", 0, nil}, {"law.test NSEC", 0, nil}, {"law.test CNAME", 0, nil},
		{"_sip._tcp.law.test SRV", 0, nil}, {"_dmarc.law.test TXT", 0, nil}, {"_25._tcp.mail.law.test TLSA", 0, nil},
		{"mail.law.test A", 16, []string{"mail.law.test. 30 IN A 127.0.0.16"}}, // an exchanger below a listed domain
		{"order.test MX", 0, nil}, {"mail.order.test A", 0, nil}, {"www.order.test HTTPS", 0, nil},
		{"clean.test A", 0, nil}, {"clean.test HTTPS", 0, nil}, {"clean.test ANY", 0, nil},
		{"alias.test A", 16, []string{"alias.test. 30 IN A 127.0.0.16"}},
		{"alias.test AAAA", 15, []string{"alias.test." + soa}},
		{"moved.x.test A", 16, []string{"moved.x.test. 30 IN A 127.0.0.16"}},
		{"target.test HTTPS", 16, []string{"target.test." + soa}},
		{"target.test SVCB", 16, []string{"target.test." + soa}},
		{"mixed.test ANY", 16, []string{"mixed.test." + soa}},
	} {
		g := newRig(t)
		g.Swap(makeSet(t, entries...))
		for q, rrs := range upstream {
			name, typ, _ := strings.Cut(q, " ")
			g.up.set(key(name, dns.StringToType[typ]), func(q wire.Question) ([]byte, error) {
				return reply(q, func(m *dns.Msg) {
					m.AuthenticatedData = true
					// For this hop alone, and so never passed on: addresses beside the answer, another's EDE, an error reporting agent (RFC 9567).
					m.SetEdns0(1232, q.DO)
					m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: 4, ExtraText: "forged"}, &dns.EDNS0_LOCAL{Code: 18, Data: []byte{1, 'a', 0}}}
				}, append(slices.Clone(rrs), "additional mail.law.test. 300 IN A 192.0.2.99", "additional law.test. 300 IN AAAA 2001:db8::99")...)
			})
		}
		name, typ, _ := strings.Cut(tt.question, " ")
		want := tt.want
		if want == nil {
			want = upstream[tt.question]
		}
		var rrs []dns.RR
		for _, s := range want {
			rr, err := dns.NewRR(s)
			if err != nil {
				t.Fatal(err)
			}
			rrs = append(rrs, rr)
		}
		for way := range 32 {
			has := func(bit int) bool { return way&bit != 0 }
			withOPT, do, cd, ad, stream := has(1), has(2), has(4), has(8), has(16)
			if do && !withOPT {
				continue
			}
			t.Run(fmt.Sprintf("%s edns=%t do=%t cd=%t ad=%t tcp=%t", tt.question, withOPT, do, cd, ad, stream), func(t *testing.T) {
				m := g.ask(t, question(t, name, dns.StringToType[typ], func(m *dns.Msg) {
					m.CheckingDisabled, m.AuthenticatedData = cd, ad
					if withOPT {
						m.SetEdns0(1232, do)
					}
				}), stream)
				if m.Rcode != dns.RcodeSuccess || m.Truncated || m.CheckingDisabled != cd || !m.RecursionAvailable {
					t.Errorf("header is %+v", m.MsgHdr)
				}
				if got := lines(slices.Concat(m.Answer, m.Ns, m.Extra)); !slices.Equal(got, lines(rrs)) {
					t.Errorf("records are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(lines(rrs), "\n"))
				}
				if wantAD := tt.want == nil && (ad || do); m.AuthenticatedData != wantAD {
					t.Errorf("AD is %v, want %v", m.AuthenticatedData, wantAD)
				}
				opt := m.IsEdns0()
				if (opt != nil) != withOPT {
					t.Fatalf("OPT: %v", opt)
				}
				if opt == nil {
					return
				}
				if n := len(opt.Option); ede(m) != tt.ede || n > 1 || n == 1 && tt.ede == 0 {
					t.Errorf("EDE is %d of options %v, want %d alone", ede(m), opt.Option, tt.ede)
				}
				for _, o := range opt.Option {
					if e, ok := o.(*dns.EDNS0_EDE); ok && e.ExtraText != "" {
						t.Errorf("a text that nobody asked for: %q", e.ExtraText)
					}
				}
			})
		}
	}
}

var testStructured = Structured{
	Option: 15, Contact: "mailto:complaints@isp.example", Law: "§ 1 Example Act <&>", Voluntary: "agreement with the hotline", Organization: "ISP Example", Language: "en",
}

func structuredRig(t *testing.T, c Structured) *rig {
	t.Helper()
	g := &rig{up: new(fakeUpstream), clock: newClock()}
	r, err := New(Config{Stop: testStop, Upstream: g.up, Structured: c, Cache: cache.New(cache.Config{Bytes: 1 << 20}), Clock: g.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	g.Resolver = r
	g.Swap(makeSet(t, law(canon.KindDomain, "law.test"), voluntary(canon.KindDomain, "voluntary.test")))
	return g
}

// wants adds what asks for a text.
func wants(option uint16, size uint16, data ...byte) func(m *dns.Msg) {
	return func(m *dns.Msg) {
		m.SetEdns0(size, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: option, Data: data}}
	}
}

// text is the EXTRA-TEXT of an answer.
func text(m *dns.Msg) string {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				return e.ExtraText
			}
		}
	}
	return ""
}

func TestStructuredErrorsAreForWhoAsks(t *testing.T) {
	const (
		lawText       = `{"c":["mailto:complaints@isp.example"],"j":"§ 1 Example Act <&>","o":"ISP Example","l":"en"}`
		voluntaryText = `{"c":["mailto:complaints@isp.example"],"j":"agreement with the hotline","s":6,"o":"ISP Example","l":"en"}`
	)
	later := testStructured
	later.Option = 26
	for _, tt := range []struct {
		name   string
		config Structured
		asked  string
		typ    uint16
		query  func(m *dns.Msg)
		ede    uint16
		want   string
	}{
		{"law", testStructured, "law.test", dns.TypeA, wants(15, 1232, 0, 0), 16, lawText},
		{"law, no data", testStructured, "www.law.test", dns.TypeHTTPS, wants(15, 1232, 0, 0), 16, lawText},
		{"voluntary", testStructured, "voluntary.test", dns.TypeA, wants(15, 1232, 0, 0), 15, voluntaryText},
		{"later drafts' option", later, "law.test", dns.TypeA, wants(26, 1232), 16, lawText},
		{"an EDE, where the option is another", later, "law.test", dns.TypeA, wants(15, 1232, 0, 0), 16, ""},
		{"without the option", testStructured, "law.test", dns.TypeA, edns, 16, ""},
		{"without EDNS", testStructured, "law.test", dns.TypeA, func(*dns.Msg) {}, 0, ""},
		{"an EDE that says something", testStructured, "law.test", dns.TypeA, wants(15, 1232, 0, 4), 16, ""},
		{"switched off", Structured{}, "law.test", dns.TypeA, wants(15, 1232, 0, 0), 16, ""},
	} {
		g := structuredRig(t, tt.config)
		for _, stream := range []bool{false, true} {
			m := g.ask(t, question(t, tt.asked, tt.typ, tt.query), stream)
			if got := text(m); got != tt.want || ede(m) != tt.ede || m.Rcode != dns.RcodeSuccess {
				t.Errorf("%s: EDE %d with %q, want %d with %q", tt.name, ede(m), got, tt.ede, tt.want)
			}
			if tt.want != "" && !json.Valid([]byte(text(m))) {
				t.Errorf("%s: %q is not JSON", tt.name, text(m))
			}
		}
		if m := g.ask(t, question(t, "nothing.example", dns.TypeA, tt.query), false); text(m) != "" {
			t.Errorf("%s: a name that is not listed has %q", tt.name, text(m))
		}
	}
}

func TestStructuredErrorsLeaveOutWhatHasNoRoom(t *testing.T) {
	long := testStructured
	long.Law, long.Organization = strings.Repeat("j", 150), strings.Repeat("o", 170)
	for _, tt := range []struct {
		name, want, without string
	}{
		{"law.test", `"o":"ooo`, `"x"`},
		{strings.Repeat("n", 60) + ".law.test", `"j":"jjj`, `"o"`},
		{strings.Repeat(strings.Repeat("n", 57)+".", 4) + "law.test", `{"c":["mailto:complaints@isp.example"]}`, `"j"`},
	} {
		g := structuredRig(t, long)
		for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
			query := question(t, tt.name, typ, wants(15, 512, 0, 0))
			for _, stream := range []bool{false, true} {
				m := g.ask(t, query, stream)
				got := text(m)
				if !strings.Contains(got, tt.want) || strings.Contains(got, tt.without) || len(m.Answer) != 1 {
					t.Errorf("%.20s…: %q, want it with %s and without %s", tt.name, got, tt.want, tt.without)
				}
				if b, _ := g.Fast(nil, query, over(stream)); len(b) > maxStructured {
					t.Errorf("%.20s…: %d bytes are more than a block of padding", tt.name, len(b))
				}
			}
		}
	}
}

func TestNewRefusesStructuredErrorsWithoutContact(t *testing.T) {
	for _, c := range []Structured{{Option: 15}, {Contact: "tel:+99900123456"}, {Option: 15, Contact: "https://isp.example/"}} {
		if _, err := New(Config{Upstream: new(fakeUpstream), Structured: c}); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}
