package publish

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/match"
)

// What was done before: an entry withdrawn a second time, a statement signed twice by one officer, an address that comes back.

// maxNamed bounds what a message lists one by one.
const maxNamed = 10

// notTwice refuses to withdraw entries again that a statement in force has withdrawn: it reaches up to the published version, so
// operators have them out already. An entry of a later version is another matter.
func (s *session) notTwice(gone []list.Entry, issued []statement) error {
	named := make(map[match.EntryID]bool, len(gone))
	for i := range gone {
		named[gone[i].ID] = true
	}
	by := map[match.EntryID]*statement{}
	for i := range issued {
		st := &issued[i]
		if st.SeqTo < s.st.Seq || len(st.signers) == 0 { // without a signature that counts, operators have refused it
			continue
		}
		for _, id := range st.Entries {
			if named[id] {
				by[id] = st
			}
		}
	}
	if len(by) == 0 {
		return nil
	}
	var names, do []string
	told := map[uint64]bool{}
	twice := map[entryKey]bool{}
	for i := range gone {
		st := by[gone[i].ID]
		if st == nil {
			continue
		}
		twice[keyOf(&gone[i])] = true
		if len(names) < maxNamed {
			names = append(names, fmt.Sprintf("%s %s by number %d", gone[i].Kind, gone[i].Expression, st.Number))
		}
		if told[st.Number] || len(told) == maxNamed {
			continue
		}
		told[st.Number] = true
		d, err := s.describe(st.raw)
		if err != nil {
			return err
		}
		if d.Owed > 0 {
			do = append(do, fmt.Sprintf("withdrawal %d lacks a second signature: %s signs it with countersign --dir %s --officer THEIR_DIR %d", d.Number, oneOf(d.Missing, d.Owed), s.dir, d.Number))
		}
	}
	if more := len(by) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	again, err := s.pick(func(e *list.Entry) bool { return twice[keyOf(e)] })
	switch {
	case err != nil: // withdrawals go on without the working set
	case len(again) > 0:
		do = append(do, "it was imported again since: take it out with remove --reason REASON, or the next version has it")
	}
	if len(by) < len(gone) {
		do = append(do, "to withdraw the others, name them alone")
	}
	if len(do) == 0 {
		do = []string{"nothing more is needed; sign and publish the next version, which is without it"}
	}
	return sentence(CodeInput, errTwice, strings.Join(do, "; "), "nothing is signed: already withdrawn: %s", strings.Join(names, ", "))
}

// errTwice: what was to be signed has been signed before.
var errTwice = errors.New("done before")

// notAgain refuses an officer's second signature on the same statement, which would count no more than the first, and one on a
// statement that is settled.
func (s *session) notAgain(raw []byte, number uint64, key signingKey) error {
	st, err := s.readStatement(raw)
	if err != nil {
		return fault(CodeInput, err, "put the file back from the repository", "cannot use %s", s.statementPath(number))
	}
	d, err := s.describe(raw)
	if err != nil {
		return err
	}
	if d.Settled > 0 {
		return sentence(CodeInput, errTwice, "nothing more is needed", "withdrawal %d is settled: version %d, which the threshold of officers has signed since, took its place", number, d.Settled)
	}
	if !slices.Contains(st.signers, key.KeyID) {
		return nil
	}
	do := "nothing more is needed: it has the signatures of " + strings.Join(d.SignedBy, " and ")
	if d.Owed > 0 {
		do = fmt.Sprintf("the second signature is another officer's: %s", oneOf(d.Missing, d.Owed))
	}
	return sentence(CodeInput, errTwice, do, "%s has signed withdrawal %d already", key.Name, number)
}
