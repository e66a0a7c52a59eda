package audit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Ordered records an order of the operator's officers. Every kind of order has its own kind of leaf, of this one form. What the order
// says is in the statement and is not written twice.
type Ordered struct {
	As        Kind        `cbor:"-"` // the leaf's kind
	Order     order.Order `cbor:"-"` // that of Statement
	Number    uint64      `cbor:"number"`
	Signers   []string    `cbor:"signers"`   // officers, ascending
	Statement []byte      `cbor:"statement"` // as the officers signed it
}

// NewOrdered fills the body for a statement that order.Verify accepted.
func NewOrdered(statement []byte, o order.Order, signers []string) Ordered {
	return Ordered{As: Kind(o.Body.Kind()), Order: o, Number: o.Number, Signers: signers, Statement: statement}
}

// Hold records that a brake holds a list version back: the last version stays in force until the operator's officers approve this one, or
// the hotline publishes another.
type Hold struct {
	Hotline  trust.HotlineID `cbor:"hotline"`
	List     match.ListID    `cbor:"list"`
	Seq      uint64          `cbor:"seq"`
	Edge     [32]byte        `cbor:"edge"`     // SHA-256 of its edge list
	Metadata [32]byte        `cbor:"metadata"` // trust.Metadata.Hash of what it came with
	Brake    string          `cbor:"brake"`    // a verdict's word
	Node     string          `cbor:"node"`     // who proposed it
	Verdicts []SignedVerdict `cbor:"verdicts"` // so many objections that no quorum can approve
}

func (o Ordered) kind() Kind { return o.As }
func (Hold) kind() Kind      { return KindHold }

func (o Ordered) check() error {
	said, signers, err := order.Decode(o.Statement)
	if err != nil {
		return fmt.Errorf("order: %w: %v", ErrFormat, err)
	}
	if Kind(said.Body.Kind()) != o.As || said.Number != o.Number || !slices.Equal(signers, o.Signers) {
		return fmt.Errorf("order says something else than its leaf: %w", ErrMismatch)
	}
	return nil
}

// fill takes the order out of the statement after decoding.
func (o Ordered) fill(k Kind) Ordered {
	o.As = k
	if said, _, err := order.Decode(o.Statement); err == nil {
		o.Order = said
	}
	return o
}

func (h Hold) check() error {
	if err := checkListOf(h.Hotline, h.List); err != nil {
		return err
	}
	if h.Seq == 0 || h.Brake == "" || len(h.Brake) > maxWord || len(h.Node) > maxWord || len(h.Verdicts) > maxVerdicts {
		return fmt.Errorf("hold: %w", ErrFormat)
	}
	return nil
}

// Orders is what officers and brakes have decided so far, as far as later decisions depend on it: a pure function of the leaves, the same
// for replicas and auditors. It is a value: Apply never alters the old one's slices. What an order does to edges is in InForce.
type Orders struct {
	Numbers   []OrderNumber // the last of each kind, by kind
	Policy    Policy        // zero while there is none
	Held      []Held        // versions that are held back, by list, one each
	Approvals []Approval    // for versions that are not in force yet, by list, one each
	Pins      []Pin         // hotlines that were added since the cluster was made, by id
}

// OrderNumber is the highest number of a kind of order.
type OrderNumber struct {
	Kind   order.Kind
	Number uint64
	Since  int64 // time of its leaf
}

// Policy is the never-block list that every verdict must be about.
type Policy struct {
	NeverBlock [32]byte
	Count      uint64
	Leaf       uint64
	Since      int64
}

// Held is a list version that a brake holds back.
type Held struct {
	Hold
	Leaf  uint64
	Since int64
	// Approved: officers have approved it since, and it is not in force yet. When a brake finds more than they have exempted, it is held anew.
	Approved bool
}

// Approval is the officers' word that a held version may come into force.
type Approval struct {
	order.Approve
	Number uint64
	Until  int64 // not inclusive
	Leaf   uint64
}

// LastNumber is the highest number that an order of this kind has had; 0 before the first.
func (o Orders) LastNumber(k order.Kind) uint64 {
	for _, n := range o.Numbers {
		if n.Kind == k {
			return n.Number
		}
	}
	return 0
}

// Since is when the last order of this kind was accepted; zero before the first.
func (o Orders) Since(k order.Kind) time.Time {
	for _, n := range o.Numbers {
		if n.Kind == k {
			return time.Unix(n.Since, 0).UTC()
		}
	}
	return time.Time{}
}

// Heldback finds the hold of this very version.
func (o Orders) Heldback(list match.ListID, seq uint64, edge [32]byte) (Held, bool) {
	for _, h := range o.Held {
		if h.List == list && h.Seq == seq && h.Edge == edge {
			return h, true
		}
	}
	return Held{}, false
}

// Approved finds the approval of this very version that is still in its time.
func (o Orders) Approved(list match.ListID, seq uint64, edge [32]byte, now int64) (Approval, bool) {
	for _, a := range o.Approvals {
		if a.List == list && a.Seq == seq && a.Edge == edge && now < a.Until {
			return a, true
		}
	}
	return Approval{}, false
}

// Admits reports whether a verdict counts under the never-block policy.
func (o Orders) Admits(v Verdict) bool {
	return o.Policy.NeverBlock == ([32]byte{}) || v.NeverBlock == o.Policy.NeverBlock
}

// Apply is what is decided after the leaf, whose body it is given, with f in force before it. It verifies the signatures of orders and
// holds. Errors: those of order.Verify; ErrOrder for what does not fit; ErrHeld; ErrQuorum for a hold with too few objections.
func (o Orders) Apply(c *Cluster, id string, f InForce, leaf Leaf, body Body) (Orders, error) {
	switch b := body.(type) {
	case Ordered:
		return o.ordered(c, id, f, leaf, b.Statement)
	case Returned:
		if r, ok := b.Order.Body.(order.Return); ok {
			if by := ReturnApprovals(b.Verdicts, id, c.Members, r); len(by) < Majority(len(c.Members)) {
				return o, fmt.Errorf("return %d: %d of %d members say that it names all that later versions left out, %d are needed: %w",
					b.Number, len(by), len(c.Members), Majority(len(c.Members)), ErrQuorum)
			}
		}
		return o.ordered(c, id, f, leaf, b.Statement)
	case Hold:
		return o.hold(c, id, f, leaf, b)
	case Publish:
		return o.publish(leaf, b)
	}
	return o, nil
}

func (o Orders) ordered(c *Cluster, id string, f InForce, leaf Leaf, statement []byte) (Orders, error) {
	said, _, err := order.Verify(c.Officers, id, statement, time.Unix(leaf.T, 0).UTC())
	if err != nil {
		return o, err
	}
	kind := said.Body.Kind()
	if last := o.LastNumber(kind); said.Number <= last {
		return o, fmt.Errorf("%s order %d, the last one had number %d: %w", kind, said.Number, last, ErrOrder)
	}
	next := o
	switch s := said.Body.(type) {
	case order.Pin:
		if next.Pins, err = o.pin(c, leaf, said.Number, s); err != nil {
			return o, err
		}
	case order.Suppress:
		if l, ok := f.List(s.List); !ok || l.Epoch != s.Epoch {
			return o, fmt.Errorf("suppression %d: list %s with keys of epoch %d is not in force: %w", said.Number, s.List, s.Epoch, ErrOrder)
		}
	case order.Bypass:
		if f.at(leaf.T).Bypass == 0 && s.Lift {
			return o, fmt.Errorf("order %d ends a bypass, and there is none: %w", said.Number, ErrOrder)
		}
	case order.Exempt:
		if f.at(leaf.T).Exempt == nil && s.Lift {
			return o, fmt.Errorf("order %d ends an exemption, and there is none: %w", said.Number, ErrOrder)
		}
	case order.Certificate:
		if s.Size > leaf.N || s.To > leaf.T {
			return o, fmt.Errorf("certificate %d: of %d leaves until %s, before leaf %d at %s: %w", said.Number, s.Size, stamp(s.To), leaf.N, stamp(leaf.T), ErrOrder)
		}
	case order.Policy:
		next.Policy = Policy{NeverBlock: s.NeverBlock, Count: s.Count, Leaf: leaf.N, Since: leaf.T}
	case order.Approve:
		h, ok := o.Heldback(s.List, s.Seq, s.Edge)
		if !ok {
			return o, fmt.Errorf("approval %d: list %s version %d with this edge list is not held: %w", said.Number, s.List, s.Seq, ErrOrder)
		}
		h.Approved = true
		next.Held = put(o.Held, h, Held.list)
		next.Approvals = put(o.Approvals, Approval{s, said.Number, said.Expires, leaf.N}, Approval.list)
	}
	next.Numbers = put(o.Numbers, OrderNumber{kind, said.Number, leaf.T}, func(n OrderNumber) order.Kind { return n.Kind })
	return next, nil
}

func (o Orders) hold(c *Cluster, id string, f InForce, leaf Leaf, b Hold) (Orders, error) {
	if l, ok := f.List(b.List); ok && b.Seq <= l.High() {
		return o, fmt.Errorf("hold of list %s version %d, in force was %d: %w", b.List, b.Seq, l.High(), ErrOrder)
	}
	for _, h := range o.Held {
		if h.List == b.List && (h.Seq > b.Seq || h.Seq == b.Seq && h.Edge == b.Edge && h.Brake == b.Brake && !h.Approved) {
			return o, fmt.Errorf("hold of list %s version %d: version %d is held already: %w", b.List, b.Seq, h.Seq, ErrOrder)
		}
	}
	by, said := objections(b, id, c.Members)
	if len(by) <= len(c.Members)-Majority(len(c.Members)) || !said {
		return o, fmt.Errorf("hold of list %s version %d: %d of %d members object, a quorum could still approve: %w", b.List, b.Seq, len(by), len(c.Members), ErrQuorum)
	}
	next := o
	next.Held = put(o.Held, Held{Hold: b, Leaf: leaf.N, Since: leaf.T}, Held.list)
	return next, nil
}

// objections are the different members whose verdicts object to this version, and whether one of them names the hold's brake.
func objections(h Hold, cluster string, members []MemberKey) (by []string, said bool) {
	for _, m := range members {
		for _, s := range h.Verdicts {
			v, err := s.Verdict()
			if err != nil || v.Node != m.Name || v.Cluster != cluster || v.Result == ResultOK || v.List != h.List || v.Seq != h.Seq || v.Edge != h.Edge {
				continue
			}
			if _, err := VerifyVerdict(s, m.Key); err == nil {
				by, said = append(by, m.Name), said || v.Result == h.Brake
				break
			}
		}
	}
	return by, said
}

// MayPublish is ErrHeld for a version that is held back, unless officers have approved it since and their word is in its time.
func (o Orders) MayPublish(p Publish, now int64) error {
	h, ok := o.Heldback(p.List, p.Seq, p.Edge)
	if !ok {
		return nil
	}
	if a, approved := o.Approved(p.List, p.Seq, p.Edge, now); !approved || !h.Approved || a.Leaf < h.Leaf {
		return fmt.Errorf("list %s version %d: brake %s: %w", p.List, p.Seq, h.Brake, ErrHeld)
	}
	return nil
}

// publish holds a publication to what is held back, and forgets what it settles.
func (o Orders) publish(leaf Leaf, p Publish) (Orders, error) {
	if err := o.MayPublish(p, leaf.T); err != nil {
		return o, err
	}
	next := o
	next.Held = slices.DeleteFunc(slices.Clone(o.Held), func(h Held) bool { return h.List == p.List && h.Seq <= p.Seq })
	next.Approvals = slices.DeleteFunc(slices.Clone(o.Approvals), func(a Approval) bool { return a.List == p.List && a.Seq <= p.Seq })
	return next, nil
}

func (h Held) list() match.ListID     { return h.List }
func (a Approval) list() match.ListID { return a.List }

// put is a sorted copy of all with x in the place of what has its key.
func put[T any, K cmp.Ordered](all []T, x T, key func(T) K) []T {
	out := slices.DeleteFunc(slices.Clone(all), func(o T) bool { return key(o) == key(x) })
	out = append(out, x)
	slices.SortFunc(out, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	return out
}

// OrderReason is the stable word for an error of Orders.Apply.
func OrderReason(err error) string {
	switch {
	case errors.Is(err, ErrOrder):
		return "order"
	case errors.Is(err, ErrHeld):
		return "held"
	case errors.Is(err, ErrQuorum):
		return "verdicts"
	}
	return trust.Reason(err)
}
