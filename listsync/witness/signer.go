package witness

import (
	"crypto"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// Cosigner is a witness's hand. Its methods may be called concurrently.
type Cosigner interface {
	// Keys are the verifier keys of what Cosign writes, one for each line.
	Keys() []Key
	// Cosign returns signature lines over a checkpoint's whole signed text, dated at.
	Cosign(text string, at time.Time) ([]byte, error)
}

// Signer cosigns with an Ed25519 key (c2sp.org/tlog-cosignature, 0x04).
type Signer struct {
	key  Key
	hand crypto.Signer
}

// NewSigner makes the hand of the witness with this name. One key must serve under one name only: what an Ed25519
// cosignature signs does not say who signed.
func NewSigner(name string, hand crypto.Signer) (*Signer, error) {
	pub, ok := hand.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("witness %s: its key is not Ed25519: %w", clip(name), ErrFormat)
	}
	k, err := WitnessKey(name, pub)
	if err != nil {
		return nil, err
	}
	return &Signer{key: k, hand: hand}, nil
}

// Keys is the one key.
func (s *Signer) Keys() []Key { return []Key{s.key} }

// Cosign signs the text with the time before it: no other message that the key signs begins so.
func (s *Signer) Cosign(text string, at time.Time) ([]byte, error) {
	t := at.Unix()
	if t < 0 || t > maxTime {
		return nil, fmt.Errorf("cosignature time %d out of range: %w", t, ErrFormat)
	}
	if _, err := parseText(text); err != nil {
		return nil, err
	}
	sig, err := s.hand.Sign(nil, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", t, text), crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("cosign: %w", err)
	}
	b := binary.BigEndian.AppendUint32(nil, s.key.v.KeyHash())
	b = binary.BigEndian.AppendUint64(b, uint64(t))
	return []byte("— " + s.key.Name + " " + encode64(append(b, sig...)) + "\n"), nil
}

// Cosigners sign one after the other, as a witness with an Ed25519 and an ML-DSA-44 key does.
type Cosigners []Cosigner

// Keys are those of all.
func (c Cosigners) Keys() []Key {
	var out []Key
	for _, one := range c {
		out = append(out, one.Keys()...)
	}
	return out
}

// Cosign is all lines, or the first error.
func (c Cosigners) Cosign(text string, at time.Time) ([]byte, error) {
	var out strings.Builder
	for _, one := range c {
		lines, err := one.Cosign(text, at)
		if err != nil {
			return nil, err
		}
		out.Write(lines)
	}
	return []byte(out.String()), nil
}
