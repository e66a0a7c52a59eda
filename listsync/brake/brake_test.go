package brake

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// entries makes one entry for each "kind expression", in the order that Plain wants.
func entries(lines ...string) []list.Entry {
	var out []list.Entry
	for i, l := range lines {
		kind, expression, _ := strings.Cut(l, " ")
		for _, k := range []canon.Kind{canon.KindURL, canon.KindPrefix, canon.KindHost, canon.KindDomain} {
			if k.String() == kind {
				e := listtest.Entries(2, 1)[1]
				e.ID, e.Kind, e.Expression = listtest.ID(i, 7), k, expression
				out = append(out, e)
			}
		}
	}
	slices.SortFunc(out, func(a, b list.Entry) int { return strings.Compare(a.Expression, b.Expression) })
	return out
}

func edgeOf(t testing.TB, epoch uint32, seed int64, all []list.Entry) *list.Edge {
	t.Helper()
	v := listtest.Version(1)
	v.Epoch = epoch
	b, _, _, err := list.Build(v, all, nil, listtest.Keys(seed), listtest.OpenKey(1))
	if err != nil {
		t.Fatal(err)
	}
	e, err := list.OpenEdge(b)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func indexOf(t testing.TB, e *list.Edge, keys *match.Keys) *Index {
	t.Helper()
	b, err := match.Compile(e)
	if err != nil {
		t.Fatal(err)
	}
	x, err := match.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	set, err := match.NewSet([]match.Member{{Edge: e, Index: x, Filter: listtest.Filter(), Keys: keys}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return NewIndex(set, e, keys)
}

func plainOf(n *Names, all []list.Entry) *Plain {
	p := n.Plain()
	for i := range all {
		p.Add(&all[i])
	}
	return p
}

func ask(t *testing.T, l List, n *Names, change func(*Question)) *Report {
	t.Helper()
	q := &Question{List: l, Names: n, Numbers: Numbers{First: true}, Limits: Default}
	if change != nil {
		change(q)
	}
	r, err := Ask(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// says is a report in one line: "popular domain:1 host:2; change".
func says(r *Report) string {
	var out []string
	for _, h := range r.Held {
		s := string(h.Brake)
		for _, k := range []string{"domain", "host", "prefix", "url"} {
			if h.Kinds[k] > 0 {
				s += fmt.Sprintf(" %s:%d", k, h.Kinds[k])
			}
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func TestBrakesHoldWhatStopsAProtectedName(t *testing.T) {
	popularity := &Popularity{popular: []byte("popular.test\nwww.second.test\n"), n: 2, shared: []byte("pages.test\n"), m: 1}
	names := NewNames(popularity)
	names.Add(Own, "isp.test")
	names.Add(Help, "talk.help.test")
	for _, c := range []struct{ name, list, want string }{
		{"nothing", "host fine.test", ""},
		{"a popular host", "host popular.test", "popular host:1"},
		{"its www", "host www.popular.test", "popular host:1"},
		{"a domain", "domain popular.test", "popular domain:1"},
		{"the domain above it", "domain second.test", "popular domain:1"},
		{"the host above it stops nobody else", "host second.test", ""},
		{"another host below it", "host one.popular.test", ""},
		{"all of its pages", "prefix popular.test/", "popular prefix:1"},
		{"some of its pages", "prefix popular.test/user", ""},
		{"one page", "url popular.test/", ""},
		{"a carrier of many", "domain pages.test", "shared domain:1"},
		{"one site on it", "host one.pages.test", ""},
		{"the operator", "host isp.test", "never_block host:1"},
		{"a help line, from above", "domain help.test", "never_block domain:1"},
		{"a special name", "domain arpa", "public_suffix domain:1; never_block domain:1"},
		{"a shipped example", "host www.helpline.example", "never_block host:1"},
		{"a public suffix", "domain co.uk", "public_suffix domain:1"},
		{"a public suffix as one host", "host co.uk", "public_suffix host:1"},
		{"a domain above public suffixes", "domain uk", "public_suffix domain:1"},
		{"several", "domain popular.test|host popular.test|host www.popular.test|domain isp.test", "never_block domain:1; popular domain:1 host:2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := entries(strings.Split(c.list, "|")...)
			plain := ask(t, plainOf(names, all), names, func(q *Question) { q.Plain = true })
			if got := says(plain); got != c.want {
				t.Errorf("plain: got %q, want %q", got, c.want)
			}
			asked := ask(t, indexOf(t, edgeOf(t, 1, 3, all), listtest.Keys(3)), names, nil)
			if got := says(asked); got != c.want {
				t.Errorf("index: got %q, want %q", got, c.want)
			}
			for i, h := range asked.Held {
				for j, e := range h.Entries {
					if e.Name != "" || e.ID != plain.Held[i].Entries[j].ID {
						t.Errorf("index: %s entry %d is %v %q, want %v without a name", h.Brake, j, e.ID, e.Name, plain.Held[i].Entries[j].ID)
					}
					if plain.Held[i].Entries[j].Name == "" {
						t.Errorf("plain: %s entry %d has no name", h.Brake, j)
					}
				}
			}
		})
	}
}

// What no list of names can tell, a hotline sees all the same.
func TestSuffixesWithoutANameAreHeldInPlainText(t *testing.T) {
	names := NewNames(nil)
	all := entries("domain x.ck", "host unknown-tld", "prefix test/", "host www.ck", "url x.ck/1")
	if got := says(ask(t, plainOf(names, all), names, nil)); got != "public_suffix domain:1 host:1 prefix:1" {
		t.Errorf("got %q", got)
	}
}

// A key that can sign everything can also call any name a canary.
func TestACanaryIsNoWayRoundABrake(t *testing.T) {
	all := entries("host popular.test")
	all[0].Canary = true
	names := NewNames(&Popularity{popular: []byte("popular.test\n"), n: 1})
	if got := says(ask(t, indexOf(t, edgeOf(t, 1, 3, all), listtest.Keys(3)), names, nil)); got != "popular host:1" {
		t.Errorf("got %q", got)
	}
}

func TestPeopleOverruleOnlyWhatTheyName(t *testing.T) {
	all := entries("host one.test", "host two.test", "host isp.test", "host co.uk")
	names := NewNames(&Popularity{popular: []byte("one.test\ntwo.test\n"), n: 2})
	names.Add(Own, "isp.test")
	numbers := Numbers{Entries: 5000, Before: 1000, Added: 4000, Now: time.Unix(1e9, 0)}
	for _, c := range []struct {
		name   string
		exempt []int // entries
		waived []Word
		want   string
	}{
		{"nothing", nil, nil, "public_suffix host:1; never_block host:1; popular host:2; growth"},
		{"one entry", []int{0}, nil, "public_suffix host:1; never_block host:1; popular host:1; growth"},
		{"entries of both brakes", []int{0, 1, 2}, nil, "public_suffix host:1; growth"},
		{"a public suffix stays", []int{0, 1, 2, 3}, []Word{Growth, PublicSuffix}, "public_suffix host:1"},
		{"words do not free entries", nil, []Word{Popular, NeverBlock, Growth}, "public_suffix host:1; never_block host:1; popular host:2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ask(t, plainOf(names, all), names, func(q *Question) {
				q.Numbers = numbers
				q.Exempt = func(_ Word, id match.EntryID) bool {
					return slices.ContainsFunc(c.exempt, func(i int) bool { return listtest.ID(i, 7) == id })
				}
				q.Waived = func(w Word) bool { return slices.Contains(c.waived, w) }
			})
			if got := says(r); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestNumbersThatNoHonestVersionHasAreHeld(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	steps := func(added, n int, every time.Duration) (out []Step) {
		for i := range n {
			out = append(out, Step{At: now.Add(-time.Duration(n-i) * every), Before: 100_000 + i*added, Added: added})
		}
		return out
	}
	seen := func(all []Step, i int) []Step { all[i].Seen = true; return all }
	limits := Limits{MaxEntries: 150_000, MinChange: 1000, MaxChangePercent: 10, MaxWindowPercent: 30, MaxBroadPercent: 20, MaxRemovePercent: 50}
	for _, c := range []struct {
		name string
		n    Numbers
		want string
	}{
		{"a first list of any size", Numbers{Entries: 150_000, First: true, Added: 150_000}, ""},
		{"a first list that is too large", Numbers{Entries: 150_001, First: true}, "size"},
		{"a small step", Numbers{Entries: 11_000, Before: 10_000, Added: 1000}, ""},
		{"a large one", Numbers{Entries: 11_001, Before: 10_000, Added: 1001}, "change"},
		{"small lists may grow", Numbers{Entries: 900, Before: 10, Added: 890}, ""},
		{"not without end", Numbers{Entries: 8010, Before: 10, Added: 8000}, "change"},
		{"double", Numbers{Entries: 20_001, Before: 10_000, Added: 10_001}, "growth"},
		{"half goes", Numbers{Entries: 5000, Before: 10_000, Removed: 5000}, ""},
		{"more than half goes", Numbers{Entries: 4999, Before: 10_000, Removed: 5001}, "change"},
		{"three steps of a week", Numbers{Entries: 139_000, Before: 130_000, Added: 9000, Recent: steps(9000, 2, 24*time.Hour)}, ""},
		{"four steps of a week", Numbers{Entries: 139_000, Before: 130_000, Added: 9000, Recent: steps(9000, 3, 24*time.Hour)}, "window"},
		{"four steps of a month", Numbers{Entries: 139_000, Before: 130_000, Added: 9000, Recent: steps(9000, 3, 8*24*time.Hour)}, ""},
		{"steps of the future count for nothing", Numbers{Entries: 139_000, Before: 130_000, Added: 9000, Recent: steps(9000, 3, -24*time.Hour)}, ""},
		{"steps that people have seen", Numbers{Entries: 139_000, Before: 130_000, Added: 9000, Recent: seen(steps(9000, 3, 24*time.Hour), 2)}, ""},
		{"and those after them", Numbers{Entries: 175_000 - 26_000, Before: 140_000, Added: 9000, Recent: seen(steps(9000, 5, 24*time.Hour), 0)}, "window"},
		{"whole sites in a list of pages", Numbers{Entries: 11_000, Before: 10_000, Added: 1000, BroadBefore: 100, BroadAdded: 1000}, ""},
		{"too many whole sites", Numbers{Entries: 41_500, Before: 40_000, Added: 1500, BroadBefore: 100, BroadAdded: 1001}, "broad"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.n.Now = now
			if got := says(&Report{Held: c.n.held(&limits)}); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestCompareCountsWhatIsStoppedAndFreed(t *testing.T) {
	before := entries("host a.test", "domain b.test", "url c.test/1", "prefix d.test/x")
	next := entries("host a.test", "host b.test", "url c.test/2", "prefix d.test/x", "domain e.test")
	next[len(next)-1].Basis = match.BasisLaw
	// An id is given to its expression again, whatever the order here was.
	for i := range next {
		for _, e := range before {
			if next[i].Expression == e.Expression {
				next[i].ID = e.ID
			}
		}
	}
	next[2].ID = listtest.ID(100, 7) // c.test/2
	for _, epoch := range []uint32{1, 2} {
		d, err := Compare(context.Background(), edgeOf(t, 1, 3, before), edgeOf(t, epoch, int64(2+epoch), next))
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(d.Stops.Entries, d.Stops.Broad, d.Stops.Kinds, d.Frees.Entries, d.Frees.Broad, d.Frees.Kinds)
		if want := "3 2 map[domain:1 host:1 url:1] 2 1 map[domain:1 url:1]"; got != want {
			t.Errorf("epoch %d: got %s, want %s", epoch, got, want)
		}
		if d.Stops.Bases["law"] != 1 || d.Stops.Jurisdictions["ZZ"] != 3 {
			t.Errorf("epoch %d: got %v", epoch, d.Stops)
		}
	}
	d, err := Compare(context.Background(), nil, edgeOf(t, 1, 3, next))
	if err != nil || d.Stops.Entries != 5 || d.Frees.Entries != 0 {
		t.Errorf("first version: %+v, %v", d, err)
	}
	// Old ids with new names are new entries as long as the keys are the same.
	renamed := entries("host x.test", "domain y.test", "url z.test/1", "prefix w.test/x")
	if d, err = Compare(context.Background(), edgeOf(t, 1, 3, before), edgeOf(t, 1, 3, renamed)); err != nil || d.Stops.Entries != 4 || d.Frees.Entries != 4 {
		t.Errorf("renamed: %+v, %v", d, err)
	}
}

func TestNamesAreReadStrictly(t *testing.T) {
	n := NewNames(nil)
	before, shippedHash := len(n.protected), n.Hash()
	if err := n.Read(strings.NewReader("\n# comment\nIsp.Test. # ours\n[help]\nhelp.test\n")); err != nil {
		t.Fatal(err)
	}
	if got := n.protected[before:]; !slices.Equal(got, []protected{{"isp.test", Own}, {"help.test", Help}}) {
		t.Errorf("read %v", got)
	}
	if n.Hash() == shippedHash || n.Len() != 2 || len(n.Version()) > 64 {
		t.Errorf("hash did not change, or version %q is too long", n.Version())
	}
	for in, want := range map[string]string{
		"a.test\nno name\n":                    "line 2",
		"[popular]\n":                          "line 1: no such category",
		"[help\n":                              "line 1: no such category",
		"x.test\n" + strings.Repeat("a", 2000): "line 2: longer",
	} {
		if err := NewNames(nil).Read(strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got %v, want %s", in, err, want)
		}
	}
}

func TestAskEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Ask(ctx, &Question{List: NewNames(nil).Plain(), Names: NewNames(nil)}); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}
