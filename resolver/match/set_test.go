package match_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// text is a record in words; entry ids are counted from 1 in the order given, and a steer record has that of the page before it.
type text struct {
	kind  canon.Kind
	expr  string
	basis match.Basis
	flags match.Flags
}

const listed, reviewBy = 100, 200 // since and review_by of every record made from text

func recordsOf(keys *match.Keys, list match.ListID, texts ...text) []match.Record {
	var all []match.Record
	id := 0
	for _, e := range texts {
		if e.kind != canon.KindSteer {
			id++
		}
		m := match.Meta{Kind: e.kind, Flags: e.flags, Category: match.CategoryBaseline, Basis: e.basis, Jurisdiction: [2]byte{'Z', 'Z'}, Since: listed, ReviewBy: reviewBy}
		c := e.kind.Class()
		all = append(all, match.Record{
			Digest: keys.Digest(list, c, []byte(e.expr)), Gate: keys.Gate64(c, []byte(e.expr)), EntryID: match.EntryID{15: byte(id)}, Meta: m,
		})
	}
	return all
}

func memberOf(tb testing.TB, list match.ListID, seed int64, texts ...text) match.Member {
	tb.Helper()
	keys := listtest.Keys(seed)
	return memberFrom(tb, match.Header{List: list, Seq: 1}, recordsOf(keys, list, texts...), keys)
}

// memberFrom is records as a list in force, under a filter that allows all of them.
func memberFrom(tb interface {
	Helper()
	Fatal(...any)
}, h match.Header, records []match.Record, keys *match.Keys) match.Member {
	tb.Helper()
	e, err := match.WriteEdge(h, records)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := match.Compile(e)
	if err != nil {
		tb.Fatal(err)
	}
	x, err := match.Open(b)
	if err != nil {
		tb.Fatal(err)
	}
	return match.Member{Edge: e, Index: x, Filter: listtest.Filter(), Keys: keys}
}

func setOf(tb testing.TB, removals []match.Removal, members ...match.Member) *match.Set {
	tb.Helper()
	s, err := match.NewSet(members, removals)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestKindsMatchWhatTheyPromise(t *testing.T) {
	s := setOf(t, nil, memberOf(t, "one/main", 1,
		text{canon.KindDomain, "domain.test", match.BasisVoluntary, 0},
		text{canon.KindHost, "host.test", match.BasisLaw, 0},
		text{canon.KindURL, "page.test/a/b?x=1", match.BasisOrder, 0},
		text{canon.KindSteer, "page.test", match.BasisOrder, 0},
		text{canon.KindPrefix, "dir.test/a", match.BasisOrder, 0},
		text{canon.KindSteer, "dir.test", match.BasisOrder, 0},
		text{canon.KindHost, "canary.test", match.BasisVoluntary, match.FlagCanary},
	))
	domain := match.Verdict{Listed: true, Basis: match.BasisVoluntary, Kind: canon.KindDomain}
	for name, want := range map[string]match.Verdict{
		"domain.test":             domain,
		"www.domain.test":         domain,
		"a.b.c.d.e.f.domain.test": domain,
		"xdomain.test":            {},
		"domain.test.":            {},
		"Domain.test":             {},
		"domain.test.example":     {},
		"main.test":               {},
		"test":                    {},
		"":                        {},
		".":                       {},
		"host.test":               {Listed: true, Basis: match.BasisLaw, Kind: canon.KindHost},
		"www.host.test":           {},
		"page.test":               {Steer: true},
		"www.page.test":           {},
		"dir.test":                {Steer: true},
		"canary.test":             {Listed: true, Basis: match.BasisVoluntary, Kind: canon.KindHost, Canary: true},
		"page.test/a/b?x=1":       {},
		strings.Repeat("a.", 121) + "domain.test": domain, // 253 characters
		strings.Repeat("a.", 122) + "domain.test": {},     // longer than a name can be
	} {
		if got := noEntry(t, s.Name([]byte(name), listed)); got != want {
			t.Errorf("Name(%q) = %+v, want %+v", name, got, want)
		}
	}
	page := match.Verdict{Listed: true, Basis: match.BasisOrder, Kind: canon.KindURL}
	prefix := match.Verdict{Listed: true, Basis: match.BasisOrder, Kind: canon.KindPrefix}
	for expr, want := range map[string]match.Verdict{
		"page.test/a/b?x=1":     page,
		"page.test/a/b?x=2":     {},
		"page.test/a/b":         {},
		"page.test/a/b/c?x=1":   {},
		"www.page.test/a/b?x=1": {},
		"dir.test/a":            prefix,
		"dir.test/a/":           prefix,
		"dir.test/a?x":          prefix,
		"dir.test/a/b/c/d?x=/y": prefix,
		"dir.test/ab":           {},
		"dir.test/":             {},
		"dir.test/b?x=/a/":      {},
		"dir.test":              {},
		"dir.test?/a":           {},
		"/a":                    {},
		"":                      {},
		"host.test/":            {},
		"dir.test/a/" + strings.Repeat("b/", 100):     prefix,
		"dir.test/a/" + strings.Repeat("b", 8<<10-11): prefix,
		"dir.test/a/" + strings.Repeat("b", 8<<10-10): {}, // longer than an expression can be
	} {
		if got := noEntry(t, s.Page([]byte(expr), listed)); got != want {
			t.Errorf("Page(%.40q…) = %+v, want %+v", expr, got, want)
		}
	}
}

// noEntry is v without what stands for its entry, which the keys decide; a listed verdict has it.
func noEntry(t *testing.T, v match.Verdict) match.Verdict {
	t.Helper()
	if (v.Entry != 0) != v.Listed {
		t.Errorf("%+v: an entry is told when, and only when, one decided", v)
	}
	v.Entry = 0
	return v
}

func TestAnEntryIsTheSameForAllItsNamesAndInLaterVersions(t *testing.T) {
	first := setOf(t, nil, memberOf(t, "one/main", 1, text{canon.KindDomain, "a.test", match.BasisLaw, 0}))
	later := setOf(t, nil, memberOf(t, "one/main", 1, text{canon.KindHost, "b.test", match.BasisLaw, 0}, text{canon.KindDomain, "a.test", match.BasisLaw, 0}))
	entry := func(s *match.Set, name string) uint64 { return s.Name([]byte(name), listed).Entry }
	a := entry(first, "a.test")
	if got := entry(first, "www.a.test"); got != a {
		t.Errorf("www.a.test: entry %x, want %x", got, a)
	}
	if got := entry(later, "a.test"); got != a {
		t.Errorf("in the next version: entry %x, want %x", got, a)
	}
	if entry(later, "b.test") == a {
		t.Error("two entries are one")
	}
}

func TestEntryDiesAfterItsReviewDate(t *testing.T) {
	s := setOf(t, nil, memberOf(t, "one/main", 1, text{canon.KindHost, "host.test", match.BasisLaw, 0}))
	for now, want := range map[uint32]bool{0: true, reviewBy: true, reviewBy + 1: false, 1<<32 - 1: false} {
		if got := s.Name([]byte("host.test"), now).Listed; got != want {
			t.Errorf("at %d: listed %v, want %v", now, got, want)
		}
	}
}

func TestRemovalsTakeOutExactlyTheirEntry(t *testing.T) {
	entry := match.EntryID{15: 1}
	for _, tt := range []struct {
		name     string
		removals []match.Removal
		now      uint32
		listed   bool
	}{
		{"none", nil, 150, true},
		{"for good", []match.Removal{{List: "one/main", Entry: entry, Kind: match.RemovalWithdraw}}, 150, false},
		{"until the last second", []match.Removal{{List: "one/main", Entry: entry, Until: 150, Kind: match.RemovalSuppress}}, 150, false},
		{"over", []match.Removal{{List: "one/main", Entry: entry, Until: 149, Kind: match.RemovalSuppress}}, 150, true},
		{"the longest counts", []match.Removal{
			{List: "one/main", Entry: entry, Until: 149, Kind: match.RemovalSuppress},
			{List: "one/main", Entry: entry, Until: 151, Kind: match.RemovalSuppress, Number: 1},
			{List: "one/main", Entry: entry, Until: 148, Kind: match.RemovalSuppress, Number: 2},
		}, 150, false},
		{"for good beats a date", []match.Removal{
			{List: "one/main", Entry: entry, Kind: match.RemovalWithdraw},
			{List: "one/main", Entry: entry, Until: 149, Kind: match.RemovalSuppress},
		}, 150, false},
		{"another entry", []match.Removal{{List: "one/main", Entry: match.EntryID{15: 2}, Kind: match.RemovalWithdraw}}, 150, true},
		{"another list", []match.Removal{{List: "two/main", Entry: entry, Kind: match.RemovalWithdraw}}, 150, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := setOf(t, tt.removals, memberOf(t, "one/main", 1, text{canon.KindHost, "host.test", match.BasisLaw, 0}))
			if got := s.Name([]byte("host.test"), tt.now).Listed; got != tt.listed {
				t.Errorf("listed %v, want %v", got, tt.listed)
			}
		})
	}
}

func TestLawBeatsVoluntaryAcrossLists(t *testing.T) {
	voluntary := memberOf(t, "a/main", 1, text{canon.KindHost, "both.test", match.BasisVoluntary, 0})
	law := memberOf(t, "b/main", 2, text{canon.KindDomain, "test", match.BasisLaw, 0})
	want := match.Verdict{Listed: true, Basis: match.BasisLaw, Kind: canon.KindDomain, Member: 1} // b/main decides
	for _, s := range []*match.Set{setOf(t, nil, voluntary, law), setOf(t, nil, law, voluntary)} {
		if got := noEntry(t, s.Name([]byte("both.test"), listed)); got != want {
			t.Errorf("Name(both.test) = %+v, want %+v", got, want)
		}
	}
}

func TestKeysOfAnotherListFindNothing(t *testing.T) {
	m := memberOf(t, "one/main", 1, text{canon.KindHost, "host.test", match.BasisLaw, 0})
	m.Keys = listtest.Keys(2)
	if got := setOf(t, nil, m).Name([]byte("host.test"), listed); got != (match.Verdict{}) {
		t.Errorf("Name(host.test) = %+v, want nothing", got)
	}
}

func TestNewSetRefusesWhatIsNotClear(t *testing.T) {
	m := memberOf(t, "one/main", 1)
	for _, tt := range []struct {
		name     string
		members  []match.Member
		removals []match.Removal
		want     error
	}{
		{"a list twice", []match.Member{m, m}, nil, match.ErrFormat},
		{"no keys", []match.Member{{Edge: m.Edge, Index: m.Index}}, nil, match.ErrFormat},
		{"no index", []match.Member{{Edge: m.Edge, Keys: m.Keys}}, nil, match.ErrFormat},
		{"no edge list", []match.Member{{Index: m.Index, Keys: m.Keys}}, nil, match.ErrFormat},
		{"a filter outside of the closed sets", []match.Member{{Edge: m.Edge, Index: m.Index, Keys: m.Keys, Filter: match.Filter{Bases: []match.Basis{4}}}}, nil, match.ErrFormat},
		{"the index of another list", []match.Member{{Edge: m.Edge, Index: memberOf(t, "one/main", 2, text{canon.KindHost, "host.test", match.BasisLaw, 0}).Index, Keys: m.Keys}}, nil, match.ErrHash},
		{"unknown removal", []match.Member{m}, []match.Removal{{List: "one/main", Kind: 4}}, match.ErrFormat},
		{"too many removals", []match.Member{m}, make([]match.Removal, match.MaxRemovals+1), match.ErrTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if s, err := match.NewSet(tt.members, tt.removals); !errors.Is(err, tt.want) || s != nil {
				t.Errorf("NewSet = %v, %v, want %v", s, err, tt.want)
			}
		})
	}
	s := setOf(t, nil)
	if got := s.Name([]byte("host.test"), 1); got != (match.Verdict{}) {
		t.Errorf("empty set: Name = %+v, want nothing", got)
	}
}

// TestLookupAllocs holds the hot path to no allocation: misses, hits, removals, several lists, pages.
func TestLookupAllocs(t *testing.T) {
	removals := []match.Removal{{List: "one/main", Entry: match.EntryID{15: 2}, Kind: match.RemovalWithdraw}}
	texts := []text{
		{canon.KindDomain, "domain.test", match.BasisLaw, 0}, {canon.KindHost, "removed.test", match.BasisLaw, 0},
		{canon.KindURL, "page.test/a/b?x=1", match.BasisLaw, 0}, {canon.KindSteer, "page.test", match.BasisLaw, 0},
	}
	s := setOf(t, removals, memberOf(t, "one/main", 1, texts...), memberOf(t, "two/main", 2, texts...))
	for _, name := range []string{"www.unlisted.example.test", "www.domain.test", "removed.test", "page.test", strings.Repeat("a.", 121) + "domain.test"} {
		b := []byte(name)
		if n := testing.AllocsPerRun(100, func() { s.Name(b, listed) }); n != 0 {
			t.Errorf("Name(%q): %v allocations, want 0", name, n)
		}
		l := new(match.Lookup)
		if n := testing.AllocsPerRun(100, func() { inSteps(l, s, b, match.Steps) }); n != 0 {
			t.Errorf("Lookup of %q: %v allocations, want 0", name, n)
		}
	}
	for _, expr := range []string{"page.test/a/b?x=1", "page.test/a/b/c/d/e?x", "page.test/" + strings.Repeat("a/", 480)} {
		b := []byte(expr)
		if n := testing.AllocsPerRun(100, func() { s.Page(b, listed) }); n != 0 {
			t.Errorf("Page(%.30q): %v allocations, want 0", expr, n)
		}
	}
}

func TestLookupsRunAtOnce(t *testing.T) {
	s, err := listtest.Set(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				name := listtest.AppendName(nil, i)
				if got, want := s.Name(name, 1).Listed, i < 1000; got != want {
					t.Errorf("worker %d: Name(%s) listed %v, want %v", w, name, got, want)
				}
			}
		})
	}
	wg.Wait()
}
