//go:build !race

// Neither another program nor a search of bytes has anything for the race detector to see.

package audit_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/liestest"
)

// TestASecondAuditorAgrees runs testdata/second/auditor.py, which was written from SPEC.md and the documents it names in another language,
// on every lie and every honest history: the same checks fail.
func TestASecondAuditorAgrees(t *testing.T) {
	want, dirs := map[string][]string{}, []string{}
	give := func(name string, c liestest.Case, fails []string) {
		dir := filepath.Join(t.TempDir(), strconv.Itoa(len(dirs)))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		put := func(name string, b []byte) {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		put("name", []byte(name))
		put("bundle.tar", c.Bundle)
		put("trust.json", c.Trust)
		put("now", fmt.Append(nil, c.Now.Unix()))
		put("max-age", fmt.Append(nil, int(c.MaxAge.Seconds())))
		if c.Before != nil {
			line, err := json.Marshal(c.Before)
			if err != nil {
				t.Fatal(err)
			}
			put("state.json", line)
		}
		for i, s := range c.Statements {
			put(fmt.Sprintf("statement-%d", i), s)
		}
		dirs = append(dirs, dir)
		fails = slices.DeleteFunc(slices.Clone(fails), func(name string) bool { return name == audit.CheckCertificates }) // SPEC.md leaves it open
		want[dir] = slices.Sorted(slices.Values(fails))
	}
	for _, x := range liestest.Lies() {
		give(x.Name, x.Tell(), x.Fails)
	}
	for _, h := range liestest.Histories() {
		give(h.Name, h.Tell(), nil)
	}
	for _, v := range readSpec(t) {
		give(v.Name, v.c, v.Fails)
	}
	cmd := exec.CommandContext(t.Context(), "python3", append([]string{"-B", "testdata/second/auditor.py"}, dirs...)...)
	cmd.Env = append(os.Environ(), "PYTHONPATH=../../listsync/list/testdata")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("auditor.py: %v\n%s", err, stderr.String())
	}
	said := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); said++ {
		var v struct {
			Case   string
			Failed map[string][]string
		}
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		var got []string
		for check := range v.Failed {
			got = append(got, check)
		}
		slices.Sort(got)
		if !slices.Equal(got, want[v.Case]) {
			name, _ := os.ReadFile(filepath.Join(v.Case, "name"))
			t.Errorf("%s: the second auditor fails %v, the first %v: %v", name, got, want[v.Case], v.Failed)
		}
	}
	if said != len(dirs) {
		t.Errorf("%d of %d cases were judged", said, len(dirs))
	}
}
