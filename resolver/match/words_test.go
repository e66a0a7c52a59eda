package match_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

func TestListIDsHaveOneForm(t *testing.T) {
	long := strings.Repeat("a", 31)
	for _, s := range []string{"a/b", "hotline-one/main", "0/0", "a-/b-", long + "/" + long} {
		if id, err := match.ParseListID(s); err != nil || string(id) != s {
			t.Errorf("ParseListID(%q) = %q, %v, want it back", s, id, err)
		}
	}
	if got := match.ListID("hotline-one/main").Hotline(); got != "hotline-one" {
		t.Errorf("Hotline = %q, want hotline-one", got)
	}
	for _, s := range []string{"", "/", "a", "a/", "/b", "a/b/c", "A/b", "a/B", "a b/c", "-a/b", "a/-b", "a//b", "ä/b", "a/b\n", long + "a/b", "a/" + long + "a", strings.Repeat("a/", 1000)} {
		if id, err := match.ParseListID(s); !errors.Is(err, match.ErrFormat) || id != "" {
			t.Errorf("ParseListID(%.40q) = %q, %v, want %v", s, id, err, match.ErrFormat)
		}
	}
}

func TestEntryIDsHaveOneForm(t *testing.T) {
	const s = "000102030405060708090a0b0c0d0e0f"
	id, err := match.ParseEntryID(s)
	if err != nil || id.String() != s {
		t.Fatalf("ParseEntryID(%q) = %v, %v", s, id, err)
	}
	b, err := json.Marshal(id)
	if err != nil || string(b) != `"`+s+`"` {
		t.Errorf("json = %s, %v", b, err)
	}
	var back match.EntryID
	if err := json.Unmarshal(b, &back); err != nil || back != id {
		t.Errorf("json back = %v, %v, want %v", back, err, id)
	}
	for _, s := range []string{"", s[1:], s + "0", strings.ToUpper(s), "g" + s[1:], " " + s[1:]} {
		if id, err := match.ParseEntryID(s); !errors.Is(err, match.ErrFormat) || id != (match.EntryID{}) {
			t.Errorf("ParseEntryID(%q) = %v, %v, want %v", s, id, err, match.ErrFormat)
		}
	}
}

func TestClosedSetsAreClosed(t *testing.T) {
	for i, s := range []string{"law", "order", "voluntary"} {
		if b, err := match.ParseBasis(s); err != nil || b != match.Basis(i+1) || b.String() != s {
			t.Errorf("ParseBasis(%q) = %v, %v", s, b, err)
		}
	}
	for i, s := range []string{"csam-baseline", "csam-national"} {
		if c, err := match.ParseCategory(s); err != nil || c != match.Category(i+1) || c.String() != s {
			t.Errorf("ParseCategory(%q) = %v, %v", s, c, err)
		}
	}
	for _, s := range []string{"", "Law", "copyright", "gambling", "basis(0)", "csam", "category(0)"} {
		if b, err := match.ParseBasis(s); !errors.Is(err, match.ErrFormat) {
			t.Errorf("ParseBasis(%q) = %v, %v, want %v", s, b, err, match.ErrFormat)
		}
		if c, err := match.ParseCategory(s); !errors.Is(err, match.ErrFormat) {
			t.Errorf("ParseCategory(%q) = %v, %v, want %v", s, c, err, match.ErrFormat)
		}
	}
	valid := 0
	for i := range 256 {
		if match.Basis(i).Valid() {
			valid++
		}
		if match.Category(i).Valid() {
			valid++
		}
		_, _ = match.Basis(i).String(), match.Category(i).String()
	}
	if valid != 5 {
		t.Errorf("%d values are valid, want 5", valid)
	}
}

// TestKeysAreNeverPrinted prints keys in every way there is and looks for a byte of them.
func TestKeysAreNeverPrinted(t *testing.T) {
	k := &match.Keys{Match: [32]byte(bytes.Repeat([]byte{0xab}, 32)), Gate: [16]byte(bytes.Repeat([]byte{0xab}, 16))}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q", "%T"} {
		fmt.Fprintf(&out, verb+" "+verb+"\n", k, *k)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("keys", "p", k, "v", *k, "in", struct{ K *match.Keys }{k})
	slog.New(slog.NewTextHandler(&out, nil)).Info("keys", "p", k, "v", *k, "in", struct{ K match.Keys }{*k})
	for _, leak := range []string{"abab", "ABAB", "171", "q6ur", "\xab"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("output contains %q:\n%s", leak, out.String())
		}
	}
	if b, err := json.Marshal(k); err == nil {
		t.Errorf("json.Marshal = %s, want an error", b)
	}
}

func TestFilterHasOneEncoding(t *testing.T) {
	f := match.Filter{
		Kinds: []canon.Kind{canon.KindHost, canon.KindURL, canon.KindHost}, Bases: []match.Basis{match.BasisOrder, match.BasisLaw}, Jurisdictions: []string{"ZZ", "AA", "ZZ"},
	}
	same := match.Filter{Kinds: []canon.Kind{canon.KindURL, canon.KindHost}, Bases: []match.Basis{match.BasisLaw, match.BasisOrder}, Jurisdictions: []string{"AA", "ZZ"}}
	if !bytes.Equal(f.Canonical(), same.Canonical()) || f.Hash() != same.Hash() {
		t.Errorf("Canonical = %x, want %x", f.Canonical(), same.Canonical())
	}
	back, err := match.ParseFilter(f.Canonical())
	if err != nil || !bytes.Equal(back.Canonical(), f.Canonical()) {
		t.Errorf("ParseFilter = %v, %v", back, err)
	}
	for _, s := range []string{
		"", "\x00", "\x00\x00", "\x00\x00\x00", "\x00\x00\x00\x00\x00", "\x01\x05\x00\x00\x00", "\x01\x00\x00\x00\x00", "\x00\x01\x04\x00\x00",
		"\x02\x03\x01\x00\x00\x00", "\x02\x01\x01\x00\x00\x00", "\x00\x00\x01\x00aa", "\x00\x00\x01\x00A", "\x00\x00\xff\xffAA", "\xff\x01\x00\x00\x00",
	} {
		if f, err := match.ParseFilter([]byte(s)); !errors.Is(err, match.ErrFormat) {
			t.Errorf("ParseFilter(%q) = %v, %v, want %v", s, f, err, match.ErrFormat)
		}
	}
	if _, err := match.ParseFilter([]byte("\x00\x00\x00\x00")); err != nil {
		t.Errorf("ParseFilter of a filter that allows nothing: %v", err)
	}
}

func FuzzParseFilter(f *testing.F) {
	f.Add(listtest.Filter().Canonical())
	f.Fuzz(func(t *testing.T, b []byte) {
		if filter, err := match.ParseFilter(b); err == nil && !bytes.Equal(filter.Canonical(), b) {
			t.Errorf("ParseFilter(%x) = %v, which encodes as %x", b, filter, filter.Canonical())
		}
	})
}

func TestFilterAllowsOnlyTheCharter(t *testing.T) {
	entry := match.Meta{Kind: canon.KindHost, Category: 1, Basis: match.BasisLaw, Jurisdiction: [2]byte{'A', 'A'}}
	with := func(change func(m *match.Meta)) match.Meta {
		m := entry
		change(&m)
		return m
	}
	hosts := match.Filter{Kinds: []canon.Kind{canon.KindHost}, Bases: []match.Basis{match.BasisLaw}, Jurisdictions: []string{"AA"}}
	pages := hosts
	pages.Kinds = []canon.Kind{canon.KindPrefix}
	decoy := match.Meta{Kind: canon.KindSteer, Flags: match.FlagDecoy}
	for _, tt := range []struct {
		name   string
		filter match.Filter
		meta   match.Meta
		want   bool
	}{
		{"all fits", hosts, entry, true},
		{"nothing allowed", match.Filter{}, entry, false},
		{"another kind", hosts, with(func(m *match.Meta) { m.Kind = canon.KindDomain }), false},
		{"another basis", hosts, with(func(m *match.Meta) { m.Basis = match.BasisOrder }), false},
		{"another jurisdiction", hosts, with(func(m *match.Meta) { m.Jurisdiction[1] = 'B' }), false},
		{"steer without page kinds", hosts, with(func(m *match.Meta) { m.Kind = canon.KindSteer }), false},
		{"steer with prefix", pages, with(func(m *match.Meta) { m.Kind = canon.KindSteer }), true},
		{"decoy without page kinds", hosts, decoy, false},
		{"decoy with prefix", pages, decoy, true},
	} {
		if got := tt.filter.Allows(tt.meta); got != tt.want {
			t.Errorf("%s: Allows = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestStateIDChangesWithEverythingInForce(t *testing.T) {
	lists := []match.ListState{{List: "a/a", Seq: 1, IndexHash: [32]byte{1}, FilterHash: [32]byte{2}}, {List: "b/b", Seq: 2, IndexHash: [32]byte{3}, FilterHash: [32]byte{4}}}
	removals := []match.Removal{{List: "a/a", Entry: match.EntryID{1}, Kind: 1, Number: 1}, {List: "a/a", Entry: match.EntryID{1}, Until: 5, Kind: 2, Number: 2}}
	base := match.ComputeStateID(lists, removals, false)
	if got := match.ComputeStateID([]match.ListState{lists[1], lists[0]}, []match.Removal{removals[1], removals[0]}, false); got != base {
		t.Errorf("another order: %v, want %v", got, base)
	}
	seen := map[match.StateID]string{base: "as it is", match.ComputeStateID(lists, removals, true): "bypass"}
	seen[match.ComputeStateID(lists[1:], removals, false)] = "a list less"
	seen[match.ComputeStateID(lists, removals[1:], false)] = "a removal less"
	if len(seen) != 4 {
		t.Errorf("%d state ids, want 4", len(seen))
	}
	for name, change := range map[string]func(l []match.ListState, r []match.Removal){
		"list":          func(l []match.ListState, r []match.Removal) { l[0].List = "a/b" },
		"seq":           func(l []match.ListState, r []match.Removal) { l[0].Seq++ },
		"index":         func(l []match.ListState, r []match.Removal) { l[0].IndexHash[0]++ },
		"filter":        func(l []match.ListState, r []match.Removal) { l[0].FilterHash[0]++ },
		"removal list":  func(l []match.ListState, r []match.Removal) { r[0].List = "b/b" },
		"removal entry": func(l []match.ListState, r []match.Removal) { r[0].Entry[1]++ },
		"removal until": func(l []match.ListState, r []match.Removal) { r[0].Until++ },
		"removal kind":  func(l []match.ListState, r []match.Removal) { r[0].Kind = 2 },
		"removal num":   func(l []match.ListState, r []match.Removal) { r[0].Number++ },
	} {
		l, r := slices.Clone(lists), slices.Clone(removals)
		change(l, r)
		id := match.ComputeStateID(l, r, false)
		if other, ok := seen[id]; ok {
			t.Errorf("%s: same state id as %s", name, other)
		}
		seen[id] = name
	}
}

func TestSetKnowsItsStateID(t *testing.T) {
	m := memberOf(t, "one/main", 1, smallTexts...)
	removals := []match.Removal{{List: "gone/main", Entry: match.EntryID{1}, Kind: match.RemovalWithdraw, Number: 3}}
	s := setOf(t, removals, m)
	lists := []match.ListState{{List: "one/main", Seq: 1, IndexHash: m.Index.Hash(), FilterHash: listtest.Filter().Hash()}}
	for _, bypass := range []uint32{7, 0} {
		s = s.WithBypass(bypass)
		if got, want := s.StateID(), match.ComputeStateID(lists, removals, bypass != 0); got != want || s.Bypass() != bypass {
			t.Errorf("bypass %v: StateID = %v, want %v", bypass, got, want)
		}
	}
}
