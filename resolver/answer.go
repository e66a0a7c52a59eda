package resolver

import (
	"github.com/cordon-project/cordon/resolver/cache"
	"github.com/cordon-project/cordon/resolver/guard"
	"github.com/cordon-project/cordon/resolver/wire"
)

// Fast answers what needs no upstream: listed names, answers in the cache, everything that is refused. It appends the
// answer to dst and returns the longer slice and true. An unchanged dst and true means that nothing is to be sent (the
// packet was no query); false that Slow must answer. query is only read and not kept. It never blocks.
//
// Hot path: no allocation when dst has room for the answer, no lock, see TestFastDoesNotAllocate.
//
//	client -- not served, too fast --> REFUSED, or nothing
//	  |
//	query -- malformed, not ours, no set --> error
//	  |
//	cache -- cleared under this set, or a type that always passes --> copy
//	  |
//	match -- listed --> signal
//	  |
//	cached but not cleared yet: test its chain -- listed --> signal
//	  |                                        `-- clear --> stamp, copy
//	  `- not cached --> Slow
func (r *Resolver) Fast(dst, query []byte, from wire.Client) (resp []byte, done bool) {
	w := r.pool.Get().(*scratch)
	w.counts.queries.Add(1)
	w.now = r.config.Clock()
	if v := r.admit(w, from); v != guard.Pass {
		resp, done = r.turnAway(w, dst, query, v), true
	} else if resp, done = r.local(w, dst, query, from); done {
		resp = r.ration(w, dst, query, resp)
	} else {
		w.counts.misses.Add(1)
	}
	r.pool.Put(w)
	return resp, done
}

// Busy is the answer to a question that Fast has let through when there is no room to ask the upstream: SERVFAIL with EDE 23, appended to dst
// like Fast's; nothing when its client is above its rate of errors.
func (r *Resolver) Busy(dst, query []byte, from wire.Client) []byte {
	w := r.pool.Get().(*scratch)
	defer r.pool.Put(w)
	r.again(w, from)
	if err := w.q.Parse(query); err != nil {
		return r.ration(w, dst, query, r.reject(w, dst, query, err))
	}
	r.options(w, r.view.Load())
	return r.ration(w, dst, query, r.fail(w, dst, query, wire.EDENetworkError))
}

// local decides all that can be decided without an upstream.
func (r *Resolver) local(w *scratch, dst, query []byte, from wire.Client) ([]byte, bool) {
	w.read(r, query, from)
	return r.decide(w, r.view.Load(), dst, query, from)
}

// read parses a question and hashes its key.
func (w *scratch) read(r *Resolver, query []byte, from wire.Client) {
	if w.wrong = w.q.Parse(query); w.wrong == nil && r.marks {
		w.wrong = r.mark(w, query, from)
	}
	if w.wrong == nil {
		w.hash = r.config.Cache.Hash(w.q.Key())
	}
}

// decide answers a question that was read, under a view.
func (r *Resolver) decide(w *scratch, v *view, dst, query []byte, from wire.Client) ([]byte, bool) {
	if w.wrong != nil {
		return r.reject(w, dst, query, w.wrong), true
	}
	w.stream = from.Via.Stream()
	r.options(w, v)
	if rcode := refusal(&w.q); rcode != wire.RcodeSuccess {
		w.counts.refused.Add(1)
		return w.q.AppendError(dst, query, rcode, &w.opt), true
	}
	if v == nil {
		return r.fail(w, dst, query, wire.EDENotReady), true
	}
	tick, unix := r.tick(w.now), uint32(w.now.Unix())
	if v.exemption != nil {
		if mine := v.of(from.Addr, unix); mine != v {
			v, w.first = mine, nil
		}
	}
	var e *cache.Entry
	if w.shared() {
		e = r.config.Cache.Find(w.hash, w.q.Key(), tick)
	}
	if actionOf(w.q.Type) != pass && (e == nil || !v.current(e.Stamp(), unix)) {
		if verdict := w.asked(v, unix); verdict.Listed {
			return r.signal(w, v, dst, query, verdict), true
		}
		if e == nil {
			return r.about(w, dst, query, from.Via.Stream())
		}
		// An entry that leads to a listed name stays: once delisted, it is served again at once.
		if _, failed := e.Failure(); !failed {
			verdict, ok := w.chain(v, e.Message(), unix)
			if verdict.Listed {
				w.counts.chains.Add(1)
				return r.signal(w, v, dst, query, verdict), true
			}
			if !ok {
				return r.fail(w, dst, query, wire.EDENoReachableAuthority), true
			}
		}
		e.SetStamp(v.stamp(unix))
	}
	if e == nil {
		return r.about(w, dst, query, from.Via.Stream())
	}
	w.counts.hits.Add(1)
	if r.config.Prefetch && e.Due(tick) {
		r.prefetch(w, query, from)
	}
	return r.copy(w, dst, query, e, tick, from), true
}

// options resets what our OPT record will carry.
func (r *Resolver) options(w *scratch, v *view) {
	w.opt = wire.Options{Subnet: w.q.Subnet}
	if v != nil && r.config.NSID {
		w.opt.NSID = v.id
	}
}

// reject answers what Parse did not accept.
func (r *Resolver) reject(w *scratch, dst, query []byte, err error) []byte {
	rcode := wire.RcodeFormErr
	switch err {
	case wire.ErrIgnore:
		w.counts.ignored.Add(1)
		return dst
	case wire.ErrOpcode:
		rcode = wire.RcodeNotImp
	case wire.ErrVersion:
		rcode = wire.RcodeBadVers
	}
	w.counts.refused.Add(1)
	w.opt = wire.Options{}
	return w.q.AppendError(dst, query, rcode, &w.opt)
}

// refusal is the response code for questions that are well formed and not ours to answer.
func refusal(q *wire.Query) int {
	switch {
	case q.Type == 0 || q.Type == wire.TypeOPT:
		return wire.RcodeFormErr
	case q.Class != wire.ClassIN, q.Type == wire.TypeAXFR, q.Type == wire.TypeIXFR:
		return wire.RcodeRefused
	case wire.Meta(q.Type):
		return wire.RcodeNotImp
	}
	return wire.RcodeSuccess
}

// copy writes a cache entry as the answer to this client.
func (r *Resolver) copy(w *scratch, dst, query []byte, e *cache.Entry, tick uint32, from wire.Client) []byte {
	if ede, failed := e.Failure(); failed {
		return r.fail(w, dst, query, ede)
	}
	return w.q.AppendAnswer(dst, query, e.Message(), e.TTLs(), e.Age(tick), from.Via.Stream(), &w.opt)
}

func (r *Resolver) fail(w *scratch, dst, query []byte, ede uint16) []byte {
	w.counts.servfail.Add(1)
	w.opt.EDE = ede
	return w.q.AppendError(dst, query, wire.RcodeServFail, &w.opt)
}
