package match_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

var smallTexts = []text{
	{canon.KindDomain, "domain.test", match.BasisVoluntary, 0},
	{canon.KindHost, "host.test", match.BasisLaw, 0},
	{canon.KindHost, "canary.test", match.BasisLaw, match.FlagCanary},
	{canon.KindURL, "page.test/a/b?x=1", match.BasisOrder, 0},
	{canon.KindSteer, "page.test", match.BasisOrder, 0},
}

var smallHeader = match.Header{List: "one/main", Seq: 7, Epoch: 3, CanonID: [32]byte{1, 2, 3}}

func smallEdge(tb testing.TB) []byte {
	tb.Helper()
	e, err := match.WriteEdge(smallHeader, recordsOf(listtest.Keys(1), "one/main", smallTexts...))
	if err != nil {
		tb.Fatal(err)
	}
	return e.Bytes()
}

// mixedEdge has 14 records of every kind, a decoy among them.
func mixedEdge(tb testing.TB) []byte {
	tb.Helper()
	records := recordsOf(listtest.Keys(1), "one/main",
		text{canon.KindDomain, "a.test", 1, 0}, text{canon.KindDomain, "b.test", 2, 0}, text{canon.KindHost, "a.test", 3, 0},
		text{canon.KindHost, "canary.test", 1, match.FlagCanary},
		text{canon.KindURL, "p.test/1", 1, 0}, text{canon.KindSteer, "p.test", 1, 0},
		text{canon.KindURL, "p.test/2", 1, 0}, text{canon.KindSteer, "p.test", 1, 0},
		text{canon.KindPrefix, "p.test/1", 1, 0}, text{canon.KindSteer, "p.test", 1, 0},
		text{canon.KindPrefix, "q.test/", 1, 0}, text{canon.KindSteer, "q.test", 1, 0},
		text{canon.KindHost, "decoy.test", 1, 0}, text{canon.KindHost, "z.test", 1, 0},
	)
	decoy := &records[12]
	decoy.Meta = match.Meta{Kind: canon.KindSteer, Flags: match.FlagDecoy, ReviewBy: reviewBy}
	e, err := match.WriteEdge(smallHeader, records)
	if err != nil {
		tb.Fatal(err)
	}
	return e.Bytes()
}

func TestEdgeListSaysWhatItWasMadeOf(t *testing.T) {
	e, err := match.OpenEdge(smallEdge(t))
	if err != nil {
		t.Fatal(err)
	}
	if e.Version() != smallHeader || e.Len() != 5 {
		t.Errorf("Version = %+v, Len = %d, want %+v, 5", e.Version(), e.Len(), smallHeader)
	}
	if got, want := e.Counts(), (match.Counts{URL: 1, Host: 2, Domain: 1, Steer: 1, Canary: 1}); got != want {
		t.Errorf("Counts = %+v, want %+v", got, want)
	}
	records := recordsOf(listtest.Keys(1), "one/main", smallTexts...)
	slices.SortFunc(records, func(a, b match.Record) int { return a.Compare(&b) })
	for i := range records {
		if got := e.Record(i); got != records[i] {
			t.Errorf("Record(%d) = %+v, want %+v", i, got, records[i])
		}
	}
}

func TestEdgeListIsTheSameInWhateverOrderRecordsCome(t *testing.T) {
	records := listtest.Records(5000, 1)
	write := func() []byte {
		e, err := match.WriteEdge(listtest.Version(1), records)
		if err != nil {
			t.Fatal(err)
		}
		return e.Bytes()
	}
	want := write()
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 3 {
		rnd.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		if !bytes.Equal(write(), want) {
			t.Fatal("another order gave other bytes")
		}
	}
	if _, err := match.OpenEdge(want); err != nil {
		t.Error(err)
	}
}

func TestNoEdgeListIsWrittenOfRecordsNoListMayHave(t *testing.T) {
	good := recordsOf(listtest.Keys(1), "one/main", smallTexts...)
	for _, tt := range []struct {
		name   string
		change func(r []match.Record)
		want   error
	}{
		{"the same record twice", func(r []match.Record) { r[1] = r[0] }, match.ErrOrder},
		{"kind 0", func(r []match.Record) { r[0].Kind = 0 }, match.ErrFormat},
		{"kind 6", func(r []match.Record) { r[0].Kind = 6 }, match.ErrFormat},
		{"category outside of the closed set", func(r []match.Record) { r[0].Category = 3 }, match.ErrFormat},
		{"no category", func(r []match.Record) { r[0].Category = 0 }, match.ErrFormat},
		{"basis outside of the closed set", func(r []match.Record) { r[0].Basis = 4 }, match.ErrFormat},
		{"jurisdiction in lower case", func(r []match.Record) { r[0].Jurisdiction = [2]byte{'z', 'z'} }, match.ErrFormat},
		{"canary that is a domain", func(r []match.Record) { r[0].Flags = match.FlagCanary }, match.ErrFormat},
		{"decoy with a basis", func(r []match.Record) { r[4].Flags = match.FlagDecoy }, match.ErrFormat},
		{"both flags", func(r []match.Record) { r[2].Flags = match.FlagCanary | match.FlagDecoy }, match.ErrFormat},
		{"review before since", func(r []match.Record) { r[0].ReviewBy = r[0].Since - 1 }, match.ErrFormat},
		{"a page without a steer record", func(r []match.Record) { r[4].Kind = canon.KindHost }, match.ErrFormat},
		{"a steer record of another entry", func(r []match.Record) { r[4].EntryID = match.EntryID{1} }, match.ErrFormat},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := slices.Clone(good)
			tt.change(r)
			if e, err := match.WriteEdge(smallHeader, r); !errors.Is(err, tt.want) || e != nil {
				t.Errorf("WriteEdge = %v, %v, want %v", e, err, tt.want)
			}
		})
	}
	if _, err := match.NewEdgeWriter(smallHeader, match.MaxRecords+1); !errors.Is(err, match.ErrTooLarge) {
		t.Errorf("too many records: %v, want %v", err, match.ErrTooLarge)
	}
	if _, err := match.WriteEdge(match.Header{List: "one"}, nil); !errors.Is(err, match.ErrFormat) {
		t.Errorf("bad list id: %v, want %v", err, match.ErrFormat)
	}
}

// TestAHostWithThousandsOfPagesIsFound: all its steer records share a digest and a block, which must stay quick to search
// and whole.
func TestAHostWithThousandsOfPagesIsFound(t *testing.T) {
	keys := listtest.Keys(1)
	records := listtest.Records(1000, 1)
	meta := records[0].Meta
	for i := range 5000 {
		url := append(listtest.AppendName(nil, 1), "/page"...)
		url = append(url, byte('a'+i%26), byte('a'+i/26%26), byte('a'+i/26/26))
		id := match.EntryID{1, byte(i >> 8), byte(i), 1}
		page, steer := match.Record{EntryID: id, Meta: meta}, match.Record{EntryID: id, Meta: meta}
		page.Kind, steer.Kind = canon.KindURL, canon.KindSteer
		page.Digest, page.Gate = keys.Digest(listtest.List, canon.ClassPage, url), keys.Gate64(canon.ClassPage, url)
		host := []byte(listtest.Name(1))
		steer.Digest, steer.Gate = keys.Digest(listtest.List, canon.ClassName, host), keys.Gate64(canon.ClassName, host)
		records = append(records, page, steer)
	}
	s := setOf(t, nil, memberFrom(t, listtest.Version(1), records, keys))
	for i := range 1000 {
		if v := s.Name([]byte(listtest.Name(i)), listed); !v.Listed || v.Steer != (i == 1) {
			t.Fatalf("Name(%s) = %+v", listtest.Name(i), v)
		}
	}
	if v := s.Page([]byte(listtest.Name(1)+"/pageabc"), listed); !v.Listed {
		t.Errorf("page: %+v, want listed", v)
	}
}
