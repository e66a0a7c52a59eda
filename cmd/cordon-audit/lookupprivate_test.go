package main

import (
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// A token is a secret between an auditor and one hotline: another hotline that was sent it could ask in the auditor's name.
func TestATokenGoesToOneHotlineOnly(t *testing.T) {
	one := func(list, hotline string) askable {
		return askable{in: audit.InForceList{List: match.ListID(list)}, leaf: audit.Publish{Hotline: trust.HotlineID(hotline)}}
	}
	for _, c := range []struct {
		name   string
		ask    []askable
		column string
		says   string
	}{
		{"no list", nil, "", ""},
		{"two lists of one hotline", []askable{one("a/main", "a"), one("a/pages", "a")}, "", ""},
		{"a column for one", []askable{one("a/main", "a")}, "column", ""},
		{"a column for two", []askable{one("a/main", "a"), one("a/pages", "a")}, "column", "column of one list"},
		{"two hotlines", []askable{one("a/main", "a"), one("b/main", "b")}, "", "for the hotline that gave it"},
	} {
		err := oneToken(c.ask, c.column)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want it to say %q", c.name, err, c.says)
		}
	}
}

func TestAPrivateLookupSaysWhatAnEdgeDoes(t *testing.T) {
	now := time.Now()
	const l = match.ListID("a/main")
	r := match.Record{EntryID: match.EntryID{1}, Meta: match.Meta{Kind: canon.KindHost, Basis: match.BasisLaw, Jurisdiction: [2]byte{'D', 'E'}, ReviewBy: uint32(now.Add(time.Hour).Unix())}}
	all := match.Filter{Kinds: []canon.Kind{canon.KindHost}, Bases: []match.Basis{match.BasisLaw}, Jurisdictions: []string{"DE"}}
	in := audit.InForceList{List: l, Seq: 3}
	removed := func(kind uint8, from, to uint64, until time.Duration) audit.InForce {
		return audit.InForce{Lists: []audit.InForceList{in}, Removals: []audit.Removal{{List: l, Entry: r.EntryID, Kind: kind, From: from, To: to, Until: uint32(now.Add(until).Unix())}}}
	}
	suppressed := func(until time.Duration) audit.InForce {
		return audit.InForce{Lists: []audit.InForceList{in}, Suppressions: []audit.Suppression{{List: l, Entry: r.EntryID, Until: now.Add(until).Unix()}}}
	}
	for _, c := range []struct {
		name   string
		f      audit.InForce
		filter match.Filter
		want   string
	}{
		{"nothing removes it", audit.InForce{Lists: []audit.InForceList{in}}, all, "in force"},
		{"a suppression", suppressed(time.Hour), all, "suppressed"},
		{"a suppression that is over", suppressed(-time.Hour), all, "in force"},
		{"a withdrawal", removed(match.RemovalWithdraw, 1, 3, time.Hour), all, "withdrawn"},
		{"a withdrawal that is over", removed(match.RemovalWithdraw, 1, 3, -time.Hour), all, "in force"},
		{"a withdrawal from older versions", removed(match.RemovalWithdraw, 1, 2, time.Hour), all, "in force"},
		{"a return", removed(match.RemovalReturn, 3, 3, time.Hour), all, "left out by a later version"},
		{"a charter of another legal basis", audit.InForce{Lists: []audit.InForceList{in}}, match.Filter{Kinds: all.Kinds, Bases: []match.Basis{match.BasisOrder}, Jurisdictions: all.Jurisdictions}, "charter does not allow"},
	} {
		if got := stateOf(in, c.f, c.filter, r); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
