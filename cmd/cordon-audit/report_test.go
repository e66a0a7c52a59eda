package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit/account"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

func TestAReportIsWrittenAndSaysWhenItFails(t *testing.T) {
	l := audittest.Honest("reported")
	dir := t.TempDir()
	day := l.Now.UTC().Format(time.DateOnly)
	honest, bad := filepath.Join(dir, "bundle.tar"), filepath.Join(dir, "bad.tar")
	bundle := l.Bundle()
	write := func(path string, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "trust.json"), l.TrustFile())
	write(honest, bundle)
	i := bytes.Index(bundle, []byte("CORDEDG"))
	if i < 0 {
		t.Fatal("the bundle has no edge list")
	}
	bundle[i+3000] ^= 1
	write(bad, bundle)
	do := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"report", "--trust", filepath.Join(dir, "trust.json")}, args...), &out, &errs)
		return code, out.String() + errs.String()
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"a page", []string{"--from", day, "--to", day, honest}, codeOK, "<strong>Verified.</strong>"},
		{"a page of a bad bundle", []string{"--from", day, "--to", day, bad}, codeFail, "VERIFICATION FAILED"},
		{"JSON", []string{"--from", day, "--to", day, "--json", honest}, codeOK, `"pass": true`},
		{"files", []string{"--from", day, "--to", day, "--out", filepath.Join(dir, "out"), bad}, codeFail, "FAIL  "},
		{"figures that are none", []string{"--from", day, "--to", day, "--figures", filepath.Join(dir, "trust.json"), honest}, codeInput, "--figures names the file"},
		{"no day", []string{"--from", "July", "--to", day, honest}, codeUsage, "is not a day"},
		{"backwards", []string{"--from", day, "--to", "2020-01-01", honest}, codeUsage, "--to is before --from"},
		{"later than the log", []string{"--from", "2199-01-01", "--to", "2199-02-01", honest}, codeInput, "the bundle's log reaches until"},
		{"no bundle", []string{"--from", day, "--to", day, filepath.Join(dir, "none.tar")}, codeInput, "no such file"},
		{"no period", []string{honest}, codeUsage, "required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if code, text := do(c.args...); code != c.code || !strings.Contains(text, c.says) {
				t.Errorf("got code %d and %.600q", code, text)
			}
		})
	}
	b, err := os.ReadFile(filepath.Join(dir, "out", "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d account.Document
	if err := json.Unmarshal(b, &d); err != nil || d.Pass || d.Facts == nil || len(d.Failed()) == 0 {
		t.Errorf("got %v, pass %t", err, d.Pass)
	}
}
