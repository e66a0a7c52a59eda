package trust

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Charter accredits a hotline: for which jurisdictions, legal bases and kinds of entries its lists may be enforced, and when. The
// scope is csam; no other value exists. It is signed as the one target of the accreditation role.
type Charter struct {
	Hotline       HotlineID
	Name          string // for people
	Jurisdictions []string
	Bases         []match.Basis
	Kinds         []canon.Kind // url, prefix, host, domain
	RPZ           bool         // whether names may leave as an RPZ zone
	Log           string       // verifier key of the hotline's public log, see ParseLogKey; empty: it has none
	ValidFrom     time.Time
	ValidTo       time.Time
}

const (
	maxCharter       = 16 << 10
	maxCharterName   = 200
	maxJurisdictions = 250
)

// ParseCharter reads charter.json. Every field must be there once, in exact case, with nothing unknown beside it. Errors wrap
// ErrScope if the scope is not csam, ErrTooLarge over 16 KiB, else ErrCharter. Whether it is valid at some time is asked by
// ValidAt.
func ParseCharter(b []byte) (Charter, error) {
	if len(b) > maxCharter {
		return Charter{}, fmt.Errorf("parse charter: %w: %d bytes, at most %d", ErrTooLarge, len(b), maxCharter)
	}
	v, err := parseStrict(b)
	if err != nil {
		return Charter{}, fmt.Errorf("parse charter: %w: %v", ErrCharter, err)
	}
	f := object("charter", v)
	if scope := f.str("scope"); f.err == nil && scope != scopeCSAM {
		return Charter{}, fmt.Errorf("parse charter: %w: it is another word (%d bytes)", ErrScope, len(scope))
	}
	f.int("charter", 1, 1)
	c := Charter{
		Name: f.str("name"), Jurisdictions: f.strings("jurisdictions", 1, maxJurisdictions),
		RPZ: f.bool("rpz"), Log: f.str("log"), ValidFrom: f.time("valid_from"), ValidTo: f.time("valid_to"),
	}
	hotline, err := ParseHotlineID(f.str("hotline"))
	if f.err == nil && err != nil {
		f.fail("hotline: %v", err)
	}
	c.Hotline = hotline
	for i, s := range f.strings("bases", 1, 3) {
		b, err := match.ParseBasis(s)
		if err != nil {
			f.fail("basis %d (%d bytes) is unknown", i+1, len(s))
		}
		c.Bases = append(c.Bases, b)
	}
	for i, s := range f.strings("kinds", 1, 4) {
		k, err := canon.ParseKind(s)
		if err != nil || k == canon.KindSteer {
			f.fail("kind %d (%d bytes) is unknown", i+1, len(s))
		}
		c.Kinds = append(c.Kinds, k)
	}
	if f.end() == nil {
		c.check(f)
	}
	if c.Log != "" && f.err == nil {
		if _, _, err := ParseLogKey(c.Log); err != nil {
			f.fail("log: %v", err)
		}
	}
	if f.err != nil {
		return Charter{}, fmt.Errorf("parse charter: %w: %v", ErrCharter, f.err)
	}
	return c, nil
}

// check looks at what single fields cannot say. Sets are written in ascending order, so that a charter has one form and no
// member twice.
func (c *Charter) check(f *fields) {
	switch {
	case len(c.Name) == 0 || len(c.Name) > maxCharterName:
		f.fail("name has %d bytes, want 1 to %d", len(c.Name), maxCharterName)
	case !ascending(c.Jurisdictions) || !ascending(c.Bases) || !ascending(c.Kinds):
		f.fail("jurisdictions, bases or kinds are not ascending (kinds: url prefix host domain; bases: law order voluntary)")
	case !c.ValidFrom.Before(c.ValidTo):
		f.fail("valid_to is not after valid_from")
	}
	for i, j := range c.Jurisdictions {
		if len(j) != 2 || j[0] < 'A' || j[0] > 'Z' || j[1] < 'A' || j[1] > 'Z' {
			f.fail("jurisdiction %d (%d bytes) is not two capital letters of ISO 3166-1", i+1, len(j))
		}
	}
}

func ascending[T interface{ ~string | ~uint8 }](set []T) bool {
	for i := range set {
		if i > 0 && set[i-1] >= set[i] {
			return false
		}
	}
	return true
}

// EncodeCharter writes charter.json in the form ParseCharter reads: same charter, same bytes, sets sorted, times cut to seconds.
// It refuses a charter that ParseCharter would refuse.
func EncodeCharter(c Charter) ([]byte, error) {
	words := func(n int, word func(int) string) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = word(i)
		}
		return out
	}
	bases, kinds := slices.Sorted(slices.Values(c.Bases)), slices.Sorted(slices.Values(c.Kinds))
	doc := struct {
		Charter       int      `json:"charter"`
		Hotline       string   `json:"hotline"`
		Name          string   `json:"name"`
		Scope         string   `json:"scope"`
		Jurisdictions []string `json:"jurisdictions"`
		Bases         []string `json:"bases"`
		Kinds         []string `json:"kinds"`
		RPZ           bool     `json:"rpz"`
		Log           string   `json:"log"`
		ValidFrom     string   `json:"valid_from"`
		ValidTo       string   `json:"valid_to"`
	}{
		1, string(c.Hotline), c.Name, scopeCSAM, slices.Sorted(slices.Values(c.Jurisdictions)),
		words(len(bases), func(i int) string { return bases[i].String() }), words(len(kinds), func(i int) string { return kinds[i].String() }),
		c.RPZ, c.Log, c.ValidFrom.UTC().Format("2006-01-02T15:04:05Z"), c.ValidTo.UTC().Format("2006-01-02T15:04:05Z"),
	}
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode charter: %w", err)
	}
	b = append(b, '\n')
	if _, err := ParseCharter(b); err != nil {
		return nil, fmt.Errorf("encode charter: %w", err)
	}
	return b, nil
}

// Filter is what of the hotline's lists an index may hold: the kinds, bases and jurisdictions of the charter. The caller owns it.
func (c Charter) Filter() match.Filter {
	return match.Filter{Kinds: slices.Clone(c.Kinds), Bases: slices.Clone(c.Bases), Jurisdictions: slices.Clone(c.Jurisdictions)}
}

// ValidAt returns ErrExpired if now is before valid_from, or at or after valid_to.
func (c Charter) ValidAt(now time.Time) error {
	if now.Before(c.ValidFrom) || !now.Before(c.ValidTo) {
		return fmt.Errorf("charter of %s from %s to %s: %w", c.Hotline, c.ValidFrom.Format(time.RFC3339), c.ValidTo.Format(time.RFC3339), ErrExpired)
	}
	return nil
}
