package trust

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
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
	withdrawalTag  = "cordon/withdrawal/v1\n"
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

// Signature is one key's Ed25519 signature.
type Signature struct {
	KeyID string `cbor:"1,keyasint"`
	Sig   []byte `cbor:"2,keyasint"`
}

// SignedWithdrawal is the statement as it travels: Body is the CBOR of a Withdrawal, the signatures are over
// "cordon/withdrawal/v1\n" || Body, ascending by key id.
type SignedWithdrawal struct {
	Body       []byte      `cbor:"1,keyasint"`
	Signatures []Signature `cbor:"2,keyasint"`
}

// SignWithdrawal makes the statement w with one officer's signature. Entries are sorted; V is set. It refuses what
// VerifyWithdrawal would refuse whatever the keys.
func SignWithdrawal(w Withdrawal, key crypto.Signer) ([]byte, error) {
	w.V = 1
	w.Entries = slices.Clone(w.Entries)
	slices.SortFunc(w.Entries, compareEntries)
	if err := w.check(); err != nil {
		return nil, fmt.Errorf("sign withdrawal: %w", err)
	}
	body, err := encMode.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("sign withdrawal: %w: %v", ErrFormat, err)
	}
	return SignedWithdrawal{Body: body}.sign(key)
}

// CosignWithdrawal adds the signature of another officer to a signed statement; an older one of the same key is replaced.
func CosignWithdrawal(raw []byte, key crypto.Signer) ([]byte, error) {
	s, _, err := openWithdrawal(raw)
	if err != nil {
		return nil, fmt.Errorf("cosign withdrawal: %w", err)
	}
	return s.sign(key)
}

// DecodeWithdrawal reads a statement without asking who signed it, for people who are about to cosign. Never act on it.
func DecodeWithdrawal(raw []byte) (Withdrawal, error) {
	_, w, err := openWithdrawal(raw)
	if err != nil {
		return Withdrawal{}, fmt.Errorf("decode withdrawal: %w", err)
	}
	return w, nil
}

func (s SignedWithdrawal) sign(key crypto.Signer) ([]byte, error) {
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("sign withdrawal: %w: want an Ed25519 key, got %T", ErrKeyRoles, key.Public())
	}
	sig, err := key.Sign(rand.Reader, withdrawalMessage(s.Body), crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("sign withdrawal: %w", err)
	}
	if !ed25519.Verify(pub, withdrawalMessage(s.Body), sig) {
		return nil, fmt.Errorf("sign withdrawal: %w: the signer's own signature does not verify", ErrSignature)
	}
	id := KeyID(pub)
	s.Signatures = slices.DeleteFunc(slices.Clone(s.Signatures), func(have Signature) bool { return have.KeyID == id })
	s.Signatures = append(s.Signatures, Signature{KeyID: id, Sig: sig})
	slices.SortFunc(s.Signatures, func(a, b Signature) int { return cmp.Compare(a.KeyID, b.KeyID) })
	raw, err := encMode.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("sign withdrawal: %w: %v", ErrFormat, err)
	}
	if len(raw) > MaxWithdrawal {
		return nil, fmt.Errorf("sign withdrawal: %w: %d bytes, at most %d", ErrTooLarge, len(raw), MaxWithdrawal)
	}
	return raw, nil
}

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
	s, w, err := openWithdrawal(raw)
	if err != nil {
		return Withdrawal{}, nil, fmt.Errorf("verify withdrawal: %w", err)
	}
	if len(s.Signatures) == 0 {
		return Withdrawal{}, nil, fmt.Errorf("verify withdrawal: %w: there is none", ErrSignature)
	}
	var signers []string
	for n, sig := range s.Signatures {
		i := slices.IndexFunc(o.Keys, func(k OfficerKey) bool { return k.ID == sig.KeyID })
		if i < 0 || len(o.Keys[i].Public) != ed25519.PublicKeySize || !ed25519.Verify(o.Keys[i].Public, withdrawalMessage(s.Body), sig.Sig) {
			return Withdrawal{}, nil, fmt.Errorf("verify withdrawal: %w: signature %d of %d is not a valid one of an officer", ErrSignature, n+1, len(s.Signatures))
		}
		signers = append(signers, sig.KeyID)
	}
	if len(w.Entries) > MaxSingleWithdrawal && !o.Complete(signers) {
		return Withdrawal{}, nil, fmt.Errorf("verify withdrawal: %w: %d for %d entries, want %d", ErrThreshold, len(signers), len(w.Entries), max(o.Threshold, minListThreshold))
	}
	return w, signers, nil
}

// Complete reports whether these signers, as VerifyWithdrawal gives them, are the officers' threshold.
func (o Officers) Complete(signers []string) bool {
	return o.Threshold >= minListThreshold && len(signers) >= o.Threshold
}

// StatementID names what a statement says, whoever has signed it: SHA-256 of its body.
func StatementID(raw []byte) ([32]byte, error) {
	s, _, err := openWithdrawal(raw)
	if err != nil {
		return [32]byte{}, fmt.Errorf("name withdrawal: %w", err)
	}
	return sha256.Sum256(s.Body), nil
}

// openWithdrawal reads the form of a statement.
func openWithdrawal(raw []byte) (SignedWithdrawal, Withdrawal, error) {
	var s SignedWithdrawal
	var w Withdrawal
	if len(raw) > MaxWithdrawal {
		return s, w, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(raw), MaxWithdrawal)
	}
	if err := decode(raw, &s); err != nil {
		return s, w, err
	}
	if len(s.Signatures) > maxSignatures {
		return s, w, fmt.Errorf("%w: %d signatures, at most %d", ErrTooLarge, len(s.Signatures), maxSignatures)
	}
	for i, sig := range s.Signatures {
		if i > 0 && s.Signatures[i-1].KeyID >= sig.KeyID {
			return s, w, fmt.Errorf("%w: signatures are not ascending by key id", ErrFormat)
		}
	}
	if err := decode(s.Body, &w); err != nil {
		return s, w, err
	}
	return s, w, w.check()
}

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

func withdrawalMessage(body []byte) []byte { return append([]byte(withdrawalTag), body...) }
