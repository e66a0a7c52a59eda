package match_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"testing"

	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// TestEveryFlippedByteOfAnEdgeListIsRefused flips each bit of each byte of a list of one block, and a bit of each byte of
// one of several blocks.
func TestEveryFlippedByteOfAnEdgeListIsRefused(t *testing.T) {
	small := mixedEdge(t)
	large, err := match.WriteEdge(smallHeader, listtest.Records(600, 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, good := range [][]byte{small, large.Bytes()} {
		if _, err := match.OpenEdge(good); err != nil {
			t.Fatal(err)
		}
		for i := range good {
			for bit := range 8 {
				if len(good) > len(small) && bit != i%8 {
					continue
				}
				good[i] ^= 1 << bit
				_, err := match.OpenEdge(good)
				good[i] ^= 1 << bit
				if err == nil {
					t.Fatalf("byte %d bit %d flipped: opened", i, bit)
				}
			}
		}
	}
	for n := range small {
		if _, err := match.OpenEdge(slices.Clone(small[:n])); err == nil {
			t.Fatalf("cut to %d bytes: opened", n)
		}
	}
	if _, err := match.OpenEdge(append(slices.Clone(small), make([]byte, 64)...)); err == nil {
		t.Fatal("64 bytes added: opened")
	}
}

// Places in the files, from FORMAT.md.
const (
	table        = 256
	edgeSections = 6
)

// sectionOf is section i of a file, or nothing when its table lies.
func sectionOf(b []byte, i int) []byte {
	e := b[table+64*i:]
	at, size := binary.LittleEndian.Uint64(e[8:]), binary.LittleEndian.Uint64(e[16:])
	if at > uint64(len(b)) || size > uint64(len(b))-at {
		return nil
	}
	return b[at : at+size]
}

// reseal makes the hashes of a changed file fit again, as an attacker would, so that the checks behind them are met.
func reseal(b []byte, sections int) {
	head := table + 64*sections + 64
	if len(b) < head {
		return
	}
	for i := range sections {
		if e := b[table+64*i:]; e[4] == 0 {
			sum := sha256.Sum256(sectionOf(b, i))
			copy(e[24:56], sum[:])
		}
	}
	sum := sha256.Sum256(b[:head-64])
	copy(b[head-64:], sum[:])
}

// resealEdge is reseal for an edge list, with its blocks.
func resealEdge(b []byte) {
	if len(b) < table+64*edgeSections+64 {
		return
	}
	starts, hashes := sectionOf(b, 0), sectionOf(b, 1)
	columns := [][]byte{sectionOf(b, 2), sectionOf(b, 3), sectionOf(b, 4), sectionOf(b, 5)}
	for i := 0; 4*i+8 <= len(starts) && 32*i+32 <= len(hashes); i++ {
		lo, hi := uint64(binary.LittleEndian.Uint32(starts[4*i:])), uint64(binary.LittleEndian.Uint32(starts[4*i+4:]))
		h := sha256.New()
		h.Write([]byte("cordon/block/v2\n"))
		for j, width := range []uint64{16, 8, 16, 16} {
			if lo <= hi && hi*width <= uint64(len(columns[j])) {
				h.Write(columns[j][lo*width : hi*width])
			}
		}
		h.Sum(hashes[32*i : 32*i])
	}
	reseal(b, edgeSections)
}

// TestResealedEdgeListKeepsItsRules flips bytes and makes all hashes fit: what then still opens obeys every rule of an
// edge list and is another file with another hash; lookups on it stay inside of it, on what does not open too.
func TestResealedEdgeListKeepsItsRules(t *testing.T) {
	good := mixedEdge(t)
	x, err := match.OpenEdge(good)
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	for i := range good {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			b := slices.Clone(good)
			b[i] ^= flip
			resealEdge(b)
			if bytes.Equal(b, good) {
				continue
			}
			e, err := match.OpenEdgeHead(b)
			if err != nil {
				continue
			}
			if e.Hash() == x.Hash() {
				t.Fatalf("byte %d changed: the hash did not", i)
			}
			probe(t, e)
			if e.Verify() != nil {
				continue
			}
			opened++
			for j := range e.Len() {
				if r := e.Record(j); r.Check() != nil {
					t.Fatalf("byte %d changed: opened with record %d: %v", i, j, r.Check())
				}
			}
		}
	}
	if opened == 0 {
		t.Error("no changed list opened: the test does not reach behind the hashes")
	}
}

// probe asks lookups of an edge list that may never have been verified.
func probe(tb testing.TB, e *match.Edge) {
	tb.Helper()
	m, err := listtest.Member(e, 1)
	if err != nil {
		tb.Fatal(err)
	}
	s := setOf(tb, []match.Removal{{List: e.Version().List, Kind: 1}}, m)
	for _, e := range smallTexts {
		s.Name([]byte(canon.HostOf(e.expr)), listed)
		s.Page([]byte(e.expr), listed)
	}
}

func TestCraftedEdgeListsAreRefused(t *testing.T) {
	good := mixedEdge(t)
	const n = 14
	digests := func(b []byte) []byte { return sectionOf(b, 2) }
	ids := func(b []byte) []byte { return sectionOf(b, 4) }
	meta := func(b []byte) []byte { return sectionOf(b, 5) }
	swap := func(b []byte, size int) { // records 0 and 1
		for i := range size {
			b[i], b[size+i] = b[size+i], b[i]
		}
	}
	for _, tt := range []struct {
		name   string
		change func(b []byte)
		want   error
	}{
		{"records out of order", func(b []byte) {
			for i, size := range []int{16, 8, 16, 16} {
				swap(sectionOf(b, 2+i), size)
			}
		}, match.ErrOrder},
		{"the same record twice", func(b []byte) {
			for i, size := range []int{16, 8, 16, 16} {
				copy(sectionOf(b, 2+i)[size:2*size], sectionOf(b, 2+i)[:size])
			}
		}, match.ErrOrder},
		{"two entries of one expression", func(b []byte) {
			copy(digests(b)[16:32], digests(b)[:16])
			copy(meta(b)[16:32], meta(b)[:16])
		}, match.ErrOrder},
		{"kinds of one expression out of order", func(b []byte) {
			copy(digests(b)[16:32], digests(b)[:16])
			domain := meta(b)[bytes.Index(meta(b), []byte{4, 0, 1})&^15:][:16]
			copy(meta(b)[16:32], domain)
			copy(meta(b), domain)
			meta(b)[16] = 3
		}, match.ErrOrder},
		{"entry id zero", func(b []byte) { clear(ids(b)[:16]) }, match.ErrFormat},
		{"category outside of the closed set", func(b []byte) { meta(b)[2] = 3 }, match.ErrFormat},
		{"meta with reserved bytes", func(b []byte) { meta(b)[6] = 1 }, match.ErrFormat},
		{"counts that do not fit", func(b []byte) { b[192]++ }, match.ErrFormat},
		{"an eighth count", func(b []byte) { b[192+28]++ }, match.ErrFormat},
		{"more blocks than the records need", func(b []byte) { b[36] = 1 }, match.ErrFormat},
		{"fields of an index", func(b []byte) { b[56] = 8 }, match.ErrFormat},
		{"bytes after the list id", func(b []byte) { b[127] = 1 }, match.ErrFormat},
		{"records before the first block", func(b []byte) { sectionOf(b, 0)[0] = 1 }, match.ErrFormat},
		{"records after the last block", func(b []byte) { sectionOf(b, 0)[4] = n - 1 }, match.ErrFormat},
		{"a block outside of the file", func(b []byte) { sectionOf(b, 0)[6] = 1 }, match.ErrFormat},
		{"a column with a hash of its own", func(b []byte) { b[table+64*3+4] = 0 }, match.ErrFormat},
		{"steer record of another entry", func(b []byte) {
			for i := range n {
				if meta(b)[16*i] == 5 && meta(b)[16*i+1] == 0 {
					ids(b)[16*i] ^= 1
					return
				}
			}
		}, match.ErrFormat},
		{"more records than any list has", func(b []byte) { binary.LittleEndian.PutUint64(b[40:], match.MaxRecords+1) }, match.ErrTooLarge},
		{"fewer records than the sections have", func(b []byte) { binary.LittleEndian.PutUint64(b[40:], n-1) }, match.ErrFormat},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := slices.Clone(good)
			tt.change(b)
			resealEdge(b)
			if e, err := match.OpenEdge(b); !errors.Is(err, tt.want) || e != nil {
				t.Errorf("OpenEdge = %v, %v, want %v", e, err, tt.want)
			}
		})
	}
}

// TestARecordInAnotherBlockIsRefused moves the border between two blocks of a larger list.
func TestARecordInAnotherBlockIsRefused(t *testing.T) {
	e, err := match.WriteEdge(smallHeader, listtest.Records(600, 1))
	if err != nil {
		t.Fatal(err)
	}
	b := e.Bytes()
	starts := sectionOf(b, 0)
	binary.LittleEndian.PutUint32(starts[4:], binary.LittleEndian.Uint32(starts[4:])+1)
	resealEdge(b)
	if _, err := match.OpenEdge(b); !errors.Is(err, match.ErrOrder) {
		t.Errorf("OpenEdge: %v, want %v", err, match.ErrOrder)
	}
}

// TestCraftedHeadsAllocateNothing gives both openers heads with valid hashes and absurd sizes.
func TestCraftedHeadsAllocateNothing(t *testing.T) {
	for _, f := range []struct {
		name   string
		good   []byte
		reseal func(b []byte)
		open   func(b []byte) error
	}{
		{"edge list", mixedEdge(t), resealEdge, func(b []byte) error { _, err := match.OpenEdge(b); return err }},
		{"index", smallIndex(t), func(b []byte) { reseal(b, 1) }, func(b []byte) error { _, err := match.Open(b); return err }},
	} {
		for _, at := range []int{8, 12, 16, 36, 40, 48, 56, 64, 192, table + 8, table + 16, table + 64 + 8, table + 64 + 16, table + 4*64 + 16} {
			if at+8 > int(binary.LittleEndian.Uint32(f.good[8:]))-64 {
				continue
			}
			for _, v := range []uint64{0, 1, 1 << 24, 1<<31 - 1, 1 << 32, 1 << 62, 1 << 63, 1<<64 - 1, 1<<64 - 64} {
				b := slices.Clone(f.good)
				binary.LittleEndian.PutUint64(b[at:], v)
				f.reseal(b)
				if bytes.Equal(b, f.good) {
					continue
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				err := f.open(b)
				runtime.ReadMemStats(&after)
				if err == nil && f.name == "edge list" { // an index of fewer records is an index, if of no list
					t.Errorf("%s: field at %d set to %#x: opened", f.name, at, v)
				}
				if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
					t.Errorf("%s: field at %d set to %#x: %d bytes allocated for a file of %d", f.name, at, v, got, len(b))
				}
			}
		}
	}
}

func FuzzOpenEdge(f *testing.F) {
	empty, err := match.WriteEdge(smallHeader, nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, fit := range []bool{false, true} {
		f.Add(mixedEdge(f), fit)
		f.Add(empty.Bytes(), fit)
	}
	f.Fuzz(func(t *testing.T, b []byte, fit bool) {
		b = append(make([]byte, 0, len(b)+64), b...) // aligned, and ours
		if fit {
			resealEdge(b)
		}
		e, err := match.OpenEdgeHead(b)
		if err != nil {
			return
		}
		probe(t, e)
		if e.Verify() != nil {
			return
		}
		records := make([]match.Record, e.Len())
		for i := range records {
			records[i] = e.Record(i)
		}
		again, err := match.WriteEdge(e.Version(), records)
		if err != nil || !bytes.Equal(again.Bytes(), b) {
			t.Errorf("opened, and its records make another file: %v", err)
		}
	})
}
