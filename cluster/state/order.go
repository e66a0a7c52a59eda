package state

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/listsync/trust"
)

// order applies what the operator's officers have signed: verified here again with the officers of the cluster file, held to the numbers
// that were used and to what is in force. A statement that was accepted before is a duplicate.
func (s *State) order(t int64, c command.Order) Result {
	refuse := audit.Reject{Object: sha256.Sum256(c.Statement), Stage: "apply"}
	no := func(reason, detail string) Result {
		refuse.Reason, refuse.Detail = reason, detail
		return s.reject(t, refuse)
	}
	said, signers, err := order.Verify(s.cluster.Officers, s.id, c.Statement, time.Unix(t, 0).UTC())
	if err != nil {
		return no(trust.Reason(err), "order of the operator's officers")
	}
	if string(said.Body.Kind()) != string(c.As) {
		return no(ReasonCommand, "order of another kind")
	}
	if a, ok := said.Body.(order.Approve); ok {
		refuse.List, refuse.Seq, refuse.Hotline = a.List, a.Seq, trust.HotlineID(a.List.Hotline())
	}
	if said.Number == s.orders.LastNumber(said.Body.Kind()) && s.lastOrder[said.Body.Kind()] == sha256.Sum256(c.Statement) {
		return Result{Duplicate: true}
	}
	res, err := s.append(t, audit.NewOrdered(bytes.Clone(c.Statement), said, signers))
	if err != nil {
		return no(leafReason(err), fmt.Sprintf("%s order %d", c.As, said.Number))
	}
	return res
}

// hold puts on record that a version is held back. The same hold again is a duplicate.
func (s *State) hold(t int64, c command.Hold) Result {
	h := audit.Hold{
		Hotline: trust.HotlineID(c.Hotline), List: c.List, Seq: c.Seq, Edge: [32]byte(c.Edge), Metadata: [32]byte(c.Metadata),
		Brake: c.Brake, Node: c.Node, Verdicts: c.Verdicts,
	}
	if old, ok := s.orders.Heldback(h.List, h.Seq, h.Edge); ok && old.Brake == h.Brake && !old.Approved {
		return Result{Duplicate: true}
	}
	refuse := audit.Reject{Hotline: h.Hotline, List: h.List, Seq: h.Seq, Object: h.Metadata, Stage: "apply"}
	no := func(reason string) Result {
		refuse.Reason = reason
		return s.reject(t, refuse)
	}
	if !s.known(h.Node) || s.hotline(h.Hotline) == nil {
		return no(ReasonUnknownHotline)
	}
	res, err := s.append(t, h)
	if err != nil {
		return no(leafReason(err))
	}
	return res
}

// enterOrder keeps the last statement of each kind, so that it is known when it comes again.
func (s *State) enterOrder(o audit.Ordered) {
	s.lastOrder[o.Order.Body.Kind()] = sha256.Sum256(o.Statement)
}

// isOrderError reports an error of audit.Orders.Apply that says why, beyond its form.
func isOrderError(err error) bool {
	return errors.Is(err, audit.ErrOrder) || errors.Is(err, audit.ErrHeld) || errors.Is(err, audit.ErrQuorum)
}
