package list_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cordon-project/cordon/resolver/match"
)

// TestASecondReaderAgrees runs testdata/reader.py, which was written from the FORMAT.md documents in another language: over the vectors, and
// over two versions of a list of many blocks and groups with the delta between them. Python 3 is a dependency of the tests (tools/deps).
func TestASecondReaderAgrees(t *testing.T) {
	read := func(args ...string) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "python3", append([]string{"-B", "testdata/reader.py"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("reader.py %s: %v\n%s", args[0], err, out)
		}
		t.Logf("%s", out)
	}
	read("vectors", "testdata", "../../resolver/match/testdata")

	v := evolve(t, 2, 2000, 40)
	delta, err := diff(t, v[0], v[1]).Encode()
	if err != nil {
		t.Fatal(err)
	}
	index := func(e *match.Edge) []byte {
		b, err := match.Compile(e)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	dir := t.TempDir()
	args := []string{"files"}
	for _, f := range []struct {
		name string
		b    []byte
	}{
		{"edge", v[0].edgeBytes}, {"audit", v[0].auditBytes}, {"index", index(v[0].edge)}, {"delta", delta},
		{"edge-next", v[1].edgeBytes}, {"audit-next", v[1].auditBytes}, {"index-next", index(v[1].edge)},
	} {
		path := filepath.Join(dir, f.name)
		if err := os.WriteFile(path, f.b, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	read(args...)
}
