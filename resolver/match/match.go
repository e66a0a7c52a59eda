// Package match answers one question without a lock and without an allocation: is this name listed?
//
// In come edge lists (records of a keyed digest, a keyed gate hash, an entry id and a meta word each; never a name), as
// hotlines signed them, the charter's filter and the keys of each. Out comes an Index for each, a Bloom filter that
// anyone can recompute byte for byte from the signed list without any key, and a Set: the lists in force, the
// removals on top of them and the state id that names the whole. A lookup hashes each label suffix of a name with
// SipHash, asks a Bloom filter, and only on a hit computes the HMAC digest that the edge list must confirm (P2).
//
// FORMAT.md has the byte tables and test vectors, SIZING.md the numbers behind the constants.
package match

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match/section"
)

// Sentinels of everything that reads or writes a file here, and of NewSet; errors wrap them.
var (
	ErrFormat   = section.ErrFormat   // not a file of this kind and version, or a field out of range
	ErrHash     = section.ErrHash     // a hash in the file does not fit its content
	ErrTooLarge = section.ErrTooLarge // more records or bytes than any list may have
	ErrOrder    = errors.New("records are not in strict order")
)

const (
	// MaxRecords bounds a list; at the widest format (56 bytes a record) a full list stays below section.MaxFile. Ten
	// million pages are twenty million records.
	MaxRecords = 32 << 20

	// MaxName is the longest name a lookup considers: 253 characters is what DNS allows in dotted form.
	MaxName = 253

	// MaxExpression bounds a page expression: longer ones are never listed and never matched.
	MaxExpression = canon.MaxLength
)

// Digest is the keyed 128-bit digest of one expression; without the key it says nothing about it.
type Digest [16]byte

// EntryID names one entry across versions and key epochs: withdrawals, suppressions and appeals use it.
type EntryID [16]byte

// String is the hexadecimal form.
func (e EntryID) String() string { return hex.EncodeToString(e[:]) }

// MarshalText writes the hexadecimal form.
func (e EntryID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, e[:]), nil }

// UnmarshalText reads what MarshalText writes.
func (e *EntryID) UnmarshalText(b []byte) error {
	id, err := ParseEntryID(string(b))
	if err == nil {
		*e = id
	}
	return err
}

// ParseEntryID reads 32 lower-case hexadecimal digits.
func ParseEntryID(s string) (EntryID, error) {
	var e EntryID
	if len(s) != 2*len(e) {
		return EntryID{}, fmt.Errorf("parse entry id: %d characters, want %d: %w", len(s), 2*len(e), ErrFormat)
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return EntryID{}, fmt.Errorf("parse entry id: character %d is not lower-case hexadecimal: %w", i, ErrFormat)
		}
	}
	if _, err := hex.Decode(e[:], []byte(s)); err != nil {
		return EntryID{}, fmt.Errorf("parse entry id: %w", ErrFormat)
	}
	return e, nil
}

// ListID names a list of a hotline as "hotline/list".
type ListID string

// MaxListID is the longest list id: two parts of 31 characters and the slash.
const MaxListID = 63

// ParseListID checks "hotline/list": each part starts with [a-z0-9], goes on with [a-z0-9-], and has at most 31 characters.
func ParseListID(s string) (ListID, error) {
	slash := -1
	for i := 0; i < len(s) && i <= MaxListID; i++ {
		start := i == slash+1
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-' && !start:
		case c == '/' && slash < 0 && !start:
			slash = i
		default:
			return "", fmt.Errorf("parse list id: character %d: %w", i, ErrFormat)
		}
	}
	if slash < 1 || slash > 31 || len(s)-slash-1 < 1 || len(s)-slash-1 > 31 {
		return "", fmt.Errorf("parse list id: not hotline/list with parts of 1 to 31 characters: %w", ErrFormat)
	}
	return ListID(s), nil
}

// Hotline is the part before the slash.
func (l ListID) Hotline() string {
	for i := range len(l) {
		if l[i] == '/' {
			return string(l[:i])
		}
	}
	return string(l)
}
