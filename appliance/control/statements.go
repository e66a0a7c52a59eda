package control

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// statements are the withdrawals that this control node has seen and that the officers' threshold has signed: polled, posted by the
// hotline, or in the end of the log that no quorum has cosigned yet. While nothing can be agreed, edges take them from here. They are as
// public as the hotline's repository. What is not complete is passed on to the cluster and not kept.
type statements struct {
	node  *cluster.Node
	look  func(h trust.HotlineID) // asks a hotline's repository at once
	clock func() time.Time
	log   *slog.Logger

	mu   sync.Mutex // guards kept, size
	kept map[[32]byte]statement
	size int
}

type statement struct {
	raw     []byte
	expires int64
}

// maxStatementBytes bounds what is kept and handed out, as api.MaxStatements does: when one is reached, what expires first goes.
const maxStatementBytes = 4 << 20

func newStatements(node *cluster.Node, look func(trust.HotlineID), clock func() time.Time, log *slog.Logger) *statements {
	return &statements{node: node, look: look, clock: clock, log: log, kept: map[[32]byte]statement{}}
}

// verify holds a statement to the officers whom the newest accepted metadata names.
func (s *statements) verify(raw []byte) (w trust.Withdrawal, complete bool, err error) {
	claimed, err := trust.DecodeWithdrawal(raw)
	if err != nil {
		return w, false, err
	}
	h, ok := s.node.View().Hotline(trust.HotlineID(claimed.List.Hotline()))
	if !ok || h.Verified == nil {
		return w, false, errNoOfficers
	}
	w, signers, err := trust.VerifyWithdrawal(h.Verified.Officers, raw, s.clock())
	return w, err == nil && h.Verified.Officers.Complete(signers), err
}

var errNoOfficers = errors.New("this cluster has accepted nothing of that hotline")

// seen keeps a statement when it is complete. It may be called again and again with the same.
func (s *statements) seen(raw []byte) {
	id, err := trust.StatementID(raw)
	if err != nil {
		return
	}
	s.mu.Lock()
	known := bytes.Equal(s.kept[id].raw, raw)
	s.mu.Unlock()
	if known {
		return
	}
	if w, complete, err := s.verify(raw); err == nil && complete {
		s.keep(id, raw, w.Expires)
	}
}

func (s *statements) keep(id [32]byte, raw []byte, expires int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size += len(raw) - len(s.kept[id].raw)
	s.kept[id] = statement{bytes.Clone(raw), expires}
	now := s.clock().Unix()
	for id, k := range s.kept {
		if k.expires <= now {
			s.drop(id)
		}
	}
	for len(s.kept) > api.MaxStatements || s.size > maxStatementBytes {
		first := id
		for other, k := range s.kept {
			if k.expires < s.kept[first].expires {
				first = other
			}
		}
		s.drop(first)
	}
}

// drop is for keep.
func (s *statements) drop(id [32]byte) {
	s.size -= len(s.kept[id].raw)
	delete(s.kept, id)
}

// All are the statements that an edge may take, in no order that means anything.
func (s *statements) All() [][]byte {
	now := s.clock().Unix()
	out := s.uncosigned(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.kept {
		if k.expires > now {
			out = append(out, k.raw)
		}
	}
	slices.SortFunc(out, bytes.Compare)
	return slices.CompactFunc(out, bytes.Equal)
}

// maxUncosigned bounds how far back from the log's end uncosigned looks.
const maxUncosigned = 1024

// uncosigned are withdrawals in the log that no cosigned checkpoint proves to an edge: the quorum was lost right after.
func (s *statements) uncosigned(now int64) [][]byte {
	view := s.node.View()
	from := max(s.node.Status().CheckpointSize, view.Size-min(view.Size, maxUncosigned))
	var out [][]byte
	for n := from; n < view.Size; n++ {
		b, err := view.Tree().Leaf(n)
		if err != nil {
			return out
		}
		leaf, err := audit.DecodeLeaf(b)
		if err != nil || leaf.K != audit.KindWithdraw {
			continue
		}
		if body, err := leaf.Body(); err == nil {
			if w, ok := body.(audit.Withdraw); ok && !w.Owed {
				if said, err := trust.DecodeWithdrawal(w.Statement); err == nil && said.Expires > now {
					out = append(out, w.Statement)
				}
			}
		}
	}
	return out
}

// Take is for a statement that somebody has posted. Nothing is done with one that does not verify (api.ErrStatement). One that follows the
// last accepted one, or is owed a signature, is proposed at once; what lies between is read from the hotline's repository first.
func (s *statements) Take(ctx context.Context, raw []byte) (api.Taken, error) {
	w, complete, err := s.verify(raw)
	if err != nil {
		return api.Taken{}, errors.Join(api.ErrStatement, err)
	}
	s.seen(raw)
	taken := api.Taken{List: w.List, Number: w.Number, Complete: complete}
	last, owed := uint64(0), false
	if h, ok := s.node.View().Hotline(trust.HotlineID(w.List.Hotline())); ok {
		for _, m := range h.Withdrawals {
			if m.List == w.List {
				last = m.Number
				owed = slices.ContainsFunc(m.Owed, func(o state.Owed) bool { return o.Number == w.Number })
			}
		}
	}
	switch {
	case w.Number <= last && !(complete && (owed || s.adds(w))):
		taken.State = api.TakenKnown
		return taken, nil
	case w.Number > last+1:
		s.look(trust.HotlineID(w.List.Hotline()))
		taken.State = api.TakenLater
		return taken, nil
	case s.node.Status().Leader == "": // whoever posted need not wait for what the next look at the repository tries anyway
		taken.State = api.TakenKept
		return taken, nil
	}
	switch err := s.node.Withdraw(ctx, raw); {
	case err == nil:
		taken.State = api.TakenAgreed
		s.log.InfoContext(ctx, "posted withdrawal agreed", slog.Any("list", w.List), slog.Uint64("number", w.Number))
	case errors.Is(err, cluster.ErrRefused):
		return taken, err
	default:
		taken.State = api.TakenKept
		s.log.WarnContext(ctx, "posted withdrawal not agreed yet", slog.Any("list", w.List), slog.Uint64("number", w.Number), slog.Any("error", err))
	}
	return taken, nil
}

// adds reports whether a withdrawal would take out of force what is in force now.
func (s *statements) adds(w trust.Withdrawal) bool {
	now := s.node.View().InForce
	with, err := now.With(w)
	return err == nil && len(with.Removals) > len(now.Removals)
}

// expect is what an edge must sign (api.Expected): computed from the files as an auditor would, with the withdrawals it names on top.
func (c *Control) expect(inForce [32]byte, direct [][32]byte) (match.StateID, bool) {
	if len(direct) == 0 {
		return c.expected.stateOf(inForce)
	}
	f := c.node.View().InForce
	if f.Hash() != inForce {
		return match.StateID{}, false
	}
	for _, id := range direct {
		w, ok := c.statements.withdrawal(id)
		if !ok {
			return match.StateID{}, false
		}
		with, err := f.With(w)
		if err != nil {
			return match.StateID{}, false
		}
		f = with
	}
	return c.expected.stateWith(f)
}

func (s *statements) withdrawal(id [32]byte) (trust.Withdrawal, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.kept[id]
	if !ok {
		return trust.Withdrawal{}, false
	}
	w, err := trust.DecodeWithdrawal(k.raw) // verified before it was kept
	return w, err == nil
}
