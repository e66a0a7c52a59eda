package list

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

var update = flag.Bool("update", false, "write testdata and the vectors of FORMAT.md anew")

type vectors struct {
	KMatch  string         `json:"k_match"`
	KGate   string         `json:"k_gate"`
	KOpen   string         `json:"k_open"`
	List    string         `json:"list"`
	Seq     uint64         `json:"seq"`
	Epoch   uint32         `json:"epoch"`
	CanonID string         `json:"canon_id"`
	Entries []entryVector  `json:"entries"`
	Decoys  []string       `json:"decoys"`
	Records []recordVector `json:"records"` // in file order
	Root    string         `json:"entries_root"`
	Edge    fileVector     `json:"edge"`
	Audit   fileVector     `json:"audit"`
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
		List: "hotline-one/main", Seq: 42, Epoch: 3, CanonID: strings.Repeat("c1", 32),
		Entries: []entryVector{
			canary,
			entry(0x20, "domain", "listed.example.test", "law"),
			entry(0x30, "url", "pages.example.test/a/b?id=1", "order"),
			entry(0x40, "prefix", "pages.example.test/dir", "voluntary"),
		},
		Decoys: []string{"decoy.example.test"},
		Edge:   fileVector{File: "edge.hex"}, Audit: fileVector{File: "audit.hex"},
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

// compute fills the outputs in, and gives back both files.
func (v *vectors) compute(t *testing.T) (edge, audit []byte) {
	t.Helper()
	keys := &match.Keys{Match: [32]byte(unhex(t, v.KMatch, 32)), Gate: [16]byte(unhex(t, v.KGate, 16))}
	open := [32]byte(unhex(t, v.KOpen, 32))
	version := Version{List: match.ListID(v.List), Seq: v.Seq, Epoch: v.Epoch, CanonID: [32]byte(unhex(t, v.CanonID, 32))}
	var entries []Entry
	for _, e := range v.Entries {
		entries = append(entries, Entry{
			ID: must[match.EntryID](t)(match.ParseEntryID(e.Entry)), Kind: must[canon.Kind](t)(canon.ParseKind(e.Kind)), Expression: e.Expr,
			Category: must[match.Category](t)(match.ParseCategory(e.Category)), Basis: must[match.Basis](t)(match.ParseBasis(e.Basis)),
			Jurisdiction: e.Jurisdiction, Since: time.Unix(e.Since, 0), ReviewBy: time.Unix(e.ReviewBy, 0), Canary: e.Canary,
		})
	}
	edge, audit, sum, err := Build(version, entries, v.Decoys, keys, &open)
	if err != nil {
		t.Fatal(err)
	}
	e, a := must[*Edge](t)(OpenEdge(edge)), must[*Audit](t)(OpenAudit(audit))
	v.Records = nil
	for i := range e.Len() {
		r, c := e.Record(i), a.Commitment(i)
		v.Records = append(v.Records, recordVector{
			Digest: hex.EncodeToString(r.Digest[:]), Gate: fmt.Sprintf("%016x", r.Gate), Entry: r.EntryID.String(), Kind: r.Kind.String(),
			Meta: hex.EncodeToString(match.AppendMeta(nil, r.Meta)), Commitment: hex.EncodeToString(c[:]),
		})
	}
	edgeSum, auditSum := sha256.Sum256(edge), sha256.Sum256(audit)
	v.Root, v.Edge.SHA256, v.Audit.SHA256 = hex.EncodeToString(sum.EntriesRoot[:]), hex.EncodeToString(edgeSum[:]), hex.EncodeToString(auditSum[:])
	return edge, audit
}

// lines are the vectors as FORMAT.md shows them.
func (v *vectors) lines() string {
	var b strings.Builder
	b.WriteString("| record | kind | entry id starts | d | C |\n|---|---|---|---|---|\n")
	for i, r := range v.Records {
		fmt.Fprintf(&b, "| %d | %s | `%s` | `%s` | `%s` |\n", i, r.Kind, r.Entry[:8], r.Digest, r.Commitment)
	}
	fmt.Fprintf(&b, "\n- entries root `%s`\n- SHA-256 of `testdata/%s` `%s`\n- SHA-256 of `testdata/%s` `%s`\n", v.Root, v.Edge.File, v.Edge.SHA256, v.Audit.File, v.Audit.SHA256)
	return b.String()
}

const vectorsHead = "All inputs are in `testdata/vectors.json`.\n\n"

func TestVectorsHold(t *testing.T) {
	if *update {
		v := given()
		edge, audit := v.compute(t)
		save(t, "testdata/vectors.json", append(indent(t, v), '\n'))
		save(t, "testdata/edge.hex", []byte(hexLines(edge)))
		save(t, "testdata/audit.hex", []byte(hexLines(audit)))
		doc := read(t, "FORMAT.md")
		at := bytes.Index(doc, []byte(vectorsHead)) + len(vectorsHead)
		save(t, "FORMAT.md", append(doc[:at:at], v.lines()...))
	}
	var want vectors
	if err := json.Unmarshal(read(t, "testdata/vectors.json"), &want); err != nil {
		t.Fatal(err)
	}
	got := want
	edge, audit := got.compute(t)
	if g, w := string(indent(t, got)), string(indent(t, want)); g != w {
		t.Errorf("vectors: got\n%s\nwant\n%s", g, w)
	}
	for name, b := range map[string][]byte{"edge.hex": edge, "audit.hex": audit} {
		if g, w := hexLines(b), string(read(t, "testdata/"+name)); g != w {
			t.Errorf("%s: got\n%s\nwant\n%s", name, g, w)
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
