package list_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

var now = uint32(listtest.Since.Unix()) + 1

func build(tb testing.TB, entries []list.Entry, decoys ...string) (edge, audit []byte, sum list.Summary) {
	tb.Helper()
	edge, audit, sum, err := list.Build(listtest.Version(1), entries, decoys, listtest.Keys(1), listtest.OpenKey(1))
	if err != nil {
		tb.Fatal(err)
	}
	return edge, audit, sum
}

func open(tb testing.TB, edge, audit []byte) (*list.Edge, *list.Audit) {
	tb.Helper()
	e, err := list.OpenEdge(edge)
	if err != nil {
		tb.Fatal(err)
	}
	a, err := list.OpenAudit(audit)
	if err != nil {
		tb.Fatal(err)
	}
	return e, a
}

func TestBothFilesSayWhatWasBuilt(t *testing.T) {
	edge, audit, sum := build(t, listtest.Entries(100, 1), "decoy.example.test", "a.decoy.test", "decoy.example.test")
	e, a := open(t, edge, audit)
	kinds := map[string]int{"host": 21, "domain": 59, "url": 10, "prefix": 10}
	if sum.Entries != 100 || sum.Records != 122 || !maps.Equal(sum.Kinds, kinds) {
		t.Errorf("Summary = %+v, want 100 entries, 122 records, %v", sum, kinds)
	}
	if got, want := e.Counts(), (match.Counts{URL: 10, Prefix: 10, Host: 21, Domain: 59, Steer: 22, Canary: 1, Decoy: 2}); got != want {
		t.Errorf("Counts = %+v, want %+v", got, want)
	}
	if e.Version() != listtest.Version(1) || a.Version() != listtest.Version(1) {
		t.Errorf("Version = %+v and %+v, want %+v", e.Version(), a.Version(), listtest.Version(1))
	}
	if e.Len() != 122 || a.Len() != 122 || a.Root() != sum.EntriesRoot || !maps.Equal(e.Kinds(), kinds) {
		t.Errorf("Len %d and %d, root %x, kinds %v; want 122, %x, %v", e.Len(), a.Len(), a.Root(), e.Kinds(), sum.EntriesRoot, kinds)
	}
	if err := a.Fits(e); err != nil {
		t.Errorf("Fits: %v", err)
	}
}

func TestEmptyListHasBothFiles(t *testing.T) {
	edge, audit, sum := build(t, nil)
	e, a := open(t, edge, audit)
	if want := sha256.Sum256(nil); e.Len() != 0 || a.Root() != want || sum.EntriesRoot != want {
		t.Errorf("Len %d, root %x, want 0, %x", e.Len(), a.Root(), want)
	}
	if _, err := match.Compile(e); err != nil {
		t.Errorf("Compile: %v", err)
	}
}

func TestFilesAreTheSameInWhateverOrderEntriesCome(t *testing.T) {
	entries, decoys := listtest.Entries(300, 1), []string{"b.decoy.test", "a.decoy.test", "c.decoy.test"}
	edge, audit, _ := build(t, entries, decoys...)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		rnd.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
		rnd.Shuffle(len(decoys), func(i, j int) { decoys[i], decoys[j] = decoys[j], decoys[i] })
		if e, a, _ := build(t, entries, decoys...); !bytes.Equal(e, edge) || !bytes.Equal(a, audit) {
			t.Fatal("another order gave other bytes")
		}
	}
}

// TestEveryEntryBlocksWhatItSaysAndNothingElse follows entries from text to verdict.
func TestEveryEntryBlocksWhatItSaysAndNothingElse(t *testing.T) {
	entries := listtest.Entries(1000, 1)
	edge, audit, _ := build(t, entries, "decoy.example.test")
	e, _ := open(t, edge, audit)
	member, err := listtest.Member(e, 1)
	if err != nil {
		t.Fatal(err)
	}
	s, err := match.NewSet([]match.Member{member}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if v := s.Name([]byte("decoy.example.test"), now); v != (match.Verdict{Steer: true}) {
		t.Errorf("Name of a decoy = %+v, want steering only", v)
	}
	for _, e := range entries {
		host := canon.HostOf(e.Expression)
		name := s.Name([]byte(host), now)
		below := s.Name([]byte("www."+host), now)
		page := s.Page([]byte(e.Expression), now)
		name.Entry, page.Entry = 0, 0 // the keys decide it
		switch e.Kind {
		case canon.KindURL, canon.KindPrefix:
			if name != (match.Verdict{Steer: true}) || below != (match.Verdict{}) {
				t.Errorf("entry %s: Name = %+v, below %+v; a page entry must never block its host", e.ID, name, below)
			}
			if want := (match.Verdict{Listed: true, Basis: e.Basis, Kind: e.Kind}); page != want {
				t.Errorf("entry %s: Page = %+v, want %+v", e.ID, page, want)
			}
			deeper := s.Page([]byte(strings.Replace(e.Expression, "?", "/x?", 1)+"/below"), now)
			if deeper.Listed != (e.Kind == canon.KindPrefix) {
				t.Errorf("entry %s of kind %v: page below is %+v", e.ID, e.Kind, deeper)
			}
		default:
			if want := (match.Verdict{Listed: true, Basis: e.Basis, Kind: e.Kind, Canary: e.Canary}); name != want {
				t.Errorf("entry %s: Name = %+v, want %+v", e.ID, name, want)
			}
			if below.Listed != (e.Kind == canon.KindDomain) {
				t.Errorf("entry %s of kind %v: name below is %+v", e.ID, e.Kind, below)
			}
		}
	}
}

// TestCommitmentsOpen recomputes each commitment as a reviewer with K_open and K_match would.
func TestCommitmentsOpen(t *testing.T) {
	entries := listtest.Entries(50, 1)
	edge, audit, _ := build(t, entries)
	e, a := open(t, edge, audit)
	text := make(map[match.EntryID]string)
	for _, e := range entries {
		text[e.ID] = e.Expression
	}
	keys, k := listtest.Keys(1), listtest.OpenKey(1)
	for i := range e.Len() {
		r := e.Record(i)
		expr := text[r.EntryID]
		if r.Kind == canon.KindSteer {
			expr = canon.HostOf(expr)
		}
		if got := keys.Digest(listtest.List, r.Kind.Class(), []byte(expr)); got != r.Digest {
			t.Fatalf("record %d: digest %x, want %x", i, r.Digest, got)
		}
		mac := hmac.New(sha256.New, k[:])
		mac.Write([]byte("cordon/salt/v1\n"))
		mac.Write(r.EntryID[:])
		mac.Write([]byte{byte(r.Kind), 1, 0, 0, 0})
		h := sha256.New()
		h.Write([]byte("cordon/commitment/v1\n"))
		h.Write(mac.Sum(nil))
		h.Write([]byte("\x10hotline-one/main"))
		h.Write(r.EntryID[:])
		h.Write([]byte{byte(r.Kind), byte(len(expr)), 0})
		h.Write([]byte(expr))
		h.Write(r.Digest[:])
		if got, want := a.Commitment(i), [32]byte(h.Sum(nil)); got != want {
			t.Errorf("record %d: commitment %x, want %x", i, got, want)
		}
	}
}

// TestEntriesRootIsRFC6962 compares the streamed root with the tree hash of tlog at sizes around powers of two.
func TestEntriesRootIsRFC6962(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 9, 31, 64, 65, 3413, 3414, 7000} {
		entries := listtest.Entries(n, 1)
		edge, audit, sum := build(t, entries)
		_, a := open(t, edge, audit)
		var stored []tlog.Hash
		reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
			out := make([]tlog.Hash, len(at))
			for i, j := range at {
				out[i] = stored[j]
			}
			return out, nil
		})
		for i := range a.Len() {
			c := a.Commitment(i)
			hashes, err := tlog.StoredHashes(int64(i), c[:], reader)
			if err != nil {
				t.Fatal(err)
			}
			stored = append(stored, hashes...)
		}
		want, err := tlog.TreeHash(int64(a.Len()), reader)
		if err != nil {
			t.Fatal(err)
		}
		if tlog.Hash(sum.EntriesRoot) != want {
			t.Errorf("%d records: root %x, want %x", a.Len(), sum.EntriesRoot, want)
		}
	}
}

func TestAuditorListFitsOnlyItsEdgeList(t *testing.T) {
	edge, audit, _ := build(t, listtest.Entries(10, 1))
	_, a := open(t, edge, audit)
	changed := listtest.Entries(10, 1)
	changed[3].ReviewBy = changed[3].ReviewBy.Add(time.Second) // commitments do not cover meta; Fits does
	otherEdge, otherAudit, _ := build(t, changed)
	e, _ := open(t, otherEdge, otherAudit)
	if err := a.Fits(e); !errors.Is(err, list.ErrHash) {
		t.Errorf("Fits another edge list: %v, want %v", err, list.ErrHash)
	}
	v := listtest.Version(2)
	otherEdge, _, _, err := list.Build(v, listtest.Entries(10, 1), nil, listtest.Keys(1), listtest.OpenKey(1))
	if err != nil {
		t.Fatal(err)
	}
	e, err = list.OpenEdge(otherEdge)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Fits(e); !errors.Is(err, list.ErrFormat) {
		t.Errorf("Fits another version: %v, want %v", err, list.ErrFormat)
	}
}

func TestBuildRefusesEntriesNoListMayHave(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(e []list.Entry)
		want   error
		says   string
	}{
		{"entry id twice", func(e []list.Entry) { e[5].ID = e[4].ID }, list.ErrOrder, "is there twice"},
		{"no entry id", func(e []list.Entry) { e[5].ID = match.EntryID{} }, list.ErrFormat, "has no id"},
		{"expression twice", func(e []list.Entry) { e[5].Expression = e[4].Expression }, list.ErrOrder, "have the same domain expression"},
		{"the first of two bad ones is told", func(e []list.Entry) { e[4].Basis, e[5].Category = 0, 3 }, list.ErrFormat, "basis"},
		{"steer as entry", func(e []list.Entry) { e[5].Kind = canon.KindSteer }, list.ErrFormat, "kind steer"},
		{"unknown kind", func(e []list.Entry) { e[5].Kind = 9 }, list.ErrFormat, "kind"},
		{"upper case", func(e []list.Entry) { e[5].Expression = "Upper.example.test" }, list.ErrFormat, "not canonical"},
		{"trailing dot", func(e []list.Entry) { e[5].Expression += "." }, list.ErrFormat, "not canonical"},
		{"scheme", func(e []list.Entry) { e[8].Expression = "http://" + e[8].Expression }, list.ErrFormat, "not canonical"},
		{"domain with a path", func(e []list.Entry) { e[5].Expression += "/a" }, list.ErrFormat, "canonicalise domain"},
		{"address as domain", func(e []list.Entry) { e[5].Expression = "192.0.2.1" }, list.ErrFormat, "canonicalise domain"},
		{"empty", func(e []list.Entry) { e[5].Expression = "" }, list.ErrFormat, "canonicalise domain"},
		{"category outside of the closed set", func(e []list.Entry) { e[5].Category = 3 }, list.ErrFormat, "category"},
		{"no basis", func(e []list.Entry) { e[5].Basis = 0 }, list.ErrFormat, "basis"},
		{"jurisdiction of three letters", func(e []list.Entry) { e[5].Jurisdiction = "ZZZ" }, list.ErrFormat, "jurisdiction"},
		{"jurisdiction in lower case", func(e []list.Entry) { e[5].Jurisdiction = "zz" }, list.ErrFormat, "jurisdiction"},
		{"canary that is a domain", func(e []list.Entry) { e[5].Canary = true }, list.ErrFormat, "canary"},
		{"no review date", func(e []list.Entry) { e[5].ReviewBy = time.Time{} }, list.ErrFormat, "review_by"},
		{"review after 2106", func(e []list.Entry) { e[5].ReviewBy = time.Unix(1<<32, 0) }, list.ErrFormat, "review_by"},
		{"review before since", func(e []list.Entry) { e[5].ReviewBy = e[5].Since.Add(-time.Second) }, list.ErrFormat, "review_by"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			entries := listtest.Entries(20, 1)
			tt.change(entries)
			edge, audit, _, err := list.Build(listtest.Version(1), entries, nil, listtest.Keys(1), listtest.OpenKey(1))
			if !errors.Is(err, tt.want) || edge != nil || audit != nil {
				t.Fatalf("Build = %d and %d bytes, %v, want %v", len(edge), len(audit), err, tt.want)
			}
			if !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "example") {
				t.Errorf("error %q, want %q in it and no name", err, tt.says)
			}
		})
	}
	v := listtest.Version(1)
	v.List = "no slash"
	if _, _, _, err := list.Build(v, nil, nil, listtest.Keys(1), listtest.OpenKey(1)); !errors.Is(err, list.ErrFormat) {
		t.Errorf("bad list id: %v, want %v", err, list.ErrFormat)
	}
	if _, _, _, err := list.Build(listtest.Version(1), nil, nil, nil, listtest.OpenKey(1)); err == nil {
		t.Error("no keys: no error")
	}
	if _, _, _, err := list.Build(listtest.Version(1), listtest.Entries(3, 1), []string{"Decoy.test"}, listtest.Keys(1), listtest.OpenKey(1)); !errors.Is(err, list.ErrFormat) {
		t.Errorf("decoy that is not canonical: %v, want %v", err, list.ErrFormat)
	}
}

func TestDecoysAreStableAndNotEntries(t *testing.T) {
	id := func(seq uint64) match.EntryID {
		edge, _, sum, err := list.Build(listtest.Version(seq), listtest.Entries(3, 1), []string{"decoy.example.test"}, listtest.Keys(1), listtest.OpenKey(1))
		if err != nil {
			t.Fatal(err)
		}
		if sum.Entries != 3 || sum.Records != 4 || sum.Kinds["steer"] != 0 {
			t.Errorf("Summary = %+v, want 3 entries, 4 records, no steer", sum)
		}
		e, err := list.OpenEdge(edge)
		if err != nil {
			t.Fatal(err)
		}
		i := 0
		for i < e.Len() && e.Record(i).Flags != match.FlagDecoy {
			i++
		}
		if i == e.Len() {
			t.Fatal("no decoy in the edge list")
		}
		if r := e.Record(i); r.ReviewBy != uint32(listtest.ReviewBy.Unix()) || r.Kind != canon.KindSteer {
			t.Errorf("decoy = %+v, want a steer record that dies with the entries", r)
		}
		return e.Record(i).EntryID
	}
	if a, b := id(1), id(2); a != b || a == (match.EntryID{}) {
		t.Errorf("ids in two versions: %v, %v, want the same", a, b)
	}
}
