package trust

import (
	"bytes"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// MaxSampleFile bounds a sealed sample: MaxSample entries of the longest expression.
const MaxSampleFile = 9 << 20

// Sample is what a hotline shows to a reviewer, in plain text: entries of one list version with what opens their commitments, and the key
// that their digests are made with. It exists at the hotline and at the reviewer, and on the way only sealed.
type Sample struct {
	V       int          `cbor:"1,keyasint"` // 1
	List    match.ListID `cbor:"2,keyasint"`
	Seq     uint64       `cbor:"3,keyasint"`
	Epoch   uint32       `cbor:"4,keyasint"`
	Edge    [32]byte     `cbor:"5,keyasint"` // SHA-256 of the edge list
	Request [32]byte     `cbor:"6,keyasint"` // SHA-256 of the request
	Match   [32]byte     `cbor:"7,keyasint"` // K_match of the epoch
	Shown   []Shown      `cbor:"8,keyasint"` // by record, ascending
}

// Shown is one entry of a sample.
type Shown struct {
	Record     uint32     `cbor:"1,keyasint"` // number in the edge list
	Kind       canon.Kind `cbor:"2,keyasint"`
	Expression string     `cbor:"3,keyasint"`
	Salt       [32]byte   `cbor:"4,keyasint"`
}

// String hides what is shown from logs and errors.
func (s Sample) String() string {
	return fmt.Sprintf("%d entries of %s seq %d (redacted)", len(s.Shown), s.List, s.Seq)
}

// GoString hides what is shown from %#v.
func (s Sample) GoString() string { return s.String() }

func (s Sample) check() error {
	if _, err := match.ParseListID(string(s.List)); err != nil || s.V != 1 || s.Seq == 0 || len(s.Shown) == 0 || len(s.Shown) > MaxSample {
		return fmt.Errorf("%w: sample of no list or version, or of %d entries", ErrFormat, len(s.Shown))
	}
	for i, x := range s.Shown {
		if i > 0 && s.Shown[i-1].Record >= x.Record {
			return fmt.Errorf("%w: records of a sample are not ascending", ErrFormat)
		}
		if x.Kind < canon.KindURL || x.Kind > canon.KindDomain || len(x.Expression) == 0 || len(x.Expression) > canon.MaxLength {
			return fmt.Errorf("%w: record %d of a sample", ErrFormat, x.Record)
		}
	}
	return nil
}

// SealSample seals s with age for these recipients (age1...). The result differs at every call.
func SealSample(s Sample, recipients ...string) ([]byte, error) {
	s.V = 1
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("seal sample: %w", err)
	}
	var to []age.Recipient
	for _, r := range recipients {
		one, err := ParseRecipient(r)
		if err != nil {
			return nil, fmt.Errorf("seal sample: %w", err)
		}
		to = append(to, one)
	}
	plain, err := encMode.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("seal sample: %w: %v", ErrFormat, err)
	}
	defer clear(plain)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	if err == nil {
		if _, err = w.Write(plain); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("seal sample: %w", err)
	}
	return out.Bytes(), nil
}

// OpenSample opens what SealSample sealed, with one of the identities in an age key file. age does not say who sealed it: the hash of the
// file counts only as the one that officers have signed. Errors never repeat what is inside.
func OpenSample(sealed []byte, identities io.Reader) (Sample, error) {
	fail := func(what string) (Sample, error) { return Sample{}, fmt.Errorf("open sample: %w: %s", ErrFormat, what) }
	if len(sealed) > MaxSampleFile {
		return Sample{}, fmt.Errorf("open sample: %w: %d bytes, at most %d", ErrTooLarge, len(sealed), MaxSampleFile)
	}
	ids, err := age.ParseIdentities(identities)
	if err != nil {
		return fail("the key file has no age identity")
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), ids...)
	if err != nil {
		return fail("it is no age file, or not for this key")
	}
	plain, err := io.ReadAll(io.LimitReader(r, MaxSampleFile+1))
	if err != nil {
		return fail("it was cut off or altered")
	}
	defer clear(plain)
	var s Sample
	if err := decode(plain, &s); err != nil {
		return fail("what is sealed is no sample")
	}
	return s, s.check()
}

// NewSampleIdentity makes an age key: what it opens and the recipient to seal to.
func NewSampleIdentity() (identity, recipient string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", fmt.Errorf("make an age key: %w", err)
	}
	return id.String(), id.Recipient().String(), nil
}
