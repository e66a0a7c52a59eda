package resolver

import (
	"sync/atomic"

	"github.com/cordon-project/cordon/resolver/match"
)

// stripes is how many sets of counters there are. A scratch keeps to one, and the pool keeps a scratch to a core, so that
// cores rarely share a line.
const stripes = 16

// counters of one stripe. They are aggregates: nothing in them names a question or a client.
type counters struct {
	queries, hits, misses, servfail, refused, ignored atomic.Uint64
	law, order, voluntary, canary, chains             atomic.Uint64
	_                                                 [40]byte // to two cache lines
}

func (c *counters) listed(v match.Verdict) {
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
		sum.Ignored += c.ignored.Load()
		sum.Law += c.law.Load()
		sum.Order += c.order.Load()
		sum.Voluntary += c.voluntary.Load()
		sum.Canary += c.canary.Load()
		sum.Chains += c.chains.Load()
	}
	return sum
}
