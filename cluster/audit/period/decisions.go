package period

import (
	"cmp"
	"slices"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Holds are versions that a brake held back in the span.
type Holds struct {
	Brakes   []Count `json:"brakes"`   // hold leaves, by brake
	Approved uint64  `json:"approved"` // orders that let one in
	Open     []Held  `json:"open"`     // held back at the end
}

// Held is a version that is held back.
type Held struct {
	List  match.ListID `json:"list"`
	Seq   uint64       `json:"seq"`
	Brake string       `json:"brake"`
	Since Time         `json:"since"`
}

type holds struct {
	brakes   []Count
	approved uint64
	open     []Held // by list
}

func (h *holds) hold(b audit.Hold, l audit.Leaf, in bool) {
	if in {
		add(&h.brakes, b.Brake, 1)
	}
	held := Held{b.List, b.Seq, b.Brake, Time(l.T)}
	i, ok := slices.BinarySearchFunc(h.open, b.List, func(o Held, id match.ListID) int { return cmp.Compare(o.List, id) })
	if ok {
		h.open[i] = held
	} else {
		h.open = slices.Insert(h.open, i, held)
	}
}

// settle ends holds of versions up to the one that comes into force.
func (h *holds) settle(list match.ListID, seq uint64) {
	h.open = slices.DeleteFunc(h.open, func(o Held) bool { return o.List == list && o.Seq <= seq })
}

func (h *holds) facts() Holds {
	return Holds{Brakes: sorted(h.brakes), Approved: h.approved, Open: orEmpty(slices.Clone(h.open))}
}

// Withdrawals are urgent removals by hotlines, each counted when its first leaf is in the span.
type Withdrawals struct {
	N       uint64  `json:"n"`
	Entries uint64  `json:"entries"`
	Reasons []Count `json:"reasons"`  // entries, by reason
	Owed    []Owed  `json:"owed"`     // signed by one officer, and at the span's end by no second one, nor settled by a later version
	InForce uint64  `json:"in_force"` // removals in force or kept at the end, those of returns among them
}

// Owed is a withdrawal that lacks its second signature.
type Owed struct {
	List   match.ListID `json:"list"`
	Number uint64       `json:"number"`
	Since  Time         `json:"since"`
}

// owing is Owed with the last version that the withdrawal is about.
type owing struct {
	Owed
	to uint64
}

type withdrawalKey struct {
	list   match.ListID
	number uint64
}

func (w *Walk) withdraw(l audit.Leaf, b audit.Withdraw, in bool) {
	key := withdrawalKey{b.List, b.Number}
	d := &w.delays
	i := slices.IndexFunc(d.owed, func(o owing) bool { return o.List == b.List && o.Number == b.Number })
	switch {
	case b.Owed && i < 0:
		d.owed = append(d.owed, owing{Owed{b.List, b.Number, Time(l.T)}, b.SeqTo})
	case !b.Owed && i >= 0:
		d.owed = slices.Delete(d.owed, i, i+1)
	}
	if d.known[key] {
		return // the same with another signature
	}
	if d.known == nil {
		d.known = make(map[withdrawalKey]bool)
	}
	d.known[key] = true
	if !in {
		return
	}
	said, err := trust.DecodeWithdrawal(b.Statement)
	if err != nil {
		return // its leaf would not have decoded
	}
	id, err := trust.StatementID(b.Statement)
	if err != nil {
		return
	}
	w.f.Withdrawals.N++
	w.f.Withdrawals.Entries += uint64(len(b.Entries))
	add(&w.f.Withdrawals.Reasons, word(said.Reason), uint64(len(b.Entries)))
	d.log = append(d.log, max(l.T-said.Issued, 0))
	d.wait(w.nodes.edges, waiting{leaf: l.N, since: said.Issued, statement: id, withdrawal: true})
}

// settle ends what was owed on versions before this one: the officers' threshold has signed the list anew.
func (w *Walk) settle(p audit.Publish) {
	w.delays.owed = slices.DeleteFunc(w.delays.owed, func(o owing) bool { return o.List == p.List && o.to < p.Seq })
}

func (w *Walk) withdrawals() Withdrawals {
	out := w.f.Withdrawals
	out.Reasons, out.Owed, out.InForce = sorted(out.Reasons), make([]Owed, len(w.delays.owed)), uint64(len(w.inForce.Removals))
	for i, o := range w.delays.owed {
		out.Owed[i] = o.Owed
	}
	return out
}

// Suppress is what the operator's officers took out of force for a time.
type Suppress struct {
	Orders  uint64  `json:"orders"`
	Lifted  uint64  `json:"lifted"`  // orders that put back
	Entries uint64  `json:"entries"` // that Orders name
	Reasons []Count `json:"reasons"` // orders, by reason
	InForce uint64  `json:"in_force"`
}

// Bypass is the kill switch.
type Bypass struct {
	Orders  uint64  `json:"orders"`
	Lifted  uint64  `json:"lifted"`
	Reasons []Count `json:"reasons"`
	Seconds int64   `json:"seconds"` // of the span in which everything passed
	Until   Time    `json:"until"`   // of the one in force at the end; "" for none
}

// Return is a way back to an earlier version.
type Return struct {
	List    match.ListID `json:"list"`
	From    uint64       `json:"from"` // version that was in force
	To      uint64       `json:"to"`
	At      Time         `json:"at"`
	Reason  string       `json:"reason"`
	LeftOut uint64       `json:"left_out"` // entries that stay out, because the newest version has left them out
}

// Policy is the choice of a never-block list.
type Policy struct {
	NeverBlock Hash   `json:"never_block"`
	Names      uint64 `json:"names"`
	At         Time   `json:"at"`
}

// Exemption says that lists were not enforced towards the prefixes of accredited analysts, or no longer.
type Exemption struct {
	At       Time   `json:"at"`
	Until    Time   `json:"until"`    // "" when the order ended the one before
	Prefixes uint64 `json:"prefixes"` // 0 then, too
	File     Hash   `json:"file"`     // SHA-256 of the file that names them
	Reason   string `json:"reason"`
}

func ends(o order.Exempt, expires int64) Time {
	if o.Lift {
		return 0
	}
	return Time(expires)
}

func (w *Walk) ordered(l audit.Leaf, b audit.Ordered, in bool) {
	if !in {
		return
	}
	reason := word(b.Order.Reason)
	switch o := b.Order.Body.(type) {
	case order.Suppress:
		s := &w.f.Suppress
		if o.Lift {
			s.Lifted++
			return
		}
		s.Orders++
		s.Entries += uint64(len(o.Entries))
		add(&s.Reasons, reason, 1)
	case order.Bypass:
		if o.Lift {
			w.f.Bypass.Lifted++
			return
		}
		w.f.Bypass.Orders++
		add(&w.f.Bypass.Reasons, reason, 1)
	case order.Policy:
		w.f.Policies = append(w.f.Policies, Policy{o.NeverBlock, o.Count, Time(l.T)})
	case order.Approve:
		w.orders.approved++
	case order.Exempt:
		w.f.Exemptions = append(w.f.Exemptions, Exemption{Time(l.T), ends(o, b.Order.Expires), o.Count, o.Hash, reason})
	case order.Pin:
		w.f.Pins = append(w.f.Pins, Pin{o.Hotline, o.Root, Time(l.T)})
	}
}

func (w *Walk) returned(l audit.Leaf, b audit.Returned, before audit.InForce, in bool) {
	o, ok := b.Order.Body.(order.Return)
	if !ok {
		return
	}
	was, _ := before.List(o.List)
	v := w.lists.byLeaf[b.Version.Leaf]
	if !in {
		w.lists.list(o.List).Before = &v
		return
	}
	w.lists.use(v)
	w.f.Returns = append(w.f.Returns, Return{o.List, was.Seq, o.Seq, Time(l.T), word(b.Order.Reason), uint64(len(o.Entries))})
	w.delays.wait(w.nodes.edges, waiting{leaf: l.N, since: l.T})
}
