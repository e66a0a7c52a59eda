package resolver

import (
	"context"
	"errors"
	"testing"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

func TestAnUnusableReplyIsAFailureThatSaysWhy(t *testing.T) {
	const good = "a.test. 300 IN A 192.0.2.1"
	for _, tt := range []struct {
		name  string
		reply func(q wire.Question) ([]byte, error)
		ede   uint16
		kept  bool // the failure is remembered
	}{
		{"nobody answered", func(wire.Question) ([]byte, error) { return nil, upstream.ErrNoAnswer }, 22, true},
		{"nobody reachable", func(wire.Question) ([]byte, error) { return nil, upstream.ErrNetwork }, 23, true},
		{"too many in flight", func(wire.Question) ([]byte, error) { return nil, upstream.ErrBusy }, 23, false},
		{"an error of its own", func(wire.Question) ([]byte, error) { return nil, errors.New("other") }, 23, true},
		{"nothing", func(wire.Question) ([]byte, error) { return nil, nil }, 22, true},
		{"another question's answer", func(q wire.Question) ([]byte, error) {
			return reply(q, func(m *dns.Msg) { m.Question[0].Name = "b.test." }, good)
		}, 22, true},
		{"a truncated one", func(q wire.Question) ([]byte, error) {
			return reply(q, func(m *dns.Msg) { m.Truncated = true }, good)
		}, 22, true},
		{"a query", func(q wire.Question) ([]byte, error) {
			return reply(q, func(m *dns.Msg) { m.Response = false }, good)
		}, 22, true},
		{"a cut one", func(q wire.Question) ([]byte, error) {
			b, err := reply(q, nil, good)
			return b[:len(b)-1], err
		}, 22, true},
		{"an extended response code", func(q wire.Question) ([]byte, error) {
			return reply(q, func(m *dns.Msg) { m.SetEdns0(1232, false); m.Rcode = dns.RcodeBadVers })
		}, 22, true},
	} {
		g := newRig(t)
		g.Swap(makeSet(t))
		g.up.set(key("a.test", dns.TypeA), tt.reply)
		query := question(t, "a.test", dns.TypeA, edns)
		if m := g.ask(t, query, true); m.Rcode != dns.RcodeServerFailure || ede(m) != tt.ede || len(m.Answer) != 0 {
			t.Errorf("%s: got %v, want SERVFAIL with EDE %d", tt.name, m, tt.ede)
		}
		if _, kept := g.Fast(nil, query, over(true)); kept != tt.kept {
			t.Errorf("%s: remembered is %v, want %v", tt.name, kept, tt.kept)
		}
		if c := g.Counts(); c.ServFail == 0 || c.Misses == 0 {
			t.Errorf("%s: counts are %+v", tt.name, c)
		}
	}
}

func TestAnEndedContextIsNotRememberedAsAFailure(t *testing.T) {
	g := newRig(t)
	g.Swap(makeSet(t))
	g.up.records("a.test", dns.TypeA, "a.test. 300 IN A 192.0.2.1")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	query := question(t, "a.test", dns.TypeA)
	if m := checkAnswer(t, query, g.slow(ctx, query, over(false)), false); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("got %v", m)
	}
	if m := g.ask(t, query, false); m.Rcode != dns.RcodeSuccess {
		t.Errorf("the next one got %v", m)
	}
}

func TestNewRefusesWhatWouldBreakASignal(t *testing.T) {
	up := new(fakeUpstream)
	for name, c := range map[string]Config{
		"no upstream":    {},
		"short ttl":      {Upstream: up, TTL: 9e9},
		"long ttl":       {Upstream: up, TTL: 61e9},
		"odd ttl":        {Upstream: up, TTL: 10_500_000_000},
		"families mixed": {Upstream: up, Stop: Stop{LawIPv4: testStop.LawIPv6}},
		"mixed again":    {Upstream: up, Stop: Stop{VoluntaryIPv6: testStop.LawIPv4}},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestCountsAddUp(t *testing.T) {
	g := newRig(t)
	queries := hotRig(t, g)
	before := g.Counts()
	for _, name := range []string{"cached", "listed", "listed chain", "refused"} {
		g.Fast(nil, queries[name], over(false))
	}
	g.Fast(nil, []byte{1}, over(false))
	after := g.Counts()
	got := [...]uint64{after.Queries - before.Queries, after.Hits - before.Hits, after.Listed() - before.Listed(),
		after.Chains - before.Chains, after.Refused - before.Refused, after.Ignored - before.Ignored}
	if want := [...]uint64{5, 1, 2, 1, 1, 1}; got != want {
		t.Errorf("queries, hits, listed, chains, refused, ignored: got %v, want %v", got, want)
	}
}
