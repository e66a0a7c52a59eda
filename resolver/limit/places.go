package limit

import (
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// How many places are looked at for one that can be given away. When all households have few connections the oldest of a sample is as good as the
// oldest; and when nobody rests, a newcomer costs no more than this.
const (
	sample    = 128
	mostLooks = 4096
)

// NewPlaces returns places for all connections at once, perHousehold of them for one IPv4 address or IPv6 /56. Several listeners may share them.
func NewPlaces(all, perHousehold int) *Places {
	return &Places{max: all, maxEach: perHousehold, from: map[netip.Prefix]*house{}}
}

// Places bounds connections as a Limit does, but a newcomer that finds no room gets the place of one that rests, so that nobody is shut out by
// who asks nothing (RFC 7766 6.2.3). Its own household's gives way when that has all it may have. Else it is one of the household that has most:
// none that has no more than the newcomer's own gives way. In a household it is the one that has rested longest. Places may be used concurrently.
type Places struct {
	max, maxEach int

	mu   sync.Mutex // guards the rest, and places' houses
	all  int
	from map[netip.Prefix]*house
	size [bits.UintSize + 1][]*house // by the length of the number of their places
}

// house is a household that has places.
type house struct {
	prefix netip.Prefix
	places []*Place
	at     int // of Places.size[n]
}

// Place is one connection's.
type Place struct {
	of    *Places
	end   func()
	house *house // nil: it was left
	at    int    // of house.places

	work   atomic.Int32 // under way; 0: it rests
	rested atomic.Int64 // nanoseconds of began when it began to
	gone   atomic.Bool
}

// began is what times are counted from, so that a step of the clock changes no order.
var began = time.Now()

// Enter finds a place. A place begins at rest; end is called at most once, when it is given to somebody else: soon after, the connection must have
// ended. end must not block.
func (g *Places) Enter(client netip.Addr, end func()) (*Place, bool) {
	p := &Place{of: g, end: end}
	p.rested.Store(int64(time.Since(began)))
	weak, ok := g.enter(p, householdOf(client))
	if weak != nil {
		weak.gone.Store(true)
		weak.end()
	}
	return p, ok
}

// Begin says that the connection is needed, until as many calls of End.
func (p *Place) Begin() { p.work.Add(1) }

// End is the end of what began.
func (p *Place) End(now time.Time) {
	p.rested.Store(int64(now.Sub(began)))
	p.work.Add(-1)
}

// Rests reports that the connection is not needed now.
func (p *Place) Rests() bool { return p.work.Load() == 0 }

// Gone reports that somebody else has the place.
func (p *Place) Gone() bool { return p.gone.Load() }

// Leave gives the place back, and reports whether there was one to give: false when somebody else has it, or it was left before.
func (p *Place) Leave() bool {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	if p.house == nil {
		return false
	}
	p.of.remove(p)
	return true
}

// Crowded reports that more than half of all places are taken.
func (g *Places) Crowded() bool { return g.Taken() > g.max/2 }

// Taken is how many places are taken.
func (g *Places) Taken() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.all
}

func (g *Places) enter(p *Place, prefix netip.Prefix) (weak *Place, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	own := g.from[prefix]
	switch {
	case own != nil && len(own.places) >= g.maxEach:
		weak = own.oldest()
	case g.all >= g.max:
		weak = g.weakest(own)
	default:
		g.add(p, prefix)
		return nil, true
	}
	if weak == nil {
		return nil, false
	}
	g.remove(weak)
	g.add(p, prefix)
	return weak, true
}

// weakest is the place that is given to a household, if there is one.
func (g *Places) weakest(own *house) (weak *Place) {
	has, looked := 0, 0
	if own != nil {
		has = len(own.places)
	}
	for n := len(g.size) - 1; n >= bits.Len(uint(has+1)) && looked < mostLooks; n-- {
		houses := g.size[n]
		if len(houses) == 0 {
			continue
		}
		first := rand.IntN(len(houses))
		for i := 0; i < len(houses) && looked < mostLooks && (weak == nil || looked < sample); i++ {
			h := houses[(first+i)%len(houses)]
			looked++
			if len(h.places) <= has {
				continue
			}
			looked += len(h.places)
			if p := h.oldest(); p != nil && (weak == nil || len(h.places) > len(weak.house.places) ||
				len(h.places) == len(weak.house.places) && p.rested.Load() < weak.rested.Load()) {
				weak = p
			}
		}
		if weak != nil {
			return weak
		}
	}
	if own != nil {
		return own.oldest()
	}
	return nil
}

// oldest is the place that has rested longest, nil when none does.
func (h *house) oldest() (out *Place) {
	for _, p := range h.places {
		if p.Rests() && (out == nil || p.rested.Load() < out.rested.Load()) {
			out = p
		}
	}
	return out
}

func (g *Places) add(p *Place, prefix netip.Prefix) {
	h := g.from[prefix]
	if h == nil {
		h = &house{prefix: prefix}
		g.from[prefix] = h
	} else {
		g.strike(h)
	}
	p.house, p.at = h, len(h.places)
	h.places = append(h.places, p)
	g.enrol(h)
	g.all++
}

func (g *Places) remove(p *Place) {
	h := p.house
	g.strike(h)
	last := len(h.places) - 1
	moved := h.places[last]
	h.places[p.at], moved.at = moved, p.at
	h.places[last] = nil
	h.places = h.places[:last]
	p.house = nil
	if last == 0 {
		delete(g.from, h.prefix)
	} else {
		g.enrol(h)
	}
	g.all--
}

// enrol puts a household among those of its size.
func (g *Places) enrol(h *house) {
	n := bits.Len(uint(len(h.places)))
	h.at = len(g.size[n])
	g.size[n] = append(g.size[n], h)
}

// strike takes it away from them.
func (g *Places) strike(h *house) {
	n := bits.Len(uint(len(h.places)))
	last := len(g.size[n]) - 1
	moved := g.size[n][last]
	g.size[n][h.at], moved.at = moved, h.at
	g.size[n][last] = nil
	g.size[n] = g.size[n][:last]
}
