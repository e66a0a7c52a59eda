package match_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

func provable(t testing.TB, n int) (*match.Edge, *match.Keys) {
	t.Helper()
	keys := &match.Keys{Match: [32]byte{1}}
	const id = match.ListID("hotline-one/main")
	records := make([]match.Record, n)
	for i := range records {
		name := fmt.Appendf(nil, "host-%d.example", i)
		records[i] = match.Record{Digest: keys.Digest(id, canon.ClassName, name), Gate: uint64(i), EntryID: match.EntryID{1, byte(i), byte(i >> 8)}, Meta: match.Meta{
			Kind: canon.KindHost, Category: match.CategoryBaseline, Basis: match.BasisLaw, Jurisdiction: [2]byte{'Z', 'Z'}, Since: 5, ReviewBy: 4_000_000_000,
		}}
	}
	e, err := match.WriteEdge(match.Header{List: id, Seq: 3, Epoch: 2}, records)
	if err != nil {
		t.Fatal(err)
	}
	return e, keys
}

func TestAProofSaysWhatTheListSays(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 3000} {
		e, keys := provable(t, n)
		var ds []match.Digest
		for i := range 40 {
			ds = append(ds, keys.Digest(e.Version().List, canon.ClassName, fmt.Appendf(nil, "host-%d.example", i*7)))
		}
		p, err := e.Prove(ds).Open(e.Hash())
		if err != nil {
			t.Fatalf("%d records: %v", n, err)
		}
		if p.Header != e.Version() || p.Len != n {
			t.Errorf("got %+v of %d", p.Header, p.Len)
		}
		for i, d := range ds {
			found, place, ok := p.Records(d)
			want := e.Find(&d)
			if !ok || (len(found) == 1) != (want >= 0) || len(found) > 1 || want >= 0 && place != want || (want >= 0) != (i*7 < n) {
				t.Fatalf("%d records, name %d: found %d at %d (%t), the list has it at %d", n, i*7, len(found), place, ok, want)
			}
		}
	}
}

func TestAProofThatWasTouchedDoesNotOpen(t *testing.T) {
	e, keys := provable(t, 3000)
	d := keys.Digest(e.Version().List, canon.ClassName, []byte("host-7.example"))
	whole := func() match.Proof {
		p := e.Prove([]match.Digest{d, {0xff}, {0x01}})
		return match.Proof{Fields: bytes.Clone(p.Fields), Starts: bytes.Clone(p.Starts), Hashes: bytes.Clone(p.Hashes), Blocks: slices.Clone(p.Blocks)}
	}
	cut := func(b []byte, n int) []byte { return bytes.Clone(b[:len(b)-n]) }
	flip := func(b []byte, i int) []byte { b = bytes.Clone(b); b[i] ^= 1; return b }
	for name, lie := range map[string]func(p *match.Proof){
		"another sequence":      func(p *match.Proof) { p.Fields[0] ^= 1 },
		"no fields":             func(p *match.Proof) { p.Fields = nil },
		"more records than any": func(p *match.Proof) { p.Fields[16+7] = 0xff },
		"another block start":   func(p *match.Proof) { p.Starts[5] ^= 1 },
		"another block hash":    func(p *match.Proof) { p.Hashes[5] ^= 1 },
		"a shorter table":       func(p *match.Proof) { p.Hashes = cut(p.Hashes, 32) },
		"no table":              func(p *match.Proof) { p.Starts, p.Hashes = nil, nil },
		"a record changed":      func(p *match.Proof) { p.Blocks[0].Metas = flip(p.Blocks[0].Metas, 3) },
		"an entry id changed":   func(p *match.Proof) { p.Blocks[0].IDs = flip(p.Blocks[0].IDs, 3) },
		"a record left out": func(p *match.Proof) {
			b := &p.Blocks[0]
			b.Digests, b.Gates, b.IDs, b.Metas = cut(b.Digests, 16), cut(b.Gates, 8), cut(b.IDs, 16), cut(b.Metas, 16)
		},
		"an empty block":          func(p *match.Proof) { p.Blocks[0] = match.ProofBlock{N: p.Blocks[0].N} },
		"the number of another":   func(p *match.Proof) { p.Blocks[0].N++ },
		"a number beyond the end": func(p *match.Proof) { p.Blocks[1].N = 1 << 31 },
		"a block twice":           func(p *match.Proof) { p.Blocks[1] = p.Blocks[0] },
	} {
		p := whole()
		lie(&p)
		if _, err := p.Open(e.Hash()); !errors.Is(err, match.ErrFormat) && !errors.Is(err, match.ErrHash) && !errors.Is(err, match.ErrTooLarge) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	p := whole()
	if _, err := p.Open([32]byte{1}); !errors.Is(err, match.ErrHash) {
		t.Errorf("another head: got %v", err)
	}
	opened, err := p.Open(e.Hash())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, ok := opened.Records(match.Digest{0x7f}); ok {
		t.Error("it speaks of a block that it does not have")
	}
}
