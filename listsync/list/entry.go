package list

import (
	"fmt"
	"math"
	"time"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Entry is one entry as the hotline keeps it, in plain text. It exists on the hotline's machine and nowhere else.
type Entry struct {
	ID           match.EntryID // random, stable across versions and epochs
	Kind         canon.Kind    // url, prefix, host or domain
	Expression   string        // canonical, as canon.Expression writes it
	Category     match.Category
	Basis        match.Basis
	Jurisdiction string    // two upper-case letters
	Since        time.Time // whole seconds count
	ReviewBy     time.Time // last second in force without re-attestation
	Assessors    [2]string // who assessed it; checked by publish, not written to any file
	Reason       string    // why a broad kind was needed; checked by publish, not written to any file
	Canary       bool      // a harmless host of the hotline, for testing the real path
}

// meta checks what can be checked of an entry without its expression.
func (e *Entry) meta() (match.Meta, error) {
	if e.Kind < canon.KindURL || e.Kind > canon.KindDomain {
		return match.Meta{}, fmt.Errorf("kind %v is not one of url, prefix, host, domain: %w", e.Kind, ErrFormat)
	}
	if len(e.Jurisdiction) != 2 {
		return match.Meta{}, fmt.Errorf("jurisdiction is not two upper-case letters: %w", ErrFormat)
	}
	m := match.Meta{
		Kind: e.Kind, Category: e.Category, Basis: e.Basis,
		Jurisdiction: [2]byte{e.Jurisdiction[0], e.Jurisdiction[1]},
	}
	if e.Canary {
		m.Flags = match.FlagCanary
	}
	var err error
	if m.Since, err = seconds("since", e.Since); err != nil {
		return match.Meta{}, err
	}
	if m.ReviewBy, err = seconds("review_by", e.ReviewBy); err != nil {
		return match.Meta{}, err
	}
	return m, m.Check()
}

func seconds(what string, t time.Time) (uint32, error) {
	s := t.Unix()
	if s < 0 || s > math.MaxUint32 {
		return 0, fmt.Errorf("%s is not between 1970 and 2106: %w", what, ErrFormat)
	}
	return uint32(s), nil
}
