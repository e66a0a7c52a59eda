package match

import "fmt"

// Basis is the legal ground an entry is blocked on. It is closed: no other ground can be written down.
type Basis uint8

// The three bases. Law and Order answer with EDE 16 and status 451, Voluntary with EDE 15 and 403.
const (
	BasisLaw       Basis = 1
	BasisOrder     Basis = 2
	BasisVoluntary Basis = 3
)

var basisWords = [...]string{BasisLaw: "law", BasisOrder: "order", BasisVoluntary: "voluntary"}

// ParseBasis reads "law", "order" or "voluntary".
func ParseBasis(s string) (Basis, error) {
	for b := BasisLaw; b <= BasisVoluntary; b++ {
		if basisWords[b] == s {
			return b, nil
		}
	}
	return 0, fmt.Errorf("parse basis: not law, order or voluntary: %w", ErrFormat)
}

// Valid reports a basis of the closed set.
func (b Basis) Valid() bool { return b >= BasisLaw && b <= BasisVoluntary }

// Binding reports a basis that obliges the operator (law or order): it beats a voluntary one when lists disagree.
func (b Basis) Binding() bool { return b == BasisLaw || b == BasisOrder }

// String is the word of the closed set.
func (b Basis) String() string {
	if b.Valid() {
		return basisWords[b]
	}
	return fmt.Sprintf("basis(%d)", uint8(b))
}

// Category is the label of an assessment that says "this is child sexual abuse material". It is closed (P1): there is
// no value for anything else, so a list of anything else cannot be written. FORMAT.md gives the source of each label.
type Category uint8

// The two labels under which INHOPE hotlines record material as CSAM. The third outcome of an assessment, "not
// illegal", has no value here.
const (
	CategoryBaseline Category = 1 // illegal in every country: INTERPOL's baseline criteria
	CategoryNational Category = 2 // illegal under the law of the entry's jurisdiction
)

var categoryWords = [...]string{CategoryBaseline: "csam-baseline", CategoryNational: "csam-national"}

// ParseCategory reads "csam-baseline" or "csam-national".
func ParseCategory(s string) (Category, error) {
	for c := CategoryBaseline; c <= CategoryNational; c++ {
		if categoryWords[c] == s {
			return c, nil
		}
	}
	return 0, fmt.Errorf("parse category: not csam-baseline or csam-national: %w", ErrFormat)
}

// Valid reports a category of the closed set.
func (c Category) Valid() bool { return c >= CategoryBaseline && c <= CategoryNational }

// String is the label.
func (c Category) String() string {
	if c.Valid() {
		return categoryWords[c]
	}
	return fmt.Sprintf("category(%d)", uint8(c))
}

// Flags mark records that are not ordinary entries.
type Flags uint8

// The two flags; a record has at most one of them.
const (
	FlagCanary Flags = 1 // a harmless host of the hotline, listed so that the real path can be tested
	FlagDecoy  Flags = 2 // a steer record without a page entry: hides which hosts have page entries
)
