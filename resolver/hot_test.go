package resolver

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/canon"
)

// hotRig has one name of each kind that Fast answers.
func hotRig(t testing.TB, g *rig) map[string][]byte {
	g.up.records("hot.example", dns.TypeA, "hot.example. 300 IN A 192.0.2.1")
	g.up.records("hot.example", dns.TypeMX, "hot.example. 300 IN MX 10 mail.example.")
	g.up.records("alias.example", dns.TypeA, "alias.example. 86400 IN CNAME next.example.", "next.example. 86400 IN A 192.0.2.1")
	g.up.records("led.example", dns.TypeA, "led.example. 300 IN CNAME www.bad.test.", "www.bad.test. 300 IN A 192.0.2.1")
	entries := []entry{law(canon.KindDomain, "bad.test")}
	for i := range 1000 {
		entries = append(entries, voluntary(canon.KindHost, fmt.Sprintf("host%d.test", i)))
	}
	g.Swap(makeSet(t, entries...))
	queries := map[string][]byte{
		"cached":        question(t, "hot.example", dns.TypeA, edns),
		"cached alias":  question(t, "ALIAS.example", dns.TypeA, edns),
		"cached mail":   question(t, "hot.example", dns.TypeMX),
		"listed":        question(t, "www.bad.test", dns.TypeA, edns),
		"listed nodata": question(t, "www.bad.test", dns.TypeHTTPS, edns),
		"listed chain":  question(t, "led.example", dns.TypeA, edns),
		"refused": question(t, "version.bind", dns.TypeTXT, func(m *dns.Msg) {
			m.Question[0].Qclass = dns.ClassCHAOS
		}),
		"malformed": question(t, "hot.example", dns.TypeA)[:20],
		"dead":      question(t, "dead.example", dns.TypeA, edns),
	}
	for _, q := range queries {
		if _, done := g.Fast(nil, q, over(false)); !done {
			g.slow(context.Background(), q, over(false))
		}
	}
	return queries
}

func TestFastDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector makes sync.Pool drop what it holds: nothing is measured")
		return
	}
	g := newRig(t)
	queries := hotRig(t, g)
	dst := make([]byte, 0, 1500)
	for name, q := range queries {
		if n := testing.AllocsPerRun(500, func() {
			if _, done := g.Fast(dst, q, over(false)); !done {
				t.Fatalf("%s: Fast did not answer", name)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

func TestCheckingACachedAnswerAgainDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		return
	}
	g := newRig(t)
	queries := hotRig(t, g)
	dst := make([]byte, 0, 1500)
	q := queries["cached alias"]
	if n := testing.AllocsPerRun(500, func() {
		g.clock.step(recheck * time.Second)
		if _, done := g.Fast(dst, q, over(false)); !done {
			t.Fatal("Fast did not answer")
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestFastAppendsBehindWhatIsThere(t *testing.T) {
	g := newRig(t)
	queries := hotRig(t, g)
	for name, q := range queries {
		alone, _ := g.Fast(nil, q, over(false))
		behind, _ := g.Fast([]byte{1, 2}, q, over(false))
		if string(behind) != "\x01\x02"+string(alone) {
			t.Errorf("%s: behind two bytes it is %x, alone %x", name, behind, alone)
		}
	}
}

func benchmarkFast(b *testing.B, name string) {
	g := newRigAt(b, nil, time.Now)
	q := hotRig(b, g)[name]
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		dst := make([]byte, 0, 1500)
		for pb.Next() {
			if _, done := g.Fast(dst, q, over(false)); !done {
				b.Error("Fast did not answer")
			}
		}
	})
}

// The same question again and again: what one core needs for everything but the sockets.
func BenchmarkFastCached(b *testing.B)       { benchmarkFast(b, "cached") }
func BenchmarkFastListed(b *testing.B)       { benchmarkFast(b, "listed") }
func BenchmarkFastListedNoData(b *testing.B) { benchmarkFast(b, "listed nodata") }
