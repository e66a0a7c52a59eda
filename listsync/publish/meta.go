package publish

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// envelope is a metadata file as this package looks at it: who signed, and the few members it works with. trust decides what is
// valid; here the reader is an officer's own tool, on files trust has built.
type envelope struct {
	Signatures []struct {
		KeyID string `json:"keyid"`
		Sig   string `json:"sig"`
	} `json:"signatures"`
	Signed json.RawMessage `json:"signed"`

	head struct {
		Type    string             `json:"_type"`
		Version int64              `json:"version"`
		Expires time.Time          `json:"expires"`
		Keys    map[string]tufKey  `json:"keys"`
		Roles   map[string]tufRole `json:"roles"`
		// of targets.json:
		Delegations struct {
			Keys  map[string]tufKey `json:"keys"`
			Roles []tufRole         `json:"roles"`
		} `json:"delegations"`
		Targets     map[string]tufMeta `json:"targets"`
		Meta        map[string]tufMeta `json:"meta"`
		Development bool               `json:"x-cordon-development"`
	}
}

type tufKey struct {
	Value struct {
		Public string `json:"public"`
	} `json:"keyval"`
}

type tufRole struct {
	KeyIDs    []string `json:"keyids"`
	Threshold int      `json:"threshold"`
}

type tufMeta struct {
	Version int64             `json:"version"`
	Length  int64             `json:"length"`
	Hashes  map[string]string `json:"hashes"`
}

// matches reports whether b has the length and hash that the metadata above it pins.
func (m tufMeta) matches(b []byte) bool {
	sum := sha256.Sum256(b)
	return m.Length == int64(len(b)) && m.Hashes["sha256"] == hex.EncodeToString(sum[:])
}

// openEnvelope reads a metadata file.
func openEnvelope(b []byte) (*envelope, error) {
	var e envelope
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(e.Signed, &e.head); err != nil {
		return nil, err
	}
	if e.head.Version < 1 || e.head.Expires.IsZero() {
		return nil, errors.New("no version or no expiry")
	}
	return &e, nil
}

// readEnvelope reads a metadata file of the given type from disk.
func readEnvelope(path, kind string) (*envelope, []byte, error) {
	b, err := readSmall(path)
	if err != nil {
		return nil, nil, err
	}
	e, err := openEnvelope(b)
	if err == nil && kind != "" && e.head.Type != kind {
		err = fmt.Errorf("it is of type %q, not %q", printable(e.head.Type), kind)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	return e, b, nil
}

// signers are the key ids among those of role that have validly signed, sorted.
func (e *envelope) signers(role tufRole, keys map[string]tufKey) []string {
	var ids []string
	for _, s := range e.Signatures {
		if !slices.Contains(role.KeyIDs, s.KeyID) || slices.Contains(ids, s.KeyID) {
			continue
		}
		pub, err1 := hex.DecodeString(keys[s.KeyID].Value.Public)
		sig, err2 := hex.DecodeString(s.Sig)
		if err1 != nil || err2 != nil || len(pub) != ed25519.PublicKeySize {
			continue
		}
		// trust writes the signed part in canonical form, so the bytes in the file are the bytes that were signed.
		if ed25519.Verify(pub, e.Signed, sig) {
			ids = append(ids, s.KeyID)
		}
	}
	slices.Sort(ids)
	return ids
}
