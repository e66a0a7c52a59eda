package state

import (
	"errors"
	"fmt"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/trust"
)

// Reasons about a hotline's public log: trust.Reason has public_log and split_view.
const (
	// ReasonStale: the proof goes on from another head than the last accepted one, because another
	// version was accepted meanwhile. Nothing is decided and nothing logged; a new proof can be made.
	ReasonStale = "stale"
)

// CheckPublicLog says whether a version would be accepted as far as its hotline's public log goes:
// nil, an error of publiclog.ErrProof, or one of publiclog.ErrStale that a new proof mends.
func (v *View) CheckPublicLog(m trust.Metadata, charter trust.Charter, t trust.ListTarget, proof []byte) error {
	h, _ := v.Hotline(charter.Hotline)
	_, err := publicLog(v.Cluster, charter.Log, h.PublicLog, m, t, proof)
	return err
}

// publicLog verifies the proof of a version under its charter, after the head that was accepted
// before. A charter without a log takes no proof and leaves the head.
func publicLog(c *audit.Cluster, log string, before publiclog.Head, m trust.Metadata, t trust.ListTarget, proof []byte) (publiclog.Head, error) {
	if log == "" {
		if len(proof) > 0 {
			return before, fmt.Errorf("%w: the charter names no log", publiclog.ErrProof)
		}
		return before, nil
	}
	if len(proof) == 0 {
		return before, fmt.Errorf("%w: there is none", publiclog.ErrProof)
	}
	p, err := publiclog.DecodeProof(proof)
	if err != nil {
		return before, fmt.Errorf("%w: %w", publiclog.ErrProof, err)
	}
	leaf, err := publiclog.LeafOf(m.List, t)
	if err != nil {
		return before, fmt.Errorf("%w: %w", publiclog.ErrProof, err)
	}
	v, err := p.Verify(publiclog.Expect{Leaf: leaf, Log: log, Before: before, Policy: c.LogPolicy()})
	if err != nil {
		return before, err
	}
	return v.Head, nil
}

// notLogged is the result for a version whose proof is not accepted.
func (s *State) notLogged(t int64, err error, refuse audit.Reject) Result {
	if errors.Is(err, publiclog.ErrStale) {
		return Result{Err: &Refusal{Reason: ReasonStale, Detail: "another version of this hotline was accepted meanwhile"}}
	}
	refuse.Reason = trust.Reason(publiclog.ErrProof)
	return s.reject(t, refuse)
}

// enterPublicLog keeps the head that a version's proof has shown.
func (h *hotline) enterPublicLog(p audit.Publish) error {
	if len(p.PublicProof) == 0 {
		return nil
	}
	v, err := publiclog.HeadOf(p.PublicProof)
	if err != nil {
		return fmt.Errorf("public log of hotline %s: %w", p.Hotline, err)
	}
	h.publicLog = v.Head
	return nil
}

// publicLog verifies the proof in a snapshot's publish leaf again: what the version is, its metadata
// says, which is filed under the hash in the leaf.
func (p *prover) publicLog(b audit.Publish) error {
	h := p.s.hotline(b.Hotline)
	m, err := p.s.archive.get(b.Metadata)
	if err != nil {
		return err
	}
	charter, err := trust.ParseCharter(m.Charter)
	if err != nil {
		return err
	}
	if h.closed(charter.Log) {
		return fmt.Errorf("version from a log that has signed two histories: %w", ErrSnapshot)
	}
	spec, err := trust.ReadList(m.List, b.Hotline)
	if err != nil {
		return err
	}
	for _, t := range spec.Lists {
		if t.List == b.List && t.Seq == b.Seq {
			_, err := publicLog(&p.s.cluster, charter.Log, h.publicLog, m, t, b.PublicProof)
			return err
		}
	}
	return fmt.Errorf("its metadata has no list %s sequence %d: %w", b.List, b.Seq, ErrSnapshot)
}
