package interop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/guard"
	"github.com/cordon-project/cordon/resolver/serve"
	"github.com/cordon-project/cordon/resolver/wire"
)

// scripted is an upstream that knows an address for every name: those that begin with "slow" wait for release, "big" ones have a long text.
type scripted struct {
	waiting atomic.Int64
	release chan struct{}
}

func (s *scripted) Exchange(ctx context.Context, q wire.Question) ([]byte, error) {
	name, _, err := dns.UnpackDomainName(q.Name, 0)
	if err != nil {
		return nil, err
	}
	m := new(dns.Msg).SetQuestion(name, q.Type)
	m.Response, m.RecursionAvailable = true, true
	h := dns.RR_Header{Name: name, Rrtype: q.Type, Class: dns.ClassINET, Ttl: 300}
	switch {
	case strings.HasPrefix(name, "slow"):
		s.waiting.Add(1)
		defer s.waiting.Add(-1)
		select {
		case <-s.release:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		m.Answer = []dns.RR{&dns.A{Hdr: h, A: net.IPv4(192, 0, 2, 1)}}
	case strings.HasPrefix(name, "big"):
		m.Answer = []dns.RR{&dns.TXT{Hdr: h, Txt: []string{strings.Repeat("x", 250), strings.Repeat("y", 250), strings.Repeat("z", 250)}}}
	default:
		m.Answer = []dns.RR{&dns.A{Hdr: h, A: net.IPv4(192, 0, 2, 1)}}
	}
	return m.Pack()
}

// guarded is a resolver with limits so low that a test meets them, and subscribers that are not on loopback.
func guarded(t *testing.T, c guard.Config) (*subscribers, *guard.Guard, *scripted) {
	t.Helper()
	s := newSubscribers(t)
	c.Clients = []netip.Prefix{netip.MustParsePrefix(subscribersIPv4), netip.MustParsePrefix(subscribersIPv6)}
	g, err := guard.New(c)
	if err != nil {
		t.Fatal(err)
	}
	up := &scripted{release: make(chan struct{})}
	startPlain(t, resolver.Config{Upstream: up, Guard: g, Waiting: 64}, serve.Config{Serves: g.Serves}, cableIPv4, cableIPv6)
	return s, g, up
}

// families are two clients of each, and where they ask.
var families = []struct{ name, server, one, other, neighbour string }{
	{"IPv4", cableIPv4, "203.0.113.10", "203.0.113.11", ""},
	{"IPv6", cableIPv6, "2001:db8:2000:100::1", "2001:db8:2000:200::1", "2001:db8:2000:1ff::9"}, // the neighbour is of the first one's /56
}

// flood asks as fast as it can, reads what comes back, and counts it: whole answers, those cut short, and those with an error.
func flood(t *testing.T, c *dns.Conn, n int, name func(i int) string, typ uint16) (whole, cut, failed int) {
	t.Helper()
	for sent := 0; sent < n; {
		for range min(50, n-sent) { // less than a socket holds
			if err := c.WriteMsg(new(dns.Msg).SetQuestion(name(sent), typ).SetEdns0(1232, false)); err != nil {
				t.Fatal(err)
			}
			sent++
		}
		w, more, bad := heard(t, c) // what comes later is read behind the next ones
		whole, cut, failed = whole+w, cut+more, failed+bad
	}
	return whole, cut, failed
}

// heard reads what comes within a moment, and counts it as flood does.
func heard(t *testing.T, c *dns.Conn) (whole, cut, failed int) {
	t.Helper()
	defer func() { _ = c.SetReadDeadline(time.Now().Add(patience)) }()
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	for {
		m, err := c.ReadMsg()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return whole, cut, failed
		case err != nil:
			t.Fatal(err)
		case m.Rcode != dns.RcodeSuccess:
			failed++
		case m.Truncated:
			cut++
		default:
			whole++
		}
	}
}

func same(name string) func(int) string { return func(int) string { return name } }

func TestWhoIsNotServedIsRefusedOverTheNetwork(t *testing.T) {
	for _, drop := range []bool{false, true} {
		t.Run(fmt.Sprintf("drop %v", drop), func(t *testing.T) {
			s, g, _ := guarded(t, guard.Config{Strangers: []netip.Prefix{netip.MustParsePrefix("203.0.113.128/25"), netip.MustParsePrefix("2001:db8:2f00::/40")}, DropStrangers: drop})
			for _, f := range []struct{ server, stranger, client string }{{cableIPv4, "203.0.113.129", "203.0.113.1"}, {cableIPv6, "2001:db8:2f00::1", "2001:db8:2000::1"}} {
				if m := s.ask(t, "tcp", f.stranger, f.server, "www.good.example.", dns.TypeA); m.Rcode != dns.RcodeRefused || len(m.Answer) != 0 {
					t.Errorf("%s over TCP: %v", f.stranger, m)
				}
				c, before := s.dial(t, "udp", f.stranger, f.server), g.Counts().Strangers
				if !drop {
					if m := exchangeOn(t, c, "listed.good.example.", dns.TypeA); m.Rcode != dns.RcodeRefused || len(m.Answer) != 0 {
						t.Errorf("%s: %v", f.stranger, m)
					}
				} else if err := c.WriteMsg(new(dns.Msg).SetQuestion("listed.good.example.", dns.TypeA)); err != nil {
					t.Fatal(err)
				}
				await(t, "the stranger's question", func() error {
					if g.Counts().Strangers == before {
						return errors.New("was not read")
					}
					return nil
				})
				// An answer to another one is behind whatever the stranger was sent.
				for range 2 {
					if m := s.ask(t, "udp", f.client, f.server, "www.good.example.", dns.TypeA); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
						t.Errorf("%s: %v", f.client, m)
					}
				}
				_ = c.SetReadDeadline(time.Now())
				if m, err := c.ReadMsg(); drop && err == nil {
					t.Errorf("%s was sent %v", f.stranger, m)
				}
			}
		})
	}
}

// TestAFloodOfOneHouseholdHurtsNobodyElse: questions above the rate are lost, of that household alone, and over TCP refused.
func TestAFloodOfOneHouseholdHurtsNobodyElse(t *testing.T) {
	s, _, _ := guarded(t, guard.Config{Questions: 20})
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			s.ask(t, "tcp", f.other, f.server, "www.good.example.", dns.TypeA) // it is known then: nobody has to wait for it
			if whole, _, failed := flood(t, s.dial(t, "udp", f.one, f.server), 2000, same("www.good.example."), dns.TypeA); whole < 80 || whole > 1000 || failed != 0 {
				t.Errorf("the flood has %d answers of 2000 and %d errors, want four seconds of 20 at least", whole, failed)
			}
			stream, refused := s.dial(t, "tcp", f.one, f.server), false
			for i := 0; i < 5000 && !refused; i++ {
				refused = exchangeOn(t, stream, "www.good.example.", dns.TypeA).Rcode == dns.RcodeRefused
			}
			if !refused {
				t.Error("over TCP there is no limit")
			}
			c := s.dial(t, "udp", f.other, f.server)
			for i := range 40 {
				if m := exchangeOn(t, c, fmt.Sprintf("n%d.good.example.", i), dns.TypeA); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
					t.Fatalf("the neighbour's question %d: %v", i, m)
				}
			}
			if f.neighbour != "" { // another address of the same household
				if whole, _, _ := flood(t, s.dial(t, "udp", f.neighbour, f.server), 300, same("www.good.example."), dns.TypeA); whole > 200 {
					t.Errorf("another address of the household has %d answers of 300", whole)
				}
			}
		})
	}
}

// TestAnswersAboveTheirRateAreLostOrCutShort: what a victim of forged questions is sent, and that it is answered over TCP when it asks itself.
func TestAnswersAboveTheirRateAreLostOrCutShort(t *testing.T) {
	s, g, _ := guarded(t, guard.Config{Large: 10, Slip: 2})
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			s.ask(t, "tcp", f.other, f.server, "big.good.example.", dns.TypeTXT) // it is known then: nobody has to wait for it
			before, one := g.Counts(), s.dial(t, "udp", f.one, f.server)
			whole, cut, failed := flood(t, one, 1000, same("big.good.example."), dns.TypeTXT)
			await(t, "what was cut short", func() error {
				w, more, bad := heard(t, one) // the last ones
				whole, cut, failed = whole+w, cut+more, failed+bad
				c := g.Counts()
				if slipped, dropped := int(c.Slipped-before.Slipped), int(c.Dropped-before.Dropped); slipped != cut || dropped < slipped-1 || dropped > slipped+1 {
					return fmt.Errorf("%d slipped, of which %d came, and %d dropped", slipped, cut, dropped)
				}
				return nil
			})
			if whole < 40 || whole > 600 || cut < 100 || failed != 0 {
				t.Errorf("%d whole answers, %d cut short, %d errors of 1000", whole, cut, failed)
			}
			if m := s.ask(t, "tcp", f.one, f.server, "big.good.example.", dns.TypeTXT); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
				t.Errorf("over TCP: %v", m)
			}
			if m := s.ask(t, "udp", f.other, f.server, "big.good.example.", dns.TypeTXT); m.Truncated || len(m.Answer) != 1 {
				t.Errorf("another client: %v", m)
			}
		})
	}
}

// TestWhoMeetsManyListedNamesIsSlowedDownAlone: attack 1 from one household, and what its neighbour sees.
func TestWhoMeetsManyListedNamesIsSlowedDownAlone(t *testing.T) {
	s := newSubscribers(t)
	g, err := guard.New(guard.Config{Clients: []netip.Prefix{netip.MustParsePrefix(subscribersIPv4), netip.MustParsePrefix(subscribersIPv6)}, Questions: 200, Budget: 4})
	if err != nil {
		t.Fatal(err)
	}
	r := startPlain(t, resolver.Config{Upstream: &scripted{}, Guard: g}, serve.Config{}, cableIPv4, cableIPv6)
	var names []string
	for i := range 60 {
		names = append(names, fmt.Sprintf("bad%d.example", i))
	}
	r.Swap(setOf(t, names...))
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			c := s.dial(t, "udp", f.one, f.server)
			listed, _, _ := flood(t, c, 600, func(i int) string { return fmt.Sprintf("bad%d.example.", i%60) }, dns.TypeA)
			open, _, _ := flood(t, c, 600, func(i int) string { return fmt.Sprintf("good%d.example.", i%60) }, dns.TypeA)
			counts := g.Counts()
			if counts.Sources == 0 || counts.Slowed == 0 || listed > 300 || open > 300 {
				t.Errorf("%d listed and %d other names of 600 each were answered: %+v", listed, open, counts)
			}
			other := s.dial(t, "udp", f.other, f.server)
			for i := range 100 {
				name, want := fmt.Sprintf("good%d.example.", i%60), "192.0.2.1"
				if i%50 == 0 { // within its own budget
					name, want = fmt.Sprintf("bad%d.example.", i%60), stopIPv4
				}
				if m := exchangeOn(t, other, name, dns.TypeA); len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != want {
					t.Fatalf("the neighbour asks for %s: %v", name, m)
				}
			}
		})
	}
}

// TestAFloodOfUniqueNamesLeavesOthersRoom: an upstream that answers nobody, one client that fills its part of the waiting room, and another.
func TestAFloodOfUniqueNamesLeavesOthersRoom(t *testing.T) {
	s, _, up := guarded(t, guard.Config{})
	const room, share = 64, 32 // of guarded's resolver: half of it, then an eighth of what is free for one client
	c := s.dial(t, "udp", families[0].one, cableIPv4)
	whole, cut, failed := flood(t, c, 500, func(i int) string { return fmt.Sprintf("slow%d.example.", i) }, dns.TypeA)
	await(t, "the flood's last answers", func() error {
		w, more, bad := heard(t, c)
		whole, cut, failed = whole+w, cut+more, failed+bad
		if n := up.waiting.Load(); failed+int(n) != 500 {
			return fmt.Errorf("%d failed and %d wait of 500", failed, n)
		}
		return nil
	})
	if whole+cut != 0 || failed < 500-room || failed > 500-share {
		t.Errorf("the flood: %d answers, %d cut, %d failed of 500", whole, cut, failed)
	}
	var waiting []*dns.Conn
	for i, client := range []string{"203.0.113.20", "203.0.113.21", "2001:db8:2000:300::1", "2001:db8:2000:400::1"} {
		server := cableIPv4
		if strings.Contains(client, ":") {
			server = cableIPv6
		}
		before := up.waiting.Load()
		o := s.dial(t, "udp", client, server)
		if err := o.WriteMsg(new(dns.Msg).SetQuestion(fmt.Sprintf("slowly%d.example.", i), dns.TypeA)); err != nil {
			t.Fatal(err)
		}
		await(t, client+" waits", func() error {
			if n := up.waiting.Load(); n != before+1 {
				return fmt.Errorf("%d wait, before %d", n, before)
			}
			return nil
		})
		waiting = append(waiting, o)
	}
	for _, o := range append(waiting, c) { // whoever waits does not keep what is listed, nor what is known, from being answered
		if m := exchangeOn(t, s.dial(t, "udp", o.LocalAddr().(*net.UDPAddr).IP.String(), o.RemoteAddr().(*net.UDPAddr).IP.String()), "listed.good.example.", dns.TypeA); len(m.Answer) != 1 {
			t.Errorf("%v asks for a listed name: %v", o.LocalAddr(), m)
		}
	}
	close(up.release)
	for _, o := range waiting {
		if m, err := o.ReadMsg(); err != nil || m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
			t.Errorf("%v waited: %v, %v", o.LocalAddr(), m, err)
		}
	}
}
