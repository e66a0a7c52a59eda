package match

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"

	"github.com/cordon-project/cordon/resolver/canon"
)

// MetaSize is the size of an encoded Meta.
const MetaSize = 16

// Meta is what a record says about its entry. Times are Unix seconds.
type Meta struct {
	Kind         canon.Kind
	Flags        Flags
	Category     Category
	Basis        Basis
	Jurisdiction [2]byte // two upper-case letters, as in ISO 3166-1 alpha-2
	Since        uint32
	ReviewBy     uint32 // last second at which the record is in force
}

// Check reports what is wrong with m: a value outside of its closed set, a flag on the wrong kind, a date before the
// other. Decoys carry no category, basis, jurisdiction or since: they are not entries.
func (m Meta) Check() error {
	switch {
	case m.Kind < canon.KindURL || m.Kind > canon.KindSteer:
		return fmt.Errorf("meta: kind %d: %w", uint8(m.Kind), ErrFormat)
	case m.Flags != 0 && m.Flags != FlagCanary && m.Flags != FlagDecoy:
		return fmt.Errorf("meta: flags %#x: %w", uint8(m.Flags), ErrFormat)
	case m.Flags == FlagCanary && m.Kind != canon.KindHost:
		return fmt.Errorf("meta: canary of kind %v, must be host: %w", m.Kind, ErrFormat)
	case m.Flags == FlagDecoy:
		if m.Kind != canon.KindSteer || m.Category != 0 || m.Basis != 0 || m.Jurisdiction != [2]byte{} || m.Since != 0 {
			return fmt.Errorf("meta: decoy is not an empty steer record: %w", ErrFormat)
		}
		return nil
	case !m.Category.Valid():
		return fmt.Errorf("meta: category %d: %w", uint8(m.Category), ErrFormat)
	case !m.Basis.Valid():
		return fmt.Errorf("meta: basis %d: %w", uint8(m.Basis), ErrFormat)
	case !letter(m.Jurisdiction[0]) || !letter(m.Jurisdiction[1]):
		return fmt.Errorf("meta: jurisdiction is not two upper-case letters: %w", ErrFormat)
	case m.Since > m.ReviewBy:
		return fmt.Errorf("meta: review_by %d before since %d: %w", m.ReviewBy, m.Since, ErrFormat)
	}
	return nil
}

func letter(c byte) bool { return c >= 'A' && c <= 'Z' }

// AppendMeta appends the 16 bytes of m.
func AppendMeta(dst []byte, m Meta) []byte {
	dst = append(dst, byte(m.Kind), byte(m.Flags), byte(m.Category), byte(m.Basis), m.Jurisdiction[0], m.Jurisdiction[1], 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, m.Since)
	return binary.LittleEndian.AppendUint32(dst, m.ReviewBy)
}

// ReadMeta reads 16 bytes and checks them: closed sets, reserved bytes zero.
func ReadMeta(b []byte) (Meta, error) {
	if len(b) != MetaSize {
		return Meta{}, fmt.Errorf("meta: %d bytes, want %d: %w", len(b), MetaSize, ErrFormat)
	}
	if b[6] != 0 || b[7] != 0 {
		return Meta{}, fmt.Errorf("meta: reserved bytes are not zero: %w", ErrFormat)
	}
	m := readMeta(b)
	return m, m.Check()
}

// readMeta reads 16 bytes without judging them.
func readMeta(b []byte) Meta {
	_ = b[MetaSize-1]
	return Meta{
		Kind: canon.Kind(b[0]), Flags: Flags(b[1]), Category: Category(b[2]), Basis: Basis(b[3]),
		Jurisdiction: [2]byte{b[4], b[5]},
		Since:        binary.LittleEndian.Uint32(b[8:]),
		ReviewBy:     binary.LittleEndian.Uint32(b[12:]),
	}
}

// Record is one record of an edge list: what an expression hashes to, which entry it belongs to, and its meta.
type Record struct {
	Digest
	Gate uint64
	EntryID
	Meta
}

// Compare is the total order of records: digest, kind, entry id.
func (r *Record) Compare(o *Record) int {
	return cmp.Or(
		bytes.Compare(r.Digest[:], o.Digest[:]),
		cmp.Compare(r.Kind, o.Kind),
		bytes.Compare(r.EntryID[:], o.EntryID[:]),
	)
}
