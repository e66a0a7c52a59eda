package trust

import (
	"crypto"
	"fmt"
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

// opening is the form of an Opening.
var opening = form{"opening", "cordon/open/v1\n", MaxOpening}

// SignOpening makes the statement o with one officer's signature; V is set. It refuses what VerifyOpening would refuse whatever the keys.
func SignOpening(o Opening, key crypto.Signer) ([]byte, error) {
	o.V = 1
	return signed(opening, o, key)
}

// NewOpening makes the statement o without a signature, for CosignOpening.
func NewOpening(o Opening) ([]byte, error) {
	o.V = 1
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("make opening: %w", err)
	}
	body, err := encMode.Marshal(o)
	if err == nil {
		body, err = encMode.Marshal(SignedStatement{Body: body, Signatures: []Signature{}})
	}
	if err != nil {
		return nil, fmt.Errorf("make opening: %w: %v", ErrFormat, err)
	}
	return body, nil
}

// CosignOpening adds the signature of another officer; an older one of the same key is replaced.
func CosignOpening(raw []byte, key crypto.Signer) ([]byte, error) {
	return cosigned[Opening](opening, raw, key)
}

// DecodeOpening reads a statement without asking who signed it. Never act on it.
func DecodeOpening(raw []byte) (Opening, error) { return decoded[Opening](opening, raw) }

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
	return signers[Opening](opening, o, raw)
}

// OpeningID names what a statement says, whoever has signed it: SHA-256 of its body.
func OpeningID(raw []byte) ([32]byte, error) { return named[Opening](opening, raw) }

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
