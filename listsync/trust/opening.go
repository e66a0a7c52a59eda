package trust

import (
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/cordon-project/cordon/resolver/match"
)

const (
	// MaxOpening bounds a signed statement that entries were opened.
	MaxOpening = 8 << 10

	// MaxOpeningLife bounds how long a statement may be accepted after it was issued.
	MaxOpeningLife = 31 * 24 * time.Hour

	// MaxSample is how many entries one opening may show.
	MaxSample = 1000

	openingTag = "cordon/open/v1\n"
)

// Opening is a hotline's statement that it showed some entries of a list version to a reviewer. It names no entry: which ones were drawn
// follows from the request, and what was shown is in a file that only the reviewer opens. It changes nothing in force.
type Opening struct {
	V         int          `cbor:"1,keyasint"` // 1
	Cluster   string       `cbor:"2,keyasint"` // id of the cluster whose checkpoint drew them, 32 hex digits
	List      match.ListID `cbor:"3,keyasint"`
	Seq       uint64       `cbor:"4,keyasint"`
	Request   [32]byte     `cbor:"5,keyasint"` // SHA-256 of the request
	Count     uint32       `cbor:"6,keyasint"` // entries shown
	File      [32]byte     `cbor:"7,keyasint"` // SHA-256 of the sealed file
	Recipient [32]byte     `cbor:"8,keyasint"` // SHA-256 of the reviewer's age recipient
	Issued    int64        `cbor:"9,keyasint"` // Unix seconds
	Expires   int64        `cbor:"10,keyasint"`
}

// signedOpening is the statement as it travels: Body is the CBOR of an Opening, the signatures are over openingTag || Body, ascending by
// key id.
type signedOpening struct {
	Body       []byte      `cbor:"1,keyasint"`
	Signatures []Signature `cbor:"2,keyasint"`
}

// SignOpening makes the statement o with one officer's signature; V is set. It refuses what VerifyOpening would refuse whatever the keys.
func SignOpening(o Opening, key crypto.Signer) ([]byte, error) {
	o.V = 1
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("sign opening: %w", err)
	}
	body, err := encMode.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("sign opening: %w: %v", ErrFormat, err)
	}
	return signedOpening{Body: body}.sign(key)
}

// NewOpening makes the statement o without a signature, for CosignOpening.
func NewOpening(o Opening) ([]byte, error) {
	o.V = 1
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("make opening: %w", err)
	}
	body, err := encMode.Marshal(o)
	if err == nil {
		body, err = encMode.Marshal(signedOpening{Body: body, Signatures: []Signature{}})
	}
	if err != nil {
		return nil, fmt.Errorf("make opening: %w: %v", ErrFormat, err)
	}
	return body, nil
}

// CosignOpening adds the signature of another officer; an older one of the same key is replaced.
func CosignOpening(raw []byte, key crypto.Signer) ([]byte, error) {
	s, _, err := readOpening(raw)
	if err != nil {
		return nil, fmt.Errorf("cosign opening: %w", err)
	}
	return s.sign(key)
}

// DecodeOpening reads a statement without asking who signed it. Never act on it.
func DecodeOpening(raw []byte) (Opening, error) {
	_, o, err := readOpening(raw)
	if err != nil {
		return Opening{}, fmt.Errorf("decode opening: %w", err)
	}
	return o, nil
}

func (s signedOpening) sign(key crypto.Signer) ([]byte, error) {
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("sign opening: %w: want an Ed25519 key, got %T", ErrKeyRoles, key.Public())
	}
	sig, err := key.Sign(rand.Reader, openingMessage(s.Body), crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("sign opening: %w", err)
	}
	if !ed25519.Verify(pub, openingMessage(s.Body), sig) {
		return nil, fmt.Errorf("sign opening: %w: the signer's own signature does not verify", ErrSignature)
	}
	id := KeyID(pub)
	s.Signatures = slices.DeleteFunc(slices.Clone(s.Signatures), func(have Signature) bool { return have.KeyID == id })
	s.Signatures = append(s.Signatures, Signature{KeyID: id, Sig: sig})
	slices.SortFunc(s.Signatures, func(a, b Signature) int { return cmp.Compare(a.KeyID, b.KeyID) })
	raw, err := encMode.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("sign opening: %w: %v", ErrFormat, err)
	}
	if len(raw) > MaxOpening {
		return nil, fmt.Errorf("sign opening: %w: %d bytes, at most %d", ErrTooLarge, len(raw), MaxOpening)
	}
	return raw, nil
}

// VerifyOpening reads a statement that the officers' threshold signed and gives the ids of the keys that did, ascending. Every signature
// there must be valid and of an officer (ErrSignature), and fewer than the threshold are never enough (ErrThreshold): nobody is shown
// entries on one person's word. Outside of its time it is ErrExpired; anything but the one encoding is ErrFormat.
func VerifyOpening(o Officers, raw []byte, now time.Time) (Opening, []string, error) {
	said, signers, err := OpeningSigners(o, raw)
	if err != nil {
		return Opening{}, nil, fmt.Errorf("verify opening: %w", err)
	}
	if !o.Complete(signers) {
		return Opening{}, nil, fmt.Errorf("verify opening: %w: signed by %d, %d are needed", ErrThreshold, len(signers), max(o.Threshold, minListThreshold))
	}
	if t := now.Unix(); t < said.Issued-int64(maxClockSkew/time.Second) || t >= said.Expires {
		return Opening{}, nil, fmt.Errorf("verify opening: %w: issued %d, expires %d, now %d", ErrExpired, said.Issued, said.Expires, t)
	}
	return said, signers, nil
}

// OpeningSigners reads a statement and gives who has signed it so far, however few; every signature must be an officer's.
func OpeningSigners(o Officers, raw []byte) (Opening, []string, error) {
	s, said, err := readOpening(raw)
	if err != nil {
		return Opening{}, nil, err
	}
	if len(s.Signatures) == 0 {
		return Opening{}, nil, fmt.Errorf("%w: there is none", ErrSignature)
	}
	var signers []string
	for n, sig := range s.Signatures {
		i := slices.IndexFunc(o.Keys, func(k OfficerKey) bool { return k.ID == sig.KeyID })
		if i < 0 || len(o.Keys[i].Public) != ed25519.PublicKeySize || !ed25519.Verify(o.Keys[i].Public, openingMessage(s.Body), sig.Sig) {
			return Opening{}, nil, fmt.Errorf("%w: signature %d of %d is not a valid one of an officer", ErrSignature, n+1, len(s.Signatures))
		}
		signers = append(signers, sig.KeyID)
	}
	return said, signers, nil
}

// OpeningID names what a statement says, whoever has signed it: SHA-256 of its body.
func OpeningID(raw []byte) ([32]byte, error) {
	s, _, err := readOpening(raw)
	if err != nil {
		return [32]byte{}, fmt.Errorf("name opening: %w", err)
	}
	return sha256.Sum256(s.Body), nil
}

func readOpening(raw []byte) (signedOpening, Opening, error) {
	var s signedOpening
	var o Opening
	if len(raw) > MaxOpening {
		return s, o, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(raw), MaxOpening)
	}
	if err := decode(raw, &s); err != nil {
		return s, o, err
	}
	if len(s.Signatures) > maxSignatures {
		return s, o, fmt.Errorf("%w: %d signatures, at most %d", ErrTooLarge, len(s.Signatures), maxSignatures)
	}
	for i, sig := range s.Signatures {
		if i > 0 && s.Signatures[i-1].KeyID >= sig.KeyID {
			return s, o, fmt.Errorf("%w: signatures are not ascending by key id", ErrFormat)
		}
	}
	if err := decode(s.Body, &o); err != nil {
		return s, o, err
	}
	return s, o, o.check()
}

func (o Opening) check() error {
	bad := func(what string) error { return fmt.Errorf("%w: opening %s", ErrFormat, what) }
	if _, err := match.ParseListID(string(o.List)); err != nil {
		return bad("names no list")
	}
	switch {
	case o.V != 1:
		return bad("is not of version 1")
	case !isHex(o.Cluster, 32):
		return bad("names no cluster")
	case o.Seq == 0:
		return bad("is of sequence 0")
	case o.Count == 0:
		return bad("of no entry")
	case o.Count > MaxSample:
		return fmt.Errorf("%w: opening of %d entries, at most %d", ErrTooLarge, o.Count, MaxSample)
	case o.Issued <= 0 || o.Expires <= o.Issued || o.Expires-o.Issued > int64(MaxOpeningLife/time.Second):
		return bad(fmt.Sprintf("does not expire within %v of when it was issued", MaxOpeningLife))
	}
	return nil
}

// isHex accepts n lower-case hex digits.
func isHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := range n {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func openingMessage(body []byte) []byte { return append([]byte(openingTag), body...) }
