package resolver

import (
	"net/netip"
	"slices"

	"github.com/cordon-project/cordon/resolver/match"
)

// Exemption is for whom lists are not enforced, and until when: accredited analysts, who must see what they are to judge. Immutable.
type Exemption struct {
	Prefixes []netip.Prefix
	Until    uint32 // last second (Unix time), by the resolver's clock
}

// Exempt puts an exemption in the place of the one before; nil for none. It changes nothing for anybody else: what an exempt client was
// answered is tested again before another client gets it from the cache.
func (r *Resolver) Exempt(x *Exemption) {
	r.swapMu.Lock()
	defer r.swapMu.Unlock()
	r.exemption = x
	if v := r.view.Load(); v != nil {
		r.show(v.set)
	}
}

// show puts a set and the exemption of now in force, under swapMu.
func (r *Resolver) show(s *match.Set) {
	id := s.StateID()
	v := &view{set: s, seq: r.swaps.Add(1), id: id[:], slots: r.slotsOf(s)}
	if x := r.exemption; x != nil {
		// The same, with everything passing: its own number keeps what is cleared for one from being clear for the other.
		v.exemption, v.open = x, &view{set: s.WithBypass(x.Until), seq: r.swaps.Add(1), id: v.id, slots: v.slots}
	}
	r.view.Store(v)
}

// of is the view that a client has. Hot path: no allocation.
func (v *view) of(a netip.Addr, now uint32) *view {
	if x := v.exemption; x != nil && now <= x.Until && slices.ContainsFunc(x.Prefixes, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return v.open
	}
	return v
}
