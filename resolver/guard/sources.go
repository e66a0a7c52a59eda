package guard

import (
	"math"
	"math/bits"
	"sync/atomic"
)

const (
	sourceWays = 4
	sourceSets = 1 << 12 // 16,384 clients that met a listed entry within a day, in 1 MiB
	words      = 6
	places     = 64 * words

	day = 24 * 3600 * second

	// maxLevel is how often a client is slowed down to an eighth: from the default rate to one question in an hour.
	maxLevel = 8
)

// sources is a table of clients that met listed entries: for each a sketch of which ones, good for a day from the first. The one that met
// fewest goes when there is no room, so that who is near the budget is not driven out by a flood of sources that met one.
type sources struct {
	heads    [sourceSets][sourceWays]atomic.Uint64 // tag in the upper half, second of its beginning + 1 in the lower; 0: free
	sketches [sourceSets][sourceWays]sketch
	levels   [places + 1]uint8 // by places taken
	above    atomic.Uint64     // time until which there may be a client above its budget
}

// sketch counts different entries: each takes the place that its keyed hash with the client says (linear counting). Writers that meet in it
// while it changes hands can lose or add a place; it counts to a few percent anyway.
type sketch [words]atomic.Uint64

// newSources makes the table for a budget: level n begins above n budgets.
func newSources(budget int) *sources {
	s := &sources{}
	for taken := range s.levels {
		entries := math.Inf(1)
		if taken < places {
			entries = math.Floor(-places * math.Log(1-float64(taken)/places)) // the part of an entry would take one from the budget
		}
		s.levels[taken] = uint8(min(maxLevel, max(0, math.Ceil(entries/float64(budget))-1)))
	}
	return s
}

func sourceTag(client uint64) uint64 { return client &^ (1<<32 - 1) }

// begun is the time a source began, as its head has it; fresh says whether a head is of within a day.
func begun(now uint64) uint64 { return now/uint64(second) + 1 }

func fresh(head, now uint64) bool {
	return head != 0 && uint32(begun(now))-uint32(head) < uint32(day/second)
}

// watch reports whether any client can be above its budget. Mostly none is, and then a client that is new in the table of rates need not be looked
// up here: two lines of memory for each question of a town.
func (s *sources) watch(now uint64) bool { return s != nil && now <= s.above.Load() }

// find is the sketch of a client, nil when there is none.
func (s *sources) find(client, now uint64) *sketch {
	set := client % sourceSets
	for i := range s.heads[set] {
		if h := s.heads[set][i].Load(); h&^(1<<32-1) == sourceTag(client) && fresh(h, now) {
			return &s.sketches[set][i]
		}
	}
	return nil
}

// level is how often a client is slowed down.
func (s *sources) level(client, now uint64) int {
	if f := s.find(client, now); f != nil {
		return int(s.levels[f.taken()])
	}
	return 0
}

func (f *sketch) taken() (n int) {
	for i := range f {
		n += bits.OnesCount64(f[i].Load())
	}
	return n
}

// note takes in that a client met an entry, as its keyed hash. When that one is new, it returns the client's level, and whether it rose.
func (s *sources) note(client, now, entry uint64) (level uint8, raised bool) {
	f := s.find(client, now)
	if f == nil {
		if f = s.claim(client, now); f == nil {
			return 0, false
		}
	}
	at, _ := bits.Mul64(entry, places)
	word, bit := at/64%words, uint64(1)<<(at%64)
	if f[word].Load()&bit != 0 || f[word].Or(bit)&bit != 0 {
		return 0, false // the hot case: the same name again
	}
	n := f.taken()
	if level = s.levels[n]; level > 0 {
		s.raise(now + uint64(day))
	}
	return level, level > s.levels[max(n, 1)-1]
}

// raise moves above on to until.
func (s *sources) raise(until uint64) {
	for {
		old := s.above.Load()
		if old >= until || s.above.CompareAndSwap(old, until) {
			return
		}
	}
}

// claim makes room for a client; nil when another took the place in the same moment.
func (s *sources) claim(client, now uint64) *sketch {
	set, at := client%sourceSets, 0
	var old uint64
	least := places + 1
	for i := range s.heads[set] {
		h, n := s.heads[set][i].Load(), 0
		if fresh(h, now) {
			n = s.sketches[set][i].taken()
		}
		if n < least {
			at, old, least = i, h, n
		}
	}
	if !s.heads[set][at].CompareAndSwap(old, sourceTag(client)|begun(now)&(1<<32-1)) {
		return nil
	}
	out := &s.sketches[set][at]
	for i := range out {
		out[i].Store(0)
	}
	return out
}
