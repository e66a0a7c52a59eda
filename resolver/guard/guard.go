// Package guard keeps one client from using up, abusing or reading out a resolver that others share.
//
// In come client addresses, the size and kind of answers, and which entries of a list were met; out come four words: pass, refuse,
// drop, slip. It promises:
//   - who is not of the allowed prefixes gets nothing but a refusal;
//   - a client, the size of a household (one IPv4 address, one IPv6 /56), has a rate of questions of its own, and over UDP, where a source may be
//     forged, a rate of answers of each kind (response rate limiting): whoever is above loses answers, nobody else does;
//   - a client that met more different listed entries than its budget of a day is slowed down, whatever it asks: it learns less and less; an unlisted
//     name is never blocked and a listed one never freed by it;
//   - memory is fixed, whoever sends: tables of keyed hashes, whose keys are of this process and in its memory only. No address, name or
//     entry is kept, and nothing is written anywhere (P5).
//
// A full table forgets: a flood of made-up sources can free who is in it, and never limits somebody else.
package guard

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/cordon-project/cordon/resolver/wire"
)

// Config of a Guard. The zero value is the default in every field.
type Config struct {
	// Clients are served beside those of Local; Strangers are not, even where Local or Clients hold them: the longest prefix decides.
	Clients, Strangers []netip.Prefix
	// DropStrangers gives strangers silence over UDP instead of REFUSED.
	DropStrangers bool
	// Exempt are clients without any limit, beside loopback: a resolver that forwards for many, a monitor.
	Exempt []netip.Prefix

	// IPv4Bits and IPv6Bits say how much of an address is one client. Default 32 and 56, at most 32 and 64.
	IPv4Bits, IPv6Bits int

	// Rates are a second and a client; -1 switches one off. Questions are counted over all transports, the others over UDP alone:
	// Answers of up to 512 bytes (with records, without, NXDOMAIN: each kind by itself), Large ones, and Errors.
	Questions, Answers, Large, Errors int
	// Slip: of the answers above their rate each Slip-th is sent as "ask again over TCP", the others are lost. Default 2.
	Slip int

	// Budget is how many different listed entries a client may meet in a day before it is slowed down, to an eighth of Questions, and to an
	// eighth of that with each further Budget. Default 32; at most MaxBudget; -1 for none.
	Budget int
}

// The defaults. A household asks for tens of names when a page opens, and for one every few seconds otherwise. The most that comes from one
// address is a carrier's NAT: a thousand subscribers behind it ask about 500 times a second. So whoever is not a flood meets no limit.
const (
	DefaultIPv4Bits  = 32
	DefaultIPv6Bits  = 56
	DefaultQuestions = 5000
	DefaultAnswers   = 2500
	DefaultLarge     = 500
	DefaultErrors    = 500
	DefaultSlip      = 2
	DefaultBudget    = 32

	MaxRate   = 100_000 // a question every ten ticks
	MaxBudget = 128     // a source's sketch counts to nine times that, which is its last level
)

// burst is for how many seconds of its rate a client may be ahead: a page that opens after a quiet minute.
const burst = 4

// Verdict is what becomes of a question, or of its answer.
type Verdict uint8

// Verdicts.
const (
	Pass   Verdict = iota
	Refuse         // answer REFUSED, without records
	Drop           // send nothing
	Slip           // send the answer without records and with TC set
)

// What is counted for a client: questions over everything, answers over UDP.
const (
	questions = iota
	records
	noData
	nxDomain
	failures
	large
	kinds
)

// Guard holds the tables. All methods may be called concurrently, and on nil, which lets everything pass.
type Guard struct {
	who          *ranges
	drop         bool
	mask4, mask6 uint64
	key          [4]uint64
	rates        [kinds]rate
	levels       [maxLevel + 1]rate // of questions; the first is that of a client within its budget
	slip         uint64
	buckets      *buckets
	sources      *sources // nil: no budget
	counts       counters
}

// counters move only when something does not pass.
type counters struct{ strangers, dropped, slipped, limited, slowed, sources atomic.Uint64 }

// Counts is a snapshot of what a Guard held back.
type Counts struct {
	Strangers uint64 // questions from outside of the allowed prefixes
	Limited   uint64 // questions above their client's rate
	Slowed    uint64 // of them: of a client above its budget of listed entries
	Dropped   uint64 // answers over UDP above their rate, not sent
	Slipped   uint64 // the same, sent as "ask again over TCP"
	Sources   uint64 // times that a client went above its budget, or by a further budget
}

// Ticket is one question: what Judge, Answer and Met need to know of its client. It holds a keyed hash, not an address.
type Ticket struct {
	client   uint64
	at       uint64
	standing standing
	udp      bool
}

// standing is how a client is treated.
type standing uint8

const (
	free     standing = iota // without limits
	limited                  // by the rates and the budget
	stranger                 // not served
)

// New checks a Config and makes its tables, 2 MiB.
func New(c Config) (*Guard, error) {
	for _, n := range []*struct {
		name           string
		value          *int
		def, low, high int
	}{
		{"IPv4 bits", &c.IPv4Bits, DefaultIPv4Bits, 8, 32},
		{"IPv6 bits", &c.IPv6Bits, DefaultIPv6Bits, 16, 64},
		{"questions", &c.Questions, DefaultQuestions, -1, MaxRate},
		{"answers", &c.Answers, DefaultAnswers, -1, MaxRate},
		{"large answers", &c.Large, DefaultLarge, -1, MaxRate},
		{"errors", &c.Errors, DefaultErrors, -1, MaxRate},
		{"slip", &c.Slip, DefaultSlip, 1, 100},
		{"budget", &c.Budget, DefaultBudget, -1, MaxBudget},
	} {
		if *n.value == 0 {
			*n.value = n.def
		}
		if *n.value < n.low || *n.value > n.high {
			return nil, fmt.Errorf("make guard: %s: %d, want %d to %d", n.name, *n.value, n.low, n.high)
		}
	}
	g := &Guard{drop: c.DropStrangers, slip: uint64(c.Slip), buckets: new(buckets)}
	g.mask4 = uint64(^uint32(0) << (32 - c.IPv4Bits))
	g.mask6 = ^uint64(0) << (64 - c.IPv6Bits)
	var err error
	if g.who, err = newRanges(c); err != nil {
		return nil, fmt.Errorf("make guard: %w", err)
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	for i := range g.key {
		g.key[i] = binary.LittleEndian.Uint64(secret[8*i:]) | 1
	}
	g.rates = [kinds]rate{
		questions: newRate(c.Questions, 0), records: newRate(c.Answers, 0), noData: newRate(c.Answers, 0), nxDomain: newRate(c.Answers, 0),
		failures: newRate(c.Errors, 0), large: newRate(c.Large, 0),
	}
	if c.Budget > 0 {
		g.sources = newSources(c.Budget)
	}
	slowed := c.Questions
	if slowed < 0 {
		slowed = DefaultQuestions // without a rate the budget still needs one to begin from
	}
	g.levels[0] = g.rates[questions]
	for i := 1; i < len(g.levels); i++ {
		g.levels[i] = newRate(slowed, i)
	}
	return g, nil
}

// Admit judges a question by its client alone, before it is read. at is the time since any fixed moment, by a clock that does not go back.
//
// Hot path: no allocation, no lock, see TestGuardDoesNotAllocate and BenchmarkAdmit.
func (g *Guard) Admit(from wire.Client, at time.Duration) (Ticket, Verdict) {
	t := g.ticket(from, at)
	return t, g.Judge(t)
}

// Know is the first half of Admit: it finds out who asks, counts nothing, and asks for the memory that Judge will read. Whoever has many
// questions calls it for all of them first. It is the ticket, too, of a question that was admitted, for an answer that comes later.
//
// Hot path: no allocation, no lock.
func (g *Guard) Know(from wire.Client, at time.Duration) Ticket {
	t := g.ticket(from, at)
	if t.standing != free {
		g.buckets.ahead(t.client)
	}
	return t
}

func (g *Guard) ticket(from wire.Client, at time.Duration) Ticket {
	if g == nil || !from.Addr.IsValid() {
		return Ticket{}
	}
	c, key := g.who.find(from.Addr)
	if c == client|exempt {
		return Ticket{}
	}
	standing := stranger
	if c == client {
		standing = limited
	}
	return Ticket{client: g.house(key, from.Addr.Is4()), at: tick(at), standing: standing, udp: !from.Via.Stream()}
}

// Judge is the second half of Admit.
//
// Hot path: no allocation, no lock.
func (g *Guard) Judge(t Ticket) Verdict {
	switch t.standing {
	case free:
		return Pass
	case stranger:
		return g.turnDown(t)
	}
	watch := g.sources.watch(t.at)
	if g.levels[0].cost == 0 && !watch {
		return Pass
	}
	ok, watched := g.buckets.take(t.client, questions, t.at, &g.levels[0], watch)
	switch {
	case watched:
		return g.watched(t)
	case !ok:
		return g.turnAway(t)
	}
	return Pass
}

// Serves reports whether a client is answered at all: who is not, is not worth a handshake either. It counts nothing.
func (g *Guard) Serves(who netip.Addr) bool {
	if g == nil || !who.IsValid() {
		return true
	}
	c, _ := g.who.find(who)
	return c&client != 0
}

// watched judges a question of a client that may be above its budget: it is new in the table, or marked there.
func (g *Guard) watched(t Ticket) Verdict {
	level := g.sources.level(t.client, t.at)
	ok, _ := g.buckets.take(t.client, questions, t.at, &g.levels[level], false)
	g.buckets.mark(t.client, level > 0)
	if ok {
		return Pass
	}
	if level > 0 {
		g.counts.slowed.Add(1)
	}
	return g.turnAway(t)
}

// turnAway is the end of a question above its rate: a client that may be forged is not answered at all.
func (g *Guard) turnAway(t Ticket) Verdict {
	g.counts.limited.Add(1)
	if t.udp {
		return Drop
	}
	return Refuse
}

// turnDown is the end of a stranger's question.
func (g *Guard) turnDown(t Ticket) Verdict {
	g.counts.strangers.Add(1)
	switch r := &g.rates[failures]; {
	case !t.udp || r.cost == 0 && !g.drop:
		return Refuse
	case g.drop:
		return Drop
	default:
		if ok, _ := g.buckets.take(t.client, failures, t.at, r, false); !ok {
			return Drop // whoever is asked about a forged source is not to send more than it is sent
		}
		return Refuse
	}
}

// largest is the longest answer that counts as one of the usual size: what every client could always take.
const largest = wire.MinUDP

// Answer judges an answer that is about to be sent to the client of t: Pass, Drop or Slip. Over streams, whose source is proven, it is Pass.
//
// Hot path: no allocation, no lock.
func (g *Guard) Answer(t Ticket, resp []byte) Verdict {
	if g == nil || t.standing != limited || !t.udp || len(resp) < wire.HeaderLen || wire.Truncated(resp) {
		return Pass
	}
	kind := records
	switch rcode := resp[3] & 0xf; {
	case len(resp) > largest:
		kind = large
	case rcode == wire.RcodeNXDomain:
		kind = nxDomain
	case rcode != wire.RcodeSuccess:
		kind = failures
	case resp[6] == 0 && resp[7] == 0: // ANCOUNT
		kind = noData
	}
	r := &g.rates[kind]
	if r.cost == 0 {
		return Pass
	}
	if ok, _ := g.buckets.take(t.client, kind, t.at, r, false); ok {
		return Pass
	}
	if n := g.counts.dropped.Add(1); n%g.slip != 0 {
		return Drop
	}
	g.counts.slipped.Add(1)
	return Slip
}

// Met notes that an answer told the client of t that an entry is listed; entry tells it from others. Meeting one again costs nothing.
//
// Hot path: no allocation, no lock.
func (g *Guard) Met(t Ticket, entry uint64) {
	if g == nil || t.standing != limited || g.sources == nil {
		return
	}
	level, raised := g.sources.note(t.client, t.at, mix(mix(entry^g.key[2], g.key[3])^t.client, g.key[1]))
	if level > 0 {
		g.buckets.mark(t.client, true)
	}
	if raised {
		g.counts.sources.Add(1)
	}
}

// Counts reads the counters; they are not of one instant.
func (g *Guard) Counts() Counts {
	if g == nil {
		return Counts{}
	}
	c := &g.counts
	slipped := c.slipped.Load()
	return Counts{
		Strangers: c.strangers.Load(), Limited: c.limited.Load(), Slowed: c.slowed.Load(),
		Dropped: c.dropped.Load() - slipped, Slipped: slipped, Sources: c.sources.Load(),
	}
}

// house is the keyed hash of the client that an address belongs to.
func (g *Guard) house(key uint64, four bool) uint64 {
	if four {
		key = key&g.mask4 | 0xffff<<32 // no IPv6 prefix in use has this value
	} else {
		key &= g.mask6
	}
	return mix(mix(key^g.key[0], g.key[1])^g.key[2], g.key[3])
}

// mix folds a product of 128 bits; with secret operands its bits cannot be foreseen.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
