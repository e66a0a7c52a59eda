package audit

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/listsync/trust"
)

// Removals without the log. When a cluster has lost its quorum nothing new enters its log, and an edge takes withdrawals that the
// hotline's officers have signed with their threshold from whoever has them. They remove and can do nothing else. The edge names them in
// its receipts, so that what it serves can be recomputed, and lets them go when the log has them.

// MaxDirect bounds the withdrawals beyond the log that an edge keeps, and that a receipt names.
const MaxDirect = 32

// With is what would be in force if the log had this withdrawal too; the same when it has it, or when the list's version in force is
// newer than all it speaks of. It verifies no signature. ErrTooLarge when there would be too many removals.
func (f InForce) With(w trust.Withdrawal) (InForce, error) {
	if l, ok := f.List(w.List); ok && l.Seq > w.SeqTo {
		return f, nil
	}
	next, err := f.withdraw(Withdraw{List: w.List, Entries: w.Entries, Number: w.Number, SeqFrom: w.SeqFrom, SeqTo: w.SeqTo})
	if err != nil {
		return f, fmt.Errorf("withdrawal %d of list %s: %w", w.Number, w.List, err)
	}
	if len(next.Removals) == len(f.Removals) {
		return f, nil
	}
	return next, nil
}

// checkDirect holds the statements that a receipt names to their form: ascending, none twice, none in a receipt of version 1.
func (r Receipt) checkDirect() error {
	ordered := slices.IsSortedFunc(r.Direct, compareHash) && len(slices.Compact(slices.Clone(r.Direct))) == len(r.Direct)
	if len(r.Direct) > MaxDirect || !ordered || r.V != r.version() {
		return fmt.Errorf("receipt: withdrawals beyond the log: %w", ErrFormat)
	}
	return nil
}

func compareHash(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) }

// stated is a withdrawal that the auditor knows, by trust.StatementID.
type stated struct {
	ID       [32]byte
	W        trust.Withdrawal
	Complete bool // signed by the officers' threshold
}

// know remembers a withdrawal that verified.
func (v *verifier) know(statement []byte, w trust.Withdrawal, complete bool) {
	id, err := trust.StatementID(statement)
	if err != nil {
		return // it verified before
	}
	i, ok := v.h.statement(id)
	if !ok {
		v.h.Statements = slices.Insert(v.h.Statements, i, stated{ID: id, W: w})
	}
	v.h.Statements[i].Complete = v.h.Statements[i].Complete || complete
}

// knowGiven takes in statements that came beside the bundle: those that an edge took from a hotline and that no quorum could record.
func (v *verifier) knowGiven() {
	for i, raw := range v.o.Statements {
		said, err := trust.DecodeWithdrawal(raw)
		if err != nil {
			v.note("statement %d that came beside the bundle: %v", i+1, err)
			continue
		}
		h := v.h.hotline(trust.HotlineID(said.List.Hotline()))
		if h == nil || h.Officers.Threshold == 0 {
			v.note("statement %d that came beside the bundle is of hotline %s, whose officers the log does not name", i+1, said.List.Hotline())
			continue
		}
		said, signers, err := trust.VerifyStatement(h.Officers, raw)
		if err != nil {
			v.note("statement %d that came beside the bundle: %v", i+1, err)
			continue
		}
		v.know(raw, said, h.Officers.Complete(signers))
	}
}

// direct is what an edge serves that runs f and the withdrawals its receipt names.
func (v *verifier) direct(f InForce, named [][32]byte) (InForce, error) {
	for _, id := range named {
		i, ok := v.h.statement(id)
		if !ok {
			return f, fmt.Errorf("it removes what a withdrawal %x says, which the log does not have (if the hotline published it, give it with --statement)", id[:8])
		}
		s := v.h.Statements[i]
		if !s.Complete {
			return f, fmt.Errorf("it removes what withdrawal %d of list %s says without the log, and that lacks the officers' threshold", s.W.Number, s.W.List)
		}
		next, err := f.With(s.W)
		if err != nil {
			return f, err
		}
		f = next
	}
	return f, nil
}
