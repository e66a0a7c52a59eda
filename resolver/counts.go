package resolver

import (
	"slices"
	"sync/atomic"

	"github.com/cordon-project/cordon/resolver/match"
)

// stripes is how many sets of counters there are. A scratch keeps to one, and the pool keeps a scratch to a core, so that
// cores rarely share a line.
const stripes = 16

const (
	// listSlots is how many lists a process counts apart, as many as can be in force at once. One that comes later is not counted.
	listSlots = 16
	bases     = 3
	noSlot    = listSlots // of a list that is not counted
)

// counters of one stripe. They are aggregates: nothing in them names a question or a client.
type counters struct {
	queries, hits, misses, servfail, refused, ignored atomic.Uint64
	law, order, voluntary, canary, chains             atomic.Uint64
	stale, crowded, prefetches                        atomic.Uint64
	_                                                 [16]byte // to two cache lines

	lists [listSlots * bases]atomic.Uint64 // answers for listed names, canaries left out, by slot and basis
}

func (c *counters) listed(v match.Verdict, slots *[listSlots]uint8) {
	if at := slots[v.Member%listSlots]; !v.Canary && at < listSlots && v.Basis.Valid() {
		c.lists[int(at)*bases+int(v.Basis-match.BasisLaw)].Add(1)
	}
	switch v.Basis {
	case match.BasisLaw:
		c.law.Add(1)
	case match.BasisOrder:
		c.order.Add(1)
	default:
		c.voluntary.Add(1)
	}
	if v.Canary {
		c.canary.Add(1)
	}
}

// Counts is a snapshot of what a Resolver did since it was made.
type Counts struct {
	Queries   uint64 // packets given to Fast
	Hits      uint64 // answered from the cache
	Misses    uint64 // left to Slow
	ServFail  uint64 // no set, upstream failed, or too busy
	Refused   uint64 // malformed, unsupported or not for us
	Ignored   uint64 // no query at all
	Stale     uint64 // answers whose time was over, for want of better ones (RFC 8767)
	Prefetch  uint64 // questions asked upstream before their answers' time was over
	Crowded   uint64 // questions refused because their client had too many waiting
	Law       uint64 // listed, by basis
	Order     uint64
	Voluntary uint64
	Canary    uint64 // of the listed: canary entries
	Chains    uint64 // of the listed: not asked but led to
}

// Listed is the number of signals sent, over all bases.
func (c Counts) Listed() uint64 { return c.Law + c.Order + c.Voluntary }

// Counts adds up the stripes. The sums are not of one instant.
func (r *Resolver) Counts() (sum Counts) {
	for i := range r.counts {
		c := &r.counts[i]
		sum.Queries += c.queries.Load()
		sum.Hits += c.hits.Load()
		sum.Misses += c.misses.Load()
		sum.ServFail += c.servfail.Load()
		sum.Refused += c.refused.Load()
		sum.Stale += c.stale.Load()
		sum.Prefetch += c.prefetches.Load()
		sum.Crowded += c.crowded.Load()
		sum.Ignored += c.ignored.Load()
		sum.Law += c.law.Load()
		sum.Order += c.order.Load()
		sum.Voluntary += c.voluntary.Load()
		sum.Canary += c.canary.Load()
		sum.Chains += c.chains.Load()
	}
	return sum
}

// ListCount is how often a list stopped a name on a legal basis since the resolver was made; canary entries are left out.
type ListCount struct {
	List  match.ListID
	Basis match.Basis
	N     uint64
}

// ListCounts are the sums of each list that is or was in force, by each basis. They are not of one instant. Whoever publishes them adds noise
// first (cluster/audit/figures).
func (r *Resolver) ListCounts() []ListCount {
	r.slotMu.Lock()
	ids := slices.Clone(r.slots)
	r.slotMu.Unlock()
	var out []ListCount
	for at, id := range ids {
		for b := range bases {
			c := ListCount{List: id, Basis: match.BasisLaw + match.Basis(b)}
			for i := range r.counts {
				c.N += r.counts[i].lists[at*bases+b].Load()
			}
			out = append(out, c)
		}
	}
	return out
}

// slotsOf gives each list of a set its counters.
func (r *Resolver) slotsOf(s *match.Set) (out [listSlots]uint8) {
	r.slotMu.Lock()
	defer r.slotMu.Unlock()
	for i := range out {
		out[i] = noSlot
	}
	for i, l := range s.Lists() {
		if i >= listSlots {
			break
		}
		at := slices.Index(r.slots, l.List)
		if at < 0 && len(r.slots) < listSlots {
			at = len(r.slots)
			r.slots = append(r.slots, l.List)
		}
		if at >= 0 {
			out[i] = uint8(at)
		}
	}
	return out
}
