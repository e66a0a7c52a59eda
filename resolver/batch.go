package resolver

import (
	"github.com/cordon-project/cordon/resolver/cache"
	"github.com/cordon-project/cordon/resolver/guard"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/wire"
)

// Worker answers as Resolver.Fast does, many questions at a time: the clock is read once, and memory is waited for once a step and not once a
// question. It is for one goroutine; a listener has one for each of its own. There is no socket in it: whoever has packets can drive it.
//
//	all:  who asks                    --> ask for the guard's line
//	all:  admit, parse, hash          --> ask for the cache's slots
//	all:  an entry may be there       --> ask for it        none --> ask for the filter's lines
//	all:  ...                         --> its message            --> steps of match.Lookup
//	each: answer
type Worker struct {
	r      *Resolver
	counts *counters
	all    []pending // grows to the largest batch; between two, nothing in it keeps a set alive
}

// pending is one question of a batch.
type pending struct {
	scratch
	verdict guard.Verdict
	likely  *cache.Entry
	look    match.Lookup
	looking bool
	clear   uint64 // when it is open: the stamp of the view that let its name pass, 0 for none
}

// Worker makes one.
func (r *Resolver) Worker() *Worker { return &Worker{r: r, counts: &r.counts[r.stripe.Add(1)%stripes]} }

// Answer answers each question of a batch, by the rules of Fast.
//
// Hot path: no allocation when there is room for the answers, no lock, see TestABatchDoesNotAllocate.
func (b *Worker) Answer(batch []wire.Ask) {
	r := b.r
	for len(b.all) < len(batch) {
		b.all = append(b.all, pending{scratch: scratch{counts: b.counts}})
	}
	all := b.all[:len(batch)]
	if len(all) == 0 {
		return
	}
	b.counts.queries.Add(uint64(len(all)))
	v := r.view.Load()
	now := r.config.Clock()
	unix, since := uint32(now.Unix()), now.Sub(r.start)
	for i := range all {
		all[i].ticket = r.config.Guard.Know(batch[i].From, since)
	}
	for i := range all {
		a := &all[i]
		a.now, a.likely, a.looking = now, nil, false
		if a.verdict = r.config.Guard.Judge(a.ticket); a.verdict == guard.Pass {
			a.read(r, batch[i].Query, batch[i].From)
			if a.wrong == nil {
				r.config.Cache.Ahead(a.hash)
			}
		}
	}
	for i := range all {
		a := &all[i]
		if a.verdict != guard.Pass || a.wrong != nil || v == nil {
			continue
		}
		if a.likely = r.config.Cache.Likely(a.hash); a.likely == nil && actionOf(a.q.Type) != pass {
			a.looking = true
			a.look.Begin(v.set, a.q.Name())
		}
	}
	for step := range match.Steps {
		for i := range all {
			switch a := &all[i]; {
			case a.looking:
				a.look.Step()
			case step == 0 && a.likely != nil:
				a.likely.Ahead()
			}
		}
	}
	for i := range all {
		a, ask := &all[i], &batch[i]
		if a.verdict != guard.Pass {
			ask.Resp, ask.Done = r.turnAway(&a.scratch, ask.Resp, ask.Query, a.verdict), true
			continue
		}
		a.first = nil
		if a.looking {
			a.first = &a.look
		}
		dst := ask.Resp
		if ask.Resp, ask.Done = r.decide(&a.scratch, v, dst, ask.Query, ask.From); ask.Done {
			ask.Resp = r.ration(&a.scratch, dst, ask.Query, ask.Resp)
		} else {
			a.counts.misses.Add(1)
			a.clear = v.of(ask.From.Addr, unix).stamp(unix)
		}
		a.first = nil
		a.look.End()
	}
}
