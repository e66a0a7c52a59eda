package identity

import (
	"crypto"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"io"

	"filippo.io/mldsa"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/resolver/match/locked"
)

// mldsaLabel keeps the seed of a node's ML-DSA key apart from everything else that its key file may be made into.
const mldsaLabel = "cordon/node-key/ml-dsa-44/v1"

// mldsaSigner is the ML-DSA-44 (FIPS 204) half of a node key. It may be used concurrently.
//
// What stands in locked memory is the seed of 32 bytes. The library expands it to matrix and vectors in the Go heap and has no way to put them
// elsewhere, so that happens anew for each signature, in locked.Do, and a collection about a second later erases them, where the program was built
// with runtimesecret. Until then they may be swapped.
type mldsaSigner struct {
	seed   *locked.Value[[mldsa.PrivateKeySize]byte]
	public *mldsa.PublicKey
}

// holdMLDSA makes the second half of a node key of its Ed25519 seed. Who breaks Ed25519 has the scalar, which is a hash of the seed, and not
// the seed: so neither key follows from the other's public half.
func holdMLDSA(plain ed25519.PrivateKey) (*mldsaSigner, error) {
	v, err := locked.New[[mldsa.PrivateKeySize]byte]()
	if err != nil {
		return nil, err
	}
	seed, err := hkdf.Key(sha256.New, plain.Seed(), nil, mldsaLabel, mldsa.PrivateKeySize)
	if err != nil {
		v.Close()
		return nil, err
	}
	copy(v.Get()[:], seed)
	clear(seed)
	key, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), v.Get()[:])
	if err != nil {
		v.Close()
		return nil, err
	}
	// The key's own public half would keep the whole key alive.
	public, err := mldsa.NewPublicKey(mldsa.MLDSA44(), key.PublicKey().Bytes())
	if err != nil {
		v.Close()
		return nil, err
	}
	return &mldsaSigner{v, public}, nil
}

// newMemberKey makes a control node's key: what the cluster file has of it, and its key file.
func newMemberKey(name string, development bool) (audit.MemberKey, []byte, error) {
	public, text, err := newSigningKey(development)
	if err != nil {
		return audit.MemberKey{}, nil, err
	}
	m := audit.MemberKey{Name: name, Key: public}
	locked.Do(func() {
		var key crypto.PrivateKey
		if key, err = parsePrivate("signing key", name, text); err != nil {
			return
		}
		var s *mldsaSigner
		if s, err = holdMLDSA(key.(ed25519.PrivateKey)); err == nil {
			m.MLDSA = append([]byte(nil), s.public.Bytes()...)
			err = s.seed.Close()
		}
	})
	return m, text, err
}

// Public implements crypto.Signer: a *mldsa.PublicKey.
func (s *mldsaSigner) Public() crypto.PublicKey { return s.public }

// Sign implements crypto.Signer: message is what is signed, opts.HashFunc() is zero. No two signatures of one message are the same.
func (s *mldsaSigner) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	sig := make([]byte, 0, mldsa.MLDSA44SignatureSize)
	var err error
	locked.Do(func() {
		var key *mldsa.PrivateKey
		if key, err = mldsa.NewPrivateKey(mldsa.MLDSA44(), s.seed.Get()[:]); err != nil {
			return
		}
		var made []byte
		if made, err = key.Sign(nil, message, opts); err == nil {
			sig = append(sig, made...)
		}
	})
	locked.EraseSoon()
	if err != nil {
		return nil, fmt.Errorf("sign with ML-DSA: %w", err)
	}
	return sig, nil
}

// Format hides the key from every verb of fmt.
func (s *mldsaSigner) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("ML-DSA key (redacted)")) }
