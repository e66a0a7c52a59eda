package state

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// order applies what the operator's officers have signed: verified here again with the officers of the cluster file, held to the numbers
// that were used and to what is in force. A statement that was accepted before is a duplicate.
func (s *State) order(t int64, c command.Order) Result {
	return s.decide(t, c.As, c.Statement, func(o order.Order, signers []string, statement []byte) (audit.Body, error) {
		return audit.NewOrdered(statement, o, signers), nil
	})
}

// goBack is order for one that returns to an earlier version of a list.
func (s *State) goBack(t int64, c command.Return) Result {
	return s.decide(t, command.KindReturn, c.Statement, func(o order.Order, signers []string, statement []byte) (audit.Body, error) {
		b, ok := o.Body.(order.Return)
		if !ok {
			return nil, &Refusal{Reason: ReasonCommand}
		}
		l, ok := s.inForce.List(b.List)
		v, kept := l.Version(b.Seq)
		if !ok || !kept {
			return nil, fmt.Errorf("version %d of list %s cannot be returned to: %w", b.Seq, b.List, audit.ErrOrder)
		}
		p, err := s.publishAt(v.Leaf)
		if err != nil {
			return nil, err
		}
		return audit.NewReturned(statement, o, signers, audit.InForceListOf(p, v.Leaf), s.returnApprovals(c.Verdicts, b)), nil
	})
}

// returnApprovals picks one verdict a member, in the members' order; what else came along does not enter the log.
func (s *State) returnApprovals(verdicts []audit.SignedReturnVerdict, r order.Return) []audit.SignedReturnVerdict {
	var out []audit.SignedReturnVerdict
	for _, m := range s.quorum.Members {
		for _, v := range verdicts {
			if len(audit.ReturnApprovals([]audit.SignedReturnVerdict{v}, s.id, []audit.MemberKey{m}, r)) == 1 {
				out = append(out, v)
				break
			}
		}
	}
	return out
}

// decide verifies an order and appends the leaf that body makes of it.
func (s *State) decide(t int64, as command.Kind, statement []byte, body func(o order.Order, signers []string, statement []byte) (audit.Body, error)) Result {
	refuse := audit.Reject{Object: sha256.Sum256(statement), Stage: "apply"}
	no := func(reason, detail string) Result {
		refuse.Reason, refuse.Detail = reason, detail
		return s.reject(t, refuse)
	}
	said, signers, err := order.Verify(s.cluster.Officers, s.id, statement, time.Unix(t, 0).UTC())
	if err != nil {
		return no(trust.Reason(err), "order of the operator's officers")
	}
	kind := said.Body.Kind()
	if string(kind) != string(as) {
		return no(ReasonCommand, "order of another kind")
	}
	refuse.List, refuse.Seq = about(said.Body)
	refuse.Hotline = trust.HotlineID(refuse.List.Hotline())
	if p, ok := said.Body.(order.Pin); ok {
		refuse.Hotline = p.Hotline
	}
	if said.Number == s.orders.LastNumber(kind) && s.lastOrder[kind] == sha256.Sum256(statement) {
		return Result{Duplicate: true}
	}
	var res Result
	leaf, err := body(said, signers, bytes.Clone(statement))
	if err == nil {
		res, err = s.append(t, leaf)
	}
	if err != nil {
		return no(leafReason(err), fmt.Sprintf("%s order %d", kind, said.Number))
	}
	return res
}

// about is the list and version that an order speaks of.
func about(b order.Body) (match.ListID, uint64) {
	switch b := b.(type) {
	case order.Suppress:
		return b.List, 0
	case order.Approve:
		return b.List, b.Seq
	case order.Return:
		return b.List, b.Seq
	}
	return "", 0
}

// hold puts on record that a version is held back. Until officers approve it, a hold of the same version again is a duplicate, for another
// brake too: one member could else fill the log with what the members have found, in turn.
func (s *State) hold(t int64, c command.Hold) Result {
	h := audit.Hold{
		Hotline: trust.HotlineID(c.Hotline), List: c.List, Seq: c.Seq, Edge: [32]byte(c.Edge), Metadata: [32]byte(c.Metadata),
		Brake: c.Brake, Node: c.Node, Verdicts: c.Verdicts,
	}
	if old, ok := s.orders.Heldback(h.List, h.Seq, h.Edge); ok && !old.Approved {
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

// behindHold reports whether a later version of the list is held back. Its hold stands in the place of one that the earlier version may have
// had, and what members once signed of that one, while officers had approved it, has no end of its own.
func (s *State) behindHold(p audit.Publish) bool {
	return slices.ContainsFunc(s.orders.Held, func(h audit.Held) bool { return h.List == p.List && h.Seq > p.Seq })
}

// enterOrder keeps the last statement of each kind, so that it is known when it comes again.
func (s *State) enterOrder(o order.Order, statement []byte) {
	s.lastOrder[o.Body.Kind()] = sha256.Sum256(statement)
}

// isOrderError reports an error of audit.Orders.Apply that says why, beyond its form.
func isOrderError(err error) bool {
	return errors.Is(err, audit.ErrOrder) || errors.Is(err, audit.ErrHeld) || errors.Is(err, audit.ErrQuorum)
}
