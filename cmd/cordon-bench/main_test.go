package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/bench/lists"
)

// TestMain lets the test binary be this program, as lists.Run starts it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "edge" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func TestListsGivesATableAndLeavesNothing(t *testing.T) {
	bin, dir, results := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "results")
	build := exec.Command("go", "build", "-o", bin, "github.com/cordon-project/cordon/cmd/cordon-hotline")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	var stdout, stderr bytes.Buffer
	if code := run([]string{"lists", "--entries", "2000", "--delta", "50", "--bin", bin, "--dir", dir, "--results", results, "--json"}, &stdout, &stderr); code != 0 {
		t.Fatalf("got exit %d\n%s", code, stderr.String())
	}
	var r lists.Report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, stdout.String())
	}
	page, err := os.ReadFile(filepath.Join(results, "lists-2000.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"first version: import, both signatures, publish", "second version: publish", "edge, full file: verify, compile, swap",
		"edge, delta of 50: apply, index, swap", "what lookups touch, bytes a record", "lookup of an unlisted 4-label name", "allocations a lookup",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page has no line %q", want)
		}
	}
	for _, row := range r.Rows {
		if row.What == "allocations a lookup" && row.Figure != "0" {
			t.Errorf("a lookup allocates: %+v", row)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestWrongUseSaysWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"lists", "--entries", "x"}, 2, "see cordon-bench lists --help"},
		{[]string{"list"}, 2, "unknown command"},
		{[]string{"lists", "--bin", "nowhere"}, 1, "run make build"},
		{[]string{"edge", "sideways", t.TempDir()}, 1, "find the published"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(tt.args, &stdout, &stderr); code != tt.code || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%q: got exit %d and %s", tt.args, code, stderr.String())
		}
	}
}
