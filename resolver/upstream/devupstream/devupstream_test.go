package devupstream

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestItAnswersOverUDPAndTCPAndStops(t *testing.T) {
	s, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	for _, network := range []string{"udp", "tcp"} {
		c := dns.Client{Net: network, Timeout: time.Minute}
		m, _, err := c.Exchange(new(dns.Msg).SetQuestion("big--a.test.", dns.TypeTXT), s.Addr().String())
		if err != nil || m.Truncated != (network == "udp") {
			t.Errorf("%s: %v, %v", network, m, err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		typ     uint16
		rcode   int
		answers int
	}{
		{"a.test.", dns.TypeA, 0, 1},
		{"a.example.", dns.TypeAAAA, 0, 1},
		{"a.test.", dns.TypeMX, 0, 1},
		{"a.test.", dns.TypeHTTPS, 0, 1},
		{"a.test.", dns.TypeCAA, 0, 0},
		{"a.invalid.", dns.TypeA, dns.RcodeNameError, 0},
		{".", dns.TypeA, dns.RcodeNameError, 0},
		{"cname-to--cname-to--a.test.", dns.TypeA, 0, 3},
		{"cname-to--a.test.", dns.TypeCNAME, 0, 1},
		{"cname-to--a.invalid.", dns.TypeA, dns.RcodeNameError, 0},
		{"x.y.dname-to--a.test.", dns.TypeA, 0, 3},
		{"bogus--a.test.", dns.TypeA, dns.RcodeServerFailure, 0},
	} {
		m := Answer(new(dns.Msg).SetQuestion(tt.name, tt.typ))
		if m.Rcode != tt.rcode || len(m.Answer) != tt.answers {
			t.Errorf("%s %s: %v", tt.name, dns.TypeToString[tt.typ], m)
		}
		if _, err := m.Pack(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
