package witness

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// Log is one log as somebody trusts it: its origin, and the keys that may sign its checkpoints. A log has
// one key; one whose members sign in turn, or that changes its key, has several.
type Log struct {
	Origin string
	keys   []Key
}

// NewLog takes the keys of one log, all with its origin as name, none twice.
func NewLog(keys ...Key) (Log, error) {
	if len(keys) == 0 {
		return Log{}, fmt.Errorf("log without a key: %w", ErrFormat)
	}
	l := Log{Origin: keys[0].Name}
	for _, k := range keys {
		if k.typ != typeLog && k.typ != typeMLDSA {
			return Log{}, fmt.Errorf("log %q: %s is a witness's key: %w", clip(l.Origin), k.ID(), ErrFormat)
		}
		if k.Name != l.Origin {
			return Log{}, fmt.Errorf("log %q has a key named %q: %w", clip(l.Origin), clip(k.Name), ErrFormat)
		}
		for _, other := range l.keys {
			if other.pub == k.pub || other.v.KeyHash() == k.v.KeyHash() {
				return Log{}, fmt.Errorf("log %q has key %s twice: %w", clip(l.Origin), k.ID(), ErrFormat)
			}
		}
		l.keys = append(l.keys, k)
	}
	return l, nil
}

// ParseLog reads the vkeys of one log.
func ParseLog(vkeys ...string) (Log, error) {
	keys := make([]Key, len(vkeys))
	for i, s := range vkeys {
		k, err := ParseLogKey(s)
		if err != nil {
			return Log{}, err
		}
		keys[i] = k
	}
	return NewLog(keys...)
}

// Keys are the log's keys; the caller must not change them.
func (l Log) Keys() []Key { return l.keys }

// Open verifies a checkpoint note of this log: at least one of its keys signed, none of their signatures is
// wrong. Signatures of others, witnesses among them, are left alone. Errors: ErrOtherLog, ErrSignature,
// ErrFormat, ErrTooLarge.
func (l Log) Open(b []byte) (Checkpoint, error) {
	c, _, err := l.OpenBy(b)
	return c, err
}

// OpenBy is Open, and names the keys that signed.
func (l Log) OpenBy(b []byte) (Checkpoint, []Key, error) {
	c, n, err := openNote(b, l.keys)
	if err != nil {
		return Checkpoint{}, nil, fmt.Errorf("open checkpoint of %s: %w", l.Origin, err)
	}
	if c.Origin != l.Origin {
		return Checkpoint{}, nil, fmt.Errorf("open checkpoint of %s: it is of %q: %w", l.Origin, clip(c.Origin), ErrOtherLog)
	}
	var by []Key
	for _, s := range n.Sigs {
		for _, k := range l.keys {
			if s.Hash == k.v.KeyHash() {
				by = append(by, k)
			}
		}
	}
	if len(by) == 0 {
		return Checkpoint{}, nil, fmt.Errorf("open checkpoint of %s: none of its %d keys signed: %w", l.Origin, len(l.keys), ErrSignature)
	}
	return c, by, nil
}

// Origin reads the origin a note states, signed or not, to choose by which log's keys to open it.
func Origin(b []byte) (string, error) {
	c, err := Peek(b)
	return c.Origin, err
}

// Peek reads what a note states and verifies nothing of it.
func Peek(b []byte) (Checkpoint, error) {
	c, _, err := openNote(b, nil)
	return c, err
}

// openNote parses a note and verifies what the known keys signed; the note's Sigs are those.
func openNote(b []byte, known []Key) (Checkpoint, *note.Note, error) {
	if len(b) > MaxNote {
		return Checkpoint{}, nil, fmt.Errorf("note of %d bytes, at most %d: %w", len(b), MaxNote, ErrTooLarge)
	}
	verifiers := make([]note.Verifier, len(known))
	for i, k := range known {
		verifiers[i] = k.v
	}
	n, err := note.Open(b, note.VerifierList(verifiers...))
	var wrong *note.InvalidSignatureError
	var unsigned *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unsigned):
		n = unsigned.Note
	case errors.As(err, &wrong):
		return Checkpoint{}, nil, fmt.Errorf("signature under the name %q is wrong: %w", clip(wrong.Name), ErrSignature)
	case err != nil:
		return Checkpoint{}, nil, fmt.Errorf("%w: %v", ErrFormat, err)
	}
	c, err := parseText(n.Text)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	return c, n, nil
}
