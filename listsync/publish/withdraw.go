package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Withdrawn says what an urgent withdrawal has done, or that a second officer has signed it.
type Withdrawn struct {
	Number   uint64    `json:"number"`
	File     string    `json:"file"`
	Entries  []Removed `json:"entries"`
	SignedBy []string  `json:"signed_by"`
	Owed     int       `json:"owed"`               // signatures that are still owed
	OwedBy   time.Time `json:"owed_by,omitzero"`   // until when
	Expires  time.Time `json:"expires"`            // until when operators may take it in
	Missing  []string  `json:"missing,omitempty"`  // who can still sign
	LateFor  string    `json:"late_for,omitempty"` // how long the second signature is overdue
	Issued   time.Time `json:"issued"`
	Reason   string    `json:"reason"`
	Settled  uint64    `json:"settled_by,omitempty"` // the version, signed by the threshold, that has ended what was owed
	Note     string    `json:"note,omitempty"`       // what is left to do
	Posted   []Posted  `json:"posted,omitempty"`     // what operators answered, when they were asked
}

// statement is a withdrawal of this hotline's own records: withdrawals/N.cbor.
type statement struct {
	raw []byte
	trust.Withdrawal
	signers []string
}

// Withdraw takes published entries out of force at once: it signs a statement with the next number, takes the entries out of the
// working set and puts the statement into the repository, where operators find it within seconds. One officer may withdraw up to 20
// entries in a day and then owes a second signature within 24 hours (Countersign); the threshold may withdraw any number. which names
// entries by id or expression; they must be published. One that is withdrawn already is refused, and nothing is written.
func (h *Hotline) Withdraw(officers []string, reason string, which ...string) (*Withdrawn, error) {
	if err := checkReason(reason); err != nil {
		return nil, err
	}
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	keys, err := s.officerKeys(officers)
	if err != nil {
		return nil, err
	}
	if s.st.Seq == 0 {
		return nil, sentence(CodeInput, nil, "take the entry out with remove --reason REASON", "nothing is published yet, so nothing can be withdrawn")
	}
	public, err := s.openRecord(nil)
	if err != nil {
		return nil, err
	}
	defer public.close()
	gone, err := s.find(public.next, which)
	if err != nil {
		if f, ok := errors.AsType[*Fault](err); ok && errors.Is(err, errNoEntry) {
			f.What += " in the published version " + strconv.FormatUint(s.st.Seq, 10)
			f.Do += "; an entry that is not published yet is taken out with remove --reason REASON"
		}
		return nil, err
	}
	issued, err := s.statements()
	if err != nil {
		return nil, err
	}
	if err := s.notTwice(gone, issued); err != nil {
		return nil, err
	}
	if err := s.mayWithdraw(keys, len(gone), issued); err != nil {
		return nil, err
	}
	w := trust.Withdrawal{
		List: s.set.List, SeqFrom: 1, SeqTo: s.st.Seq, Number: uint64(len(issued)) + 1, Issued: s.now.Unix(), Expires: s.now.Add(withdrawalAge).Unix(), Reason: reason,
	}
	for i := range gone {
		w.Entries = append(w.Entries, gone[i].ID)
	}
	raw, err := trust.SignWithdrawal(w, keys[0].private)
	for _, k := range keys[1:] {
		if err == nil {
			raw, err = trust.CosignWithdrawal(raw, k.private)
		}
	}
	if errors.Is(err, ErrToken) {
		return nil, unsigned(err, "cannot sign the withdrawal")
	}
	if err != nil {
		return nil, fault(CodeFailure, err, "name fewer entries at once", "cannot sign the withdrawal")
	}
	if to := s.repository(filepath.FromSlash(trust.WithdrawalName(s.set.List, w.Number))); exists(to) {
		return nil, sentence(CodeInput, nil, "restore the newest backup of the directory, or copy the missing statements from there to "+s.path("withdrawals"),
			"the repository has a withdrawal %d that this directory does not know (%s)", w.Number, to)
	}
	if err := os.MkdirAll(s.path("withdrawals"), 0o700); err != nil {
		return nil, fault(CodeFailure, err, "check the disk", "cannot make %s", s.path("withdrawals"))
	}
	// The own copy comes first: from here on a crash leaves a withdrawal that the next command finishes.
	if err := writeFile(s.statementPath(w.Number), raw, 0o600); err != nil {
		return nil, fault(CodeFailure, err, "check the disk", "cannot write %s", s.statementPath(w.Number))
	}
	if err := s.carryOut(w.Number, raw); err != nil {
		return nil, err
	}
	done, err := s.describe(raw)
	if err != nil {
		return nil, err
	}
	for i := range gone {
		done.Entries = append(done.Entries, Removed{ID: gone[i].ID, Kind: gone[i].Kind.String(), Expression: gone[i].Expression})
	}
	return done, nil
}

// Countersign adds an officer's signature to a withdrawal whose second one is owed; an officer who has signed it already is refused, and
// so is a statement on versions that a newer one has replaced: the threshold has signed that one. The statement's body keeps every byte;
// the file in the repository is replaced by rename, so that a reader gets the old statement or the new one. Operators look again at every
// number that is owed.
func (h *Hotline) Countersign(officer string, number uint64) (*Withdrawn, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	keys, err := s.officerKeys([]string{officer})
	if err != nil {
		return nil, err
	}
	raw, err := readSmall(s.statementPath(number))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, sentence(CodeInput, nil, "see status for the numbers", "there is no withdrawal %d", number)
	}
	if err == nil {
		if err := s.notAgain(raw, number, keys[0]); err != nil {
			return nil, err
		}
		raw, err = trust.CosignWithdrawal(raw, keys[0].private)
	}
	if errors.Is(err, ErrToken) {
		return nil, unsigned(err, "cannot sign withdrawal %d", number)
	}
	if err != nil {
		return nil, fault(CodeInput, err, "see status for the numbers", "cannot sign withdrawal %d", number)
	}
	if err := writeFile(s.statementPath(number), raw, 0o600); err != nil {
		return nil, fault(CodeFailure, err, "check the disk", "cannot write %s", s.statementPath(number))
	}
	if err := s.placeStatement(number, raw); err != nil {
		return nil, err
	}
	return s.describe(raw)
}

func (s *session) officerKeys(dirs []string) ([]signingKey, error) {
	if len(dirs) == 0 {
		return nil, sentence(CodeUsage, nil, "name an officer's key directory with --officer", "nobody signs")
	}
	var keys []signingKey
	for _, dir := range dirs {
		k, err := s.officer(dir)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(keys, func(o signingKey) bool { return o.KeyID == k.KeyID }) {
			return nil, sentence(CodeUsage, nil, "name two different people", "officer %s is named twice", k.Name)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// mayWithdraw holds one officer alone to 20 entries in 24 hours.
func (s *session) mayWithdraw(keys []signingKey, n int, issued []statement) error {
	threshold := max(s.acc.officers.Threshold, minThreshold)
	if len(keys) >= threshold {
		return nil
	}
	names := func() (all []string) {
		for _, k := range keys {
			all = append(all, k.Name)
		}
		return all
	}()
	today := 0
	for _, st := range issued {
		if len(st.signers) < threshold && slices.Contains(st.signers, keys[0].KeyID) && s.now.Sub(time.Unix(st.Issued, 0)) < 24*time.Hour {
			today += len(st.Entries)
		}
	}
	if today+n <= dailyWithdrawals {
		return nil
	}
	return sentence(CodeHeld, ErrHeld, fmt.Sprintf("name %d officers with --officer, once each", threshold),
		"%s alone may withdraw %d entries in 24 hours; %d are withdrawn already and %d are named now", strings.Join(names, " and "), dailyWithdrawals, today, n)
}

func (s *session) statementPath(number uint64) string {
	return s.path("withdrawals", strconv.FormatUint(number, 10)+".cbor")
}

// statements reads every withdrawal this hotline has signed, in order of number.
func (s *session) statements() ([]statement, error) {
	var all []statement
	for n := uint64(1); ; n++ {
		raw, err := readSmall(s.statementPath(n))
		if errors.Is(err, fs.ErrNotExist) {
			return all, nil
		}
		var st statement
		if err == nil {
			st, err = s.readStatement(raw)
		}
		if err == nil && st.Number != n {
			err = fmt.Errorf("it says number %d", st.Number)
		}
		if err != nil {
			return nil, fault(CodeInput, err, "put the file back from the repository", "cannot use %s", s.statementPath(n))
		}
		all = append(all, st)
	}
}

func (s *session) readStatement(raw []byte) (statement, error) {
	w, err := trust.DecodeWithdrawal(raw)
	if err != nil {
		return statement{}, err
	}
	st := statement{raw: raw, Withdrawal: w}
	if s.acc == nil {
		return st, nil
	}
	o, err := s.acc.officersOf()
	if err != nil {
		return st, err
	}
	// Signatures are judged at the statement's own time: it may have ended long ago. Officers who have left count no more.
	if _, signers, err := trust.VerifyWithdrawal(o, raw, time.Unix(w.Issued, 0)); err == nil {
		st.signers = signers
	}
	return st, nil
}

// describe says how a statement stands.
func (s *session) describe(raw []byte) (*Withdrawn, error) {
	st, err := s.readStatement(raw)
	if err != nil {
		return nil, fault(CodeFailure, err, "", "cannot read the withdrawal again")
	}
	d := &Withdrawn{
		Number: st.Number, File: s.repository(filepath.FromSlash(trust.WithdrawalName(s.set.List, st.Number))), SignedBy: s.officerNames(st.signers),
		Issued: time.Unix(st.Issued, 0).UTC(), Expires: time.Unix(st.Expires, 0).UTC(), Reason: st.Reason, Entries: []Removed{},
	}
	if s.acc == nil {
		return d, nil
	}
	if d.Owed = max(s.acc.officers.Threshold, minThreshold) - len(st.signers); d.Owed <= 0 {
		d.Owed = 0
		return d, nil
	}
	if st.SeqTo < s.st.Seq {
		d.Owed, d.Settled = 0, st.SeqTo+1
		return d, nil
	}
	d.OwedBy = d.Issued.Add(secondOwed)
	d.Missing = s.officerNames(slices.DeleteFunc(slices.Clone(s.acc.officers.KeyIDs), func(id string) bool { return slices.Contains(st.signers, id) }))
	if late := s.now.Sub(d.OwedBy); late > 0 {
		d.LateFor = late.Round(time.Minute).String()
	}
	return d, nil
}

// carryOut takes the withdrawn entries out of the working set and puts the statement into the repository. It may be repeated.
func (s *session) carryOut(number uint64, raw []byte) error {
	w, err := trust.DecodeWithdrawal(raw)
	if err != nil {
		return fault(CodeInput, err, "put the file back from your backup", "cannot use withdrawal %d", number)
	}
	out := map[match.EntryID]bool{}
	for _, id := range w.Entries {
		out[id] = true
	}
	if err := s.withdrawHeld(out, w.Reason, number); err != nil {
		return notCarriedOut(err, number)
	}
	here, err := s.pick(func(e *list.Entry) bool { return out[e.ID] })
	if err != nil {
		return err
	}
	if _, err := s.takeOut(here, w.Reason, number); err != nil {
		return notCarriedOut(err, number)
	}
	return s.placeStatement(number, raw)
}

// notCarriedOut says of a disk that fails after the signature that the withdrawal stands, and that nobody has it yet.
func notCarriedOut(err error, number uint64) error {
	f, ok := errors.AsType[*Fault](err)
	if !ok || f.Code != CodeFailure {
		return err
	}
	return &Fault{
		Code: CodeFailure, Err: err, Do: "make room or check the disk, then run any command, status for example: it carries the withdrawal out",
		What: fmt.Sprintf("withdrawal %d is signed but not in the repository yet: %s", number, f.What),
	}
}

// placeStatement puts the statement where operators look.
func (s *session) placeStatement(number uint64, raw []byte) error {
	to := s.repository(filepath.FromSlash(trust.WithdrawalName(s.set.List, number)))
	err := s.repositoryDir(filepath.Dir(to))
	if err == nil {
		err = writeFile(to, raw, 0o644)
	}
	if err == nil {
		err = syncDir(filepath.Dir(to))
	}
	if err != nil {
		return fault(CodeFailure, err, "check the disk; the next command tries again", "withdrawal %d is signed but not in the repository yet", number)
	}
	return nil
}

// finishWithdrawal carries out what a command that was cut off has signed and not brought to the repository: a statement, or the second
// signature of one. A statement there that has more signatures than the own copy is left alone.
func (s *session) finishWithdrawal() error {
	last := uint64(latest(s.path("withdrawals"), ".cbor"))
	for number := uint64(1); number <= last; number++ {
		own, err := readSmall(s.statementPath(number))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fault(CodeFailure, err, "check the disk", "cannot read withdrawal %d", number)
		}
		out, err := readSmall(s.repository(filepath.FromSlash(trust.WithdrawalName(s.set.List, number))))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = s.carryOut(number, own)
		case err != nil:
			return fault(CodeFailure, err, "check the disk", "cannot read withdrawal %d in %s", number, s.repository())
		case len(out) < len(own): // the body is the same, so it lacks a signature, or was cut off
			err = s.placeStatement(number, own)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
