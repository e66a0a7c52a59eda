package trust

import (
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
)

// SignedStatement is what officers of a hotline say, as it travels: Body is the CBOR of a Withdrawal or an Opening, the signatures are over the tag
// of that form || Body, ascending by key id.
type SignedStatement struct {
	Body       []byte      `cbor:"1,keyasint"`
	Signatures []Signature `cbor:"2,keyasint"`
}

// Signature is one key's Ed25519 signature.
type Signature struct {
	KeyID string `cbor:"1,keyasint"`
	Sig   []byte `cbor:"2,keyasint"`
}

// form is what sets one form of statements apart from others.
type form struct {
	name string // in errors
	tag  string // in front of what is signed, so that no signature counts for another form
	most int    // bytes, signatures included
}

// said is what a statement says.
type said interface{ check() error }

func (f form) message(body []byte) []byte { return append([]byte(f.tag), body...) }

// signed makes a statement with one officer's signature.
func signed[T said](f form, says T, key crypto.Signer) ([]byte, error) {
	if err := says.check(); err != nil {
		return nil, fmt.Errorf("sign %s: %w", f.name, err)
	}
	body, err := encMode.Marshal(says)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w: %v", f.name, ErrFormat, err)
	}
	return f.sign(SignedStatement{Body: body}, key)
}

// cosigned adds a signature.
func cosigned[T said](f form, raw []byte, key crypto.Signer) ([]byte, error) {
	s, _, err := open[T](f, raw)
	if err != nil {
		return nil, fmt.Errorf("cosign %s: %w", f.name, err)
	}
	return f.sign(s, key)
}

// decoded is what a statement says, whoever has signed it.
func decoded[T said](f form, raw []byte) (T, error) {
	_, says, err := open[T](f, raw)
	if err != nil {
		var none T
		return none, fmt.Errorf("decode %s: %w", f.name, err)
	}
	return says, nil
}

// named is the SHA-256 of what a statement says, whoever has signed it.
func named[T said](f form, raw []byte) ([32]byte, error) {
	s, _, err := open[T](f, raw)
	if err != nil {
		return [32]byte{}, fmt.Errorf("name %s: %w", f.name, err)
	}
	return sha256.Sum256(s.Body), nil
}

// signers are the ids of the keys that signed a statement: at least one, and all of them officers'.
func signers[T said](f form, o Officers, raw []byte) (says T, by []string, err error) {
	var none T
	s, says, err := open[T](f, raw)
	if err != nil {
		return none, nil, err
	}
	if len(s.Signatures) == 0 {
		return none, nil, fmt.Errorf("%w: there is none", ErrSignature)
	}
	for n, sig := range s.Signatures {
		i := slices.IndexFunc(o.Keys, func(k OfficerKey) bool { return k.ID == sig.KeyID })
		if i < 0 || len(o.Keys[i].Public) != ed25519.PublicKeySize || !ed25519.Verify(o.Keys[i].Public, f.message(s.Body), sig.Sig) {
			return none, nil, fmt.Errorf("%w: signature %d of %d is not a valid one of an officer", ErrSignature, n+1, len(s.Signatures))
		}
		by = append(by, sig.KeyID)
	}
	return says, by, nil
}

// sign adds a signature; an older one of the same key is replaced.
func (f form) sign(s SignedStatement, key crypto.Signer) ([]byte, error) {
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("sign %s: %w: want an Ed25519 key, got %T", f.name, ErrKeyRoles, key.Public())
	}
	sig, err := key.Sign(rand.Reader, f.message(s.Body), crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", f.name, err)
	}
	if !ed25519.Verify(pub, f.message(s.Body), sig) {
		return nil, fmt.Errorf("sign %s: %w: the signer's own signature does not verify", f.name, ErrSignature)
	}
	id := KeyID(pub)
	s.Signatures = slices.DeleteFunc(slices.Clone(s.Signatures), func(have Signature) bool { return have.KeyID == id })
	s.Signatures = append(s.Signatures, Signature{KeyID: id, Sig: sig})
	slices.SortFunc(s.Signatures, func(a, b Signature) int { return cmp.Compare(a.KeyID, b.KeyID) })
	raw, err := encMode.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w: %v", f.name, ErrFormat, err)
	}
	if len(raw) > f.most {
		return nil, fmt.Errorf("sign %s: %w: %d bytes, at most %d", f.name, ErrTooLarge, len(raw), f.most)
	}
	return raw, nil
}

// open reads a statement, and judges no signature.
func open[T said](f form, raw []byte) (s SignedStatement, says T, err error) {
	if len(raw) > f.most {
		return s, says, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(raw), f.most)
	}
	if err := decode(raw, &s); err != nil {
		return s, says, err
	}
	if len(s.Signatures) > maxSignatures {
		return s, says, fmt.Errorf("%w: %d signatures, at most %d", ErrTooLarge, len(s.Signatures), maxSignatures)
	}
	for i, sig := range s.Signatures {
		if i > 0 && s.Signatures[i-1].KeyID >= sig.KeyID {
			return s, says, fmt.Errorf("%w: signatures are not ascending by key id", ErrFormat)
		}
	}
	if err := decode(s.Body, &says); err != nil {
		return s, says, err
	}
	return s, says, says.check()
}
