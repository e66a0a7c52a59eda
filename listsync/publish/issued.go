package publish

import (
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Issued is what a hotline has given out, for holding what operators say against it.
type Issued struct {
	List        match.ListID
	Seq         uint64 // the newest version; 0 for none
	Published   time.Time
	Edge        map[uint64][32]byte // SHA-256 of the edge list, by version
	Withdrawals []IssuedWithdrawal  // oldest first
	Operators   []Operator
}

// IssuedWithdrawal is a withdrawal that some version in use may still have the entries of.
type IssuedWithdrawal struct {
	Number  uint64
	SeqTo   uint64   // later versions are without its entries
	ID      [32]byte // trust.StatementID
	Entries int
	Issued  time.Time
}

// Issued reads what has been given out.
func (h *Hotline) Issued() (*Issued, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	if _, err := s.accredited(); err != nil {
		return nil, err
	}
	out := &Issued{List: s.set.List, Seq: s.st.Seq, Edge: map[uint64][32]byte{}}
	for m, err := range s.versions(s.st.Seq) {
		if err != nil {
			return nil, err
		}
		seq := m.Seq
		f, err := m.Edge.file()
		if err != nil {
			return nil, fault(CodeInput, err, "put the file back from your backup", "cannot use %s", s.versionPath(seq, "json"))
		}
		if out.Edge[seq] = f.SHA256; seq == s.st.Seq {
			out.Published = time.Unix(m.Published, 0).UTC()
		}
	}
	all, err := s.statements()
	if err != nil {
		return nil, err
	}
	for _, st := range all {
		id, err := trust.StatementID(st.raw)
		if err != nil {
			return nil, fault(CodeInput, err, "put the file back from the repository", "cannot use %s", s.statementPath(st.Number))
		}
		out.Withdrawals = append(out.Withdrawals, IssuedWithdrawal{Number: st.Number, SeqTo: st.SeqTo, ID: id, Entries: len(st.Entries), Issued: time.Unix(st.Issued, 0).UTC()})
	}
	out.Operators, err = s.operators()
	return out, err
}
