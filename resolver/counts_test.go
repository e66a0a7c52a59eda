package resolver

import (
	"context"
	"testing"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

func TestAnswersAreCountedByListAndBasis(t *testing.T) {
	g := newRig(t)
	if got := g.ListCounts(); len(got) != 0 {
		t.Errorf("before a list there is %+v", got)
	}
	g.Swap(makeSet(t, law(canon.KindHost, "law.test"), voluntary(canon.KindHost, "voluntary.test")))
	ask := func(name string, n int) {
		q := question(t, name, dns.TypeA)
		for range n {
			if _, done := g.Fast(nil, q, over(false)); !done {
				g.slow(context.Background(), q, over(false))
			}
		}
	}
	ask("law.test", 3)
	ask("voluntary.test", 2)
	ask("fine.example", 5)
	g.Swap(makeSet(t, law(canon.KindHost, "law.test"))) // the same list, another version: it counts on
	ask("law.test", 1)
	want := map[match.Basis]uint64{match.BasisLaw: 4, match.BasisOrder: 0, match.BasisVoluntary: 2}
	got := g.ListCounts()
	if len(got) != len(want) {
		t.Errorf("%+v, want a count of each basis", got)
	}
	for _, c := range got {
		if c.List != "hotline/main" || c.N != want[c.Basis] {
			t.Errorf("%+v, want %d", c, want[c.Basis])
		}
	}
}
