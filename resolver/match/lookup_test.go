package match_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

func inSteps(l *match.Lookup, s *match.Set, name []byte, steps int) match.Verdict {
	l.Begin(s, name)
	for range steps {
		l.Step()
	}
	return l.Verdict(listed)
}

// Whatever steps were taken, and whatever name a Lookup had before: the verdict is that of Set.Name.
func TestALookupInStepsSaysWhatNameSays(t *testing.T) {
	kinds := []canon.Kind{canon.KindDomain, canon.KindHost, canon.KindSteer}
	bases := []match.Basis{match.BasisLaw, match.BasisOrder, match.BasisVoluntary}
	labels := []string{"a", "b", "www", "x1", "test", "long" + strings.Repeat("g", 50)}
	r := rand.New(rand.NewPCG(1, 2))
	name := func() string {
		parts := make([]string, r.IntN(4)+1)
		if r.IntN(10) == 0 {
			parts = make([]string, r.IntN(120)+1)
		}
		for i := range parts {
			parts[i] = labels[r.IntN(len(labels))]
		}
		return strings.Join(parts, ".")
	}
	l := new(match.Lookup)
	found := map[bool]int{}
	for lists := range 7 {
		var members []match.Member
		var removals []match.Removal
		for i := range lists {
			seen := map[string]bool{}
			var texts []text
			for range 40 {
				n, k := name(), kinds[r.IntN(len(kinds))]
				if len(n) > 200 || seen[n+k.String()] {
					continue
				}
				seen[n+k.String()] = true
				basis := bases[r.IntN(len(bases))]
				if k == canon.KindSteer {
					texts = append(texts, text{canon.KindURL, n + "/x", basis, 0})
				}
				texts = append(texts, text{k, n, basis, 0})
			}
			list := match.ListID(fmt.Sprintf("list%d/main", i))
			members = append(members, memberOf(t, list, int64(i+1), texts...))
			removals = append(removals, match.Removal{List: list, Entry: match.EntryID{15: 3}, Kind: match.RemovalWithdraw})
		}
		s := setOf(t, removals, members...)
		for _, s := range []*match.Set{s, s.WithBypass(listed)} {
			for i := range 2000 {
				n := []byte(name())
				want := s.Name(n, listed)
				found[want.Listed]++
				if got := inSteps(l, s, n, i%(match.Steps+3)); got != want {
					t.Fatalf("%d lists, %d steps: %q is %+v, want %+v", lists, i%(match.Steps+3), n, got, want)
				}
			}
		}
	}
	if found[true] < 1000 || found[false] < 1000 {
		t.Errorf("listed or not: %v: too few of one", found)
	}
	if got := inSteps(l, setOf(t, nil), make([]byte, match.MaxName+1), match.Steps); got != (match.Verdict{}) {
		t.Errorf("a name longer than names can be: %+v", got)
	}
	if got := inSteps(l, setOf(t, nil), nil, match.Steps); got != (match.Verdict{}) {
		t.Errorf("the root: %+v", got)
	}
}
