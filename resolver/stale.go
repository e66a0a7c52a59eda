package resolver

import (
	"encoding/binary"

	"github.com/cordon-project/cordon/resolver/cache"
	"github.com/cordon-project/cordon/resolver/wire"
)

// staleTTL is the TTL of a stale answer, and how many seconds it is served before an upstream that failed is asked again (RFC 8767 4, 5): as long as
// a failure is remembered at most where nothing stale is.
const staleTTL = cache.LastFailure

// stale answers with an entry whose time is over (RFC 8767), if the names in it are clear in the set of now; a listed name gets its signal. ok is
// false when the entry must not be used.
func (r *Resolver) stale(w *scratch, dst, query []byte, e *cache.Entry, from wire.Client) (resp []byte, ok bool) {
	v := r.view.Load()
	if v == nil {
		return nil, false
	}
	now := r.config.Clock()
	unix := uint32(now.Unix())
	v = v.of(from.Addr, unix)
	r.options(w, v)
	if actionOf(w.q.Type) != pass {
		verdict := w.asked(v, unix)
		whole := true
		if !verdict.Listed {
			if verdict, whole = w.chain(v, e.Message(), unix); verdict.Listed {
				w.counts.chains.Add(1)
			}
		}
		if verdict.Listed {
			return r.signal(w, v, dst, query, verdict), true
		}
		if !whole {
			return nil, false
		}
	}
	msg := append([]byte(nil), e.Message()...)
	for _, at := range e.TTLs() {
		binary.BigEndian.PutUint32(msg[at:], staleTTL)
	}
	msg[3] &^= wire.FlagAD // its signatures may have run out since they were checked
	w.opt.EDE = wire.EDEStale
	if msg[3]&0xf == wire.RcodeNXDomain {
		w.opt.EDE = wire.EDEStaleNXDomain
	}
	w.counts.stale.Add(1)
	return w.q.AppendAnswer(dst, query, msg, nil, 0, from.Via.Stream(), &w.opt), true
}

// impatient answers with what is stale when the upstream takes longer than a client waits. The upstream's answer still goes into the cache.
func (m *miss) impatient() {
	r := m.r
	w := m.again()
	defer r.pool.Put(w)
	e := r.config.Cache.Stale(w.hash, w.q.Key(), r.tick(w.now))
	if e != nil {
		if resp, ok := r.stale(w, w.out[:0], m.query, e, m.from); ok && m.answered.CompareAndSwap(false, true) {
			r.say(w, m.query, resp, m.later)
			m.later.Flush()
		}
	}
}
