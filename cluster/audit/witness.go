package audit

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/witness"
)

// MaxPolicy bounds a witness policy in a cluster file, a trust file or an order: an ML-DSA-44 key takes 1.8 KB of text.
const MaxPolicy = 32 << 10

// ParsePolicy reads a witness policy (C2SP tlog-policy); "" asks for nothing.
func ParsePolicy(text string) (witness.Policy, error) {
	if len(text) > MaxPolicy {
		return witness.Policy{}, fmt.Errorf("policy of %d bytes, at most %d: %w", len(text), MaxPolicy, ErrTooLarge)
	}
	p, err := witness.ParseOptionalPolicy(text)
	if err != nil {
		return witness.Policy{}, malformed{err}
	}
	return p, nil
}

// malformed says what another package found malformed, in its words, as this package's ErrFormat.
type malformed struct{ error }

func (m malformed) Unwrap() []error { return []error{m.error, ErrFormat} }

// LogPolicy is the witness policy that the cluster holds hotlines' public logs to, the zero Policy when it has none.
// The cluster has passed Check.
func (c Cluster) LogPolicy() witness.Policy { return mustPolicy(c.LogWitnesses) }

// Policy is the witness policy that the trust file holds the cluster's own checkpoints to.
func (t TrustFile) Policy() witness.Policy { return mustPolicy(t.Witnesses) }

// LogPolicy is the witness policy that the trust file holds hotlines' public logs to.
func (t TrustFile) LogPolicy() witness.Policy { return mustPolicy(t.LogWitnesses) }

// mustPolicy is for texts that were checked when their file was.
func mustPolicy(text string) witness.Policy {
	p, err := ParsePolicy(text)
	if err != nil {
		panic(fmt.Sprintf("audit: witness policy of a file that was not checked: %v", err))
	}
	return p
}

// Hand is the signer as a witness of other logs: it cosigns with the same keys under the same name. What it says of another's
// log is less than what it says of its own cluster's, which it has computed itself: that the log has only grown since it last
// saw it (C2SP tlog-cosignature). It may be used concurrently.
func (s *Signer) Hand() (witness.Cosigner, error) {
	ed, err := witness.NewSigner(s.name, s.key)
	if err != nil {
		return nil, err
	}
	if s.mldsa == nil {
		return ed, nil
	}
	vkey, err := vkeyMLDSA(s)
	if err != nil {
		return nil, err
	}
	return witness.Cosigners{ed, mldsaHand{s, vkey}}, nil
}

func vkeyMLDSA(s *Signer) (witness.Key, error) {
	pub := s.mldsa.Public().(interface{ Bytes() []byte }).Bytes() // WithMLDSA has seen to it
	at := strings.LastIndex(s.name, "/")
	k, err := MLDSAKey(s.name[:at], s.name[at+1:], pub)
	if err != nil {
		return witness.Key{}, err
	}
	return witness.ParseWitnessKey(k)
}

type mldsaHand struct {
	s   *Signer
	key witness.Key
}

func (h mldsaHand) Keys() []witness.Key { return []witness.Key{h.key} }

// Cosign signs origin, size and root: extension lines are not in what ML-DSA-44 cosignatures sign.
func (h mldsaHand) Cosign(text string, at time.Time) ([]byte, error) {
	lines := strings.SplitAfterN(text, "\n", 4)
	if len(lines) < 4 || len(lines[0]) > 255 { // its length is one byte of what is signed
		return nil, fmt.Errorf("cosign: %w", ErrFormat)
	}
	c := mldsaCosigner{h.s, at}
	sig, err := c.Sign([]byte(strings.Join(lines[:3], "")))
	if err != nil {
		return nil, err
	}
	b := append(binary.BigEndian.AppendUint32(nil, c.KeyHash()), sig...)
	return []byte("— " + h.s.name + " " + base64.StdEncoding.EncodeToString(b) + "\n"), nil
}

// WitnessKeys are the vkeys under which a member witnesses other logs, Ed25519 first.
func (c Cluster) WitnessKeys(m MemberKey) ([]string, error) {
	ed, err := CosignatureKey(c.Origin, m.Name, m.Key)
	if err != nil {
		return nil, err
	}
	if len(m.MLDSA) == 0 {
		return []string{ed}, nil
	}
	pq, err := MLDSAKey(c.Origin, m.Name, m.MLDSA)
	return []string{ed, pq}, err
}

// Log is the cluster's own log, as its witnesses know it: a checkpoint is signed by any one of its first members.
func (c Cluster) Log() (witness.Log, error) {
	var keys []witness.Key
	for _, m := range c.Members {
		k, err := witness.LogKey(c.Origin, m.Key)
		if err != nil {
			return witness.Log{}, err
		}
		keys = append(keys, k)
	}
	return witness.NewLog(keys...)
}
