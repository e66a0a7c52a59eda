package identity

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"unsafe"

	"filippo.io/age"
	"filippo.io/edwards25519"

	"github.com/cordon-project/cordon/resolver/match/locked"
)

// signer is an Ed25519 key in locked memory, as RFC 8032 section 5.1.6 uses it. It may be used concurrently.
//
// crypto/ed25519 takes a key from the Go heap only, and keeps a copy of it there for some garbage collections after each signature. So the
// signature is made here, from the same author's arithmetic; the tests hold it to crypto/ed25519, byte for byte.
type signer struct {
	key    *locked.Value[signingSecrets]
	public ed25519.PublicKey
}

type signingSecrets struct {
	scalar edwards25519.Scalar
	prefix [32]byte
}

func holdSigner(plain ed25519.PrivateKey) (*signer, error) {
	v, err := locked.New[signingSecrets]()
	if err != nil {
		return nil, err
	}
	h := sha512.Sum512(plain.Seed())
	defer clear(h[:])
	if _, err := v.Get().scalar.SetBytesWithClamping(h[:32]); err != nil {
		return nil, err
	}
	copy(v.Get().prefix[:], h[32:])
	return &signer{key: v, public: append(ed25519.PublicKey(nil), plain[ed25519.SeedSize:]...)}, nil
}

// Public implements crypto.Signer.
func (s *signer) Public() crypto.PublicKey { return s.public }

// Sign implements crypto.Signer for plain Ed25519: message is what is signed, opts.HashFunc() is zero.
func (s *signer) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts != nil && opts.HashFunc() != 0 {
		return nil, errors.New("sign: Ed25519 signs messages, not hashes of them")
	}
	sig := make([]byte, 0, ed25519.SignatureSize)
	var err error
	locked.Do(func() { sig, err = s.key.Get().sign(sig, s.public, message) })
	return sig, err
}

func (k *signingSecrets) sign(sig []byte, public ed25519.PublicKey, message []byte) ([]byte, error) {
	var digest [sha512.Size]byte
	defer clear(digest[:])
	h := sha512.New()
	h.Write(k.prefix[:])
	h.Write(message)
	var r, challenge, response edwards25519.Scalar
	if _, err := r.SetUniformBytes(h.Sum(digest[:0])); err != nil {
		return nil, err
	}
	sig = append(sig, new(edwards25519.Point).ScalarBaseMult(&r).Bytes()...)
	h.Reset()
	h.Write(sig)
	h.Write(public)
	h.Write(message)
	if _, err := challenge.SetUniformBytes(h.Sum(digest[:0])); err != nil {
		return nil, err
	}
	return append(sig, response.MultiplyAdd(&challenge, &k.scalar, &r).Bytes()...), nil
}

// Format hides the key from every verb of fmt.
func (s *signer) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("signing key (redacted)")) }

// maxAgeText is more than the text of an X25519 identity has, which is 74 characters.
const maxAgeText = 128

// ageIdentity is an age X25519 identity in locked memory. It may be used concurrently.
//
// Like signer, it makes a copy for each use and erases that.
type ageIdentity struct {
	text *locked.Value[[maxAgeText]byte]
	n    int
}

// holdAge keeps the text of an identity, and gives its recipient.
func holdAge(text []byte) (*ageIdentity, string, error) {
	if len(text) > maxAgeText {
		return nil, "", errors.New("too long for an X25519 identity")
	}
	v, err := locked.New[[maxAgeText]byte]()
	if err != nil {
		return nil, "", err
	}
	i := &ageIdentity{text: v, n: copy(v.Get()[:], text)}
	plain, err := i.plain()
	if err != nil {
		v.Close()
		return nil, "", err
	}
	return i, plain.Recipient().String(), nil
}

// plain is the identity in the Go heap, for one use. The text it is read from is not copied: it is no string for longer than this call.
func (i *ageIdentity) plain() (*age.X25519Identity, error) {
	return age.ParseX25519Identity(unsafe.String(&i.text.Get()[0], i.n))
}

// Unwrap implements age.Identity.
func (i *ageIdentity) Unwrap(stanzas []*age.Stanza) (fileKey []byte, err error) {
	out := make([]byte, 0, 32)
	locked.Do(func() {
		var plain *age.X25519Identity
		if plain, err = i.plain(); err == nil {
			fileKey, err = plain.Unwrap(stanzas)
			out = append(out, fileKey...)
			clear(fileKey)
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Format hides the identity from every verb of fmt.
func (i *ageIdentity) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte("age identity (redacted)"))
}
