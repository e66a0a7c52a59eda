package audit

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// A member's cosignature is of two kinds, so that it takes two broken schemes to forge one: Ed25519, and ML-DSA-44 (FIPS 204), which a
// quantum computer does not break. Both are C2SP tlog-cosignature, under one name and of one time.

const (
	typeMLDSA      = 0x06 // C2SP tlog-cosignature
	mldsaPublicKey = 1312 // bytes; FIPS 204, table 2
	mldsaSignature = 2420
)

// WithMLDSA is a signer that cosigns with this ML-DSA-44 key too. Its Public() must have a method Bytes() []byte that gives the 1312
// bytes of FIPS 204, as *mldsa.PublicKey of filippo.io/mldsa has.
func (s *Signer) WithMLDSA(key crypto.Signer) (*Signer, error) {
	pub, ok := key.Public().(interface{ Bytes() []byte })
	if !ok || len(pub.Bytes()) != mldsaPublicKey {
		return nil, fmt.Errorf("signer %s: its second key is not ML-DSA-44: %w", s.name, ErrFormat)
	}
	out := *s
	out.mldsa, out.mldsaHash = key, mldsaKeyHash(s.name, pub.Bytes())
	return &out, nil
}

// MLDSAKey is the ML-DSA-44 cosignature key of a member ("name+hash+base64"), as C2SP tools take it.
func MLDSAKey(origin, node string, key []byte) (string, error) {
	if len(key) != mldsaPublicKey {
		return "", fmt.Errorf("ML-DSA-44 key of %d bytes, %d are one: %w", len(key), mldsaPublicKey, ErrFormat)
	}
	name := origin + "/" + node
	return fmt.Sprintf("%s+%08x+%s", name, mldsaKeyHash(name, key), base64.StdEncoding.EncodeToString(append([]byte{typeMLDSA}, key...))), nil
}

func mldsaKeyHash(name string, key []byte) uint32 {
	h := sha256.New()
	h.Write([]byte(name + "\n"))
	h.Write([]byte{typeMLDSA})
	h.Write(key)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

func mldsaVerifier(origin, node string, key []byte) (note.Verifier, error) {
	k, err := MLDSAKey(origin, node, key)
	if err != nil {
		return nil, err
	}
	return fnote.NewMLDSAVerifier(k)
}

// mldsaCosigner is a note.Signer at a given time.
type mldsaCosigner struct {
	s  *Signer
	at time.Time
}

func (c mldsaCosigner) Name() string    { return c.s.name }
func (c mldsaCosigner) KeyHash() uint32 { return c.s.mldsaHash }

// Sign signs "subtree/v1" of the whole tree (C2SP tlog-cosignature, ML-DSA-44 signed message).
func (c mldsaCosigner) Sign(msg []byte) ([]byte, error) {
	cp, err := parseCheckpoint(string(msg))
	if err != nil {
		return nil, err
	}
	t := c.at.Unix()
	if t < 0 || t > maxTime {
		return nil, fmt.Errorf("cosignature time %d out of range: %w", t, ErrFormat)
	}
	m := []byte("subtree/v1\n\x00")
	m = append(append(m, byte(len(c.s.name))), c.s.name...) // origins and names are short: checkOrigin, checkName
	m = binary.BigEndian.AppendUint64(m, uint64(t))
	m = append(append(m, byte(len(cp.Origin))), cp.Origin...)
	m = binary.BigEndian.AppendUint64(m, 0)
	m = binary.BigEndian.AppendUint64(m, cp.Size)
	m = append(m, cp.Root[:]...)
	sig, err := c.s.mldsa.Sign(nil, m, crypto.Hash(0))
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint64(nil, uint64(t)), sig...), nil
}

// checkMLDSA holds a member's second key to its form, and to be nobody else's. keys are those seen before.
func (c Cluster) checkMLDSA(m MemberKey, keys map[string]string) error {
	if len(m.MLDSA) == 0 {
		return nil
	}
	if _, err := mldsaVerifier(c.Origin, m.Name, m.MLDSA); err != nil {
		return fmt.Errorf("mldsa of member %s: %w: %w", m.Name, ErrFormat, err)
	}
	if other, ok := keys[string(m.MLDSA)]; ok {
		return fmt.Errorf("member %s has the same ML-DSA key as %s: %w", m.Name, other, ErrFormat)
	}
	keys[string(m.MLDSA)] = "member " + m.Name
	return nil
}
