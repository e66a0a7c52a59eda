package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

func TestATrustFileTakesAFurtherHotline(t *testing.T) {
	l := audittest.Honest("trust")
	file := write(t, "trust.json", l.TrustFile())
	root := write(t, "1.root.json", trusttest.New("trust", "hotline-two", trusttest.Now).Pinned)
	out := filepath.Join(t.TempDir(), "new.json")
	code, said, errs := tool(t, "trust", "--trust", file)
	if code != codeOK || !strings.Contains(said, "hotline  hotline-one  root SHA-256 ") || strings.Count(said, "ML-DSA-44 SHA-256") != 3 || !strings.Contains(said, "no witness of the cluster's log is asked for") {
		t.Errorf("exit %d\n%s%s", code, said, errs)
	}
	if code, said, errs = tool(t, "trust", "--trust", file, "--hotline", "hotline-two,"+root, "--out", out); code != codeOK || !strings.Contains(said, "it trusts hotline hotline-two too") {
		t.Fatalf("exit %d\n%s%s", code, said, errs)
	}
	if code, said, errs = tool(t, "trust", "--trust", out); code != codeOK || !strings.Contains(said, "hotline-two") || !strings.Contains(said, "beyond the cluster file") {
		t.Errorf("exit %d\n%s%s", code, said, errs)
	}
	before, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"a file that is there", []string{"--trust", file, "--hotline", "hotline-two," + root, "--out", out}, codeInput, "is there already"},
		{"twice", []string{"--trust", out, "--hotline", "hotline-two," + root, "--out", out + "2"}, codeInput, "is there twice"},
		{"one of the cluster's", []string{"--trust", file, "--hotline", "hotline-one," + root, "--out", out + "2"}, codeInput, "is there twice"},
		{"no root", []string{"--trust", file, "--hotline", "hotline-two," + file, "--out", out + "2"}, codeInput, "root of hotline hotline-two"},
		{"no such root", []string{"--trust", file, "--hotline", "hotline-two,missing", "--out", out + "2"}, codeInput, "missing"},
		{"no id", []string{"--trust", file, "--hotline", root, "--out", out + "2"}, codeUsage, "belong together"},
		{"no file to write", []string{"--trust", file, "--hotline", "hotline-two," + root}, codeUsage, "belong together"},
		{"no trust file", []string{"--trust", root}, codeInput, "trust file"},
	} {
		if code, said, errs := tool(t, append([]string{"trust"}, c.args...)...); code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("%s: exit %d, want %d and %q\n%s%s", c.name, code, c.code, c.says, said, errs)
		}
	}
	if after, err := os.ReadFile(out); err != nil || string(after) != string(before) {
		t.Errorf("the trust file was changed: %v", err)
	}
}
