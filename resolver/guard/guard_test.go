package guard

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/cordon-project/cordon/resolver/wire"
)

func newGuard(t testing.TB, c Config) *Guard {
	t.Helper()
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func from(addr string, via wire.Transport) wire.Client {
	return wire.Client{Addr: netip.MustParseAddr(addr), Via: via}
}

func prefixes(all ...string) (out []netip.Prefix) {
	for _, p := range all {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// answer is a response of n bytes with a code and a number of records.
func answer(n, rcode int, records uint16) []byte {
	b := make([]byte, n)
	b[2], b[3] = 0x80, byte(rcode)
	binary.BigEndian.PutUint16(b[6:], records)
	return b
}

func TestOnlyClientsAreServed(t *testing.T) {
	g := newGuard(t, Config{
		Clients: prefixes("192.0.2.0/24", "203.0.0.0/9", "2001:db8::/32"), Strangers: prefixes("192.0.2.128/25", "10.9.0.0/16", "2001:db8:bad::/48"),
		Exempt: prefixes("198.18.0.0/15"), // of no client
	})
	for addr, want := range map[string]Verdict{
		"127.0.0.1": Pass, "10.1.2.3": Pass, "172.31.255.255": Pass, "192.168.0.1": Pass, "100.64.0.1": Pass, "100.127.255.255": Pass,
		"169.254.1.1": Pass, "::1": Pass, "fd00::1": Pass, "fe80::1": Pass,
		"192.0.2.0": Pass, "192.0.2.127": Pass, "2001:db8::1": Pass, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff": Pass,
		"203.0.0.0": Pass, "203.127.255.255": Pass, "203.128.0.0": Refuse, "204.0.0.0": Refuse, "198.18.0.1": Refuse,
		"192.0.2.128": Refuse, "10.9.0.1": Refuse, "2001:db8:bad::1": Refuse,
		"0.0.0.0": Refuse, "255.255.255.255": Refuse, "100.128.0.0": Refuse, "172.32.0.0": Refuse, "198.51.100.1": Refuse, "2001:db9::": Refuse, "::": Refuse,
	} {
		if _, got := g.Admit(from(addr, wire.UDP), 0); got != want {
			t.Errorf("%s: got %d, want %d", addr, got, want)
		}
		if got := g.Serves(netip.MustParseAddr(addr)); got != (want == Pass) {
			t.Errorf("%s: served is %v", addr, got)
		}
	}
	if c := g.Counts(); c.Strangers != 13 || c.Limited != 0 {
		t.Errorf("counts are %+v", c)
	}
}

func TestStrangersGetSilenceByChoiceAndOverUDPOnly(t *testing.T) {
	g := newGuard(t, Config{DropStrangers: true})
	if _, got := g.Admit(from("198.51.100.1", wire.UDP), 0); got != Drop {
		t.Errorf("over UDP: got %d, want Drop", got)
	}
	if _, got := g.Admit(from("198.51.100.1", wire.TCP), 0); got != Refuse {
		t.Errorf("over TCP: got %d, want Refuse", got)
	}
}

func TestRefusalsToAForgedSourceAreFew(t *testing.T) {
	g := newGuard(t, Config{Errors: 10})
	sent := 0
	for range 1000 {
		if _, v := g.Admit(from("198.51.100.1", wire.UDP), 0); v == Refuse {
			sent++
		}
	}
	if sent != 10*burst {
		t.Errorf("%d of 1000 refusals were sent, want %d", sent, 10*burst)
	}
}

// TestPrefixesAreFoundAsTheLongestMatchSays compares with the definition, at random and at the ends of each prefix.
func TestPrefixesAreFoundAsTheLongestMatchSays(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func(six bool) netip.Addr {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:8], r.Uint64())
		binary.BigEndian.PutUint64(b[8:], r.Uint64())
		if six {
			b[0] = 0x20
			return netip.AddrFrom16(b)
		}
		b[0] = byte(r.IntN(4)) * 85 // so that prefixes meet
		return netip.AddrFrom4([4]byte(b[:4]))
	}
	var c Config
	for range 300 {
		six := r.IntN(2) == 0
		a := random(six)
		p, _ := a.Prefix(1 + r.IntN(a.BitLen()))
		switch r.IntN(3) {
		case 0:
			c.Clients = append(c.Clients, p)
		case 1:
			c.Strangers = append(c.Strangers, p)
		default:
			c.Exempt = append(c.Exempt, p)
		}
	}
	got, err := newRanges(c)
	if err != nil {
		t.Fatal(err)
	}
	longest := func(all []netip.Prefix, a netip.Addr) int {
		n := -1
		for _, p := range all {
			if p.Contains(a) {
				n = max(n, p.Bits())
			}
		}
		return n
	}
	check := func(a netip.Addr) {
		var want class
		if s := longest(c.Strangers, a); max(longest(c.Clients, a), longest(Local(), a)) > s {
			want |= client
		}
		if longest(c.Exempt, a) >= 0 || a.IsLoopback() {
			want |= exempt
		}
		if have, _ := got.find(a); have != want {
			t.Errorf("%v: class %d, want %d", a, have, want)
		}
	}
	for _, p := range append(append(append(Local(), c.Clients...), c.Strangers...), c.Exempt...) {
		check(p.Addr())
		check(last(p))
		for _, a := range []netip.Addr{p.Addr().Prev(), last(p).Next()} {
			if a.IsValid() {
				check(a)
			}
		}
	}
	for range 20000 {
		check(random(r.IntN(2) == 0))
	}
}

func TestAFloodOfOneClientIsCutToItsRate(t *testing.T) {
	g := newGuard(t, Config{Questions: 100, Clients: prefixes("2001:db8::/32")})
	for _, tt := range []struct {
		name, flood, same, other string
		via                      wire.Transport
		above                    Verdict
	}{
		{"IPv4 over UDP", "10.0.0.1", "10.0.0.1", "10.0.0.2", wire.UDP, Drop},
		{"IPv4 over TCP", "10.0.1.1", "10.0.1.1", "10.0.1.2", wire.TCP, Refuse},
		{"IPv6", "2001:db8:0:1::1", "2001:db8:0:ff:2::", "2001:db8:0:100::1", wire.UDP, Drop},
	} {
		passed := 0
		for ms := range 10_000 { // ten seconds at a thousand a second
			at := time.Duration(ms) * time.Millisecond
			_, v := g.Admit(from(tt.flood, tt.via), at)
			if v == Pass {
				passed++
			} else if v != tt.above {
				t.Fatalf("%s: got %d, want %d", tt.name, v, tt.above)
			}
			if ms%100 == 0 {
				if _, v := g.Admit(from(tt.other, tt.via), at); v != Pass {
					t.Fatalf("%s: a neighbour at 10 a second got %d", tt.name, v)
				}
			}
		}
		if want := 100 * (10 + burst); passed < want-2 || passed > want+2 {
			t.Errorf("%s: %d of 10000 passed, want about %d", tt.name, passed, want)
		}
		g.Admit(from(tt.flood, tt.via), 10*time.Second)
		if _, v := g.Admit(from(tt.same, tt.via), 10*time.Second); v != tt.above {
			t.Errorf("%s: another address of the same client got %d", tt.name, v)
		}
		if _, v := g.Admit(from(tt.same, tt.via), 20*time.Second); v != Pass {
			t.Errorf("%s: ten quiet seconds later it got %d", tt.name, v)
		}
	}
}

func TestExemptClientsHaveNoLimit(t *testing.T) {
	g := newGuard(t, Config{Questions: 1, Answers: 1, Budget: 1, Exempt: prefixes("10.0.0.53/32")})
	for _, addr := range []string{"127.0.0.1", "::1", "10.0.0.53"} {
		for i := range 1000 {
			ticket, v := g.Admit(from(addr, wire.UDP), 0)
			g.Met(ticket, uint64(i))
			if w := g.Answer(ticket, answer(1200, 0, 1)); v != Pass || w != Pass {
				t.Fatalf("%s: question %d got %d and %d", addr, i, v, w)
			}
		}
	}
}

func TestAnswersToAForgedSourceAreCutByKind(t *testing.T) {
	for _, tt := range []struct {
		name string
		resp []byte
		rate int
	}{
		{"records", answer(100, 0, 1), 200}, {"no data", answer(100, 0, 0), 200}, {"NXDOMAIN", answer(100, 3, 0), 200},
		{"SERVFAIL", answer(100, 2, 0), 30}, {"REFUSED", answer(40, 5, 0), 30}, {"large", answer(513, 0, 9), 50},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGuard(t, Config{Answers: 200, Large: 50, Errors: 30, Slip: 3})
			var seen [4]int
			for ms := range 10_000 {
				ticket, v := g.Admit(from("10.0.0.1", wire.UDP), time.Duration(ms)*time.Millisecond)
				if v != Pass {
					t.Fatal("the question did not pass")
				}
				seen[g.Answer(ticket, tt.resp)]++
			}
			want := tt.rate * (10 + burst)
			rest := 10_000 - seen[Pass]
			if seen[Pass] < want-2 || seen[Pass] > want+2 || seen[Slip] != rest/3 || seen[Drop] != rest-rest/3 {
				t.Errorf("passed, refused, dropped, slipped: %v; want about %d to pass and a third of the others to slip", seen, want)
			}
			stream, _ := g.Admit(from("10.0.0.1", wire.TCP), 10*time.Second)
			if v := g.Answer(stream, tt.resp); v != Pass {
				t.Errorf("over TCP the answer got %d", v)
			}
			cut := append([]byte(nil), tt.resp...)
			cut[2] |= 2
			udp, _ := g.Admit(from("10.0.0.1", wire.UDP), 10*time.Second)
			if v := g.Answer(udp, cut); v != Pass {
				t.Errorf("a truncated answer got %d", v)
			}
			other, _ := g.Admit(from("10.0.0.2", wire.UDP), 10*time.Second)
			if v := g.Answer(other, tt.resp); v != Pass {
				t.Errorf("a neighbour's answer got %d", v)
			}
		})
	}
}

// TestAHouseholdAndACarriersNATMeetNoLimit holds what the defaults are said to leave alone.
func TestAHouseholdAndACarriersNATMeetNoLimit(t *testing.T) {
	g := newGuard(t, Config{})
	ask := func(client string, at time.Duration, resp []byte) {
		t.Helper()
		ticket, v := g.Admit(from(client, wire.UDP), at)
		if w := g.Answer(ticket, resp); v != Pass || w != Pass {
			t.Fatalf("%s at %v: got %d and %d", client, at, v, w)
		}
	}
	for range 1500 { // five devices open ten tabs at once
		ask("192.168.1.2", 0, answer(90, 0, 2))
	}
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 60_000 { // a minute of a thousand subscribers at one question a second each, an evening's peak
		resp := answer(90, 0, 2)
		switch n := r.IntN(100); {
		case n < 10:
			resp = answer(110, 3, 0)
		case n < 30:
			resp = answer(110, 0, 0)
		case n < 40:
			resp = answer(900, 0, 12)
		case n < 42:
			resp = answer(60, 2, 0)
		}
		ask("100.64.0.1", time.Duration(i)*time.Millisecond, resp)
	}
}

func TestAFullTableForgetsAndLimitsNobodyElse(t *testing.T) {
	g := newGuard(t, Config{Questions: 10, Clients: prefixes("2000::/3")})
	var b [16]byte
	b[0] = 0x20
	for i := range 300_000 { // made-up sources, more than two for each slot
		binary.BigEndian.PutUint32(b[2:], uint32(i))
		if _, v := g.Admit(wire.Client{Addr: netip.AddrFrom16(b)}, time.Second); v != Pass {
			t.Fatalf("source %d got %d with its first question", i, v)
		}
	}
}

// A client that owes keeps its slot while another of its set is even, wherever the look for room began.
func TestANewClientTakesASlotThatIsEven(t *testing.T) {
	b, r := new(buckets), newRate(10, 0)
	const now = uint64(second)
	client := func(n uint64) uint64 { return n<<32 | 77 } // all of one set, with the tag n
	for ok := true; ok; ok, _ = b.take(client(3), questions, now, &r, false) {
	}
	for n := uint64(3 + ways); n < 3+ways*ways; n += ways { // all begin at its place, and fill the set
		if ok, _ := b.take(client(n), questions, now, &r, false); !ok {
			t.Fatalf("client %d is refused its first question", n)
		}
	}
	if ok, _ := b.take(client(3), questions, now, &r, false); ok {
		t.Error("a client above its rate was forgotten while there was room")
	}
}

func TestTimeComingRoundLimitsNobody(t *testing.T) {
	g := newGuard(t, Config{Questions: 1})
	round := time.Duration(1<<timeBits) << 10
	for _, at := range []time.Duration{0, round/2 - 1, round / 2, round - time.Second, round, round + time.Hour, 3 * round} {
		if _, v := g.Admit(from("10.0.0.1", wire.UDP), at); v != Pass {
			t.Errorf("after %v: got %d", at, v)
		}
	}
}

func TestConcurrentQuestionsOfOneClientKeepItsRate(t *testing.T) {
	g := newGuard(t, Config{Questions: 100})
	var passed [4]int
	var work sync.WaitGroup
	for w := range passed {
		work.Go(func() {
			for i := range 5000 {
				ticket, v := g.Admit(from("10.0.0.1", wire.UDP), 0)
				if v == Pass {
					passed[w]++
				}
				g.Met(ticket, uint64(i%20))
				g.Answer(ticket, answer(100, 0, 1))
			}
		})
	}
	work.Wait()
	// Whoever loses the race for a slot four times in a row passes uncounted.
	if n := passed[0] + passed[1] + passed[2] + passed[3]; n < 100*burst || n > 2*100*burst {
		t.Errorf("%d passed, want about %d", n, 100*burst)
	}
}

func TestNewRefusesWhatItCannotKeep(t *testing.T) {
	for name, c := range map[string]Config{
		"rate": {Questions: MaxRate + 1}, "negative": {Errors: -2}, "slip": {Slip: 101}, "budget": {Budget: MaxBudget + 1}, "bits": {IPv6Bits: 65},
		"short": {IPv4Bits: 7}, "host bits": {Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")}}, "none": {Exempt: []netip.Prefix{{}}},
		"mapped": {Clients: prefixes("::ffff:10.0.0.0/104")}, "many": {Clients: make([]netip.Prefix, MaxPrefixes+1)},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestWithoutAGuardEverythingPasses(t *testing.T) {
	var g *Guard
	ticket, v := g.Admit(from("198.51.100.1", wire.UDP), 0)
	g.Met(ticket, 1)
	if w := g.Answer(ticket, answer(100, 0, 1)); v != Pass || w != Pass || g.Counts() != (Counts{}) {
		t.Errorf("got %d, %d, %+v", v, w, g.Counts())
	}
}

func TestGuardDoesNotAllocate(t *testing.T) {
	g := newGuard(t, Config{Questions: 1000, Budget: 2})
	resp := answer(600, 0, 1)
	n := uint64(0)
	clients := []wire.Client{from("10.0.0.1", wire.UDP), from("198.51.100.1", wire.UDP), from("127.0.0.1", wire.TCP)}
	for _, c := range clients {
		if a := testing.AllocsPerRun(2000, func() {
			n++
			ticket, _ := g.Admit(c, time.Duration(n)*time.Microsecond)
			g.Met(ticket, n)
			g.Answer(ticket, resp)
		}); a != 0 {
			t.Errorf("%v: %v allocations, want 0", c.Addr, a)
		}
	}
}

// What the guard adds to each question, over a number of clients: those of a NAT, of a town, of a country. One at a time as over streams, and 64
// as over UDP.
func BenchmarkAdmit(b *testing.B) {
	for _, batch := range []int{1, 64} {
		for _, clients := range []int{1, 1000, 100_000} {
			b.Run(fmt.Sprintf("batch=%d/clients=%d", batch, clients), func(b *testing.B) {
				g := newGuard(b, Config{Clients: prefixes("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"), Questions: MaxRate, Answers: MaxRate})
				all := make([]wire.Client, clients)
				for i := range all {
					all[i].Addr = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
				}
				resp := answer(90, 0, 2)
				b.ReportAllocs()
				at := time.Duration(0)
				tickets := make([]Ticket, batch)
				for n := 0; n < b.N; n += batch {
					at += 20 * time.Microsecond * time.Duration(batch)
					for i := range tickets {
						tickets[i] = g.Know(all[(n+i)%clients], at)
					}
					for _, t := range tickets {
						if g.Judge(t) != Pass || g.Answer(t, resp) != Pass {
							b.Fatal("it did not pass")
						}
					}
				}
			})
		}
	}
}

// The same for answers of listed names, one after the other.
func BenchmarkMet(b *testing.B) {
	g := newGuard(b, Config{Questions: -1})
	ticket, _ := g.Admit(from("10.0.0.1", wire.UDP), 0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		g.Met(ticket, uint64(i%20))
	}
}

func BenchmarkAdmitLoopback(b *testing.B) {
	g := newGuard(b, Config{})
	c := from("127.0.0.1", wire.UDP)
	for b.Loop() {
		g.Admit(c, 0)
	}
}
