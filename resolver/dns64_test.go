package resolver

import (
	"context"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/cache"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/dns64"
	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

// askable is a fake upstream that need not be waited for.
type askable struct{ *fakeUpstream }

func (u askable) Ask(ctx context.Context, q wire.Question, done func([]byte, error)) {
	done(u.fakeUpstream.Exchange(ctx, q))
}

func (u askable) Queue(ctx context.Context, q wire.Question, w upstream.Waiter) {
	reply, err := u.fakeUpstream.Exchange(ctx, q)
	w.Told(reply, nil, err)
	w.Flush()
}
func (askable) Flush() {}

// translating is a rig behind DNS64, for some clients.
func translating(t *testing.T, clients ...netip.Prefix) *rig {
	t.Helper()
	g := &rig{up: new(fakeUpstream), clock: newClock()}
	translated, err := dns64.New(askable{g.up}, dns64.WellKnown)
	if err != nil {
		t.Fatal(err)
	}
	if g.Resolver, err = New(Config{Stop: testStop, Upstream: translated, NAT64: clients, Cache: cache.New(cache.Config{Bytes: 1 << 20}), Clock: g.clock.now}); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestBehindANAT64ListedNamesAreFoundAtTheEndOfAliasesToo: what DNS64 makes is tested and cached like what an upstream said.
func TestBehindANAT64ListedNamesAreFoundAtTheEndOfAliasesToo(t *testing.T) {
	g := translating(t, netip.MustParsePrefix("192.0.2.0/24"))
	if g.asker == nil || g.queuer == nil {
		t.Fatal("the resolver waits for DNS64, or asks it one by one")
	}
	g.Swap(makeSet(t, law(canon.KindDomain, "bad.test")))
	const soa = "authority test. 300 IN SOA ns.test. host.test. 1 2 3 4 60"
	g.up.records("four.test", dns.TypeAAAA, soa)
	g.up.records("four.test", dns.TypeA, "four.test. 300 IN A 192.0.2.1")
	g.up.records("alias.test", dns.TypeAAAA, "alias.test. 300 IN CNAME www.bad.test.", soa)
	g.up.records("alias.test", dns.TypeA, "alias.test. 300 IN CNAME www.bad.test.", "www.bad.test. 300 IN A 192.0.2.2")
	for _, tt := range []struct {
		name, want string
		ede        uint16
	}{
		{"four.test", "four.test. 60 IN AAAA 64:ff9b::c000:201", 0}, {"alias.test", "alias.test. 30 IN AAAA fd00::16", 16}, {"bad.test", "bad.test. 30 IN AAAA fd00::16", 16},
	} {
		for range 2 { // made, then from the cache
			m := g.ask(t, question(t, tt.name, dns.TypeAAAA, edns), false)
			if len(m.Answer) != 1 || lines(m.Answer)[0] != tt.want || ede(m) != tt.ede {
				t.Errorf("%s: got %v, EDE %d, want %s, %d", tt.name, m.Answer, ede(m), tt.want, tt.ede)
			}
		}
	}
	if n := g.up.calls(); n != 4 {
		t.Errorf("the upstream was asked %d times, want 4", n)
	}
	g.Swap(makeSet(t))
	if m := g.ask(t, question(t, "alias.test", dns.TypeAAAA), false); len(m.Answer) != 2 || lines(m.Answer)[1] != "www.bad.test. 60 IN AAAA 64:ff9b::c000:202" {
		t.Errorf("once delisted: got %v", m.Answer)
	}
}
