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

func (a auditor) look(c liestest.Case) (verdict, error) {
	put := func(name string, b []byte) (string, error) {
		path := filepath.Join(a.dir, name)
		return path, os.WriteFile(path, b, 0o600)
	}
	trust, err := put("trust.json", c.Trust)
	if err != nil {
		return verdict{}, err
	}
	bundle, err := put("bundle.tar", c.Bundle)
	if err != nil {
		return verdict{}, err
	}
	args := []string{"verify", "--json", "--trust", trust}
	if c.MaxAge > 0 {
		// the story's clock stands, the program's goes
		args = append(args, "--max-age", (c.MaxAge + time.Since(c.Now)).Truncate(time.Second).String())
	}
	if c.Before != nil {
		state, err := put("state.json", c.Before.Encode())
		if err != nil {
			return verdict{}, err
		}
		args = append(args, "--state", state)
	}
	for i, s := range c.Statements {
		file, err := put(fmt.Sprintf("statement-%d", i), s)
		if err != nil {
			return verdict{}, err
		}
		args = append(args, "--statement", file)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(filepath.Join(binaries, "cordon-audit"), append(args, bundle)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return verdict{}, err
	}
	v := verdict{code: cmd.ProcessState.ExitCode(), text: stdout.String() + stderr.String()}
	if v.code == 0 || v.code == 5 {
		if err := json.Unmarshal(stdout.Bytes(), &v.report); err != nil {
			return v, fmt.Errorf("exit %d and no report: %w\n%s", v.code, err, v.text)
		}
	}
	return v, nil
}

// row is one line of the table that make lies prints.
type row struct{ who, name, check, words, verdict string }

// TestTheProgramNamesEveryLie runs the real cordon-audit on every lie and every honest history of liestest, and prints the table.
func TestTheProgramNamesEveryLie(t *testing.T) {
	lies, histories := liestest.Lies(), liestest.Histories()
	rows := make([]row, len(lies)+len(histories))
	var jobs sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		a := auditor{t.TempDir()}
		jobs.Go(func() {
			for i := range next {
				if i < len(lies) {
					rows[i] = judgeLie(t, a, lies[i])
				} else {
					rows[i] = judgeHistory(t, a, histories[i-len(lies)])
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
