package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestAReviewerIsShownASampleAndAnAuditorAsksBlindly: entries drawn by the log, opened by two officers, checked by their reviewer, with the record in the
// log; and a name that is looked up so that nobody learns it. Everybody's wrong moves are refused in words.
func TestAReviewerIsShownASampleAndAnAuditorAsksBlindly(t *testing.T) {
	w := &world{t: t, dir: t.TempDir(), procs: map[string]*process{}, dns: map[string]string{}}
	t.Cleanup(func() {
		for name := range w.procs {
			w.kill(name)
		}
	})
	if err := os.Mkdir(w.join("logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.start("dev", "cordon", "dev", "--dir", "picture")
	var p struct {
		HotlineDir string   `json:"hotline_dir"`
		Signers    []string `json:"signers"`
		API        []string `json:"api"`
		CA         string   `json:"ca"`
		Trust      string   `json:"trust"`
		Listed     []string `json:"listed"`
		Unlisted   []string `json:"unlisted"`
	}
	w.await("dev.json", func() error {
		b, err := os.ReadFile(w.join("picture", "dev.json"))
		if err != nil {
			return err
		}
		return json.Unmarshal(b, &p)
	})
	hotline := func(args ...string) string {
		return w.run("cordon-hotline", append([]string{args[0], "--dir", p.HotlineDir}, args[1:]...)...)
	}
	refused := func(code int, says, program string, args ...string) {
		t.Helper()
		if out, got := w.try(program, args...); got != code || !strings.Contains(out, says) {
			t.Errorf("%s %s: exit %d, want %d and %q\n%s", program, strings.Join(args, " "), got, code, says, out)
		}
	}

	// A service for private lookups, and a version that has a column.
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t, "127.0.0.1"))
	hotline("private", "--on", "--url", "http://"+addr)
	token, _, _ := strings.Cut(w.run("cordon-hotline", "auditor", "add", "--dir", p.HotlineDir, "Review board"), "\n")
	csv := w.join("more.csv")
	for path, text := range map[string]string{csv: rows(entry("brand-new.test", "domain", "order")), w.join("token"): token + "\n", w.join("other-token"): "guess\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hotline("import", csv)
	hotline("sign", "--officer", p.Signers[0])
	hotline("sign", "--officer", p.Signers[1])
	hotline("publish")
	w.start("answer", "cordon-hotline", "answer", "--dir", p.HotlineDir, "--listen", addr)
	w.await("the version with a column, and the service", func() error {
		out, code := w.try("cordon-audit", "lookup", "--private", "deep.below.brand-new.test", "--trust", p.Trust, "--token", w.join("token"), p.API[0])
		if code != 0 || !strings.Contains(out, "LISTED") || !strings.Contains(out, "kind domain, basis order") {
			return fmt.Errorf("exit %d: %s", code, out)
		}
		return nil
	})
	if out := w.run("cordon-audit", "lookup", "--private", p.Unlisted[0], "--trust", p.Trust, "--token", w.join("token"), p.API[0]); !strings.Contains(out, "not listed") {
		t.Errorf("an unlisted name: %s", out)
	}
	refused(3, "none of an auditor", "cordon-audit", "lookup", "--private", p.Listed[0], "--trust", p.Trust, "--token", w.join("other-token"), p.API[0])

	// The draw.
	recipient, _, _ := strings.Cut(w.run("cordon-audit", "sample", "key", "--out", w.join("reviewer.key")), "\n")
	draw := func(n, out string) []string {
		return []string{"sample", "draw", "--trust", p.Trust, "-n", n, "--list", "dev-hotline/main", "--reviewer", recipient, "--out", w.join(out), p.API[0]}
	}
	w.await("a checkpoint after the version's own", func() error {
		if out, code := w.try("cordon-audit", draw("4", "request.json")...); code != 0 {
			return fmt.Errorf("exit %d: %s", code, out)
		}
		return nil
	})
	refused(3, "draw 40 of", "cordon-audit", draw("40", "request-2.json")...)
	refused(3, "exists already", "cordon-audit", draw("4", "request.json")...)

	// Two officers, and nobody alone.
	open := func(officer string) []string {
		return []string{"open", "--dir", p.HotlineDir, "--trust", p.Trust, "--officer", officer, w.join("request.json")}
	}
	refused(3, "no registered reviewer's", "cordon-hotline", open(p.Signers[0])...)
	w.run("cordon-hotline", "reviewer", "add", "--dir", p.HotlineDir, "Review board", recipient)
	w.run("cordon-hotline", "operator", "api", "--dir", p.HotlineDir, "dev.cordon.test", "--url", p.API[0], "--ca", p.CA)
	if out := w.run("cordon-hotline", open(p.Signers[0])...); !strings.Contains(out, "1 of 2 signatures") {
		t.Errorf("the first officer: %s", out)
	}
	check := func(out string) []string {
		return []string{"sample", "check", "--trust", p.Trust, "--identity", w.join("reviewer.key"), "--opening", p.HotlineDir + "/openings/1.age",
			"--request", w.join("request.json"), "--token", w.join("token"), "--out", w.join(out), p.API[0]}
	}
	refused(5, "the log has no record that this was opened", "cordon-audit", check("too-early")...)
	if out := w.run("cordon-hotline", open(p.Signers[1])...); !strings.Contains(out, "2 of 2 signatures") || !strings.Contains(out, "it is in the log") {
		t.Errorf("the second officer: %s", out)
	}
	w.await("the record of the opening", func() error {
		if out, code := w.try("cordon-audit", check("sample")...); code != 0 || !strings.Contains(out, "the column of private lookups has each of them") {
			return fmt.Errorf("exit %d: %s", code, out)
		}
		return nil
	})
	if out := w.run("cordon-audit", "show", "--trust", p.Trust, p.API[0]); !strings.Contains(out, "4 entries shown to a reviewer") {
		t.Errorf("the log does not say what was opened:\n%s", out)
	}
	info, err := os.Stat(w.join("sample", "entries.csv"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("what was shown: %v, %v", info, err)
	}

	// Verdicts, and what they say.
	b, err := os.ReadFile(w.join("sample", "entries.csv"))
	if err != nil {
		t.Fatal(err)
	}
	filled := strings.ReplaceAll(string(b), ",,\n", ",csam,ann\n")
	if err := os.WriteFile(w.join("verdicts.csv"), []byte(filled), 0o600); err != nil {
		t.Fatal(err)
	}
	w.run("cordon-audit", "sample", "record", "--dir", w.join("sample"), w.join("verdicts.csv"))
	if out := w.run("cordon-audit", "sample", "bound", "--dir", w.join("sample")); !strings.Contains(out, "at most 52.71 % of the entries are wrong, with 95 % confidence") {
		t.Errorf("bound: %s", out)
	}
	w.run("cordon-audit", "verify", "--trust", p.Trust, p.API[0])
}
