package resolver

import (
	"github.com/cordon-project/cordon/resolver/guard"
	"github.com/cordon-project/cordon/resolver/wire"
)

// admit judges a question by its client, before it is read. Hot path: no allocation.
func (r *Resolver) admit(w *scratch, from wire.Client) guard.Verdict {
	ticket, v := r.config.Guard.Admit(from, w.now.Sub(r.start))
	w.ticket = ticket
	return v
}

// again is admit for a question that was admitted before: it counts nothing.
func (r *Resolver) again(w *scratch, from wire.Client) {
	w.now = r.config.Clock()
	w.ticket = r.config.Guard.Know(from, w.now.Sub(r.start))
}

// turnAway answers a question that was not admitted: with REFUSED, or not at all.
func (r *Resolver) turnAway(w *scratch, dst, query []byte, v guard.Verdict) []byte {
	if v == guard.Drop {
		return dst
	}
	if err := w.q.Parse(query); err != nil {
		return r.reject(w, dst, query, err)
	}
	w.counts.refused.Add(1)
	w.opt = wire.Options{}
	return w.q.AppendError(dst, query, wire.RcodeRefused, &w.opt)
}

// ration sends an answer, the part of resp behind dst, as the guard has it: whole, cut short to "ask again over TCP", or not at all. Hot
// path: no allocation.
func (r *Resolver) ration(w *scratch, dst, query, resp []byte) []byte {
	if len(resp) == len(dst) {
		return resp
	}
	switch r.config.Guard.Answer(w.ticket, resp[len(dst):]) {
	case guard.Drop:
		return dst
	case guard.Slip:
		w.opt = wire.Options{EDE: w.opt.EDE}
		return w.q.AppendTruncated(dst, query, int(resp[len(dst)+3]&0xf), &w.opt)
	}
	return resp
}
