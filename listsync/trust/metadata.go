package trust

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"github.com/cordon-project/cordon/resolver/match"
)

// MaxMetadata bounds the encoded Metadata: it must fit a Raft command of 64 KiB, together with verdicts and the proof of the public log (12 KiB).
const MaxMetadata = 48 << 10

// Metadata is everything of a hotline's repository that Verify needs, as the files' bytes: new roots since the pinned one in
// ascending order, the current timestamp, snapshot, targets and list role, and charter.json.
type Metadata struct {
	Roots     [][]byte `cbor:"1,keyasint"`
	Timestamp []byte   `cbor:"2,keyasint"`
	Snapshot  []byte   `cbor:"3,keyasint"`
	Targets   []byte   `cbor:"4,keyasint"`
	List      []byte   `cbor:"5,keyasint"`
	Charter   []byte   `cbor:"6,keyasint"`
}

// HighWater is what was trusted before: a later Verify refuses anything below it. The zero value trusts nothing yet.
type HighWater struct {
	Root      int64     `cbor:"1,keyasint"`
	Timestamp int64     `cbor:"2,keyasint"`
	Snapshot  int64     `cbor:"3,keyasint"`
	Targets   int64     `cbor:"4,keyasint"`
	List      int64     `cbor:"5,keyasint"`
	Seqs      []SeqMark `cbor:"6,keyasint"` // ascending by list; a list that is gone keeps its mark
}

// SeqMark is the highest version of a list that was trusted.
type SeqMark struct {
	List match.ListID `cbor:"1,keyasint"`
	Seq  uint64       `cbor:"2,keyasint"`
}

const (
	// maxJump bounds how far one acceptance may move a version: a thief who signs the last possible number would else shut the
	// rightful owner out for ever (fast-forward). At one version a minute this is 31 years.
	maxJump = 1 << 24

	maxSeqMarks = 256
)

var (
	encMode = must(cbor.CoreDetEncOptions().EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, IndefLength: cbor.IndefLengthForbidden,
		TagsMd: cbor.TagsForbidden, MaxArrayElements: 4096, MaxMapPairs: 64, MaxNestedLevels: 8, UTF8: cbor.UTF8RejectInvalid,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic("trust: CBOR options: " + err.Error())
	}
	return v
}

// decode reads the one encoding of v: any other bytes for the same value are ErrFormat.
func decode(b []byte, v any) error {
	if err := decMode.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: CBOR of %d bytes %s", ErrFormat, len(b), cborFault(err))
	}
	again, err := encMode.Marshal(v)
	if err != nil || !bytes.Equal(again, b) {
		return fmt.Errorf("%w: CBOR is not in its core deterministic form", ErrFormat)
	}
	return nil
}

// cborFault says what is wrong with CBOR. The library's own words would quote keys and numbers.
func cborFault(err error) string {
	if _, ok := errors.AsType[*cbor.UnknownFieldError](err); ok {
		return "has an unknown field"
	}
	if _, ok := errors.AsType[*cbor.DupMapKeyError](err); ok {
		return "has a key twice"
	}
	if _, ok := errors.AsType[*cbor.UnmarshalTypeError](err); ok {
		return "has a value of another type than its field"
	}
	if _, ok := errors.AsType[*cbor.ExtraneousDataError](err); ok {
		return "has data after its end"
	}
	return "cannot be read"
}

// Encode gives the canonical CBOR of m. It fails with ErrTooLarge over MaxMetadata and ErrFormat if a part is missing.
func (m Metadata) Encode() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	b, err := m.marshal()
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	return b, nil
}

func (m Metadata) marshal() ([]byte, error) {
	if m.Roots == nil {
		m.Roots = [][]byte{} // none is written in one way only
	}
	b, err := encMode.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrFormat, err)
	}
	if len(b) > MaxMetadata {
		return nil, fmt.Errorf("%w: metadata of %d bytes, at most %d", ErrTooLarge, len(b), MaxMetadata)
	}
	return b, nil
}

// check bounds the parts before anything reads them.
func (m Metadata) check() error {
	if len(m.Roots) > MaxRootSteps {
		return fmt.Errorf("%w: %d roots at once, at most %d", ErrTooLarge, len(m.Roots), MaxRootSteps)
	}
	total := 0
	for i, part := range append(slices.Clone(m.Roots), m.Timestamp, m.Snapshot, m.Targets, m.List, m.Charter) {
		if len(part) == 0 {
			return fmt.Errorf("%w: metadata lacks part %d", ErrFormat, i)
		}
		total += len(part)
	}
	if total > MaxMetadata {
		return fmt.Errorf("%w: metadata of %d bytes, at most %d", ErrTooLarge, total, MaxMetadata)
	}
	return nil
}

// DecodeMetadata reads what Encode wrote; any other bytes are ErrFormat, or ErrTooLarge. The result shares no memory with b.
func DecodeMetadata(b []byte) (Metadata, error) {
	if len(b) > MaxMetadata {
		return Metadata{}, fmt.Errorf("decode metadata: %w: %d bytes, at most %d", ErrTooLarge, len(b), MaxMetadata)
	}
	var m Metadata
	if err := decode(b, &m); err != nil {
		return Metadata{}, fmt.Errorf("decode metadata: %w", err)
	}
	if m.Roots == nil {
		return Metadata{}, fmt.Errorf("decode metadata: %w: roots are null", ErrFormat)
	}
	if err := m.check(); err != nil {
		return Metadata{}, fmt.Errorf("decode metadata: %w", err)
	}
	return m, nil
}

// Hash is SHA-256 of the canonical CBOR of m, whatever its size: it names exactly these bytes in leaves and commands.
func (m Metadata) Hash() [32]byte {
	if m.Roots == nil {
		m.Roots = [][]byte{}
	}
	return sha256.Sum256(must(encMode.Marshal(m)))
}

// seqs gives the marks after lists were accepted. Lists that are no longer published keep theirs.
func (h HighWater) seqs(lists []ListTarget) ([]SeqMark, error) {
	marks := slices.Clone(h.Seqs)
	for _, l := range lists {
		i := slices.IndexFunc(marks, func(m SeqMark) bool { return m.List == l.List })
		if i < 0 {
			i, marks = len(marks), append(marks, SeqMark{List: l.List})
		}
		if err := step(string(l.List)+" seq", int64(marks[i].Seq), int64(l.Seq)); err != nil {
			return nil, err
		}
		marks[i].Seq = l.Seq
	}
	if len(marks) > maxSeqMarks {
		return nil, fmt.Errorf("%w: %d lists of one hotline so far, at most %d", ErrTooLarge, len(marks), maxSeqMarks)
	}
	slices.SortFunc(marks, func(a, b SeqMark) int { return strings.Compare(string(a.List), string(b.List)) })
	return marks, nil
}

// follows refuses versions that went back, or that jump so far that nothing could ever follow them.
func (h HighWater) follows(next HighWater) error {
	for _, v := range []struct {
		what     string
		old, new int64
	}{
		{"root", h.Root, next.Root}, {"timestamp", h.Timestamp, next.Timestamp}, {"snapshot", h.Snapshot, next.Snapshot},
		{"targets", h.Targets, next.Targets}, {"list role", h.List, next.List},
	} {
		if err := step(v.what, v.old, v.new); err != nil {
			return err
		}
	}
	return nil
}

func step(what string, from, to int64) error {
	if to < from {
		return fmt.Errorf("%w: %s version %d after %d", ErrRollback, what, to, from)
	}
	if to-from > maxJump {
		return fmt.Errorf("%w: %s version jumps from %d to %d", ErrTooLarge, what, from, to)
	}
	return nil
}
