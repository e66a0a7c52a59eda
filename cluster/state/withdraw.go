package state

import (
	"bytes"
	"cmp"
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
	books := h.books(w.List)
	if owed, ok := books.owes(w.Number); ok && owed.body == unsigned(w) {
		if leaf.Owed { // no news: the threshold alone pays what is owed
			return Result{Duplicate: true}
		}
	} else {
		switch {
		case leaf.Hash == books.hash:
			return Result{Duplicate: true}
		case w.Number <= books.number && s.removes(w) && !s.narrower(leaf):
			return Result{Duplicate: true} // a member or a mirror that lags
		case leaf.Owed && (w.Number <= books.number || w.Number-books.number > books.ahead()):
			return no(ReasonSequence)
		case w.Number <= books.number && !s.adds(t, leaf):
			if s.narrower(leaf) {
				return no(ReasonSequence) // the officers sign it under another number
			}
			return Result{Duplicate: true} // or the log could be filled with what was said before
		case leaf.Owed && len(books.owed) >= maxOwed:
			return no(ReasonLimit)
		}
		if leaf.Owed {
			for _, officer := range leaf.Signers {
				if h.alone[officer].add(t, len(leaf.Entries)).n > maxAlone {
					return no(ReasonLimit)
				}
			}
		}
	}
	if s.crowds(h.id, t, leaf) {
		return no(ReasonLimit)
	}
	res, err := s.append(t, leaf)
	if err != nil {
		return no(leafReason(err))
	}
	return res
}

// keptRemovals is how many removals every hotline has room for, whatever the others have withdrawn: what must not be blocked any more by one
// list is not kept in force by another's officers.
const keptRemovals = 4096

// crowds reports whether a withdrawal would take of the room that is kept for other hotlines.
func (s *State) crowds(id trust.HotlineID, t int64, w audit.Withdraw) bool {
	leaf, err := audit.NewLeaf(s.tree.Size(), t, w)
	if err != nil {
		return false // append says why not
	}
	next, err := s.inForce.Apply(leaf)
	if err != nil || len(next.Removals) <= len(s.inForce.Removals) {
		return false // likewise, or it takes nothing
	}
	taken := make(map[string]int) // by hotline; looked up, never ranged over
	for _, r := range next.Removals {
		taken[r.List.Hotline()]++
	}
	room := audit.MaxRemovals - len(next.Removals)
	for _, h := range s.hotlines {
		if h.id != id {
			room -= max(keptRemovals-taken[string(h.id)], 0)
		}
	}
	return room < 0
}

// removes reports whether all that a withdrawal says is in force as it says it.
func (s *State) removes(w trust.Withdrawal) bool {
	l, ok := s.inForce.List(w.List)
	with, err := s.inForce.With(w)
	return ok && err == nil && l.Seq <= w.SeqTo && len(with.Removals) == len(s.inForce.Removals)
}

// adds reports whether a withdrawal's leaf would take anything out of force that is not taken out already, in any version that can come back.
func (s *State) adds(t int64, w audit.Withdraw) bool {
	leaf, err := audit.NewLeaf(s.tree.Size(), t, w)
	if err != nil {
		return true // append says why not
	}
	next, err := s.inForce.Apply(leaf)
	return err != nil || len(next.Removals) > len(s.inForce.Removals)
}

// narrower reports whether an entry is out of force under the withdrawal's number, and in fewer versions than it says.
func (s *State) narrower(w audit.Withdraw) bool {
	return slices.ContainsFunc(s.inForce.Removals, func(r audit.Removal) bool {
		return r.List == w.List && r.Number == w.Number && r.Kind == match.RemovalWithdraw &&
			(r.From > w.SeqFrom || r.To < w.SeqTo) && slices.Contains(w.Entries, r.Entry)
	})
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

// withdrawals is what is remembered of one list's withdrawals.
type withdrawals struct {
	list   match.ListID
	number uint64   // of the last one
	hash   [32]byte // of its statement
	at     int64    // time of its leaf
	owed   []owed   // by number; at most maxOwed
}

// owed is a withdrawal that lacks signatures.
type owed struct {
	number  uint64
	body    [32]byte // of the statement without its signatures
	to      uint64   // last version it speaks of
	entries int
	signers []string
	at      int64 // time of its leaf
}

// maxOwed bounds the withdrawals of a list that wait for a second signature.
// Beyond it one officer alone is refused; the threshold never is.
const maxOwed = 256

// One officer's word leaves out few numbers: a higher one would use up those of the officers' next statements. A cluster that comes late
// meets a hotline whose first ones have expired, as many as a control node reads at once.
const (
	maxAhead      = 64
	maxAheadFirst = 1000
)

// ahead is how far beyond the last number one officer's may be.
func (b withdrawals) ahead() uint64 {
	if b.number == 0 {
		return maxAheadFirst
	}
	return maxAhead
}

// books are the withdrawals of a list; empty ones for a list that had none.
func (h *hotline) books(list match.ListID) withdrawals {
	if i, ok := h.findBooks(list); ok {
		return h.withdrawals[i]
	}
	return withdrawals{list: list}
}

func (h *hotline) findBooks(list match.ListID) (int, bool) {
	return slices.BinarySearchFunc(h.withdrawals, list, func(b withdrawals, l match.ListID) int { return compareList(b.list, l) })
}

func (b withdrawals) owes(number uint64) (owed, bool) {
	i, ok := b.findOwed(number)
	if !ok {
		return owed{}, false
	}
	return b.owed[i], true
}

func (b withdrawals) findOwed(number uint64) (int, bool) {
	return slices.BinarySearchFunc(b.owed, number, func(o owed, n uint64) int { return cmp.Compare(o.number, n) })
}

// enterWithdraw keeps the books of withdrawals and the officers' daily counts.
// Two signatures at once, or the second one later, count for no officer alone.
func (h *hotline) enterWithdraw(t int64, w audit.Withdraw) {
	i, known := h.findBooks(w.List)
	if !known {
		h.withdrawals = slices.Insert(h.withdrawals, i, withdrawals{list: w.List})
	}
	b := &h.withdrawals[i]
	if w.Number > b.number {
		b.number, b.hash, b.at = w.Number, w.Hash, t
	} else if w.Number == b.number {
		b.hash = w.Hash
	}
	var body [32]byte
	if claimed, err := trust.DecodeWithdrawal(w.Statement); err == nil { // it was verified before
		body = unsigned(claimed)
	}
	if j, ok := b.findOwed(w.Number); ok && b.owed[j].body == body {
		h.paid(b.owed[j], t)
		b.owed = slices.Delete(slices.Clone(b.owed), j, j+1)
	}
	if !w.Owed {
		return
	}
	o := owed{number: w.Number, to: w.SeqTo, entries: len(w.Entries), signers: w.Signers, at: t, body: body}
	b.owed = append(slices.Clip(b.owed), o) // numbers rise
	for _, officer := range w.Signers {
		h.alone[officer] = h.alone[officer].add(t, len(w.Entries))
	}
}

// paid takes a withdrawal out of its officers' counts of the day, if that is
// still the day on which they signed it alone.
func (h *hotline) paid(o owed, t int64) {
	for _, officer := range o.signers {
		if y := h.alone[officer]; y.day == o.at/day {
			y.n -= o.entries
			h.alone[officer] = y
		}
	}
}

// settle ends what is owed on versions before this one: the threshold has
// signed the list anew, and with it what became of the entries.
func (h *hotline) settle(list match.ListID, seq uint64) {
	if i, ok := h.findBooks(list); ok {
		b := &h.withdrawals[i]
		b.owed = slices.DeleteFunc(slices.Clone(b.owed), func(o owed) bool { return o.to < seq })
	}
}

// unsigned names what a statement says, whoever signed it.
func unsigned(w trust.Withdrawal) [32]byte { return sha256.Sum256(encode(w)) }
