package cluster

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// ErrHeld: a brake holds this version back. The last one stays in force until the operator's officers approve this one or the hotline
// publishes another; see Status.Held. Publish may be repeated and then tries again once there is an approval.
var ErrHeld = errors.New("held back by a brake")

// Order proposes what the operator's officers have signed. It returns the number of the order's leaf. An error is ErrRefused with
// *state.Refusal, or nothing was decided; see Propose. A statement that was accepted before is no error: again is true.
func (n *Node) Order(ctx context.Context, statement []byte) (leaf uint64, again bool, err error) {
	o, _, err := order.Decode(statement)
	if err != nil {
		return 0, false, fmt.Errorf("%w: %w: %w", ErrRefused, ErrRequest, err)
	}
	if c, ok := o.Body.(order.Certificate); ok {
		if err := n.yields(ctx, c); err != nil {
			return 0, false, err
		}
	}
	var res state.Result
	if o.Body.Kind() == order.KindReturn {
		res, err = n.goBack(ctx, statement)
	} else {
		res, err = n.Propose(ctx, command.Command{Body: command.Order{As: command.Kind(o.Body.Kind()), Statement: statement}})
	}
	if err == nil {
		err = refused("order", res)
	}
	if err != nil {
		return 0, false, err
	}
	n.log.InfoContext(ctx, "order of the operator's officers", slog.String("kind", string(o.Body.Kind())), slog.Uint64("number", o.Number), slog.Uint64("leaf", res.Leaf))
	return res.Leaf, res.Duplicate, nil
}

// hold has it put on record that a version is held back, and returns ErrHeld.
func (n *Node) hold(ctx context.Context, t trust.ListTarget, metadata [32]byte, brake string, verdicts []opinion) error {
	res, err := n.Propose(ctx, command.Command{Body: command.Hold{
		Hotline: t.List.Hotline(), List: t.List, Seq: t.Seq, Edge: t.Edge.SHA256[:], Metadata: metadata[:], Brake: brake, Node: n.c.Name,
		Verdicts: objecting(verdicts),
	}})
	if err == nil {
		err = refused("hold", res)
	}
	if err != nil {
		return fmt.Errorf("record hold %q: %w", brake, err)
	}
	if res.Logged {
		n.log.WarnContext(ctx, "list held back", slog.Any("list", t.List), slog.Uint64("seq", t.Seq), slog.String("brake", brake), slog.Uint64("leaf", res.Leaf))
	}
	return fmt.Errorf("%w: %s", ErrHeld, brake)
}

// waits is ErrHeld for a version that is held back and that no officers have approved since, and for one behind it: nothing needs to be checked
// again.
func waits(view *state.View, t trust.ListTarget) error {
	if h, ok := view.Orders.Heldback(t.List, t.Seq, t.Edge.SHA256); ok && !h.Approved {
		return fmt.Errorf("%w: %s", ErrHeld, h.Brake)
	}
	for _, h := range view.Orders.Held {
		if h.List == t.List && h.Seq > t.Seq {
			return fmt.Errorf("%w: version %d of the list is, and comes after this one", ErrHeld, h.Seq)
		}
	}
	return nil
}

// objecting picks the verdicts that are not ok.
func objecting(all []opinion) []audit.SignedVerdict {
	var out []audit.SignedVerdict
	for _, o := range all {
		if o.result != audit.ResultOK {
			out = append(out, o.signed)
		}
	}
	return out
}

// HeldStatus is a version that a brake holds back.
type HeldStatus struct {
	List       match.ListID `json:"list"`
	Seq        uint64       `json:"seq"`
	Brake      string       `json:"brake"`
	Since      time.Time    `json:"since"`
	Leaf       uint64       `json:"leaf"`
	Edge       string       `json:"edge"`        // SHA-256 of its edge list, hex
	NeverBlock string       `json:"never_block"` // hash of the never-block list that it was checked against, hex
	Approved   bool         `json:"approved"`    // officers have approved it since; it is being tried again
}

// OrderStatus is what the operator's officers can do and have done.
type OrderStatus struct {
	Cluster    string            `json:"cluster"`           // its id, which orders name
	Officers   []string          `json:"officers"`          // names; none: nobody can sign an order in this cluster
	Numbers    map[string]uint64 `json:"numbers"`           // the last of each kind of order
	NeverBlock string            `json:"never_block"`       // hash of the list that this node checks against, hex
	Names      int               `json:"never_block_names"` // on it
	Policy     *PolicyStatus     `json:"policy"`            // null while there is none

	Suppressed []SuppressedStatus `json:"suppressed"`            // entries that pass, by list and entry
	Bypass     time.Time          `json:"bypass_until,omitzero"` // everything passes until then; zero when lists are enforced
	Exempt     *ExemptStatus      `json:"exempt,omitempty"`      // towards whom lists are not enforced; left out when there is nobody
}

// ExemptStatus is the exemption of accredited analysts that the officers have decided on.
type ExemptStatus struct {
	File     string    `json:"file"` // SHA-256 of the file that names them, hex
	Prefixes uint64    `json:"prefixes"`
	Until    time.Time `json:"until"`
	Number   uint64    `json:"number"` // of the order
}

// SuppressedStatus is an entry that the operator's officers have taken out of force.
type SuppressedStatus struct {
	List   match.ListID  `json:"list"`
	Entry  match.EntryID `json:"entry"`
	Until  time.Time     `json:"until"`
	Number uint64        `json:"number"` // of the order
}

// PolicyStatus is the never-block list that the officers have decided on.
type PolicyStatus struct {
	NeverBlock string    `json:"never_block"` // hash, hex
	Names      uint64    `json:"names"`
	Since      time.Time `json:"since"`
}

func held(view *state.View) []HeldStatus {
	out := []HeldStatus{}
	for _, h := range view.Orders.Held {
		s := HeldStatus{
			List: h.List, Seq: h.Seq, Brake: h.Brake, Since: time.Unix(h.Since, 0).UTC(), Leaf: h.Leaf, Edge: hex.EncodeToString(h.Edge[:]), Approved: h.Approved,
		}
		for _, v := range h.Verdicts {
			if said, err := v.Verdict(); err == nil && said.Result == h.Brake {
				s.NeverBlock = hex.EncodeToString(said.NeverBlock[:])
				break
			}
		}
		out = append(out, s)
	}
	return out
}

func (n *Node) orders(view *state.View) OrderStatus {
	s := OrderStatus{Cluster: n.id, Officers: []string{}, Numbers: map[string]uint64{}, Suppressed: []SuppressedStatus{}, NeverBlock: hex.EncodeToString(n.neverBlock[:]), Names: n.names.Len()}
	for _, o := range n.c.Cluster.Officers {
		s.Officers = append(s.Officers, o.Name)
	}
	for _, k := range order.Kinds {
		s.Numbers[string(k)] = view.Orders.LastNumber(k)
	}
	now := n.c.Clock().Unix()
	for _, x := range view.InForce.Suppressions {
		if now <= x.Until {
			s.Suppressed = append(s.Suppressed, SuppressedStatus{x.List, x.Entry, time.Unix(x.Until, 0).UTC(), x.Number})
		}
	}
	if until := view.InForce.Bypass; now <= until {
		s.Bypass = time.Unix(until, 0).UTC()
	}
	if e := view.InForce.Exempt; e != nil && now <= e.Until {
		s.Exempt = &ExemptStatus{File: hex.EncodeToString(e.Hash[:]), Prefixes: e.Count, Until: time.Unix(e.Until, 0).UTC(), Number: e.Number}
	}
	if p := view.Orders.Policy; p.NeverBlock != ([32]byte{}) {
		s.Policy = &PolicyStatus{NeverBlock: hex.EncodeToString(p.NeverBlock[:]), Names: p.Count, Since: time.Unix(p.Since, 0).UTC()}
	}
	return s
}

// orderConditions are the alarms that come from holds and orders.
func (n *Node) orderConditions(view *state.View) []Alarm {
	var out []Alarm
	if until := view.InForce.Bypass; n.c.Clock().Unix() <= until {
		out = append(out, Alarm{AlarmBypass, fmt.Sprintf("BYPASS: everything passes until %s, by order of two officers", time.Unix(until, 0).UTC().Format(time.RFC3339)), view.Orders.Since(order.KindBypass)})
	}
	for _, l := range view.InForce.Lists {
		if l.Seq != l.High() {
			out = append(out, Alarm{AlarmReturned, fmt.Sprintf("list %s is at version %d, to which officers went back from version %d: it waits for the hotline's next version", l.List, l.Seq, l.High()), view.Orders.Since(order.KindReturn)})
		}
	}
	for _, h := range view.Orders.Held {
		if !h.Approved {
			out = append(out, Alarm{AlarmHeld, fmt.Sprintf("list %s version %d is held back (%s): the last one stays in force until two officers approve it or the hotline publishes another", h.List, h.Seq, h.Brake), time.Unix(h.Since, 0).UTC()})
		}
	}
	if p := view.Orders.Policy; p.NeverBlock != ([32]byte{}) && p.NeverBlock != n.neverBlock {
		out = append(out, Alarm{AlarmPolicy, fmt.Sprintf("this node's never-block list (%x) is not the one that the officers decided on (%x): its verdicts do not count", n.neverBlock[:8], p.NeverBlock[:8]), time.Unix(p.Since, 0).UTC()})
	}
	return out
}
