// Package resolver turns one question into one answer.
//
// In come whole DNS messages (from any listener or packet front: there is no socket in here), the match.Set in force,
// and replies of upstream resolvers; out come whole answers. It promises:
//   - nothing is answered unfiltered: without a set every question gets SERVFAIL and EDE 14 (P3);
//   - a listed name, asked or reached over CNAME, DNAME or SVCB, gets the signal of policy.go, and an unlisted one
//     gets what its upstream said, records untouched (P2, P9);
//   - a new set is one pointer swap: a cached answer is used again only after the new set has cleared its names;
//   - it has no logger, and no error or counter in it holds a name or an address (P5).
package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cordon-project/cordon/resolver/cache"
	"github.com/cordon-project/cordon/resolver/guard"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

// Exchanger asks an upstream resolver; *upstream.Pool is one.
type Exchanger interface {
	// Exchange returns a whole reply to q, read only. It may be called concurrently, returns soon after ctx ends,
	// and does its own retries: the caller asks once. q.Name is not kept after the return. upstream.ErrNoAnswer
	// means that no server answered, any other error that asking was not possible.
	Exchange(ctx context.Context, q wire.Question) ([]byte, error)
}

// Asker is an Exchanger that need not be waited for; *upstream.Pool is one.
type Asker interface {
	// Ask is Exchange without the wait: done is called once, from any goroutine, also before the return, with a reply that
	// may be read until done returns.
	Ask(ctx context.Context, q wire.Question, done func(reply []byte, err error))
}

// Queuer is an Asker of which many questions are asked at once; *upstream.Pool is one. What its replies are was checked, as wire.Scan and
// Question.Answers do, where it gives the Summary.
type Queuer interface {
	Queue(ctx context.Context, q wire.Question, w upstream.Waiter) // like Ask; the question may wait for Flush, w.Told for nothing
	Flush()                                                        // sends what waits
}

// Stop is where listed names lead, by legal basis. An address left out means NODATA for its type.
type Stop struct {
	LawIPv4, LawIPv6             netip.Addr // basis law or order
	VoluntaryIPv4, VoluntaryIPv6 netip.Addr
	LawNAT64, VoluntaryNAT64     netip.Addr // IPv6 for clients behind a NAT64, where there is no other
}

// Config of a Resolver. Upstream is required.
type Config struct {
	Stop       Stop
	TTL        time.Duration // of the signal; whole seconds from 10 to 60, default 30
	NSID       bool          // answer NSID (RFC 5001) with the state id of the set in force
	Own        Own           // what it says of itself
	Upstream   Exchanger
	Structured Structured       // texts with the signal for clients that ask for them; the zero value: none
	NAT64      []netip.Prefix   // clients behind a NAT64, for an Upstream that translates for those that Question.NAT64 marks
	Subnets    []netip.Prefix   // clients, resolvers of one's own, whose client subnets (RFC 7871) go upstream
	Guard      *guard.Guard     // nil: everybody is served, without limits
	Cache      *cache.Cache     // default: cache.New with its defaults
	Prefetch   bool             // answers that are still asked for when a tenth of their life is left are asked for anew
	Patience   time.Duration    // how long a client waits before it gets a stale answer, if there is one; default 1.8 s (RFC 8767 5)
	Waiting    int              // questions waiting for the upstream at once; default 4096
	Clock      func() time.Time // default time.Now
}

// Resolver answers questions. All methods may be called concurrently.
type Resolver struct {
	config     Config
	ttl        uint32
	own        own
	start      time.Time
	view       atomic.Pointer[view]
	swaps      atomic.Uint32
	pool       sync.Pool // of *scratch
	fair       *fair
	marks      bool        // some clients have answers of their own
	asker      Asker       // nil: the upstream is only an Exchanger
	queuer     Queuer      // nil: it is none
	misses     sync.Pool   // of *miss
	structured *structured // nil: no texts
	stripe     atomic.Uint32
	counts     [stripes]counters
	slotMu     sync.Mutex     // guards slots
	slots      []match.ListID // lists that have counters, in the order they came
	swapMu     sync.Mutex     // guards writing view, and exemption
	exemption  *Exemption
}

// view is a set with what is derived from it; immutable.
type view struct {
	set *match.Set
	seq uint32 // number of the swap: never the same for two sets of one process
	id  []byte // state id, beside the view: who keeps it, as options of answers do, keeps no set alive

	slots [listSlots]uint8 // counters of each of the set's lists

	exemption *Exemption // whose clients have open instead; nil for none
	open      *view
}

// scratch is what one question needs; it never leaves the call that took it from the pool.
type scratch struct {
	q      wire.Query
	opt    wire.Options
	reader wire.Reader
	rec    wire.Record
	sum    wire.Summary
	counts *counters
	now    time.Time
	ticket guard.Ticket
	out    []byte        // room for an answer of Slow
	stream bool          // the answer may be long
	wrong  error         // what Parse said
	hash   uint64        // of the cache's key
	first  *match.Lookup // of the asked name, when it has begun already

	current, last, owner, target wire.NameBuf // of chain
	names, labels                int          // tested of a reply
}

// Bounds of the signal's TTL: long enough that a browser does not ask for every request, short enough that a withdrawn
// entry is gone within a minute (P8).
const (
	minTTL, maxTTL, defaultTTL = 10 * time.Second, 60 * time.Second, 30 * time.Second

	// recheck is how many seconds a cached answer stays cleared under one set. Sets change by themselves only when a
	// time-limited removal or the kill switch ends; a listed name may then pass for this long and no longer.
	recheck = 10
)

// New makes a resolver without a set: it answers SERVFAIL until the first Swap.
func New(c Config) (*Resolver, error) {
	if c.Upstream == nil {
		return nil, errors.New("make resolver: no upstream")
	}
	if c.TTL == 0 {
		c.TTL = defaultTTL
	}
	if c.TTL < minTTL || c.TTL > maxTTL || c.TTL%time.Second != 0 {
		return nil, fmt.Errorf("make resolver: ttl %v, want whole seconds from %v to %v", c.TTL, minTTL, maxTTL)
	}
	for _, a := range []netip.Addr{c.Stop.LawIPv4, c.Stop.VoluntaryIPv4} {
		if a.IsValid() && !a.Is4() {
			return nil, fmt.Errorf("make resolver: stop address %v is not IPv4", a)
		}
	}
	for _, a := range []netip.Addr{c.Stop.LawIPv6, c.Stop.VoluntaryIPv6, c.Stop.LawNAT64, c.Stop.VoluntaryNAT64} {
		if a.IsValid() && (!a.Is6() || a.Is4In6() || a.Zone() != "") {
			return nil, fmt.Errorf("make resolver: stop address %v is not plain IPv6", a)
		}
	}
	if c.Patience == 0 {
		c.Patience = 1800 * time.Millisecond
	}
	if c.Cache == nil {
		c.Cache = cache.New(cache.Config{})
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	own, err := newOwn(c.Own)
	if err != nil {
		return nil, fmt.Errorf("make resolver: %w", err)
	}
	r := &Resolver{own: own, config: c, ttl: uint32(c.TTL / time.Second), start: c.Clock()}
	if r.structured, err = newStructured(c.Structured); err != nil {
		return nil, fmt.Errorf("make resolver: %w", err)
	}
	r.marks = len(c.NAT64)+len(c.Subnets) > 0
	r.fair = newFair(c.Waiting)
	r.asker, _ = c.Upstream.(Asker)
	r.queuer, _ = c.Upstream.(Queuer)
	r.misses.New = func() any { return new(miss) }
	r.pool.New = func() any { return &scratch{counts: &r.counts[r.stripe.Add(1)%stripes]} }
	return r, nil
}

// Swap puts a set in force, or with nil none. Questions already being decided get the answer of one set or the other,
// never a mixture and never none. Answers cached under earlier sets are checked again before they are used.
func (r *Resolver) Swap(s *match.Set) {
	r.swapMu.Lock()
	defer r.swapMu.Unlock()
	if s == nil {
		r.view.Store(nil)
		return
	}
	r.show(s)
}

// Set is the set in force, nil before the first Swap.
func (r *Resolver) Set() *match.Set {
	if v := r.view.Load(); v != nil {
		return v.set
	}
	return nil
}

// stamp marks an answer as cleared by v at a time; current says whether such a mark still holds.
func (v *view) stamp(now uint32) uint64 { return uint64(v.seq)<<32 | uint64(now) }

func (v *view) current(stamp uint64, now uint32) bool {
	return uint32(stamp>>32) == v.seq && now-uint32(stamp) < recheck // a clock set back makes a large difference
}

// tick is the cache's clock: seconds since the start, from the monotonic reading when Clock has one.
func (r *Resolver) tick(now time.Time) uint32 { return uint32(now.Sub(r.start) / time.Second) }
