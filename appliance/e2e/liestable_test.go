package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/liestest"
)

// verdict is what the real program said of one case.
type verdict struct {
	code   int
	report audit.Report
	text   string
}

// failed are the checks that failed, sorted.
func (v verdict) failed() (names []string) {
	for _, c := range v.report.Checks {
		if !c.Pass && !c.Skipped {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names
}

// auditor is a person with cordon-audit and a directory: what a case hands over is put into files, and the program is run on them.
type auditor struct{ dir string }

func (a auditor) put(name string, b []byte) (string, error) {
	path := filepath.Join(a.dir, name)
	return path, os.WriteFile(path, b, 0o600)
}

// takes writes down what every case has.
func (a auditor) takes(c liestest.Case) (trust, bundle string, err error) {
	if trust, err = a.put("trust.json", c.Trust); err == nil {
		bundle, err = a.put("bundle.tar", c.Bundle)
	}
	return trust, bundle, err
}

func (a auditor) look(c liestest.Case) (verdict, error) {
	trust, bundle, err := a.takes(c)
	if err != nil {
		return verdict{}, err
	}
	args := []string{"verify", "--json", "--trust", trust}
	if c.MaxAge > 0 {
		// the story's clock stands, the program's goes
		args = append(args, "--max-age", (c.MaxAge + time.Since(c.Now)).Truncate(time.Second).String())
	}
	if c.Before != nil {
		state, err := a.put("state.json", c.Before.Encode())
		if err != nil {
			return verdict{}, err
		}
		args = append(args, "--state", state)
	}
	for i, s := range c.Statements {
		file, err := a.put(fmt.Sprintf("statement-%d", i), s)
		if err != nil {
			return verdict{}, err
		}
		args = append(args, "--statement", file)
	}
	var v verdict
	v.code, v.text, err = program(&v.report, append(args, bundle)...)
	return v, err
}

// program runs cordon-audit and reads what it prints, when it has come to a verdict.
func program(into any, args ...string) (code int, text string, err error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(filepath.Join(binaries, "cordon-audit"), args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, "", err
	}
	code, text = cmd.ProcessState.ExitCode(), stdout.String()+stderr.String()
	if code == 0 || code == 5 {
		if err := json.Unmarshal(stdout.Bytes(), into); err != nil {
			return code, text, fmt.Errorf("exit %d and no report: %w\n%s", code, err, text)
		}
	}
	return code, text, nil
}

// row is one line of the table that make lies prints.
type row struct{ who, name, check, words, verdict string }

// TestTheProgramNamesEveryLie runs the real cordon-audit on every lie and every honest history of liestest, and prints the table.
func TestTheProgramNamesEveryLie(t *testing.T) {
	lies, histories, comparisons := liestest.Lies(), liestest.Histories(), liestest.Comparisons()
	rows := make([]row, len(lies)+len(histories)+len(comparisons))
	var jobs sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		a := auditor{t.TempDir()}
		jobs.Go(func() {
			for i := range next {
				switch past := len(lies) + len(histories); {
				case i < len(lies):
					rows[i] = judgeLie(t, a, lies[i])
				case i < past:
					rows[i] = judgeHistory(t, a, histories[i-len(lies)])
				default:
					rows[i] = judgeComparison(t, a, comparisons[i-past])
				}
			}
		})
	}
	for i := range rows {
		next <- i
	}
	close(next)
	jobs.Wait()
	if len(lies) < 40 || len(histories) < 10 {
		t.Errorf("%d lies and %d honest histories: at least 40 and 10 are promised", len(lies), len(histories))
	}
	table = append(rows, table...)
}

// table is what all tests of a run have to say; they do not run at the same time.
var table []row

// writeTable writes the table to the file that make lies prints.
func writeTable() {
	file := os.Getenv("CORDON_LIES_TABLE")
	if file == "" {
		return
	}
	if err := os.WriteFile(file, []byte(tableOf(table)), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func judgeLie(t *testing.T, a auditor, x liestest.Lie) row {
	v, err := a.look(x.Tell())
	r := row{string(x.Who), x.Name, x.Fails[0], "", "MISSED"}
	if err != nil {
		t.Errorf("%s: %v", x.Name, err)
		return r
	}
	c, ok := v.report.Check(x.Fails[0])
	if !ok || v.code != 5 || c.Pass || c.Skipped {
		t.Errorf("%s: exit %d, want 5 and FAIL %s\n%s", x.Name, v.code, x.Fails[0], v.text)
		return r
	}
	if failed := v.failed(); !slices.Equal(failed, slices.Sorted(slices.Values(x.Fails))) {
		t.Errorf("%s: these checks fail: %v, and should: %v\n%s", x.Name, failed, x.Fails, v.text)
		return r
	}
	for _, cause := range c.Causes {
		if strings.Contains(cause, x.Says) {
			r.words, r.verdict = cause, "caught"
			return r
		}
	}
	r.words = cmp.Or(c.Detail, "nothing")
	t.Errorf("%s: FAIL %s says %q, it should say %q", x.Name, x.Fails[0], c.Causes, x.Says)
	return r
}

func judgeHistory(t *testing.T, a auditor, h liestest.History) row {
	v, err := a.look(h.Tell())
	r := row{"nobody", h.Name, "all", "every check passes", "PASS"}
	if err != nil || v.code != 0 || !v.report.Pass {
		r.words, r.verdict = "", "FALSE ALARM"
		t.Errorf("%s: exit %d, want 0: %v\n%s", h.Name, v.code, err, v.text)
	}
	return r
}

// judgeComparison has cordon-audit publiclog hold a bundle against a copy of the hotline's repository.
func judgeComparison(t *testing.T, a auditor, x liestest.Comparison) row {
	r := row{cmp.Or(string(x.Who), "nobody"), x.Name, "publiclog", "", "MISSED"}
	c, files := x.Read()
	trust, bundle, err := a.takes(c)
	for name, b := range files {
		path := filepath.Join("repository", filepath.FromSlash(name))
		err = errors.Join(err, os.MkdirAll(filepath.Join(a.dir, filepath.Dir(path)), 0o700))
		_, werr := a.put(path, b)
		err = errors.Join(err, werr)
	}
	defer os.RemoveAll(filepath.Join(a.dir, "repository"))
	var said audit.LogReport
	var code int
	var text string
	if err == nil {
		code, text, err = program(&said, "publiclog", "--json", "--trust", trust, filepath.Join(a.dir, "repository"), bundle)
	}
	i := slices.IndexFunc(said.Findings, func(f string) bool { return x.Who != "" && strings.Contains(f, x.Says) })
	switch {
	case err == nil && x.Who == "" && code == 0 && said.Pass:
		r.words, r.verdict = "both logs say the same", "PASS"
	case err == nil && i >= 0 && code == 5 && !said.Pass:
		r.words, r.verdict = said.Findings[i], "caught"
	default:
		if x.Who == "" {
			r.verdict = "FALSE ALARM"
		}
		t.Errorf("%s: exit %d, it should say %q: %v\n%s", x.Name, code, x.Says, err, text)
	}
	return r
}

// tableOf is the table, for a screen of any width: one line for each row.
func tableOf(rows []row) string {
	var b strings.Builder
	width := func(get func(row) string) (w int) {
		for _, r := range rows {
			w = max(w, len(get(r)))
		}
		return w
	}
	who, name, check := width(func(r row) string { return r.who }), width(func(r row) string { return r.name }), width(func(r row) string { return r.check })
	caught, honest, other := 0, 0, 0
	for i, r := range rows {
		switch r.verdict {
		case "caught":
			caught++
		case "PASS":
			honest++
		default:
			other++
		}
		fmt.Fprintf(&b, "%3d  %-11s %-*s  %-*s  %-*s  %s\n", i+1, r.verdict, who, r.who, name, r.name, check, r.check, r.words)
	}
	fmt.Fprintf(&b, "\n%d lies caught and named, %d honest histories pass, %d wrong\n", caught, honest, other)
	return b.String()
}
