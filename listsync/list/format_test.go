package list

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

var update = flag.Bool("update", false, "write testdata and the vectors of FORMAT.md anew")

type vectors struct {
	KMatch   string          `json:"k_match"`
	KGate    string          `json:"k_gate"`
	KOpen    string          `json:"k_open"`
	List     string          `json:"list"`
	Epoch    uint32          `json:"epoch"`
	CanonID  string          `json:"canon_id"`
	Versions []versionVector `json:"versions"`
	Delta    fileVector      `json:"delta"` // from the first to the second
}

type versionVector struct {
	Seq     uint64         `json:"seq"`
	Entries []entryVector  `json:"entries"`
	Decoys  []string       `json:"decoys"`
	Records []recordVector `json:"records"` // in file order
	Root    string         `json:"entries_root"`
	Edge    fileVector     `json:"edge"`
	Audit   fileVector     `json:"audit"`
	Index   string         `json:"index_hash"`
}

type entryVector struct {
	Entry        string `json:"entry"`
	Kind         string `json:"kind"`
	Expr         string `json:"expr"`
	Category     string `json:"category"`
	Basis        string `json:"basis"`
	Jurisdiction string `json:"jurisdiction"`
	Since        int64  `json:"since"`
	ReviewBy     int64  `json:"review_by"`
	Canary       bool   `json:"canary,omitempty"`
}

type recordVector struct {
	Digest     string `json:"digest"`
	Gate       string `json:"gate"` // as a number
	Entry      string `json:"entry"`
	Kind       string `json:"kind"`
	Meta       string `json:"meta"`
	Commitment string `json:"commitment"`
}

type fileVector struct {
	File   string `json:"file"` // hexadecimal, in testdata
	SHA256 string `json:"sha256"`
	bytes  []byte
}

func (f *fileVector) set(b []byte) {
	sum := sha256.Sum256(b)
	f.SHA256, f.bytes = hex.EncodeToString(sum[:]), b
}

// given are the inputs of the vectors; the outputs are in testdata and FORMAT.md.
func given() vectors {
	entry := func(id byte, kind, expr, basis string) entryVector {
		return entryVector{
			Entry: strings.Repeat(fmt.Sprintf("%02x", id), 16), Kind: kind, Expr: expr, Category: "csam-baseline", Basis: basis,
			Jurisdiction: "ZZ", Since: 1767225600, ReviewBy: 1782777600,
		}
	}
	canary := entry(0x10, "host", "canary.hotline-one.test", "voluntary")
	canary.Canary = true
	return vectors{
		KMatch: hex.EncodeToString(counting(32)), KGate: hex.EncodeToString(counting(16)), KOpen: strings.Repeat("4f", 32),
		List: "hotline-one/main", Epoch: 3, CanonID: strings.Repeat("c1", 32),
		Versions: []versionVector{{
			Seq: 42,
			Entries: []entryVector{
				canary,
				entry(0x20, "domain", "listed.example.test", "law"),
				entry(0x30, "url", "pages.example.test/a/b?id=1", "order"),
				entry(0x40, "prefix", "pages.example.test/dir", "voluntary"),
			},
			Decoys: []string{"decoy.example.test"},
			Edge:   fileVector{File: "edge.hex"}, Audit: fileVector{File: "audit.hex"},
		}, {
			Seq: 43,
			Entries: []entryVector{
				canary,
				entry(0x30, "url", "pages.example.test/a/b?id=1", "law"), // another basis; 20 is gone
				entry(0x40, "prefix", "pages.example.test/dir", "voluntary"),
				entry(0x60, "host", "another.example.test", "order"), // new
			},
			Decoys: []string{"decoy.example.test"},
			Edge:   fileVector{File: "edge-next.hex"}, Audit: fileVector{File: "audit-next.hex"},
		}},
		Delta: fileVector{File: "delta.hex"},
	}
}

// files are all there are.
func (v *vectors) files() []fileVector {
	files := []fileVector{v.Delta}
	for i := range v.Versions {
		files = append(files, v.Versions[i].Edge, v.Versions[i].Audit)
	}
	return files
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

// must takes the error out of a parse in a vector.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// compute fills the outputs in.
func (v *vectors) compute(t *testing.T) {
	t.Helper()
	var edges []*Edge
	var audits []*Audit
	for i := range v.Versions {
		e, a := v.version(t, &v.Versions[i])
		edges, audits = append(edges, e), append(audits, a)
	}
	d := must[*Delta](t)(Diff(edges[0], edges[1], audits[1]))
	v.Delta.set(must[[]byte](t)(d.Encode()))
}

func (v *vectors) version(t *testing.T, w *versionVector) (*Edge, *Audit) {
	t.Helper()
	keys := &match.Keys{Match: [32]byte(unhex(t, v.KMatch, 32)), Gate: [16]byte(unhex(t, v.KGate, 16))}
	open := [32]byte(unhex(t, v.KOpen, 32))
	version := Version{List: match.ListID(v.List), Seq: w.Seq, Epoch: v.Epoch, CanonID: [32]byte(unhex(t, v.CanonID, 32))}
	var entries []Entry
	for _, e := range w.Entries {
		entries = append(entries, Entry{
			ID: must[match.EntryID](t)(match.ParseEntryID(e.Entry)), Kind: must[canon.Kind](t)(canon.ParseKind(e.Kind)), Expression: e.Expr,
			Category: must[match.Category](t)(match.ParseCategory(e.Category)), Basis: must[match.Basis](t)(match.ParseBasis(e.Basis)),
			Jurisdiction: e.Jurisdiction, Since: time.Unix(e.Since, 0), ReviewBy: time.Unix(e.ReviewBy, 0), Canary: e.Canary,
		})
	}
	edge, audit, sum, err := Build(version, entries, w.Decoys, keys, &open)
	if err != nil {
		t.Fatal(err)
	}
	e, a := must[*Edge](t)(OpenEdge(edge)), must[*Audit](t)(OpenAudit(audit))
	w.Records = nil
	for i := range e.Len() {
		r, c := e.Record(i), a.Commitment(i)
		w.Records = append(w.Records, recordVector{
			Digest: hex.EncodeToString(r.Digest[:]), Gate: fmt.Sprintf("%016x", r.Gate), Entry: r.EntryID.String(), Kind: r.Kind.String(),
			Meta: hex.EncodeToString(match.AppendMeta(nil, r.Meta)), Commitment: hex.EncodeToString(c[:]),
		})
	}
	w.Root = hex.EncodeToString(sum.EntriesRoot[:])
	w.Edge.set(edge)
	w.Audit.set(audit)
	x := must[*match.Index](t)(match.Open(must[[]byte](t)(match.Compile(e))))
	hash := x.Hash()
	w.Index = hex.EncodeToString(hash[:])
	return e, a
}

// lines are the vectors as FORMAT.md shows them.
func (v *vectors) lines() string {
	var b strings.Builder
	for _, w := range v.Versions {
		fmt.Fprintf(&b, "Version %d:\n\n| record | kind | entry id starts | d | C |\n|---|---|---|---|---|\n", w.Seq)
		for i, r := range w.Records {
			fmt.Fprintf(&b, "| %d | %s | `%s` | `%s` | `%s` |\n", i, r.Kind, r.Entry[:8], r.Digest, r.Commitment)
		}
		fmt.Fprintf(&b, "\n- entries root `%s`\n- index hash `%s`\n", w.Root, w.Index)
		for _, f := range []fileVector{w.Edge, w.Audit} {
			fmt.Fprintf(&b, "- SHA-256 of `testdata/%s` `%s`\n", f.File, f.SHA256)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "The delta between them: SHA-256 of `testdata/%s` `%s`\n", v.Delta.File, v.Delta.SHA256)
	return b.String()
}

const vectorsHead = "All inputs are in `testdata/vectors.json`.\n\n"

func TestVectorsHold(t *testing.T) {
	if *update {
		v := given()
		v.compute(t)
		save(t, "testdata/vectors.json", append(indent(t, v), '\n'))
		for _, f := range v.files() {
			save(t, "testdata/"+f.File, []byte(hexLines(f.bytes)))
		}
		doc := read(t, "FORMAT.md")
		at := bytes.Index(doc, []byte(vectorsHead)) + len(vectorsHead)
		save(t, "FORMAT.md", append(doc[:at:at], v.lines()...))
	}
	var want vectors
	if err := json.Unmarshal(read(t, "testdata/vectors.json"), &want); err != nil {
		t.Fatal(err)
	}
	got := want
	got.Versions = slices.Clone(want.Versions)
	got.compute(t)
	if g, w := string(indent(t, got)), string(indent(t, want)); g != w {
		t.Errorf("vectors: got\n%s\nwant\n%s", g, w)
	}
	for _, f := range got.files() {
		if g, w := hexLines(f.bytes), string(read(t, "testdata/"+f.File)); g != w {
			t.Errorf("%s: got\n%s\nwant\n%s", f.File, g, w)
		}
	}
	if !bytes.Contains(read(t, "FORMAT.md"), []byte(vectorsHead+got.lines())) {
		t.Errorf("FORMAT.md does not show the vectors; want\n%s", got.lines())
	}
}

// TestTheDocumentHasTheNumbersOfTheCode holds FORMAT.md and the constants together.
func TestTheDocumentHasTheNumbersOfTheCode(t *testing.T) {
	doc := string(read(t, "FORMAT.md"))
	for _, want := range []string{
		fmt.Sprintf("| `%s` | auditor list |", magicAudit), fmt.Sprintf("(`%s`)", magicAudit),
		fmt.Sprintf("| `%s` | delta", magicDelta), fmt.Sprintf("(`%s`)", magicDelta),
		fmt.Sprintf("| %d | 8 | seq of the older", 24+fieldFromSeq), fmt.Sprintf("| %d | 4 | records of the older", 24+fieldFromRecords),
		fmt.Sprintf("| %d | 32 | head hash of the older", 24+fieldFrom), fmt.Sprintf("| %d | 32 | head hash of the newer", 24+fieldTo),
		fmt.Sprintf("| %d | 32 | entries root of the newer", 24+fieldToRoot),
		fmt.Sprintf("| %d | removed: ", deltaRemoved+1), fmt.Sprintf("| %d | places: ", deltaAt+1), fmt.Sprintf("| %d | commitments of the added", deltaCommitments+1),
		fmt.Sprintf("| %d | 32 | head hash of the edge list |", 24+fieldEdge), fmt.Sprintf("| %d | 32 | entries root |", 24+fieldRoot),
		fmt.Sprintf("%q", commitmentTag), fmt.Sprintf("%q", saltTag), fmt.Sprintf("%q", decoyTag),
		fmt.Sprintf("at most %d Mi (2^25) records", MaxRecords>>20),
	} {
		if !strings.Contains(doc, want) {
			t.Errorf("FORMAT.md lacks %q", want)
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
	return must[[]byte](t)(json.MarshalIndent(v, "", "  "))
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	return must[[]byte](t)(os.ReadFile(name))
}

func save(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
