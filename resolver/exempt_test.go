package resolver

import (
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/guard"
	"github.com/cordon-project/cordon/resolver/wire"
)

// TestNothingIsStoppedForExemptClientsAndNothingChangesForOthers: in turn, over the same cache, with names asked and led to.
func TestNothingIsStoppedForExemptClientsAndNothingChangesForOthers(t *testing.T) {
	g := guarded(t, guard.Config{})
	g.Swap(makeSet(t, law(canon.KindDomain, "bad.test")))
	id := g.Set().StateID()
	g.up.records("alias.example", dns.TypeA, "alias.example. 300 IN CNAME www.bad.test.", "www.bad.test. 300 IN A 192.0.2.1")
	until := g.clock.now().Add(time.Hour)
	exempt := func(prefix string) {
		g.Exempt(&Exemption{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.9.9.9/32"), netip.MustParsePrefix(prefix)}, Until: uint32(until.Unix())})
	}
	check := func(when, addr string, passes bool) {
		t.Helper()
		for _, name := range []string{"www.bad.test", "alias.example"} {
			for _, via := range []wire.Transport{wire.UDP, wire.TCP} {
				m := g.from(t, addr, via, question(t, name, dns.TypeA, edns))
				want := testStop.LawIPv4.String()
				if passes {
					want = "192.0.2.1"
				}
				if m == nil || len(m.Answer) == 0 {
					t.Fatalf("%s: %s of %s: got %v", when, name, addr, m)
				}
				if a, ok := m.Answer[len(m.Answer)-1].(*dns.A); !ok || a.A.String() != want || (ede(m) != 0) == passes {
					t.Errorf("%s: %s of %s: got %v, EDE %d, want %s", when, name, addr, m.Answer, ede(m), want)
				}
			}
		}
	}
	check("before", "10.1.0.5", false)
	exempt("10.1.0.0/28")
	for range 3 {
		check("exempt", "10.1.0.5", true)
		check("exempt", "10.1.0.99", false)
	}
	if g.Set().StateID() != id {
		t.Error("the state id is another one")
	}
	g.Swap(makeSet(t, law(canon.KindDomain, "bad.test"), law(canon.KindDomain, "more.test")))
	check("after a swap", "10.1.0.5", true)
	check("after a swap", "10.1.0.99", false)
	exempt("10.1.0.64/26")
	check("another exemption", "10.1.0.5", false)
	check("another exemption", "10.1.0.99", true)
	g.Exempt(nil)
	check("ended", "10.1.0.99", false)
	exempt("10.1.0.0/28")
	check("again", "10.1.0.5", true)
	g.clock.step(time.Hour + time.Second)
	check("its time is over", "10.1.0.5", false)
	g.Swap(nil)
	if m := g.from(t, "10.1.0.5", wire.UDP, question(t, "www.bad.test", dns.TypeA)); m == nil || m.Rcode != dns.RcodeServerFailure {
		t.Errorf("without a set: got %v", m)
	}
}

// TestABatchKnowsExemptClients: whose lookup has begun under the others' set.
func TestABatchKnowsExemptClients(t *testing.T) {
	g := guarded(t, guard.Config{})
	g.Swap(makeSet(t, law(canon.KindDomain, "bad.test")))
	g.Exempt(&Exemption{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/28")}, Until: 1<<32 - 1})
	query := question(t, "www.bad.test", dns.TypeA)
	b := g.Worker()
	for range 2 {
		batch := []wire.Ask{
			{Query: query, From: wire.Client{Addr: netip.MustParseAddr("10.1.0.99")}}, {Query: query, From: wire.Client{Addr: netip.MustParseAddr("10.1.0.5")}},
		}
		b.Answer(batch)
		if !batch[0].Done {
			t.Error("the other client is not stopped at once")
		} else if m := checkAnswer(t, query, batch[0].Resp, false); len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != testStop.LawIPv4.String() {
			t.Errorf("the other client got %v", m)
		}
		if m := g.from(t, "10.1.0.5", wire.UDP, query); m == nil || len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != "192.0.2.1" {
			t.Errorf("the exempt client got %v", m)
		}
		if batch[1].Done { // from the cache, the second time
			if m := checkAnswer(t, query, batch[1].Resp, false); len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != "192.0.2.1" {
				t.Errorf("the exempt client got %v from the batch", m)
			}
		}
	}
}
