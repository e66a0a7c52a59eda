package state

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/listsync/trust"
)

// Reasons about logs with two histories.
const (
	// ReasonFork: evidence of a fork that is none, or not of the log in the hotline's charter.
	ReasonFork = "fork"
	// ReasonForked: a version proved by a log that has signed two histories.
	ReasonForked = "forked_log"
)

// fork puts on record that a hotline's public log has signed two histories. The log's own signatures
// prove it: who brings it does not matter. The fork of a log is recorded once.
func (s *State) fork(t int64, c command.Fork) Result {
	leaf := audit.Fork{
		Hotline: trust.HotlineID(c.Hotline), Log: c.Log, First: bytes.Clone(c.First), Second: bytes.Clone(c.Second), Node: c.Node,
	}
	object := sha256.Sum256(slices.Concat(c.First, c.Second))
	no := func() Result {
		return s.reject(t, audit.Reject{Hotline: leaf.Hotline, Object: object, Stage: "apply", Reason: ReasonFork})
	}
	h := s.hotline(leaf.Hotline)
	switch {
	case h == nil || h.verified == nil:
		return s.reject(t, audit.Reject{Object: object, Stage: "apply", Reason: ReasonUnknownHotline})
	case h.hasForked(c.Log):
		return Result{Duplicate: true}
	case h.verified.Charter.Log != c.Log || leaf.Check() != nil:
		return no()
	}
	res, err := s.append(t, leaf)
	if err != nil {
		return no()
	}
	return res
}

// hasForked reports whether this log has signed two histories.
func (h *hotline) hasForked(log string) bool { return slices.Contains(h.forked, log) }

// closed reports whether versions under a charter that names this log, or none, are no longer taken.
func (h *hotline) closed(log string) bool {
	return h.hasForked(log) || log == "" && len(h.forked) > 0
}

// enterFork keeps what the leaf says.
func (h *hotline) enterFork(f audit.Fork) {
	h.forked = append(slices.Clone(h.forked), f.Log) // views hold the one before
}

// fork holds the leaf of a fork in a snapshot to the charter of its time; its evidence is part of its form.
func (p *prover) fork(b audit.Fork) error {
	h := p.s.hotline(b.Hotline)
	if h == nil || h.last.metadata == ([32]byte{}) || h.hasForked(b.Log) {
		return fmt.Errorf("fork of hotline %q: %w", b.Hotline, ErrSnapshot)
	}
	v, err := p.verified(h, h.last)
	if err != nil {
		return err
	}
	if v.Charter.Log != b.Log {
		return fmt.Errorf("fork of a log that is not hotline %s's: %w", b.Hotline, ErrSnapshot)
	}
	return nil
}
