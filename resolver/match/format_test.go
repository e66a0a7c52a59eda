package match

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/resolver/canon"
)

var update = flag.Bool("update", false, "write testdata and the vectors of FORMAT.md anew")

type vectors struct {
	KMatch  string         `json:"k_match"`
	KGate   string         `json:"k_gate"`
	List    string         `json:"list"`
	Digests []digestVector `json:"digests"`
	Filter  filterVector   `json:"filter"`
	Edge    edgeVector     `json:"edge"`
	Index   fileVector     `json:"index"` // of the edge list
	State   []stateVector  `json:"state"`
}

type digestVector struct {
	Class  uint8  `json:"class"`
	Expr   string `json:"expr"`
	Digest string `json:"digest"`
	Gate   string `json:"gate"` // as a number
}

type filterVector struct {
	Kinds         []string `json:"kinds"`
	Bases         []string `json:"bases"`
	Jurisdictions []string `json:"jurisdictions"`
	Bytes         string   `json:"bytes"`
	Hash          string   `json:"hash"`
}

type edgeVector struct {
	Seq     uint64         `json:"seq"`
	Epoch   uint32         `json:"epoch"`
	CanonID string         `json:"canon_id"`
	Records []recordVector `json:"records"`
	fileVector
}

type fileVector struct {
	File   string `json:"file"` // hexadecimal, in testdata
	SHA256 string `json:"sha256"`
	Hash   string `json:"hash"` // of the head
}

func (v *fileVector) of(file []byte, head [32]byte) {
	whole := sha256.Sum256(file)
	v.SHA256, v.Hash = hex.EncodeToString(whole[:]), hex.EncodeToString(head[:])
}

type recordVector struct {
	Expr         string `json:"expr"`
	Entry        string `json:"entry"`
	Kind         uint8  `json:"kind"`
	Flags        uint8  `json:"flags"`
	Category     uint8  `json:"category"`
	Basis        uint8  `json:"basis"`
	Jurisdiction string `json:"jurisdiction"`
	Since        uint32 `json:"since"`
	ReviewBy     uint32 `json:"review_by"`
}

type stateVector struct {
	Removals []removalVector `json:"removals"`
	Bypass   bool            `json:"bypass"`
	StateID  string          `json:"state_id"`
}

type removalVector struct {
	List   string `json:"list"`
	Entry  string `json:"entry"`
	Until  uint32 `json:"until"`
	Kind   uint8  `json:"kind"`
	Number uint64 `json:"number"`
}

// given are the inputs of the vectors; the outputs are in testdata and FORMAT.md.
func given() vectors {
	rec := func(kind canon.Kind, expr string, id byte) recordVector {
		return recordVector{
			Expr: expr, Entry: strings.Repeat(fmt.Sprintf("%02x", id), 16), Kind: uint8(kind), Category: 1, Basis: 1,
			Jurisdiction: "ZZ", Since: 1767225600, ReviewBy: 1782777600,
		}
	}
	canary := rec(canon.KindHost, "canary.hotline-one.test", 0x10)
	canary.Flags, canary.Basis = uint8(FlagCanary), uint8(BasisVoluntary)
	decoy := recordVector{Expr: "decoy.example.test", Entry: strings.Repeat("50", 16), Kind: 5, Flags: uint8(FlagDecoy), ReviewBy: 1782777600}
	removal := removalVector{List: "hotline-one/main", Entry: strings.Repeat("20", 16), Until: 1770000000, Kind: RemovalSuppress, Number: 7}
	return vectors{
		KMatch: hex.EncodeToString(counting(32)), KGate: hex.EncodeToString(counting(16)), List: "hotline-one/main",
		Digests: []digestVector{
			{Class: 1, Expr: "listed.example.test"}, {Class: 1, Expr: "test"}, {Class: 2, Expr: "pages.example.test/a/b?id=1"}, {Class: 2, Expr: "pages.example.test/"},
		},
		Filter: filterVector{Kinds: []string{"domain", "url", "host"}, Bases: []string{"voluntary", "law"}, Jurisdictions: []string{"ZZ", "AA"}},
		Index:  fileVector{File: "index.hex"},
		Edge: edgeVector{
			Seq: 42, Epoch: 3, CanonID: strings.Repeat("c1", 32), fileVector: fileVector{File: "edge.hex"},
			Records: []recordVector{
				canary,
				rec(canon.KindDomain, "listed.example.test", 0x20),
				rec(canon.KindURL, "pages.example.test/a/b?id=1", 0x30),
				rec(canon.KindSteer, "pages.example.test", 0x30),
				rec(canon.KindPrefix, "dropped.example.test/dir", 0x40), // the filter has no prefix, but the index has all
				rec(canon.KindSteer, "dropped.example.test", 0x40),
				decoy,
			},
		},
		State: []stateVector{{}, {Removals: []removalVector{removal}}, {Removals: []removalVector{removal}, Bypass: true}},
	}
}

func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func unhex(t *testing.T, s string, n int) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != n {
		t.Fatalf("vector %q: %d bytes, %v, want %d", s, len(b), err, n)
	}
	return b
}

// compute fills the outputs in, and gives back both files.
func (v *vectors) compute(t *testing.T) (edge, index []byte) {
	t.Helper()
	keys := &Keys{Match: [32]byte(unhex(t, v.KMatch, 32)), Gate: [16]byte(unhex(t, v.KGate, 16))}
	list, err := ParseListID(v.List)
	if err != nil {
		t.Fatal(err)
	}
	for i := range v.Digests {
		d := &v.Digests[i]
		digest := keys.Digest(list, canon.Class(d.Class), []byte(d.Expr))
		d.Digest, d.Gate = hex.EncodeToString(digest[:]), fmt.Sprintf("%016x", keys.Gate64(canon.Class(d.Class), []byte(d.Expr)))
	}
	f := Filter{Jurisdictions: v.Filter.Jurisdictions}
	for _, s := range v.Filter.Kinds {
		k, err := canon.ParseKind(s)
		if err != nil {
			t.Fatal(err)
		}
		f.Kinds = append(f.Kinds, k)
	}
	for _, s := range v.Filter.Bases {
		b, err := ParseBasis(s)
		if err != nil {
			t.Fatal(err)
		}
		f.Bases = append(f.Bases, b)
	}
	hash := f.Hash()
	v.Filter.Bytes, v.Filter.Hash = hex.EncodeToString(f.Canonical()), hex.EncodeToString(hash[:])

	var records []Record
	for _, r := range v.Edge.Records {
		m := Meta{
			Kind: canon.Kind(r.Kind), Flags: Flags(r.Flags), Category: Category(r.Category), Basis: Basis(r.Basis), Since: r.Since, ReviewBy: r.ReviewBy,
		}
		copy(m.Jurisdiction[:], r.Jurisdiction)
		records = append(records, Record{
			Digest: keys.Digest(list, m.Kind.Class(), []byte(r.Expr)), Gate: keys.Gate64(m.Kind.Class(), []byte(r.Expr)),
			EntryID: EntryID(unhex(t, r.Entry, 16)), Meta: m,
		})
	}
	h := Header{List: list, Seq: v.Edge.Seq, Epoch: v.Edge.Epoch, CanonID: [32]byte(unhex(t, v.Edge.CanonID, 32))}
	e, err := WriteEdge(h, records)
	if err != nil {
		t.Fatal(err)
	}
	v.Edge.of(e.Bytes(), e.Hash())
	file, err := Compile(e)
	if err != nil {
		t.Fatal(err)
	}
	x, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	v.Index.of(file, x.Hash())

	for i := range v.State {
		s := &v.State[i]
		var removals []Removal
		for _, r := range s.Removals {
			removals = append(removals, Removal{List: ListID(r.List), Entry: EntryID(unhex(t, r.Entry, 16)), Until: r.Until, Kind: r.Kind, Number: r.Number})
		}
		s.StateID = ComputeStateID([]ListState{{List: list, Seq: v.Edge.Seq, IndexHash: x.Hash(), FilterHash: hash}}, removals, s.Bypass).String()
	}
	return e.Bytes(), file
}

// lines are the vectors as FORMAT.md shows them.
func (v *vectors) lines() string {
	var b strings.Builder
	b.WriteString("| what | value |\n|---|---|\n")
	row := func(what, value string) { fmt.Fprintf(&b, "| %s | `%s` |\n", what, value) }
	for _, d := range v.Digests {
		row(fmt.Sprintf("d, class %d, `%s`", d.Class, d.Expr), d.Digest)
		row(fmt.Sprintf("g, class %d, `%s`, as a number", d.Class, d.Expr), d.Gate)
	}
	row("filter bytes", v.Filter.Bytes)
	row("filter hash", v.Filter.Hash)
	row("head hash of `testdata/edge.hex`", v.Edge.Hash)
	row("SHA-256 of the same file", v.Edge.SHA256)
	row("index hash: head hash of `testdata/index.hex`", v.Index.Hash)
	row("SHA-256 of the same file", v.Index.SHA256)
	for _, s := range v.State {
		row(fmt.Sprintf("state id, %d removals, bypass %v", len(s.Removals), s.Bypass), s.StateID)
	}
	return b.String()
}

const vectorsHead = "All inputs are in `testdata/vectors.json`.\n\n"

func TestVectorsHold(t *testing.T) {
	if *update {
		v := given()
		edge, index := v.compute(t)
		save(t, "testdata/vectors.json", append(indent(t, v), '\n'))
		save(t, "testdata/edge.hex", []byte(hexLines(edge)))
		save(t, "testdata/index.hex", []byte(hexLines(index)))
		doc := read(t, "FORMAT.md")
		at := bytes.Index(doc, []byte(vectorsHead)) + len(vectorsHead)
		save(t, "FORMAT.md", append(doc[:at:at], v.lines()...))
	}
	var want vectors
	if err := json.Unmarshal(read(t, "testdata/vectors.json"), &want); err != nil {
		t.Fatal(err)
	}
	got := want
	got.Digests, got.State = append([]digestVector(nil), want.Digests...), append([]stateVector(nil), want.State...)
	edge, index := got.compute(t)
	if g, w := string(indent(t, got)), string(indent(t, want)); g != w {
		t.Errorf("vectors: got\n%s\nwant\n%s", g, w)
	}
	for name, b := range map[string][]byte{"edge.hex": edge, "index.hex": index} {
		if g, w := hexLines(b), string(read(t, "testdata/"+name)); g != w {
			t.Errorf("%s: got\n%s\nwant\n%s", name, g, w)
		}
	}
	if !bytes.Contains(read(t, "FORMAT.md"), []byte(vectorsHead+got.lines())) {
		t.Errorf("FORMAT.md does not show the vectors; want\n%s", got.lines())
	}
}

// TestDigestIsAnOrdinaryHMAC compares the unrolled HMAC with the standard one, at lengths around its buffers.
func TestDigestIsAnOrdinaryHMAC(t *testing.T) {
	keys := &Keys{Match: [32]byte(counting(32))}
	for _, n := range []int{0, 1, 55, 56, 63, 64, 253, 511, 512, 513, 8192} {
		expr := bytes.Repeat([]byte{'x'}, n)
		mac := hmac.New(sha256.New, keys.Match[:])
		mac.Write([]byte("cordon/digest/v1\n\x10hotline-one/main\x02"))
		mac.Write(expr)
		if got, want := keys.Digest("hotline-one/main", canon.ClassPage, expr), Digest(mac.Sum(nil)[:16]); got != want {
			t.Errorf("%d bytes: got %x, want %x", n, got, want)
		}
	}
}

// TestGateIsSipHash24 is the vector of the SipHash paper, its last byte in the place of the class.
func TestGateIsSipHash24(t *testing.T) {
	keys := &Keys{Gate: [16]byte(counting(16))}
	if got, want := keys.Gate64(14, counting(14)), uint64(0xa129ca6149be45e5); got != want {
		t.Errorf("Gate64 = %x, want %x", got, want)
	}
}

// TestTheDocumentHasTheOffsetsOfTheCode holds the byte tables of FORMAT.md and the constants together.
func TestTheDocumentHasTheOffsetsOfTheCode(t *testing.T) {
	doc := string(read(t, "FORMAT.md"))
	const fields = 24
	for _, row := range []string{
		fmt.Sprintf("| %d | 8 | seq |", fields+fieldSeq),
		fmt.Sprintf("| %d | 4 | key epoch |", fields+fieldEpoch),
		fmt.Sprintf("| %d | 4 | block bits B |", fields+fieldBlocks),
		fmt.Sprintf("| %d | 8 | records, at most %d Mi", fields+fieldRecords, MaxRecords>>20),
		fmt.Sprintf("| %d | 8 | Bloom bits m |", fields+fieldBloomM),
		fmt.Sprintf("| %d | 4 | Bloom probes k = %d |", fields+fieldBloomK, bloomHashes),
		fmt.Sprintf("| %d | %d | list id:", fields+fieldList, fieldCanon-fieldList),
		fmt.Sprintf("| %d | 32 | canon id |", fields+fieldCanon),
		fmt.Sprintf("| %d | 32 | head hash of the edge list |", fields+fieldEdge),
		fmt.Sprintf("| %d | %d | seven u32 counts: url, prefix, host, domain, steer, canary, decoy |", fields+fieldCounts, fieldUnused-fieldCounts),
		fmt.Sprintf("0x%X", uint64(spread)),
		fmt.Sprintf("(`%s`)", magicEdge), fmt.Sprintf("(`%s`)", magicIndex),
		fmt.Sprintf("| %d | block starts |", edgeStarts+1), fmt.Sprintf("| %d | block hashes |", edgeHashes+1), fmt.Sprintf("| %d | digests |", edgeDigests+1),
		fmt.Sprintf("| %d | gate hashes |", edgeGates+1), fmt.Sprintf("| %d | entry ids |", edgeIDs+1), fmt.Sprintf("| %d | meta | %d × records |", edgeMetas+1, MetaSize),
		fmt.Sprintf("⌊records / %d⌋", recordsPerBlock), fmt.Sprintf("need = %d · max(records, %d)", bitsPerRecord, minBloomRecords),
		"G = max(e - 9, 0)",
		fmt.Sprintf("category: %d %v, %d %v |", CategoryBaseline, CategoryBaseline, CategoryNational, CategoryNational),
		fmt.Sprintf("basis: %d %v, %d %v, %d %v |", BasisLaw, BasisLaw, BasisOrder, BasisOrder, BasisVoluntary, BasisVoluntary),
		fmt.Sprintf("at most %d bytes, a page expression at most %d", MaxName, MaxExpression),
		fmt.Sprintf("at most %d deeper ones", canon.MaxDepth),
	} {
		if !strings.Contains(doc, row) {
			t.Errorf("FORMAT.md lacks %q", row)
		}
	}
	for _, tag := range []string{digestTag, blockTag, filterTag, stateTag, indexSetTag, overlayTag, filtersTag} {
		if !strings.Contains(doc, fmt.Sprintf("%q", tag)) {
			t.Errorf("FORMAT.md lacks the tag %q", tag)
		}
	}
}

// hexLines is b in hexadecimal, 32 bytes a line.
func hexLines(b []byte) string {
	var s strings.Builder
	for i := 0; i < len(b); i += 32 {
		fmt.Fprintf(&s, "%x\n", b[i:min(i+32, len(b))])
	}
	return s.String()
}

func indent(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func save(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
