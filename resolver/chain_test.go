package resolver

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/canon"
)

func TestAReplyWithTooManyNamesIsNotPassedOnUntested(t *testing.T) {
	for _, tt := range []struct {
		aliases int
		rcode   int
	}{{maxNames, dns.RcodeSuccess}, {maxNames + 1, dns.RcodeServerFailure}} {
		g := newRig(t)
		g.Swap(makeSet(t, law(canon.KindDomain, "bad.test")))
		var rrs []string
		for i := range tt.aliases {
			rrs = append(rrs, fmt.Sprintf("a%d.test. 300 IN CNAME a%d.test.", i, i+1))
		}
		g.up.records("a0.test", dns.TypeA, rrs...)
		if m := g.ask(t, question(t, "a0.test", dns.TypeA), true); m.Rcode != tt.rcode {
			t.Errorf("%d aliases: rcode %d, want %d", tt.aliases, m.Rcode, tt.rcode)
		}
	}
}

func TestManyRecordsOfOneOwnerAreOneName(t *testing.T) {
	g := newRig(t)
	g.Swap(makeSet(t, law(canon.KindDomain, "bad.test")))
	var rrs []string
	for i := range 200 {
		rrs = append(rrs, fmt.Sprintf("a.test. 300 IN A 192.0.2.%d", i))
	}
	g.up.records("a.test", dns.TypeA, rrs...)
	if m := g.ask(t, question(t, "a.test", dns.TypeA), true); len(m.Answer) != 200 {
		t.Errorf("got %d records, want 200", len(m.Answer))
	}
}

// A name of many labels costs a hash for each. Names that nobody has, 30 of them behind one question, are refused as too many names are.
func TestAReplyWithTooManyLabelsIsNotPassedOnUntested(t *testing.T) {
	for _, tt := range []struct{ labels, rcode int }{{14, dns.RcodeSuccess}, {120, dns.RcodeServerFailure}} {
		g := newRig(t)
		g.Swap(makeSet(t, law(canon.KindDomain, "bad.test")))
		var rrs []string
		for i := range 30 {
			rrs = append(rrs, fmt.Sprintf("a.test. 300 IN HTTPS %d %sn%d.test.", i+1, strings.Repeat("a.", tt.labels-2), i))
		}
		g.up.records("a.test", dns.TypeHTTPS, rrs...)
		if m := g.ask(t, question(t, "a.test", dns.TypeHTTPS), true); m.Rcode != tt.rcode {
			t.Errorf("30 names of %d labels: rcode %d, want %d", tt.labels, m.Rcode, tt.rcode)
		}
	}
}
