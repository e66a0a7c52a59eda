package audit

import (
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Filter is a charter's limits in words, so that an auditor can read them in the log.
type Filter struct {
	Kinds         []string `cbor:"kinds" json:"kinds"`
	Bases         []string `cbor:"bases" json:"bases"`
	Jurisdictions []string `cbor:"jurisdictions" json:"jurisdictions"`
}

// FilterOf spells out a match.Filter, sorted.
func FilterOf(m match.Filter) Filter {
	var f Filter
	for _, k := range m.Kinds {
		f.Kinds = append(f.Kinds, k.String())
	}
	for _, b := range m.Bases {
		f.Bases = append(f.Bases, b.String())
	}
	f.Jurisdictions = slices.Clone(m.Jurisdictions)
	for _, words := range []*[]string{&f.Kinds, &f.Bases, &f.Jurisdictions} {
		slices.Sort(*words)
		*words = slices.Compact(*words)
	}
	return f
}

// Within reports whether the filter allows nothing that another one does not.
func (f Filter) Within(o Filter) bool {
	for _, words := range [][2][]string{{f.Kinds, o.Kinds}, {f.Bases, o.Bases}, {f.Jurisdictions, o.Jurisdictions}} {
		for _, w := range words[0] {
			if !slices.Contains(words[1], w) {
				return false
			}
		}
	}
	return true
}

// Match reads the filter back. Unknown words, unsorted or repeated ones are ErrFormat.
func (f Filter) Match() (match.Filter, error) {
	var m match.Filter
	for _, words := range [][]string{f.Kinds, f.Bases, f.Jurisdictions} {
		if len(words) > 512 {
			return m, fmt.Errorf("charter filter: %w", ErrTooLarge)
		}
		for i, w := range words {
			if len(w) > maxWord || i > 0 && words[i-1] >= w {
				return m, fmt.Errorf("charter filter is not sorted: %w", ErrFormat)
			}
		}
	}
	for _, w := range f.Kinds {
		k, err := canon.ParseKind(w)
		if err != nil {
			return m, fmt.Errorf("charter filter kind %q: %w", clip(w), ErrFormat)
		}
		m.Kinds = append(m.Kinds, k)
	}
	for _, w := range f.Bases {
		b, err := match.ParseBasis(w)
		if err != nil {
			return m, fmt.Errorf("charter filter basis %q: %w", clip(w), ErrFormat)
		}
		m.Bases = append(m.Bases, b)
	}
	m.Jurisdictions = slices.Clone(f.Jurisdictions)
	if err := m.Check(); err != nil {
		return m, fmt.Errorf("charter filter: %w: %v", ErrFormat, err)
	}
	return m, nil
}
