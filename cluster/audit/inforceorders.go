package audit

import (
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/resolver/match"
)

// Ends reports whether something of it has ended by a time: a suppression, the bypass, or the exemption.
func (f InForce) Ends(t int64) bool {
	return f.Bypass != 0 && f.Bypass < t || f.Exempt != nil && f.Exempt.Until < t || slices.ContainsFunc(f.Suppressions, func(s Suppression) bool { return s.Until < t })
}

// at is what is left of it at a time.
func (f InForce) at(t int64) InForce {
	if !f.Ends(t) {
		return f
	}
	f.Suppressions = slices.DeleteFunc(slices.Clone(f.Suppressions), func(s Suppression) bool { return s.Until < t })
	if f.Bypass < t {
		f.Bypass = 0
	}
	if f.Exempt != nil && f.Exempt.Until < t {
		f.Exempt = nil
	}
	return f
}

// ordered does what an order of the operator's officers says, to edges.
func (f InForce) ordered(o Ordered) (InForce, error) {
	switch b := o.Order.Body.(type) {
	case order.Suppress:
		return f.suppress(b, o.Order)
	case order.Bypass:
		if b.Lift {
			f.Bypass = 0
		} else {
			f.Bypass = o.Order.Expires - 1
		}
		return f, nil
	case order.Exempt:
		f.Exempt = nil
		if !b.Lift {
			f.Exempt = &Exemption{Hash: b.Hash, Count: b.Count, Until: o.Order.Expires - 1, Number: o.Number}
		}
		return f, nil
	}
	panic(fmt.Sprintf("audit: order of kind %q changes nothing in force", o.As))
}

func (f InForce) suppress(b order.Suppress, o order.Order) (InForce, error) {
	named := func(s Suppression) bool { return s.List == b.List && slices.Contains(b.Entries, s.Entry) }
	all := slices.DeleteFunc(slices.Clone(f.Suppressions), named)
	if b.Lift && len(f.Suppressions)-len(all) != len(b.Entries) {
		return f, fmt.Errorf("order %d lifts %d suppressions, %d of them are in force: %w", o.Number, len(b.Entries), len(f.Suppressions)-len(all), ErrOrder)
	}
	if !b.Lift {
		for _, e := range b.Entries {
			all = append(all, Suppression{List: b.List, Entry: e, Until: o.Expires - 1, Number: o.Number})
		}
	}
	if len(all) > MaxSuppressions {
		return f, fmt.Errorf("%d entries suppressed, at most %d: %w", len(all), MaxSuppressions, ErrTooLarge)
	}
	slices.SortFunc(all, Suppression.compare)
	f.Suppressions = all
	return f, nil
}

// returned puts an earlier version in force. The newest one stays the mark that the next must exceed, and what later versions left out
// stays out. So does what a later charter no longer allows: no version comes back whose filter lets more through than that in force, which
// lets no more through than the newest one's.
func (f InForce) returned(r Returned) (InForce, error) {
	b, ok := r.Order.Body.(order.Return)
	i, there := f.find(b.List)
	if !ok || !there {
		return f, fmt.Errorf("return of list %s, which is not in force: %w", b.List, ErrOrder)
	}
	l := f.Lists[i]
	v, kept := l.Version(b.Seq)
	high, _ := l.Version(l.High())
	switch {
	case b.Seq == l.Seq:
		return f, fmt.Errorf("return of list %s to version %d, which is in force: %w", b.List, b.Seq, ErrOrder)
	case !kept || v.Edge != b.Edge:
		return f, fmt.Errorf("return of list %s to version %d, which is not one of the last %d that were in force here: %w", b.List, b.Seq, KeptVersions, ErrOrder)
	case b.High != high.Seq || b.HighEdge != high.Edge:
		return f, fmt.Errorf("return of list %s from version %d, the newest is %d: %w", b.List, b.High, high.Seq, ErrOrder)
	case b.Seq != high.Seq && !r.Version.Filter.Within(l.Filter):
		return f, fmt.Errorf("return of list %s to version %d, whose charter allowed what it does not allow in version %d: %w", b.List, b.Seq, l.Seq, ErrOrder)
	case r.Version.record() != v.Record || len(r.Version.Versions) != 0:
		return f, fmt.Errorf("return of list %s: version %d is not what it was: %w", b.List, b.Seq, ErrMismatch)
	}
	next := r.Version
	next.Versions = l.Versions
	f.Lists = slices.Clone(f.Lists)
	f.Lists[i] = next
	out := map[match.EntryID]bool{} // of this version already: going back again and again must not use up the room for withdrawals
	for _, x := range f.Removals {
		if x.List == b.List && x.Kind == match.RemovalReturn && x.From == b.Seq {
			out[x.Entry] = true
		}
	}
	var removals []Removal
	for _, e := range b.Entries {
		if !out[e] {
			removals = append(removals, Removal{List: b.List, Entry: e, Kind: match.RemovalReturn, Number: r.Number, From: b.Seq, To: b.Seq})
		}
	}
	return f.remove(removals)
}
