package state

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// withdraw takes entries out of force on the word of the hotline's officers,
// as the newest accepted metadata names them. Verifying needs no file.
func (s *State) withdraw(t int64, c command.Withdraw) Result {
	refuse := audit.Reject{Object: sha256.Sum256(c.Statement), Stage: "apply"}
	no := func(reason string) Result {
		refuse.Reason = reason
		return s.reject(t, refuse)
	}
	h, w, signers, err := s.statement(c.Statement, t)
	if h != nil {
		refuse.Hotline = h.id
	}
	switch {
	case err != nil:
		return no(trust.Reason(err))
	case h == nil:
		return no(ReasonUnknownHotline)
	}
	refuse.List = w.List
	leaf := withdrawLeaf(h, w, signers, c.Statement)
	body := unsigned(w)
	if i := slices.IndexFunc(h.marks, func(m mark) bool { return m.list == w.List }); i >= 0 {
		last := h.marks[i]
		switch {
		case leaf.Hash == last.hash:
			return Result{Duplicate: true}
		case w.Number == last.number && body == last.body && last.owed && !leaf.Owed:
			// the second signature that was owed
		case w.Number <= last.number:
			return no(ReasonSequence)
		}
	}
	if leaf.Owed {
		for _, officer := range leaf.Signers {
			if h.alone[officer].add(t, len(leaf.Entries)).n > maxAlone {
				return no(ReasonLimit)
			}
		}
	}
	res, err := s.append(t, leaf)
	if err != nil {
		return no(leafReason(err))
	}
	return res
}

// statement finds the hotline that a statement speaks of and verifies it with
// that hotline's officers; a hotline without accepted metadata has none yet.
func (s *State) statement(raw []byte, t int64) (*hotline, trust.Withdrawal, []string, error) {
	claimed, err := trust.DecodeWithdrawal(raw)
	if err != nil {
		return nil, trust.Withdrawal{}, nil, err
	}
	h := s.hotline(trust.HotlineID(claimed.List.Hotline()))
	if h == nil || h.verified == nil {
		return nil, trust.Withdrawal{}, nil, nil
	}
	w, signers, err := trust.VerifyWithdrawal(h.verified.Officers, raw, time.Unix(t, 0).UTC())
	return h, w, signers, err
}

func withdrawLeaf(h *hotline, w trust.Withdrawal, signers []string, raw []byte) audit.Withdraw {
	entries := slices.Clone(w.Entries)
	slices.SortFunc(entries, func(a, b match.EntryID) int { return bytes.Compare(a[:], b[:]) })
	signers = slices.Clone(signers)
	slices.Sort(signers)
	return audit.Withdraw{
		Hotline: h.id, List: w.List, Entries: slices.Compact(entries), Number: w.Number,
		SeqFrom: w.SeqFrom, SeqTo: w.SeqTo, Hash: sha256.Sum256(raw), Signers: signers,
		Owed: len(signers) < h.verified.Officers.Threshold, Statement: bytes.Clone(raw),
	}
}

// enterWithdraw keeps the marks and the officers' daily counts.
func (h *hotline) enterWithdraw(t int64, w audit.Withdraw) {
	m := mark{list: w.List, number: w.Number, hash: w.Hash, owed: w.Owed, at: t}
	if claimed, err := trust.DecodeWithdrawal(w.Statement); err == nil { // it was verified before
		m.body = unsigned(claimed)
	}
	i, ok := slices.BinarySearchFunc(h.marks, w.List, func(m mark, l match.ListID) int { return compareList(m.list, l) })
	if ok {
		h.marks[i] = m
	} else {
		h.marks = slices.Insert(h.marks, i, m)
	}
	if !w.Owed {
		return
	}
	for _, officer := range w.Signers {
		h.alone[officer] = h.alone[officer].add(t, len(w.Entries))
	}
}

// unsigned names what a statement says, whoever signed it.
func unsigned(w trust.Withdrawal) [32]byte { return sha256.Sum256(encode(w)) }
