package state

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/trust"
)

// prover replays a snapshot's leaves into a fresh state.
type prover struct {
	s       *State
	genesis uint64 // leaves that New has made
	seen    map[verifiedAs]*trust.Verified
	rejects uint64
}

// verifiedAs is metadata verified as one hotline's: it is no other's.
type verifiedAs struct {
	hotline trust.HotlineID
	accepted
}

// replay checks one leaf against the state before it and enters it.
func (p *prover) replay(n uint64, encoded []byte) error {
	s := p.s
	if n < p.genesis {
		own, err := s.tree.Leaf(n)
		if err != nil || !bytes.Equal(own, encoded) {
			return fmt.Errorf("not the cluster's genesis: %w", ErrSnapshot)
		}
		return nil
	}
	leaf, err := audit.DecodeLeaf(encoded)
	if err != nil {
		return err
	}
	if leaf.N != n || leaf.T < s.time {
		return fmt.Errorf("number %d at time %d, after time %d: %w", leaf.N, leaf.T, s.time, ErrSnapshot)
	}
	body, err := leaf.Body()
	if err != nil {
		return err
	}
	if err := p.proven(leaf, body); err != nil {
		return err
	}
	next, err := s.inForce.Apply(leaf)
	if err != nil {
		return err
	}
	force := s.force
	if s.inForce.Changes(leaf) {
		force = next.Hash()
	}
	if leaf.F != force {
		return fmt.Errorf("in-force hash: %w", ErrSnapshot)
	}
	return s.enter(leaf, body, encoded)
}

// proven checks what a leaf's body must carry its own proof of.
func (p *prover) proven(leaf audit.Leaf, body audit.Body) error {
	s := p.s
	switch b := body.(type) {
	case audit.Publish:
		if s.hotline(b.Hotline) == nil {
			return fmt.Errorf("hotline %q: %w", b.Hotline, ErrSnapshot)
		}
		if got := s.approvals(b.Verdicts, b); len(got) < s.quorum.Need || len(got) != len(b.Verdicts) {
			return fmt.Errorf("%d of %d verdicts: %w", len(got), len(b.Verdicts), ErrSnapshot)
		}
		if err := p.publicLog(b); err != nil {
			return err
		}
		if err := p.rekeyed(leaf, b); err != nil {
			return err
		}
		return p.follow(b.Hotline, b.Metadata)
	case audit.Trust:
		if s.hotline(b.Hotline) == nil {
			return fmt.Errorf("hotline %q: %w", b.Hotline, ErrSnapshot)
		}
		return p.follow(b.Hotline, b.Metadata)
	case audit.Withdraw:
		return p.withdraw(leaf, b)
	case audit.Receipts:
		last := map[string]audit.Receipt{} // looked up, never ranged over
		for _, item := range b.Items {
			r, err := checkReceipt(s.id, s.edges, s.tree, s.tree.Size(), item)
			if err == nil {
				err = follows(last[r.Edge], r)
			}
			if err != nil {
				return err
			}
			last[r.Edge] = r
		}
		return nil
	case audit.Member:
		if b.Role != audit.RoleEdge {
			return fmt.Errorf("role %s: %w", b.Role, ErrSnapshot)
		}
		return nil
	case audit.Rekey:
		return nil // the publication behind it is held to it
	case audit.Reject:
		p.rejects++
		return nil
	case audit.Fork:
		return p.fork(b)
	case audit.Open:
		return p.open(leaf, b)
	case audit.Ordered, audit.Returned, audit.Hold:
		return nil // enter verifies them, by audit.Orders
	case audit.Admin:
		return nil // likewise, by audit.Register
	}
	return fmt.Errorf("leaf of kind %s: %w", leaf.K, ErrSnapshot)
}

// follow takes the steps of a hotline's roots that its metadata took.
func (p *prover) follow(id trust.HotlineID, metadata [32]byte) error {
	m, err := p.s.archive.get(metadata)
	if err != nil {
		return err
	}
	h := p.s.hotline(id)
	roots, err := h.roots.Follow(m.Roots)
	if err != nil {
		return fmt.Errorf("hotline %q: %w", id, err)
	}
	h.roots = roots
	return nil
}

func (p *prover) withdraw(leaf audit.Leaf, b audit.Withdraw) error {
	h := p.s.hotline(b.Hotline)
	if h == nil || h.last.metadata == ([32]byte{}) {
		return fmt.Errorf("withdrawal of hotline %q: %w", b.Hotline, ErrSnapshot)
	}
	v, err := p.verified(h, h.last)
	if err != nil {
		return err
	}
	w, signers, err := trust.VerifyWithdrawal(v.Officers, b.Statement, time.Unix(leaf.T, 0).UTC())
	if err != nil {
		return err
	}
	as := &hotline{id: h.id, verified: v}
	if !bytes.Equal(encode(withdrawLeaf(as, w, signers, b.Statement)), encode(b)) {
		return fmt.Errorf("withdrawal leaf: %w", ErrSnapshot)
	}
	return nil
}

// verified verifies metadata at the time of its leaf, once.
func (p *prover) verified(h *hotline, a accepted) (*trust.Verified, error) {
	as := verifiedAs{h.id, a}
	if v, ok := p.seen[as]; ok {
		return v, nil
	}
	m, err := p.s.archive.get(a.metadata)
	if err != nil {
		return nil, err
	}
	start, err := h.roots.Start(m)
	if err != nil {
		return nil, err
	}
	v, err := trust.Verify(start, trust.HighWater{}, m, time.Unix(a.at, 0).UTC())
	if err != nil {
		return nil, err
	}
	if v.Hotline != h.id || v.Development && !p.s.cluster.Development {
		return nil, fmt.Errorf("metadata of hotline %q: %w", v.Hotline, ErrSnapshot)
	}
	p.seen[as] = v
	return v, nil
}

// finish verifies what is in force at the end and takes over what no leaf says.
func (p *prover) finish(f snapshotFile) error {
	s := p.s
	for _, l := range s.inForce.Lists {
		if err := p.inForce(l); err != nil {
			return fmt.Errorf("list %s: %w", l.List, err)
		}
	}
	for _, h := range s.hotlines {
		if h.last.metadata == ([32]byte{}) {
			continue
		}
		i := slices.IndexFunc(f.High, func(o highOf) bool { return o.Hotline == h.id })
		if i < 0 {
			return fmt.Errorf("hotline %s: no high-water mark: %w", h.id, ErrSnapshot)
		}
		v, err := p.verified(h, h.last)
		if err != nil {
			return fmt.Errorf("hotline %s: %w", h.id, err)
		}
		if err := holds(f.High[i].High, v.High); err != nil {
			return fmt.Errorf("hotline %s: %w", h.id, err)
		}
		own := *v
		own.High = f.High[i].High
		h.high, h.verified = own.High, &own
		if h.metadata, err = s.archive.get(h.last.metadata); err != nil {
			return err
		}
	}
	if f.Time < s.time || f.Refused < p.rejects {
		return fmt.Errorf("time %d, %d refusals: %w", f.Time, f.Refused, ErrSnapshot)
	}
	s.time, s.refused = f.Time, f.Refused
	return nil
}

// inForce checks that a list in force is what its hotline signed.
func (p *prover) inForce(l audit.InForceList) error {
	b, err := p.s.tree.Leaf(l.Leaf)
	if err != nil {
		return err
	}
	leaf, err := audit.DecodeLeaf(b)
	if err != nil {
		return err
	}
	body, err := leaf.Body()
	if err != nil {
		return err
	}
	pub, ok := body.(audit.Publish)
	if !ok {
		return fmt.Errorf("leaf %d publishes nothing: %w", l.Leaf, ErrSnapshot)
	}
	v, err := p.verified(p.s.hotline(pub.Hotline), accepted{pub.Metadata, leaf.T})
	if err != nil {
		return err
	}
	for _, t := range v.Lists {
		if t.List != pub.List {
			continue
		}
		want := audit.NewPublish(v, t, pub.Metadata, pub.Verdicts)
		want.Index, want.PublicProof = pub.Index, pub.PublicProof
		if bytes.Equal(encode(want), encode(pub)) {
			return nil
		}
	}
	return fmt.Errorf("leaf %d is not what the hotline signed: %w", l.Leaf, ErrSnapshot)
}

// holds compares a snapshot's high-water mark with what the metadata itself
// says; marks of lists that are no longer published only restrict.
func holds(stored, signed trust.HighWater) error {
	if audit.VersionsOf(stored) != audit.VersionsOf(signed) {
		return fmt.Errorf("high-water mark: %w", ErrSnapshot)
	}
	for _, m := range signed.Seqs {
		if !slices.Contains(stored.Seqs, m) {
			return fmt.Errorf("high-water mark of list %s: %w", m.List, ErrSnapshot)
		}
	}
	return nil
}
