package match

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/resolver/canon"
)

// Filter is what a charter allows: records outside of it are never in force. The zero Filter allows nothing.
// It is a value; its methods do not change it.
type Filter struct {
	Kinds         []canon.Kind // of entries: url, prefix, host, domain
	Bases         []Basis
	Jurisdictions []string // two upper-case letters each
}

const filterTag = "cordon/filter/v1\n"

// Check reports a value outside of its closed set.
func (f Filter) Check() error {
	for _, k := range f.Kinds {
		if k < canon.KindURL || k > canon.KindDomain {
			return fmt.Errorf("filter: kind %d: %w", uint8(k), ErrFormat)
		}
	}
	for _, b := range f.Bases {
		if !b.Valid() {
			return fmt.Errorf("filter: basis %d: %w", uint8(b), ErrFormat)
		}
	}
	for _, j := range f.Jurisdictions {
		if len(j) != 2 || !letter(j[0]) || !letter(j[1]) {
			return fmt.Errorf("filter: jurisdiction is not two upper-case letters: %w", ErrFormat)
		}
	}
	return nil
}

// Allows reports whether a record with this meta may be in force. A steer record passes when url or prefix
// entries do; a decoy steer record has no basis or jurisdiction and passes on its kind alone.
func (f Filter) Allows(m Meta) bool {
	if m.Kind == canon.KindSteer {
		if !slices.Contains(f.Kinds, canon.KindURL) && !slices.Contains(f.Kinds, canon.KindPrefix) {
			return false
		}
	} else if !slices.Contains(f.Kinds, m.Kind) {
		return false
	}
	if m.Flags == FlagDecoy {
		return true
	}
	return slices.Contains(f.Bases, m.Basis) &&
		slices.ContainsFunc(f.Jurisdictions, func(j string) bool {
			return len(j) == 2 && j[0] == m.Jurisdiction[0] && j[1] == m.Jurisdiction[1]
		})
}

// Canonical is the one encoding of f, whatever the order and repetition of its values:
// u8 count and kinds, u8 count and bases, u16 count and jurisdictions, each sorted, each once.
// It panics when Check fails.
func (f Filter) Canonical() []byte {
	if err := f.Check(); err != nil {
		panic("match: " + err.Error())
	}
	f = f.normal()
	b := []byte{byte(len(f.Kinds))}
	for _, k := range f.Kinds {
		b = append(b, byte(k))
	}
	b = append(b, byte(len(f.Bases)))
	for _, v := range f.Bases {
		b = append(b, byte(v))
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(f.Jurisdictions)))
	for _, j := range f.Jurisdictions {
		b = append(b, j...)
	}
	return b
}

// ParseFilter reads Canonical's bytes and refuses any other encoding.
func ParseFilter(b []byte) (Filter, error) {
	var f Filter
	fail := func(what string) (Filter, error) {
		return Filter{}, fmt.Errorf("parse filter: %s: %w", what, ErrFormat)
	}
	rest := b
	take := func(n int) []byte {
		if len(rest) < n {
			rest = nil
			return nil
		}
		head := rest[:n]
		rest = rest[n:]
		return head
	}
	for _, part := range []func(byte){
		func(c byte) { f.Kinds = append(f.Kinds, canon.Kind(c)) },
		func(c byte) { f.Bases = append(f.Bases, Basis(c)) },
	} {
		n := take(1)
		if n == nil {
			return fail("truncated")
		}
		values := take(int(n[0]))
		if len(values) != int(n[0]) {
			return fail("truncated")
		}
		for _, c := range values {
			part(c)
		}
	}
	n := take(2)
	if n == nil {
		return fail("truncated")
	}
	count := int(binary.LittleEndian.Uint16(n))
	if len(rest) != 2*count {
		return fail("wrong length")
	}
	for i := range count {
		f.Jurisdictions = append(f.Jurisdictions, string(rest[2*i:2*i+2]))
	}
	if err := f.Check(); err != nil {
		return Filter{}, err
	}
	if string(f.Canonical()) != string(b) {
		return fail("not canonical")
	}
	return f, nil
}

// Hash is SHA-256("cordon/filter/v1\n" || Canonical()).
func (f Filter) Hash() [32]byte {
	return sha256.Sum256(append([]byte(filterTag), f.Canonical()...))
}

func (f Filter) normal() Filter {
	sorted := func(j []string) []string {
		j = slices.Clone(j)
		slices.Sort(j)
		return slices.Compact(j)
	}
	kinds, bases := slices.Clone(f.Kinds), slices.Clone(f.Bases)
	slices.Sort(kinds)
	slices.Sort(bases)
	return Filter{Kinds: slices.Compact(kinds), Bases: slices.Compact(bases), Jurisdictions: sorted(f.Jurisdictions)}
}

// allowed is a Filter made ready for the hits of a lookup: a table for each part.
type allowed struct {
	kinds, bases  [256]bool
	jurisdictions [26 * 26]bool
}

func (f Filter) compile() *allowed {
	a := &allowed{}
	for _, k := range f.Kinds {
		a.kinds[k] = true
	}
	a.kinds[canon.KindSteer] = a.kinds[canon.KindURL] || a.kinds[canon.KindPrefix]
	for _, b := range f.Bases {
		a.bases[b] = true
	}
	for _, j := range f.Jurisdictions {
		a.jurisdictions[jurisdiction(j[0], j[1])] = true
	}
	return a
}

func (a *allowed) allows(m Meta) bool {
	return a.kinds[m.Kind] && (m.Flags == FlagDecoy || a.bases[m.Basis] && a.jurisdictions[jurisdiction(m.Jurisdiction[0], m.Jurisdiction[1])])
}

// jurisdiction is the place of two letters A to Z; any other byte, which only a file that was never verified has, gives some place.
func jurisdiction(a, b byte) uint16 { return (uint16(a-'A')*26 + uint16(b-'A')) % (26 * 26) }
