package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"

	"github.com/cordon-project/cordon/resolver/cache"
	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

// Slow answers any query, asking the upstream when needed. It does not block: answer is called once, from any goroutine, soon after ctx ends
// at the latest (then with SERVFAIL). It is for questions that Fast has let through. nil means that nothing is to be sent. query must stay unchanged until then.
func (r *Resolver) Slow(ctx context.Context, query []byte, from wire.Client, answer func(resp []byte)) {
	w := r.pool.Get().(*scratch)
	r.again(w, from)
	resp, done := r.local(w, w.out[:0], query, from) // the same question may just have been answered
	if done {
		r.say(w, query, resp, answer)
		return
	}
	q, key := w.q.Question(), w.q.Key()
	var stale *cache.Entry
	if w.shared() {
		stale = r.config.Cache.Stale(w.hash, key, r.tick(w.now))
	}
	if stale != nil && stale.Held(r.tick(w.now)) {
		if resp, ok := r.stale(w, w.out[:0], query, stale, from); ok {
			r.say(w, query, resp, answer)
			return
		}
	}
	slot, ok := r.fair.enter(from.Addr)
	if !ok {
		w.counts.crowded.Add(1)
		r.say(w, query, r.fail(w, w.out[:0], query, wire.EDENetworkError), answer)
		return
	}
	m := &miss{r: r, ctx: ctx, query: query, from: from, answer: answer, slot: slot}
	if stale != nil {
		m.query = append([]byte(nil), query...) // read after a stale answer as well
		m.patience = time.AfterFunc(r.config.Patience, m.impatient)
	}
	r.askUpstream(ctx, q, m.settle)
	r.pool.Put(w)
}

// askUpstream does not wait. q.Name is not kept.
func (r *Resolver) askUpstream(ctx context.Context, q wire.Question, done func(reply []byte, err error)) {
	if r.asker != nil {
		r.asker.Ask(ctx, q, done)
		return
	}
	q.Name = append([]byte(nil), q.Name...)
	go func() { done(r.config.Upstream.Exchange(ctx, q)) }()
}

// miss is a question that waits for an upstream.
type miss struct {
	r      *Resolver
	ctx    context.Context
	query  []byte
	from   wire.Client
	answer func(resp []byte)
	slot   int

	patience *time.Timer // nil: nothing stale could be served
	answered atomic.Bool
}

// settle answers with what the upstream said. reply is read only, and not kept.
func (m *miss) settle(reply []byte, err error) {
	r := m.r
	r.fair.leave(m.slot)
	if m.patience != nil {
		m.patience.Stop()
	}
	w := m.again()
	resp := r.settle(m.ctx, w, m.query, reply, err, m.from)
	if !m.answered.CompareAndSwap(false, true) {
		r.pool.Put(w) // only the cache is better for it
		return
	}
	r.say(w, m.query, resp, m.answer)
}

// again reads the question once more, which was read before.
func (m *miss) again() *scratch {
	w := m.r.pool.Get().(*scratch)
	m.r.again(w, m.from)
	w.read(m.r, m.query, m.from)
	w.stream = m.from.Via.Stream()
	return w
}

// say hands an answer over, and gives w back.
func (r *Resolver) say(w *scratch, query, resp []byte, answer func(resp []byte)) {
	resp = r.ration(w, w.out[:0], query, resp)
	if len(resp) == 0 {
		resp = nil
	}
	answer(resp)
	if resp != nil && cap(resp) <= 2*wire.MaxUDP {
		w.out = resp[:0]
	}
	r.pool.Put(w)
}

func (r *Resolver) settle(ctx context.Context, w *scratch, query, reply []byte, err error, from wire.Client) []byte {
	dst := w.out[:0]
	// The view of now, not of before the wait: what was listed meanwhile must not pass.
	v := r.view.Load()
	r.options(w, v)
	if v == nil {
		return r.fail(w, dst, query, wire.EDENotReady)
	}
	v = v.of(from.Addr, uint32(r.config.Clock().Unix()))
	if ede, ok := r.usable(w, reply, err); !ok {
		now := r.config.Clock()
		if e := r.config.Cache.Stale(w.hash, w.q.Key(), r.tick(now)); e != nil && w.shared() && ctx.Err() == nil && !dnssecError(ede) {
			if resp, ok := r.stale(w, dst, query, e, from); ok {
				e.Hold(r.tick(now) + staleTTL)
				return resp
			}
		}
		if ctx.Err() == nil && w.shared() && !errors.Is(err, upstream.ErrBusy) {
			r.config.Cache.PutFailure(w.q.Key(), ede, failureLife, r.tick(now))
		}
		// Listed meanwhile? Then the signal, not the failure.
		if actionOf(w.q.Type) != pass {
			if verdict := w.asked(v, uint32(now.Unix())); verdict.Listed {
				return r.signal(w, v, dst, query, verdict)
			}
		}
		return r.fail(w, dst, query, ede)
	}
	return r.keep(w, v, dst, query, reply, from)
}

// rcodeYXDomain is what DNAME processing gives for a name that became too long (RFC 6672 2.2).
const rcodeYXDomain = 6

// usable judges what the upstream gave, and fills w.sum; ede says what went wrong. An Exchanger is not trusted to have
// checked its reply.
func (r *Resolver) usable(w *scratch, reply []byte, err error) (ede uint16, ok bool) {
	switch {
	case errors.Is(err, upstream.ErrNoAnswer):
		return wire.EDENoReachableAuthority, false
	case err != nil:
		return wire.EDENetworkError, false
	case len(reply) < wire.HeaderLen,
		!w.q.Question().Answers(reply, binary.BigEndian.Uint16(reply)),
		wire.Truncated(reply),
		wire.Scan(reply, &w.sum) != nil,
		!w.scoped():
		return wire.EDENoReachableAuthority, false
	}
	switch w.sum.Rcode {
	case wire.RcodeSuccess, wire.RcodeNXDomain, rcodeYXDomain:
		return wire.EDENone, true
	}
	if dnssecError(w.sum.EDE) {
		return w.sum.EDE, false // why validation failed is worth knowing (RFC 8914 4); other codes are the upstream's own affair
	}
	return wire.EDENoReachableAuthority, false
}

// dnssecError reports the Extended DNS Errors about validation: 1, 2, 5 to 12.
func dnssecError(code uint16) bool { return code == 1 || code == 2 || code >= 5 && code <= 12 }

// keep tests a good reply under v, caches it and answers. A reply that leads to a listed name is cached without a stamp,
// so it is tested each time, and served once it is clear.
func (r *Resolver) keep(w *scratch, v *view, dst, query, reply []byte, from wire.Client) []byte {
	now := r.config.Clock()
	tick, unix := r.tick(now), uint32(now.Unix())
	var stamp uint64
	if actionOf(w.q.Type) != pass {
		verdict, chained, ok := w.asked(v, unix), false, true
		if !verdict.Listed {
			verdict, ok = w.chain(v, reply, unix)
			chained = verdict.Listed
		}
		if verdict.Listed {
			if chained {
				w.counts.chains.Add(1)
			}
			if ok && w.shared() {
				r.config.Cache.Put(w.q.Key(), reply, &w.sum, 0, tick)
			}
			return r.signal(w, v, dst, query, verdict)
		}
		if !ok {
			if w.shared() {
				r.config.Cache.PutFailure(w.q.Key(), wire.EDENoReachableAuthority, failureLife, tick)
			}
			return r.fail(w, dst, query, wire.EDENoReachableAuthority)
		}
		stamp = v.stamp(unix)
	}
	var e *cache.Entry
	if w.shared() {
		e = r.config.Cache.Put(w.q.Key(), reply, &w.sum, stamp, tick)
	}
	if e == nil {
		e = cache.NewEntry(w.q.Key(), reply, &w.sum, passTTL, tick)
	}
	return r.copy(w, dst, query, e, tick, from)
}

// passTTL bounds TTLs of answers that are not cached to a week (RFC 8767 4).
const passTTL = 7 * 86400
