package match_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// modelEntry is a record with its text beside it, as a person would write the list down.
type modelEntry struct {
	match.Meta
	list match.ListID
	id   match.EntryID
	expr string
}

// model answers by looking at every entry of every list: slow, and plainly what product.md says.
type model struct {
	entries  []modelEntry // those the filters let pass
	removals []match.Removal
}

func (m *model) live(e *modelEntry, now uint32) bool {
	for _, r := range m.removals {
		if r.List == e.list && r.Entry == e.id && (r.Until == 0 || now <= r.Until) {
			return false
		}
	}
	return now <= e.ReviewBy
}

// matching are the entries in force that match.
func (m *model) matching(now uint32, matches func(e *modelEntry) bool) (all []modelEntry) {
	for i := range m.entries {
		if e := &m.entries[i]; matches(e) && m.live(e, now) {
			all = append(all, *e)
		}
	}
	return all
}

func (m *model) name(name string, now uint32) (blocking []modelEntry, steer bool) {
	blocking = m.matching(now, func(e *modelEntry) bool {
		return e.Kind == canon.KindHost && e.expr == name ||
			e.Kind == canon.KindDomain && (e.expr == name || strings.HasSuffix(name, "."+e.expr))
	})
	return blocking, len(m.matching(now, func(e *modelEntry) bool { return e.Kind == canon.KindSteer && e.expr == name })) > 0
}

func (m *model) page(expr string, now uint32) []modelEntry {
	candidates, err := canon.Expressions(expr)
	if err != nil {
		panic(err)
	}
	return m.matching(now, func(e *modelEntry) bool {
		return e.Kind.Class() == canon.ClassPage && slices.Contains(candidates, canon.Expr{Class: canon.ClassPage, Kind: e.Kind, Text: e.expr})
	})
}

// checkVerdict compares a verdict with the entries that block according to the model.
func checkVerdict(v match.Verdict, blocking []modelEntry, steer bool) error {
	binding := slices.ContainsFunc(blocking, func(e modelEntry) bool { return e.Basis.Binding() })
	canary := slices.ContainsFunc(blocking, func(e modelEntry) bool { return e.Flags == match.FlagCanary })
	switch {
	case v.Listed != (len(blocking) > 0), v.Steer != steer, v.Canary != canary:
		return fmt.Errorf("got %+v, want listed %v steer %v canary %v", v, len(blocking) > 0, steer, canary)
	case !v.Listed && (v.Basis != 0 || v.Kind != 0):
		return fmt.Errorf("got %+v, want no basis and kind", v)
	case v.Listed && !slices.ContainsFunc(blocking, func(e modelEntry) bool {
		return e.Basis == v.Basis && e.Kind == v.Kind && e.Basis.Binding() == binding
	}):
		return fmt.Errorf("got %+v, want basis and kind of one of %v", v, blocking)
	}
	return nil
}

var (
	labels = []string{"a", "b", "test", "example"}
	paths  = []string{"/", "/a", "/a/", "/a/b", "/a/b/", "/ab", "/a?q", "/a/b?q=1", "/?q", "/b/a/b/c.html"}
)

func drawName(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(labels), 1, 4).Draw(t, "labels"), ".")
}

func drawMeta(t *rapid.T) match.Meta {
	m := match.Meta{
		Kind:         canon.Kind(rapid.IntRange(1, 5).Draw(t, "kind")),
		Category:     match.Category(rapid.IntRange(1, 2).Draw(t, "category")),
		Basis:        match.Basis(rapid.IntRange(1, 3).Draw(t, "basis")),
		Jurisdiction: [2]byte([]byte(rapid.SampledFrom([]string{"AA", "ZZ"}).Draw(t, "jurisdiction"))),
		ReviewBy:     uint32(rapid.IntRange(0, 9).Draw(t, "review by")),
	}
	switch {
	case m.Kind == canon.KindHost && rapid.Bool().Draw(t, "canary"):
		m.Flags = match.FlagCanary
	case m.Kind == canon.KindSteer:
		m = match.Meta{Kind: m.Kind, Flags: match.FlagDecoy, ReviewBy: m.ReviewBy}
	}
	return m
}

func drawFilter(t *rapid.T) match.Filter {
	f := listtest.Filter()
	f.Kinds = rapid.SliceOfNDistinct(rapid.SampledFrom(f.Kinds), 1, 4, rapid.ID[canon.Kind]).Draw(t, "kinds")
	f.Bases = rapid.SliceOfNDistinct(rapid.SampledFrom(f.Bases), 1, 3, rapid.ID[match.Basis]).Draw(t, "bases")
	f.Jurisdictions = rapid.SliceOfNDistinct(rapid.SampledFrom(f.Jurisdictions), 1, 2, rapid.ID[string]).Draw(t, "jurisdictions")
	return f
}

// drawSet makes one to three lists, each with its own keys and filter, removals on top, and the model of the same.
func drawSet(t *rapid.T) (*match.Set, *model) {
	m := &model{}
	var members []match.Member
	for i := range rapid.IntRange(1, 3).Draw(t, "lists") {
		id := match.ListID(fmt.Sprintf("hotline-%d/main", i))
		keys, filter := listtest.Keys(int64(i)), drawFilter(t)
		var records []match.Record
		there := map[string]bool{}
		for j := range rapid.IntRange(0, 30).Draw(t, "entries") {
			e := modelEntry{Meta: drawMeta(t), list: id, id: match.EntryID{byte(i), byte(j + 1)}, expr: drawName(t)}
			if e.Kind.Class() == canon.ClassPage {
				text, err := canon.Expression(e.Kind, e.expr+rapid.SampledFrom(paths).Draw(t, "path"))
				if err != nil {
					continue // a prefix with a query
				}
				e.expr = text
			}
			key := fmt.Sprint(e.Kind, e.expr)
			if e.Kind != canon.KindSteer && there[key] {
				continue // no list has an expression of one kind twice
			}
			there[key] = true
			put := func(e modelEntry) {
				records = append(records, match.Record{
					Digest: keys.Digest(id, e.Kind.Class(), []byte(e.expr)), Gate: keys.Gate64(e.Kind.Class(), []byte(e.expr)), EntryID: e.id, Meta: e.Meta,
				})
				if filter.Allows(e.Meta) {
					m.entries = append(m.entries, e)
				}
			}
			put(e)
			if e.Kind.Class() == canon.ClassPage {
				host := e
				host.Kind, host.expr = canon.KindSteer, canon.HostOf(e.expr)
				put(host)
			}
			for range rapid.IntRange(0, 2).Draw(t, "removals") {
				if rapid.IntRange(0, 3).Draw(t, "removed") == 0 {
					m.removals = append(m.removals, match.Removal{
						List: id, Entry: e.id, Until: uint32(rapid.IntRange(0, 9).Draw(t, "until")), Kind: uint8(rapid.IntRange(1, 2).Draw(t, "removal kind")), Number: uint64(len(m.removals)),
					})
				}
			}
		}
		member := memberFrom(t, match.Header{List: id, Seq: 1}, records, keys)
		member.Filter = filter
		members = append(members, member)
	}
	s, err := match.NewSet(rapid.Permutation(members).Draw(t, "members"), m.removals)
	if err != nil {
		t.Fatalf("NewSet: %v", err)
	}
	return s, m
}

// TestSetAnswersLikeAPlainList is the model test: all kinds, removals, expiry, filters, several lists with other keys.
func TestSetAnswersLikeAPlainList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, m := drawSet(t)
		for range 40 {
			name, now := drawName(t), uint32(rapid.IntRange(0, 10).Draw(t, "now"))
			blocking, steer := m.name(name, now)
			if err := checkVerdict(s.Name([]byte(name), now), blocking, steer); err != nil {
				t.Fatalf("Name(%q, %d): %v", name, now, err)
			}
			page, err := canon.Expression(canon.KindURL, name+rapid.SampledFrom(paths).Draw(t, "path"))
			if err != nil {
				t.Fatal(err)
			}
			if err := checkVerdict(s.Page([]byte(page), now), m.page(page, now), false); err != nil {
				t.Fatalf("Page(%q, %d): %v", page, now, err)
			}
			if v := s.WithBypass(now|1).Name([]byte(name), now); v != (match.Verdict{}) {
				t.Fatalf("Name(%q) under bypass: got %+v, want nothing", name, v)
			}
		}
	})
}

// TestEveryNameOfABigListIsFound asks for each of 100,000 entries, and for as many names beside them.
func TestEveryNameOfABigListIsFound(t *testing.T) {
	const n = 100_000
	s, err := listtest.Set(n, 1)
	if err != nil {
		t.Fatal(err)
	}
	var name []byte
	for i := range n {
		name = listtest.AppendName(name[:0], i)
		if v := s.Name(name, 1); !v.Listed || v.Kind != canon.KindDomain || v.Basis != match.BasisVoluntary {
			t.Fatalf("Name(%s) = %+v, want listed as domain, voluntary", name, v)
		}
		name = listtest.AppendName(name[:0], n+i)
		if v := s.Name(name, 1); v.Listed {
			t.Fatalf("Name(%s) = %+v, want not listed", name, v)
		}
	}
}
