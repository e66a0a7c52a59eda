package list_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"testing"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/match"
)

// Places in the files, from FORMAT.md.
const (
	table        = 256
	edgeSections = 4
)

// reseal makes the hashes of a changed file fit again, as an attacker would.
func reseal(b []byte, sections int) {
	head := table + 64*sections + 64
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

func openers() map[string]struct {
	file     func(edge, audit []byte) []byte
	open     func(b []byte) error
	sections int
} {
	return map[string]struct {
		file     func(edge, audit []byte) []byte
		open     func(b []byte) error
		sections int
	}{
		"edge":  {func(edge, _ []byte) []byte { return edge }, func(b []byte) error { _, err := list.OpenEdge(b); return err }, edgeSections},
		"audit": {func(_, audit []byte) []byte { return audit }, func(b []byte) error { _, err := list.OpenAudit(b); return err }, 1},
	}
}

// TestEveryFlippedByteIsRefused flips each bit of each byte of both files; none may open.
func TestEveryFlippedByteIsRefused(t *testing.T) {
	edge, audit, _ := build(t, listtest.Entries(12, 1), "decoy.example.test")
	for name, o := range openers() {
		t.Run(name, func(t *testing.T) {
			good := o.file(edge, audit)
			for i := range good {
				for bit := range 8 {
					b := slices.Clone(good)
					b[i] ^= 1 << bit
					if o.open(b) == nil {
						t.Fatalf("byte %d bit %d flipped: opened", i, bit)
					}
				}
			}
			for n := range good {
				if o.open(slices.Clone(good[:n])) == nil {
					t.Fatalf("cut to %d bytes: opened", n)
				}
			}
			if o.open(append(slices.Clone(good), make([]byte, 64)...)) == nil {
				t.Fatal("64 bytes added: opened")
			}
		})
	}
}

// TestResealedEdgeListKeepsItsRules flips bytes and makes all hashes fit: what then still opens obeys every rule of an
// edge list and is another file; the signature over the file hash is what refuses it.
func TestResealedEdgeListKeepsItsRules(t *testing.T) {
	good, _, _ := build(t, listtest.Entries(12, 1), "decoy.example.test")
	for i := range good {
		for _, x := range []byte{0x01, 0x80, 0xff} {
			b := slices.Clone(good)
			b[i] ^= x
			reseal(b, edgeSections)
			if bytes.Equal(b, good) {
				continue
			}
			e, err := list.OpenEdge(b)
			if err != nil {
				continue
			}
			for j := range e.Len() {
				r := e.Record(j)
				if err := r.Check(); err != nil {
					t.Fatalf("byte %d changed: opened with record %d: %v", i, j, err)
				}
			}
			if _, err := list.Compile(e, listtest.Filter()); err != nil {
				t.Fatalf("byte %d changed: opened, and Compile says %v", i, err)
			}
		}
	}
}

// TestResealedAuditorListIsRefused: every byte of it is a hash, a root over hashes, or a number that must fit them;
// what is left free is the version, which the signed metadata names too.
func TestResealedAuditorListIsRefused(t *testing.T) {
	edge, good, _ := build(t, listtest.Entries(12, 1))
	e, _ := open(t, edge, good)
	for i := range good {
		b := slices.Clone(good)
		b[i] ^= 0x01
		reseal(b, 1)
		if bytes.Equal(b, good) {
			continue
		}
		a, err := list.OpenAudit(b)
		if err == nil && a.Fits(e) == nil {
			t.Errorf("byte %d changed: opened, and fits the edge list", i)
		}
	}
}

func TestCraftedEdgeListsAreRefused(t *testing.T) {
	good, _, _ := build(t, listtest.Entries(12, 1))
	n := uint64(14)
	section := func(b []byte, i int) []byte {
		e := b[table+64*i:]
		return b[binary.LittleEndian.Uint64(e[8:]):][:binary.LittleEndian.Uint64(e[16:])]
	}
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
			swap(section(b, 0), 16)
			swap(section(b, 1), 8)
			swap(section(b, 2), 16)
			swap(section(b, 3), 16)
		}, list.ErrOrder},
		{"the same record twice", func(b []byte) {
			for i, size := range []int{16, 8, 16, 16} {
				copy(section(b, i)[size:2*size], section(b, i)[:size])
			}
		}, list.ErrOrder},
		{"two entries of one expression", func(b []byte) {
			copy(section(b, 0)[16:32], section(b, 0)[:16])
			copy(section(b, 3)[16:32], section(b, 3)[:16])
		}, list.ErrOrder},
		{"entry id zero", func(b []byte) { clear(section(b, 2)[:16]) }, list.ErrFormat},
		{"category outside of the closed set", func(b []byte) { section(b, 3)[2] = 3 }, list.ErrFormat},
		{"meta with reserved bytes", func(b []byte) { section(b, 3)[6] = 1 }, list.ErrFormat},
		{"counts that do not fit", func(b []byte) { b[192]++ }, list.ErrFormat},
		{"dropped records", func(b []byte) { b[192+28]++ }, list.ErrFormat},
		{"fields of an index", func(b []byte) { b[36] = 8 }, list.ErrFormat},
		{"bytes after the list id", func(b []byte) { b[127] = 1 }, list.ErrFormat},
		{"steer record of another entry", func(b []byte) {
			for i := range n {
				if section(b, 3)[16*i] == 5 {
					section(b, 2)[16*i] ^= 1
					return
				}
			}
		}, list.ErrFormat},
		{"more records than any list has", func(b []byte) { binary.LittleEndian.PutUint64(b[40:], match.MaxRecords+1) }, list.ErrTooLarge},
		{"fewer records than the sections have", func(b []byte) { binary.LittleEndian.PutUint64(b[40:], n-1) }, list.ErrFormat},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := slices.Clone(good)
			tt.change(b)
			reseal(b, edgeSections)
			if e, err := list.OpenEdge(b); !errors.Is(err, tt.want) || e != nil {
				t.Errorf("OpenEdge = %v, %v, want %v", e, err, tt.want)
			}
		})
	}
}

// TestCraftedHeadsAllocateNothing gives both openers heads with valid hashes and absurd sizes.
func TestCraftedHeadsAllocateNothing(t *testing.T) {
	edge, audit, _ := build(t, listtest.Entries(12, 1))
	for name, o := range openers() {
		good := o.file(edge, audit)
		for _, at := range []int{8, 12, 16, 40, 64, table + 8, table + 16} {
			for _, v := range []uint64{0, 1, 1 << 24, 1<<31 - 1, 1 << 32, 1 << 62, 1 << 63, 1<<64 - 1, 1<<64 - 64} {
				b := slices.Clone(good)
				binary.LittleEndian.PutUint64(b[at:], v)
				reseal(b, o.sections)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				err := o.open(b)
				runtime.ReadMemStats(&after)
				if err == nil {
					t.Errorf("%s: field at %d set to %#x: opened", name, at, v)
				}
				if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
					t.Errorf("%s: field at %d set to %#x: %d bytes allocated for a file of %d", name, at, v, got, len(b))
				}
			}
		}
	}
}

func FuzzOpenEdge(f *testing.F) {
	edge, _, _ := build(f, listtest.Entries(12, 1), "decoy.example.test")
	empty, _, _ := build(f, nil)
	for _, fit := range []bool{false, true} {
		f.Add(edge, fit)
		f.Add(empty, fit)
	}
	f.Fuzz(func(t *testing.T, b []byte, fit bool) {
		b = slices.Clone(b)
		if fit {
			reseal(b, edgeSections)
		}
		e, err := list.OpenEdge(b)
		if err != nil {
			return
		}
		if _, err := list.Compile(e, listtest.Filter()); err != nil {
			t.Errorf("opened, and Compile says %v", err)
		}
	})
}

func FuzzOpenAudit(f *testing.F) {
	_, audit, _ := build(f, listtest.Entries(12, 1))
	_, empty, _ := build(f, nil)
	for _, fit := range []bool{false, true} {
		f.Add(audit, fit)
		f.Add(empty, fit)
	}
	f.Fuzz(func(t *testing.T, b []byte, fit bool) {
		b = slices.Clone(b)
		if fit {
			reseal(b, 1)
		}
		a, err := list.OpenAudit(b)
		if err != nil {
			return
		}
		for i := range a.Len() {
			a.Commitment(i)
		}
	})
}
