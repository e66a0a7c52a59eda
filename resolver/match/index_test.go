package match_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
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

func smallIndex(tb testing.TB) []byte {
	tb.Helper()
	records := recordsOf(listtest.Keys(1), "one/main", smallTexts...)
	b, err := match.Build(match.Header{List: "one/main", Seq: 7, Epoch: 3, CanonID: [32]byte{1, 2, 3}}, listtest.Filter(), len(records), func(i int) match.Record { return records[i] })
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestIndexSaysWhatItWasBuiltFrom(t *testing.T) {
	x, err := match.Open(smallIndex(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := x.Header(), (match.Header{List: "one/main", Seq: 7, Epoch: 3, CanonID: [32]byte{1, 2, 3}}); got != want {
		t.Errorf("Header = %+v, want %+v", got, want)
	}
	if got, want := x.Counts(), (match.Counts{URL: 1, Host: 2, Domain: 1, Steer: 1, Canary: 1}); got != want {
		t.Errorf("Counts = %+v, want %+v", got, want)
	}
	if x.Len() != 5 || x.FilterHash() != listtest.Filter().Hash() {
		t.Errorf("Len = %d, FilterHash = %x, want 5, %x", x.Len(), x.FilterHash(), listtest.Filter().Hash())
	}
}

func TestIndexIsTheSameInWhateverOrderRecordsCome(t *testing.T) {
	records := listtest.Records(5000, 1)
	build := func() []byte {
		b, err := match.Build(listtest.Version(1), listtest.Filter(), len(records), func(i int) match.Record { return records[i] })
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	want := build()
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 3 {
		rnd.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		if !bytes.Equal(build(), want) {
			t.Fatal("another order gave other bytes")
		}
	}
	slices.Reverse(records)
	if !bytes.Equal(build(), want) {
		t.Fatal("reverse order gave other bytes")
	}
}

func TestFilterKeepsRecordsOut(t *testing.T) {
	f := listtest.Filter()
	f.Kinds = []canon.Kind{canon.KindHost}
	records := recordsOf(listtest.Keys(1), "one/main", smallTexts...)
	b, err := match.Build(match.Header{List: "one/main"}, f, len(records), func(i int) match.Record { return records[i] })
	if err != nil {
		t.Fatal(err)
	}
	x, err := match.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := x.Counts(), (match.Counts{Host: 2, Canary: 1, Dropped: 3}); got != want {
		t.Errorf("Counts = %+v, want %+v", got, want)
	}
	s := setOf(t, nil, match.Member{Index: x, Keys: listtest.Keys(1)})
	if v := s.Name([]byte("domain.test"), listed); v != (match.Verdict{}) {
		t.Errorf("Name(domain.test) = %+v, want nothing: the charter allows hosts only", v)
	}
	if v := s.Name([]byte("page.test"), listed); v.Steer {
		t.Errorf("Name(page.test) = %+v, want no steering: the charter allows no page entries", v)
	}
}

func TestBuildRefusesRecordsNoListMayHave(t *testing.T) {
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
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := slices.Clone(good)
			tt.change(r)
			if b, err := match.Build(match.Header{List: "one/main"}, listtest.Filter(), len(r), func(i int) match.Record { return r[i] }); !errors.Is(err, tt.want) || b != nil {
				t.Errorf("Build = %d bytes, %v, want %v", len(b), err, tt.want)
			}
		})
	}
	none := func(int) match.Record { panic("no record should be asked for") }
	if _, err := match.Build(match.Header{List: "one/main"}, match.Filter{}, match.MaxRecords+1, none); !errors.Is(err, match.ErrTooLarge) {
		t.Errorf("too many records: %v, want %v", err, match.ErrTooLarge)
	}
	if _, err := match.Build(match.Header{List: "one"}, match.Filter{}, 0, none); !errors.Is(err, match.ErrFormat) {
		t.Errorf("bad list id: %v, want %v", err, match.ErrFormat)
	}
	if _, err := match.Build(match.Header{List: "one/main"}, match.Filter{Jurisdictions: []string{"ZZZ"}}, 0, none); !errors.Is(err, match.ErrFormat) {
		t.Errorf("bad filter: %v, want %v", err, match.ErrFormat)
	}
}

// TestEveryFlippedByteIsRefused flips each bit of each byte of an index; none may open.
func TestEveryFlippedByteIsRefused(t *testing.T) {
	good := smallIndex(t)
	if _, err := match.Open(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for bit := range 8 {
			b := slices.Clone(good)
			b[i] ^= 1 << bit
			if _, err := match.Open(b); err == nil {
				t.Fatalf("byte %d bit %d flipped: opened", i, bit)
			}
		}
	}
	for n := range good {
		if _, err := match.Open(slices.Clone(good[:n])); err == nil {
			t.Fatalf("cut to %d bytes: opened", n)
		}
	}
	if _, err := match.Open(append(slices.Clone(good), 0)); err == nil {
		t.Fatal("a byte added: opened")
	}
}

// reseal makes the hashes of a changed index fit again, as an attacker would, so that the checks behind them are met.
func reseal(b []byte) {
	const table, sections, head = 256, 5, 256 + 5*64 + 64
	if len(b) < head {
		return
	}
	for i := range sections {
		e := b[table+64*i:]
		at, size := binary.LittleEndian.Uint64(e[8:]), binary.LittleEndian.Uint64(e[16:])
		if at <= uint64(len(b)) && size <= uint64(len(b))-at {
			sum := sha256.Sum256(b[at : at+size])
			copy(e[24:56], sum[:])
		}
	}
	sum := sha256.Sum256(b[:head-64])
	copy(b[head-64:], sum[:])
}

// TestResealedIndexCannotLie flips each byte and makes the hashes fit again: then it is another index with another
// hash, or it is refused; lookups on it stay inside of it.
func TestResealedIndexCannotLie(t *testing.T) {
	good := smallIndex(t)
	x, err := match.Open(good)
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	for i := range good {
		b := slices.Clone(good)
		b[i] ^= 0x41
		reseal(b)
		if bytes.Equal(b, good) {
			continue // the byte was part of a hash
		}
		y, err := match.OpenHead(b)
		if err != nil {
			continue
		}
		if y.Hash() == x.Hash() {
			t.Fatalf("byte %d changed: the hash did not", i)
		}
		probe(t, y)
		if y.Verify() == nil {
			opened++
		}
	}
	if opened == 0 {
		t.Error("no changed index opened: the test does not reach behind the hashes")
	}
}

func probe(tb testing.TB, x *match.Index) {
	tb.Helper()
	s := setOf(tb, []match.Removal{{List: x.Header().List, Kind: 1}}, match.Member{Index: x, Keys: listtest.Keys(1)})
	for _, e := range smallTexts {
		s.Name([]byte(canon.HostOf(e.expr)), listed)
		s.Page([]byte(e.expr), listed)
	}
}

// TestCraftedHeadsAllocateNothing gives Open heads with valid hashes and absurd sizes.
func TestCraftedHeadsAllocateNothing(t *testing.T) {
	good := smallIndex(t)
	for _, at := range []int{8, 12, 16, 36, 40, 48, 56, 64, 192, 256 + 8, 256 + 16, 256 + 64 + 8, 256 + 64 + 16, 256 + 4*64 + 16} {
		for _, v := range []uint64{0, 1, 1 << 24, 1<<31 - 1, 1 << 32, 1 << 62, 1 << 63, 1<<64 - 1, 1<<64 - 64} {
			b := slices.Clone(good)
			binary.LittleEndian.PutUint64(b[at:], v)
			reseal(b)
			if bytes.Equal(b, good) {
				continue
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := match.Open(b)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("field at %d set to %#x: opened", at, v)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
				t.Errorf("field at %d set to %#x: %d bytes allocated for a file of %d", at, v, got, len(b))
			}
		}
	}
}

func FuzzOpenIndex(f *testing.F) {
	good := smallIndex(f)
	f.Add(good, false)
	f.Add(good, true)
	f.Add([]byte("CORDIDX1"), false)
	empty, err := match.Build(match.Header{List: "one/main"}, match.Filter{}, 0, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(empty, true)
	f.Fuzz(func(t *testing.T, b []byte, fit bool) {
		b = append(make([]byte, 0, len(b)+64), b...) // aligned, and ours
		if fit {
			reseal(b)
		}
		x, err := match.OpenHead(b)
		if err != nil {
			return
		}
		probe(t, x)
		if x.Verify() != nil {
			return
		}
		if x.Len() > 0 && x.Counts() == (match.Counts{}) {
			t.Errorf("%d records without counts", x.Len())
		}
	})
}
