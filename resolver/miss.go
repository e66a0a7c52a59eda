package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"

	"github.com/cordon-project/cordon/resolver/cache"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

// Slow answers any query, asking the upstream when needed. It does not block: answer is called once, from any goroutine, soon after ctx ends
// at the latest (then with SERVFAIL). It is for questions that Fast has let through. nil means that nothing is to be sent. query must stay unchanged until then.
func (r *Resolver) Slow(ctx context.Context, query []byte, from wire.Client, answer func(resp []byte)) {
	w := r.pool.Get().(*scratch)
	defer r.pool.Put(w)
	r.again(w, from)
	resp, done := r.local(w, w.out[:0], query, from) // the same question may just have been answered
	if done {
		r.say(w, query, resp, said(answer))
		return
	}
	r.wait(ctx, w, query, from, said(answer), 0)
	r.flush()
}

// said is a wire.Later that puts nothing off.
type said func(resp []byte)

func (f said) Answer(resp []byte) { f(resp) }
func (said) Flush()               {}

// Slow is Resolver.Slow for those questions of the batch last given to Answer that it has left open and that have a Later. They leave for the upstream together, and
// what Answer found out about them is not looked up again.
func (b *Worker) Slow(ctx context.Context, batch []wire.Ask) {
	for i := range batch {
		ask, w := &batch[i], &b.all[i].scratch
		if ask.Done || ask.Later == nil {
			continue
		}
		b.r.wait(ctx, w, ask.Query, ask.From, ask.Later, b.all[i].clear)
	}
	b.r.flush()
}

// wait asks the upstream a question that was read, or answers with what is stale. clear is the stamp of the view that let its name pass, 0 for none.
func (r *Resolver) wait(ctx context.Context, w *scratch, query []byte, from wire.Client, later wire.Later, clear uint64) {
	var stale *cache.Entry
	if w.shared() {
		stale = r.config.Cache.Stale(w.hash, w.q.Key(), r.tick(w.now))
	}
	if stale != nil && stale.Held(r.tick(w.now)) {
		if resp, ok := r.stale(w, w.out[:0], query, stale, from); ok {
			r.say(w, query, resp, later)
			later.Flush()
			return
		}
	}
	slot, ok := r.fair.enter(from.Addr)
	if !ok {
		w.counts.crowded.Add(1)
		resp, ok := []byte(nil), false
		if stale != nil {
			resp, ok = r.stale(w, w.out[:0], query, stale, from)
		}
		if !ok {
			resp = r.fail(w, w.out[:0], query, wire.EDENetworkError)
		}
		r.say(w, query, resp, later)
		later.Flush()
		return
	}
	m := r.misses.Get().(*miss)
	m.r, m.ctx, m.query, m.from, m.later, m.slot, m.clear = r, ctx, query, from, later, slot, clear
	if stale != nil {
		m.query = append([]byte(nil), query...) // read after a stale answer as well
		m.patience = time.AfterFunc(r.config.Patience, m.impatient)
	}
	switch q := w.q.Question(); {
	case r.queuer != nil:
		r.queuer.Queue(ctx, q, m)
	default:
		r.askUpstream(ctx, q, func(reply []byte, err error) { m.Told(reply, nil, err); m.Flush() })
	}
}

// flush sends the questions that wait has left with the upstream.
func (r *Resolver) flush() {
	if r.queuer != nil {
		r.queuer.Flush()
	}
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

// miss is a question that waits for an upstream. It is used again once it has flushed, unless there is a timer that knows it.
type miss struct {
	r     *Resolver
	ctx   context.Context
	query []byte
	from  wire.Client
	later wire.Later
	slot  int
	clear uint64 // stamp of the view that let the asked name pass

	patience *time.Timer // nil: nothing stale could be served
	answered atomic.Bool
	late     bool // a stale answer was quicker
}

// Told answers with what the upstream said. reply and sum are read only, and not kept.
func (m *miss) Told(reply []byte, sum *wire.Summary, err error) {
	r := m.r
	r.fair.leave(m.slot)
	if m.patience != nil {
		m.patience.Stop()
	}
	w := m.again()
	defer r.pool.Put(w)
	if own := w.sum; sum != nil {
		w.sum = *sum
		defer func() { w.sum = own }() // what sum remembers in is not ours
	}
	resp := m.settle(w, reply, sum != nil, err)
	if m.late = !m.answered.CompareAndSwap(false, true); !m.late { // else only the cache is better for it
		r.say(w, m.query, resp, m.later)
	}
}

// Flush is for who was told.
func (m *miss) Flush() {
	if !m.late {
		m.later.Flush()
	}
	if r := m.r; m.patience == nil {
		m.ctx, m.query, m.later = nil, nil, nil
		m.answered.Store(false)
		r.misses.Put(m)
	}
}

// again reads the question once more, which was read before.
func (m *miss) again() *scratch {
	w := m.r.pool.Get().(*scratch)
	m.r.again(w, m.from)
	w.read(m.r, m.query, m.from)
	w.stream = m.from.Via.Stream()
	return w
}

// say hands an answer over.
func (r *Resolver) say(w *scratch, query, resp []byte, later wire.Later) {
	resp = r.ration(w, w.out[:0], query, resp)
	if len(resp) == 0 {
		resp = nil
	}
	later.Answer(resp)
	if resp != nil && cap(resp) <= 2*wire.MaxUDP {
		w.out = resp[:0]
	}
}

// noServer is for how many seconds it is remembered at most that no upstream answered: that is of no name, and once one is back so are all.
const noServer = 4

// settle makes the answer. scanned says that w.sum is reply's already.
func (m *miss) settle(w *scratch, reply []byte, scanned bool, err error) []byte {
	r, ctx, query, dst := m.r, m.ctx, m.query, w.out[:0]
	// The view of now, not of before the wait: what was listed meanwhile must not pass.
	v := r.view.Load()
	r.options(w, v)
	if v == nil {
		return r.fail(w, dst, query, wire.EDENotReady)
	}
	tick, unix := r.tick(w.now), uint32(w.now.Unix())
	v = v.of(m.from.Addr, unix)
	ede, ok := r.usable(w, reply, scanned, err)
	if ok {
		return m.keep(w, v, dst, reply)
	}
	if e := r.config.Cache.Stale(w.hash, w.q.Key(), tick); e != nil && w.shared() && ctx.Err() == nil && !dnssecError(ede) {
		if resp, ok := r.stale(w, dst, query, e, m.from); ok {
			if !errors.Is(err, upstream.ErrBusy) { // which says nothing of the upstream
				e.Hold(tick + staleTTL)
			}
			return resp
		}
	}
	if ctx.Err() == nil && w.shared() && !errors.Is(err, upstream.ErrBusy) {
		most := uint32(cache.LastFailure)
		if err != nil {
			most = noServer
		}
		r.config.Cache.PutFailure(w.hash, w.q.Key(), ede, most, tick)
	}
	// Listed meanwhile? Then the signal, not the failure.
	if actionOf(w.q.Type) != pass {
		if verdict := w.asked(v, unix); verdict.Listed {
			return r.signal(w, v, dst, query, verdict)
		}
	}
	return r.fail(w, dst, query, ede)
}

// rcodeYXDomain is what DNAME processing gives for a name that became too long (RFC 6672 2.2).
const rcodeYXDomain = 6

// usable judges what the upstream gave, and fills w.sum; ede says what went wrong. An Exchanger is not trusted to have
// checked its reply; a Queuer has, and says so by what it found out.
func (r *Resolver) usable(w *scratch, reply []byte, scanned bool, err error) (ede uint16, ok bool) {
	switch {
	case errors.Is(err, upstream.ErrNoAnswer):
		return wire.EDENoReachableAuthority, false
	case err != nil:
		return wire.EDENetworkError, false
	case !scanned && (len(reply) < wire.HeaderLen ||
		!w.q.Question().Answers(reply, binary.BigEndian.Uint16(reply)) ||
		wire.Truncated(reply) ||
		wire.Scan(reply, &w.sum) != nil),
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
// The asked name is not looked up again while the view is the one that let it pass, for as long as a cached answer counts as cleared by it.
func (m *miss) keep(w *scratch, v *view, dst, reply []byte) []byte {
	r, query := m.r, m.query
	tick, unix := r.tick(w.now), uint32(w.now.Unix())
	var stamp uint64
	if actionOf(w.q.Type) != pass {
		var verdict match.Verdict
		chained, ok := false, true
		if stamp = m.clear; !v.current(stamp, unix) {
			stamp, verdict = v.stamp(unix), w.asked(v, unix)
		}
		if !verdict.Listed {
			verdict, ok = w.chain(v, reply, unix)
			chained = verdict.Listed
		}
		if verdict.Listed {
			if chained {
				w.counts.chains.Add(1)
			}
			if ok && w.shared() {
				r.config.Cache.Keep(w.hash, w.q.Key(), reply, &w.sum, 0, tick)
			}
			return r.signal(w, v, dst, query, verdict)
		}
		if !ok {
			if w.shared() {
				r.config.Cache.PutFailure(w.hash, w.q.Key(), wire.EDENoReachableAuthority, cache.LastFailure, tick)
			}
			return r.fail(w, dst, query, wire.EDENoReachableAuthority)
		}
	}
	var e *cache.Entry
	if w.shared() {
		e = r.config.Cache.Keep(w.hash, w.q.Key(), reply, &w.sum, stamp, tick)
	}
	if e == nil {
		e = cache.NewEntry(w.q.Key(), reply, &w.sum, passTTL, tick)
	}
	return r.copy(w, dst, query, e, tick, m.from)
}

// passTTL bounds TTLs of answers that are not cached to a week (RFC 8767 4).
const passTTL = 7 * 86400
