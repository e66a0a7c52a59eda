package trust

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/match/locked"
)

// EpochKeys are the secrets of one list and epoch. They exist in memory only: at the hotline, and unwrapped at an operator's
// control nodes and edges. A copy of the struct points to the same keys.
type EpochKeys struct {
	List  match.ListID
	Epoch uint32
	Keys  *match.Keys // of UnwrapKeys: in locked memory, until the last Close
	// Marks are digests, MarkSize bytes each, of harmless names that the hotline has made for this operator alone. They stay with the keys
	// wherever these are wrapped again, so that a copy says whose it is. Nothing is matched against them.
	Marks []byte

	held *locked.Value[match.Keys] // nil: the memory is the maker's
}

// Share is the same keys with one more owner, who closes them too.
func (k EpochKeys) Share() EpochKeys {
	if k.held != nil {
		k.held = k.held.Share()
	}
	return k
}

// Close gives up the keys that UnwrapKeys or Share gave. With the last owner they are overwritten, and who uses them then ends the
// process. The error is always nil.
func (k EpochKeys) Close() error {
	if k.held == nil {
		return nil
	}
	return k.held.Close()
}

// Mode is how well the memory of the keys is kept from others.
func (k EpochKeys) Mode() locked.Mode {
	if k.held == nil {
		return locked.Plain
	}
	return k.held.Mode()
}

// String hides the keys from logs and errors.
func (k EpochKeys) String() string {
	return fmt.Sprintf("keys of %s epoch %d (redacted)", k.List, k.Epoch)
}

// GoString hides the keys from %#v.
func (k EpochKeys) GoString() string { return k.String() }

// Marks of an operator's keys.
const (
	MarkSize = 16
	maxMarks = 8
)

// MaxWrappedKeys bounds a file of wrapped keys.
const MaxWrappedKeys = maxWrapped

// appendPlain is what is sealed: a CBOR map in the core deterministic form, written here because a general encoder keeps copies of what it wrote.
func (k EpochKeys) appendPlain(b []byte) []byte {
	pairs := byte(5)
	if len(k.Marks) > 0 {
		pairs = 6
	}
	b = append(b, 5<<5|pairs, 1, 1, 2) // version 1; the list
	b = appendHead(b, 3<<5, uint32(len(k.List)))
	b = append(b, k.List...)
	b = appendHead(append(b, 3), 0, k.Epoch)
	b = append(b, 4, 2<<5|24, byte(len(k.Keys.Match)))
	b = append(b, k.Keys.Match[:]...)
	b = append(b, 5, 2<<5|byte(len(k.Keys.Gate)))
	b = append(b, k.Keys.Gate[:]...)
	if len(k.Marks) == 0 {
		return b
	}
	b = appendHead(append(b, 6), 2<<5, uint32(len(k.Marks)))
	return append(b, k.Marks...)
}

// appendHead writes a CBOR head (RFC 8949 section 3) in its shortest form.
func appendHead(b []byte, major byte, n uint32) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, major|26), n)
}

// readPlain reads what appendPlain writes and takes nothing else: it writes list and epoch again and compares.
func (k *EpochKeys) readPlain(b []byte) bool {
	if len(b) == 0 || b[0] != 5<<5|5 && b[0] != 5<<5|6 {
		return false
	}
	rest, ok := bytes.CutPrefix(b[1:], []byte{1, 1, 2})
	if !ok {
		return false
	}
	n, rest, ok := cutHead(rest, 3<<5)
	if !ok || n > match.MaxListID || int(n) > len(rest) {
		return false
	}
	list, err := match.ParseListID(string(rest[:n]))
	rest, ok = bytes.CutPrefix(rest[n:], []byte{3})
	if err != nil || !ok {
		return false
	}
	k.List = list
	if k.Epoch, rest, ok = cutHead(rest, 0); !ok {
		return false
	}
	gate := 3 + len(k.Keys.Match)
	end := gate + 2 + len(k.Keys.Gate)
	if len(rest) < end {
		return false
	}
	copy(k.Keys.Match[:], rest[3:])
	copy(k.Keys.Gate[:], rest[gate+2:])
	if marks := rest[end:]; len(marks) > 0 {
		n, marks, ok := cutHead(marks[1:], 2<<5)
		if !ok || n == 0 || n%MarkSize != 0 || n > maxMarks*MarkSize || int(n) != len(marks) {
			return false
		}
		k.Marks = bytes.Clone(marks)
	}
	var again [maxPlainKeys]byte
	defer clear(again[:])
	return subtle.ConstantTimeCompare(k.appendPlain(again[:0]), b) == 1
}

// cutHead reads a CBOR head of one kind.
func cutHead(b []byte, major byte) (n uint32, rest []byte, ok bool) {
	if len(b) == 0 || b[0]&0xe0 != major {
		return 0, nil, false
	}
	size := 0
	switch low := b[0] & 0x1f; {
	case low < 24:
		return uint32(low), b[1:], true
	case low <= 26:
		size = 1 << (low - 24)
	default:
		return 0, nil, false
	}
	if len(b) < 1+size {
		return 0, nil, false
	}
	for _, x := range b[1 : 1+size] {
		n = n<<8 | uint32(x)
	}
	return n, b[1+size:], true
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
	if k.Keys == nil || len(k.Marks)%MarkSize != 0 || len(k.Marks) > maxMarks*MarkSize {
		return nil, fmt.Errorf("wrap keys: %w: no keys, or too many marks", ErrFormat)
	}
	var out bytes.Buffer
	locked.Do(func() {
		var plain [maxPlainKeys]byte
		defer clear(plain[:])
		var w io.WriteCloser
		if w, err = age.Encrypt(&out, r); err != nil {
			return
		}
		if _, err = w.Write(k.appendPlain(plain[:0])); err == nil {
			err = w.Close()
		}
	})
	if err != nil {
		return nil, fmt.Errorf("wrap keys: %w", err)
	}
	return bytes.Clone(out.Bytes()), nil
}

// UnwrapKeys opens what WrapKeys sealed for the identity, into locked memory that the caller closes. A file that is not for it, altered
// or not age at all is ErrFormat: nothing in it can be believed; over MaxWrappedKeys it is ErrTooLarge. Who wrapped the keys is
// known only from the signed target the file is: check its hash first, and that list and epoch are the ones expected.
func UnwrapKeys(b []byte, identity age.Identity) (EpochKeys, error) {
	if len(b) > MaxWrappedKeys {
		return EpochKeys{}, fmt.Errorf("unwrap keys: %w: %d bytes, at most %d", ErrTooLarge, len(b), MaxWrappedKeys)
	}
	held, err := locked.New[match.Keys]()
	if err != nil {
		return EpochKeys{}, fmt.Errorf("unwrap keys: %w", err)
	}
	k := EpochKeys{Keys: held.Get(), held: held}
	locked.Do(func() {
		if err = k.open(b, identity); err == nil {
			k.Keys.Prepare()
		}
	})
	if err != nil {
		held.Close()
		return EpochKeys{}, fmt.Errorf("unwrap keys: %w", err)
	}
	return k, nil
}

func (k *EpochKeys) open(b []byte, identity age.Identity) error {
	r, err := age.Decrypt(bytes.NewReader(b), identity)
	if err != nil {
		if _, other := errors.AsType[*age.NoIdentityMatchError](err); other {
			return fmt.Errorf("%w: sealed for somebody else", ErrFormat)
		}
		return fmt.Errorf("%w: not an age file (%d bytes)", ErrFormat, len(b))
	}
	var plain [maxPlainKeys + 1]byte
	defer clear(plain[:])
	n, err := io.ReadFull(r, plain[:])
	switch {
	case err == nil:
		return fmt.Errorf("%w: over %d bytes sealed", ErrTooLarge, maxPlainKeys)
	case err != io.ErrUnexpectedEOF && err != io.EOF:
		return fmt.Errorf("%w: the sealed part was cut or altered", ErrFormat)
	case !k.readPlain(plain[:n]):
		return errRedacted
	}
	return nil
}

// maxPlainKeys bounds the sealed CBOR: 32 + 16 bytes of keys, a list id of 63, 128 of marks, and framing.
const maxPlainKeys = 320

// errRedacted says that the sealed part is malformed without quoting any of it.
var errRedacted = fmt.Errorf("%w: the sealed part is not keys of a list", ErrFormat)
