package state

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/listsync/trust"
)

// maxOpenings is how many openings of one hotline enter the log a day.
const maxOpenings = 20

// ReasonOpening: an opening that is of another cluster, or of a version that never came into force here.
const ReasonOpening = "opening"

// open puts on record that a hotline showed entries to a reviewer, on the word of its officers' threshold. The same statement again, whoever
// has signed it, is a duplicate.
func (s *State) open(t int64, c command.Open) Result {
	refuse := audit.Reject{Object: sha256.Sum256(c.Statement), Stage: "apply"}
	no := func(reason string) Result {
		refuse.Reason = reason
		return s.reject(t, refuse)
	}
	claimed, err := trust.DecodeOpening(c.Statement)
	if err != nil {
		return no(trust.Reason(err))
	}
	h := s.hotline(trust.HotlineID(claimed.List.Hotline()))
	if h == nil || h.verified == nil {
		return no(ReasonUnknownHotline)
	}
	refuse.Hotline, refuse.List, refuse.Seq = h.id, claimed.List, claimed.Seq
	id, err := trust.OpeningID(c.Statement)
	if err != nil {
		return no(trust.Reason(err))
	}
	if _, again := h.opened[id]; again {
		return Result{Duplicate: true}
	}
	said, signers, err := trust.VerifyOpening(h.verified.Officers, c.Statement, time.Unix(t, 0).UTC())
	if err != nil {
		return no(trust.Reason(err))
	}
	l, ok := s.inForce.List(said.List)
	switch {
	case said.Cluster != s.id || !ok || said.Seq > l.High():
		return no(ReasonOpening)
	case h.openings.add(t, 1).n > maxOpenings:
		return no(ReasonLimit)
	}
	res, err := s.append(t, audit.NewOpen(bytes.Clone(c.Statement), said, signers))
	if err != nil {
		return no(leafReason(err))
	}
	return res
}

// enterOpen keeps what was said until it could not be said again.
func (h *hotline) enterOpen(t int64, o audit.Open) {
	h.openings = h.openings.add(t, 1)
	said, err := trust.DecodeOpening(o.Statement)
	if err != nil {
		return // it was verified before
	}
	next := map[[32]byte]int64{} // views hold the one before
	for id, expires := range h.opened {
		if expires > t {
			next[id] = expires
		}
	}
	if id, err := trust.OpeningID(o.Statement); err == nil {
		next[id] = said.Expires
	}
	h.opened = next
}

// Opened reports whether an opening (trust.OpeningID) is in the log and could still be said again.
func (h Hotline) Opened(id [32]byte) bool {
	_, ok := h.opened[id]
	return ok
}

// open holds the leaf of an opening in a snapshot to its statement.
func (p *prover) open(leaf audit.Leaf, b audit.Open) error {
	h := p.s.hotline(b.Hotline)
	if h == nil || h.last.metadata == ([32]byte{}) {
		return fmt.Errorf("opening of hotline %q: %w", b.Hotline, ErrSnapshot)
	}
	v, err := p.verified(h, h.last)
	if err != nil {
		return err
	}
	said, signers, err := trust.VerifyOpening(v.Officers, b.Statement, time.Unix(leaf.T, 0).UTC())
	if err != nil {
		return err
	}
	l, ok := p.s.inForce.List(said.List)
	if said.Cluster != p.s.id || !ok || said.Seq > l.High() || !bytes.Equal(encode(audit.NewOpen(b.Statement, said, signers)), encode(b)) {
		return fmt.Errorf("opening leaf: %w", ErrSnapshot)
	}
	return nil
}
