package trust

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/cordon-project/cordon/resolver/match"
)

// EpochKeys are the secrets of one list and epoch. They exist in memory only: at the hotline, and unwrapped at an operator's
// control nodes and edges.
type EpochKeys struct {
	List  match.ListID
	Epoch uint32
	Keys  match.Keys
}

// String hides the keys from logs and errors.
func (k EpochKeys) String() string {
	return fmt.Sprintf("keys of %s epoch %d (redacted)", k.List, k.Epoch)
}

// GoString hides the keys from %#v.
func (k EpochKeys) GoString() string { return k.String() }

// MaxWrappedKeys bounds a file of wrapped keys.
const MaxWrappedKeys = maxWrapped

// wireKeys is what is sealed.
type wireKeys struct {
	V     int          `cbor:"1,keyasint"` // 1
	List  match.ListID `cbor:"2,keyasint"`
	Epoch uint32       `cbor:"3,keyasint"`
	Match []byte       `cbor:"4,keyasint"`
	Gate  []byte       `cbor:"5,keyasint"`
}

func (k EpochKeys) marshal() ([]byte, error) {
	return encMode.Marshal(wireKeys{V: 1, List: k.List, Epoch: k.Epoch, Match: k.Keys.Match[:], Gate: k.Keys.Gate[:]})
}

// ParseRecipient reads the age recipient of a cluster or node: X25519 ("age1...") or hybrid post-quantum ("age1pq1...").
func ParseRecipient(s string) (age.Recipient, error) {
	if len(s) > 4096 {
		return nil, fmt.Errorf("parse recipient: %w: %d characters", ErrTooLarge, len(s))
	}
	if r, err := age.ParseHybridRecipient(s); err == nil {
		return r, nil
	}
	r, err := age.ParseX25519Recipient(s)
	if err != nil {
		return nil, fmt.Errorf("parse recipient: %w: not an age X25519 or hybrid recipient", ErrFormat)
	}
	return r, nil
}

// WrapKeys seals k with age for one recipient. The result differs at every call.
func WrapKeys(k EpochKeys, recipient string) ([]byte, error) {
	r, err := ParseRecipient(recipient)
	if err != nil {
		return nil, fmt.Errorf("wrap keys: %w", err)
	}
	if _, err := match.ParseListID(string(k.List)); err != nil {
		return nil, fmt.Errorf("wrap keys: %w: list id (%d bytes)", ErrFormat, len(k.List))
	}
	plain, err := k.marshal()
	if err != nil {
		return nil, fmt.Errorf("wrap keys: %w", errRedacted)
	}
	defer clear(plain)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, r)
	if err != nil {
		return nil, fmt.Errorf("wrap keys: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("wrap keys: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("wrap keys: %w", err)
	}
	return out.Bytes(), nil
}

// UnwrapKeys opens what WrapKeys sealed for the identity. A file that is not for it, altered or not age at all is
// ErrFormat: nothing in it can be believed; over MaxWrappedKeys it is ErrTooLarge. Who wrapped the keys is
// known only from the signed target the file is: check its hash first, and that list and epoch are the ones expected.
func UnwrapKeys(b []byte, identity age.Identity) (EpochKeys, error) {
	if len(b) > MaxWrappedKeys {
		return EpochKeys{}, fmt.Errorf("unwrap keys: %w: %d bytes, at most %d", ErrTooLarge, len(b), MaxWrappedKeys)
	}
	r, err := age.Decrypt(bytes.NewReader(b), identity)
	if err != nil {
		if _, other := errors.AsType[*age.NoIdentityMatchError](err); other {
			return EpochKeys{}, fmt.Errorf("unwrap keys: %w: sealed for somebody else", ErrFormat)
		}
		return EpochKeys{}, fmt.Errorf("unwrap keys: %w: not an age file (%d bytes)", ErrFormat, len(b))
	}
	plain := make([]byte, maxPlainKeys+1)
	defer clear(plain)
	n, err := io.ReadFull(r, plain)
	switch {
	case err == nil:
		return EpochKeys{}, fmt.Errorf("unwrap keys: %w: over %d bytes sealed", ErrTooLarge, maxPlainKeys)
	case err != io.ErrUnexpectedEOF:
		return EpochKeys{}, fmt.Errorf("unwrap keys: %w: the sealed part was cut or altered", ErrFormat)
	}
	var w wireKeys
	if err := decode(plain[:n], &w); err != nil {
		return EpochKeys{}, fmt.Errorf("unwrap keys: %w", errRedacted)
	}
	defer clear(w.Match)
	defer clear(w.Gate)
	k := EpochKeys{List: w.List, Epoch: w.Epoch}
	_, err = match.ParseListID(string(w.List))
	if err != nil || w.V != 1 || len(w.Match) != len(k.Keys.Match) || len(w.Gate) != len(k.Keys.Gate) {
		return EpochKeys{}, fmt.Errorf("unwrap keys: %w", errRedacted)
	}
	copy(k.Keys.Match[:], w.Match)
	copy(k.Keys.Gate[:], w.Gate)
	return k, nil
}

// maxPlainKeys bounds the sealed CBOR: 32 + 16 bytes of keys, a list id of 63, and framing.
const maxPlainKeys = 256

// errRedacted says that the sealed part is malformed without quoting any of it.
var errRedacted = fmt.Errorf("%w: the sealed part is not keys of a list", ErrFormat)
