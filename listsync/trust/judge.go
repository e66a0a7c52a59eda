package trust

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// settle decides about a file that go-tuf gave the verdict err on: signed by a threshold of every role given, by nobody else, and
// read by go-tuf as the bytes it is.
func settle[T metadata.Roles](err error, b []byte, m *metadata.Metadata[T], env envelope, roles ...roleDoc) error {
	counts, stray := env.tally(roles)
	if err := judge(err, counts, roles); err != nil {
		return err
	}
	if stray { // a mirror could add such signatures, and one version of a file would have many hashes
		return fmt.Errorf("%w: one of the %d signatures is not a valid one of this role", ErrSignature, len(env.signatures))
	}
	return roundTrip(b, m)
}

// judge turns go-tuf's verdict on a file into one of ours, and confirms a good one with the signatures we counted ourselves over
// the raw bytes of the signed part: counts has those of each role.
func judge(err error, counts []int, roles []roleDoc) error {
	var (
		unsigned *metadata.ErrUnsignedMetadata
		expired  *metadata.ErrExpiredMetadata
		version  *metadata.ErrBadVersionNumber
		equal    *metadata.ErrEqualVersionNumber
		hash     *metadata.ErrLengthOrHashMismatch
	)
	switch {
	case err == nil, errors.As(err, &unsigned):
		for i, r := range roles {
			switch n := counts[i]; {
			case n >= r.threshold:
			case n == 0:
				return fmt.Errorf("%w: 0 of %d keys, want %d", ErrSignature, len(r.keys), r.threshold)
			default:
				return fmt.Errorf("%w: %d of %d keys, want %d", ErrThreshold, n, len(r.keys), r.threshold)
			}
		}
		if err != nil { // go-tuf found a signature bad that we found good: nobody passes on one opinion
			return fmt.Errorf("%w: go-tuf counts other signatures than we do", ErrSignature)
		}
		return nil
	case errors.As(err, &expired):
		return fmt.Errorf("%w: %v", ErrExpired, err)
	case errors.As(err, &version), errors.As(err, &equal):
		return fmt.Errorf("%w: %v", ErrRollback, err)
	case errors.As(err, &hash):
		return fmt.Errorf("%w: %v", ErrHash, err)
	}
	return fmt.Errorf("%w: go-tuf cannot read it (%T)", ErrFormat, err) // its words may quote what nobody signed
}

// tally counts the different keys of each role that signed the raw signed part; stray says that a signature counts for no role.
// readEnvelope refused two signatures of one key, and a key has one id.
func (e envelope) tally(roles []roleDoc) (counts []int, stray bool) {
	counts = make([]int, len(roles))
	for _, s := range e.signatures {
		good := false
		for i, r := range roles {
			pub, ok := r.keys[s.KeyID]
			if ok && (good || ed25519.Verify(pub, e.signedBytes, s.Sig)) {
				good = true
				counts[i]++
			}
		}
		stray = stray || !good
	}
	return counts, stray
}

// roundTrip demands that go-tuf writes what it read as the bytes it was given: then it has read all of them, and only once.
func roundTrip[T metadata.Roles](b []byte, m *metadata.Metadata[T]) error {
	again, err := m.ToBytes(false)
	if err != nil || !bytes.Equal(again, b) {
		return fmt.Errorf("%w: not in the form it is signed in", ErrFormat)
	}
	return nil
}

// officers lists the keys of a role in a fixed order.
func (r roleDoc) officers() Officers {
	o := Officers{Threshold: r.threshold}
	for id, pub := range r.keys {
		o.Keys = append(o.Keys, OfficerKey{ID: id, Public: pub})
	}
	slices.SortFunc(o.Keys, func(a, b OfficerKey) int { return cmp.Compare(a.ID, b.ID) })
	return o
}

func indexTarget(targets []targetDoc, path string) int {
	return slices.IndexFunc(targets, func(t targetDoc) bool { return t.Path == path })
}
