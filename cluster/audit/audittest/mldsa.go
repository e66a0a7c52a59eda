package audittest

import (
	"crypto"
	"crypto/sha256"
	"io"
	"strings"

	"filippo.io/mldsa"

	"github.com/cordon-project/cordon/cluster/audit"
)

// MLDSAKey derives an ML-DSA-44 test key from words. It signs the same bytes each time.
func MLDSAKey(words ...string) crypto.Signer {
	seed := sha256.Sum256([]byte("cordon audittest mldsa\n" + strings.Join(words, "/")))
	return MLDSAOf(seed[:])
}

// MLDSAOf is the ML-DSA-44 key of a seed. It signs the same bytes each time.
func MLDSAOf(seed []byte) crypto.Signer {
	key, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed)
	check(err)
	return deterministic{key}
}

// deterministic is the key without the randomness that a node's signatures have.
type deterministic struct{ *mldsa.PrivateKey }

func (d deterministic) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	return d.SignDeterministic(message, opts)
}

// MLDSAPublic is a key's public half, as a cluster file has it.
func MLDSAPublic(k crypto.Signer) []byte { return k.Public().(*mldsa.PublicKey).Bytes() }

// Signer is a member's hand under checkpoints, with both of its keys.
func (l *Log) Signer(origin, name string) *audit.Signer {
	s, err := audit.NewSigner(origin, name, l.Members[name])
	check(err)
	s, err = s.WithMLDSA(l.MLDSA[name])
	check(err)
	return s
}
