package resolver

import (
	"context"

	"github.com/cordon-project/cordon/resolver/wire"
)

// prefetch asks for the next answer to a question that the cache can still answer, if there is room. The client at hand does not wait for it, and
// pays for the place. It is called once in an entry's life, so it may allocate.
func (r *Resolver) prefetch(w *scratch, query []byte, from wire.Client) {
	slot, ok := r.fair.enter(from.Addr)
	if !ok {
		return
	}
	m := &miss{r: r, query: append([]byte(nil), query...), from: from, slot: slot}
	w.counts.prefetches.Add(1)
	r.askUpstream(context.Background(), w.q.Question(), m.refresh)
}

// refresh keeps a good reply, without a stamp: whoever asks next has its names tested. A bad one is no reason to lose what there is.
func (m *miss) refresh(reply []byte, err error) {
	r := m.r
	r.fair.leave(m.slot)
	w := m.again()
	defer r.pool.Put(w)
	v := r.view.Load()
	if v == nil {
		return
	}
	if _, ok := r.usable(w, reply, false, err); !ok {
		return
	}
	if _, ok := w.chain(v, reply, uint32(w.now.Unix())); !ok && actionOf(w.q.Type) != pass {
		return
	}
	r.config.Cache.Put(w.q.Key(), reply, &w.sum, 0, r.tick(w.now))
}
