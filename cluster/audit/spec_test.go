package audit_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/liestest"
)

var updateSpec = flag.Bool("update-spec", false, "write testdata/spec anew; never after a release: logs that were written once must go on to pass")

// specVector is one bundle of testdata/spec, as SPEC.md describes it.
type specVector struct {
	Name  string   `json:"name"`
	File  string   `json:"file"` // FILE.tar.gz, the bundle, and FILE.trust.json
	Now   int64    `json:"now"`
	Fails []string `json:"fails"` // exactly these checks; none for an honest one
}

const specDir = "testdata/spec"

// specOf are the lies and histories that testdata/spec has as files.
var specOf = map[string]string{
	"honest-orders":    "a suppression that ends by itself, and one that is lifted",
	"honest-return":    "a return to an earlier version, then another, then the next version",
	"honest-register":  "an appeal is registered and decided, and edges say what they run",
	"honest-keys":      "new keys, twice, and versions under each",
	"lie-checkpoint":   "a leaf is altered and too few sign again",
	"lie-order":        "two leaves change places and every member signs again",
	"lie-replay":       "a suppression is in force that no leaf says",
	"lie-scope":        "another scope, signed by the hotline's own keys",
	"lie-held":         "a held version comes into force with the approval of one officer",
	"lie-index":        "an edge's index is not compiled from the signed list",
	"lie-verdicts":     "a version that too few members had checked",
	"lie-version":      "a version between two others is hidden",
	"lie-withdrawals":  "a withdrawal that no officer signed",
	"lie-stopped-edge": "a receipt comes from a stopped edge",
}

func readSpec(t *testing.T) map[string]struct {
	specVector
	c liestest.Case
} {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(specDir, "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []specVector
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	out := map[string]struct {
		specVector
		c liestest.Case
	}{}
	for _, v := range all {
		packed, err := os.ReadFile(filepath.Join(specDir, v.File+".tar.gz"))
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		bundle, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		trust, err := os.ReadFile(filepath.Join(specDir, v.File+".trust.json"))
		if err != nil {
			t.Fatal(err)
		}
		out[v.File] = struct {
			specVector
			c liestest.Case
		}{v, liestest.Case{Bundle: bundle, Trust: trust, Now: time.Unix(v.Now, 0)}}
	}
	return out
}

func writeSpec(t *testing.T) {
	t.Helper()
	cases := map[string]specVector{}
	put := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(specDir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	add := func(name string, c liestest.Case, fails []string) {
		for file, of := range specOf {
			if of != name {
				continue
			}
			var b bytes.Buffer
			z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := z.Write(c.Bundle); err != nil {
				t.Fatal(err)
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			put(file+".tar.gz", b.Bytes())
			put(file+".trust.json", c.Trust)
			cases[file] = specVector{name, file, c.Now.Unix(), append([]string{}, fails...)}
		}
	}
	if err := os.MkdirAll(specDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, x := range liestest.Lies() {
		add(x.Name, x.Tell(), x.Fails)
	}
	for _, h := range liestest.Histories() {
		add(h.Name, h.TellAll(), nil)
	}
	var all []specVector
	for _, v := range cases {
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b specVector) int { return strings.Compare(a.File, b.File) })
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	put("vectors.json", append(b, '\n'))
}

// TestTheSpecificationsVectors verifies the bundles of testdata/spec. They are files, and not told anew, so that a log that was written once
// goes on to pass, and a lie that was caught once to be caught, whatever becomes of the programs.
func TestTheSpecificationsVectors(t *testing.T) {
	if *updateSpec {
		writeSpec(t)
	}
	all := readSpec(t)
	if len(all) != len(specOf) {
		t.Errorf("%d vectors, want %d", len(all), len(specOf))
	}
	for file, v := range all {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			r := look(t, v.c, func(o *audit.Options) { o.All = len(v.Fails) == 0 })
			failed := []string{}
			for _, c := range r.Checks {
				if !c.Pass && !c.Skipped {
					failed = append(failed, c.Name)
				}
			}
			if want := slices.Sorted(slices.Values(v.Fails)); !slices.Equal(slices.Sorted(slices.Values(failed)), want) || r.Pass != (len(want) == 0) {
				t.Errorf("got %v, want %v\n%s", failed, want, reportText(r))
			}
		})
	}
}
