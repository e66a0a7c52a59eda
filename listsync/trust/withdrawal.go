package trust

import (
	"bytes"
	"crypto"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/resolver/match"
)

const (
	// MaxWithdrawal bounds a signed withdrawal statement: it must fit a Raft command.
	MaxWithdrawal = 60 << 10

	// MaxSingleWithdrawal is how many entries one officer alone may withdraw at once.
	MaxSingleWithdrawal = 20

	// MaxWithdrawalLife bounds how long a statement may be accepted after it was issued.
	MaxWithdrawalLife = 31 * 24 * time.Hour

	maxWithdrawn   = 3000 // entries of 17 bytes: about 51 KiB
	maxOtherReason = 120
)

// Withdrawal is a hotline's statement that entries must go at once, without waiting for a new list. It removes; it can add
// nothing.
type Withdrawal struct {
	V       int             `cbor:"1,keyasint"` // 1
	List    match.ListID    `cbor:"2,keyasint"`
	Entries []match.EntryID `cbor:"3,keyasint"` // ascending, none twice
	SeqFrom uint64          `cbor:"4,keyasint"` // the list versions it is about, both included
	SeqTo   uint64          `cbor:"5,keyasint"`
	Number  uint64          `cbor:"6,keyasint"` // counts the statements on a list from 1: callers apply none twice
	Issued  int64           `cbor:"7,keyasint"` // Unix seconds
	Expires int64           `cbor:"8,keyasint"` // Unix seconds: until when it may be accepted; what it removed stays removed
	Reason  string          `cbor:"9,keyasint"` // content_gone error appeal court law_enforcement duplicate other(text)
}

// withdrawal is the form of a Withdrawal.
var withdrawal = form{"withdrawal", "cordon/withdrawal/v1\n", MaxWithdrawal}

// SignWithdrawal makes the statement w with one officer's signature. Entries are sorted; V is set. It refuses what
// VerifyWithdrawal would refuse whatever the keys.
func SignWithdrawal(w Withdrawal, key crypto.Signer) ([]byte, error) {
	w.V = 1
	w.Entries = slices.Clone(w.Entries)
	slices.SortFunc(w.Entries, compareEntries)
	return signed(withdrawal, w, key)
}

// CosignWithdrawal adds the signature of another officer to a signed statement; an older one of the same key is replaced.
func CosignWithdrawal(raw []byte, key crypto.Signer) ([]byte, error) {
	return cosigned[Withdrawal](withdrawal, raw, key)
}

// DecodeWithdrawal reads a statement without asking who signed it, for people who are about to cosign. Never act on it.
func DecodeWithdrawal(raw []byte) (Withdrawal, error) { return decoded[Withdrawal](withdrawal, raw) }

// VerifyWithdrawal reads a statement that officers signed and gives the ids of the keys that did, ascending. One officer may
// withdraw up to MaxSingleWithdrawal entries; more need the officers' threshold (ErrThreshold). Every signature there must be
// valid and of an officer (ErrSignature). Outside of its time it is ErrExpired; anything but the one encoding is ErrFormat. Whether
// Number was seen before, and how much an officer has withdrawn today, is the caller's to know.
func VerifyWithdrawal(o Officers, raw []byte, now time.Time) (Withdrawal, []string, error) {
	w, signers, err := VerifyStatement(o, raw)
	if err != nil {
		return Withdrawal{}, nil, err
	}
	if t := now.Unix(); t < w.Issued-int64(maxClockSkew/time.Second) || t >= w.Expires {
		return Withdrawal{}, nil, fmt.Errorf("verify withdrawal: %w: issued %d, expires %d, now %d", ErrExpired, w.Issued, w.Expires, t)
	}
	return w, signers, nil
}

// VerifyStatement is VerifyWithdrawal whatever the time is: for a statement that was accepted in its time.
func VerifyStatement(o Officers, raw []byte) (Withdrawal, []string, error) {
	w, by, err := signers[Withdrawal](withdrawal, o, raw)
	if err != nil {
		return Withdrawal{}, nil, fmt.Errorf("verify withdrawal: %w", err)
	}
	if len(w.Entries) > MaxSingleWithdrawal && !o.Complete(by) {
		return Withdrawal{}, nil, fmt.Errorf("verify withdrawal: %w: %d for %d entries, want %d", ErrThreshold, len(by), len(w.Entries), max(o.Threshold, minListThreshold))
	}
	return w, by, nil
}

// Complete reports whether these signers, as VerifyWithdrawal gives them, are the officers' threshold.
func (o Officers) Complete(signers []string) bool {
	return o.Threshold >= minListThreshold && len(signers) >= o.Threshold
}

// StatementID names what a statement says, whoever has signed it: SHA-256 of its body.
func StatementID(raw []byte) ([32]byte, error) { return named[Withdrawal](withdrawal, raw) }

func (w Withdrawal) check() error {
	bad := func(what string) error { return fmt.Errorf("%w: withdrawal %s", ErrFormat, what) }
	if _, err := match.ParseListID(string(w.List)); err != nil {
		return fmt.Errorf("%w: withdrawal names its list with %d bytes that are no list id", ErrFormat, len(w.List))
	}
	switch {
	case w.V != 1:
		return bad("is not of version 1")
	case len(w.Entries) == 0:
		return bad("of no entry")
	case len(w.Entries) > maxWithdrawn:
		return fmt.Errorf("%w: withdrawal of %d entries, at most %d", ErrTooLarge, len(w.Entries), maxWithdrawn)
	case !slices.IsSortedFunc(w.Entries, compareEntries) || len(slices.Compact(slices.Clone(w.Entries))) != len(w.Entries):
		return bad("entries are not ascending, or one is there twice")
	case w.SeqFrom > w.SeqTo:
		return bad("ends at a seq before it begins")
	case w.Number == 0:
		return bad("number is 0")
	case w.Issued <= 0 || w.Expires <= w.Issued || w.Expires-w.Issued > int64(MaxWithdrawalLife/time.Second):
		return bad(fmt.Sprintf("does not expire within %v of when it was issued", MaxWithdrawalLife))
	}
	return CheckReason(w.Reason)
}

// maxClockSkew is how far a hotline's clock may be ahead of ours.
const maxClockSkew = 10 * time.Minute

// removalReasons is the closed set, beside other(text).
var removalReasons = []string{"content_gone", "error", "appeal", "court", "law_enforcement", "duplicate"}

// CheckReason accepts the closed set of reasons for a removal: ErrFormat for all others. The text of other(...) goes into the public log, so it has no character that a name or an
// address needs: letters, digits, spaces, commas and hyphens only (P4).
func CheckReason(s string) error {
	if slices.Contains(removalReasons, s) {
		return nil
	}
	text, ok := strings.CutPrefix(s, "other(")
	text, closed := strings.CutSuffix(text, ")")
	allowed := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == ' ' || r == ',' || r == '-'
	}
	if !ok || !closed || len(text) == 0 || len(text) > maxOtherReason || strings.IndexFunc(text, func(r rune) bool { return !allowed(r) }) >= 0 {
		return fmt.Errorf("%w: the reason is not of the closed set: content_gone error appeal court law_enforcement duplicate other(TEXT), whose text has letters, digits, spaces, commas and hyphens only", ErrFormat)
	}
	return nil
}

func compareEntries(a, b match.EntryID) int { return bytes.Compare(a[:], b[:]) }
