package lists

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// usage is what a process took.
type usage struct {
	took time.Duration
	cpu  time.Duration // of all processors
	peak int64         // bytes of memory that were resident at once
}

// spent is what it took beside time.
func (u usage) spent() string {
	return fmt.Sprintf("%s of processors, peak %s", seconds(u.cpu.Seconds()), bytesOf(u.peak))
}

// run runs a program in the directory to its end.
func (b *bench) run(program string, args ...string) (out []byte, u usage, err error) {
	cmd := exec.CommandContext(b.ctx, program, args...)
	cmd.Dir = b.dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err = cmd.Run()
	u.took = time.Since(began)
	if err != nil {
		return nil, u, fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	u.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.peak = r.Maxrss << 10 // Linux counts in KiB
	}
	return stdout.Bytes(), u, nil
}

func (b *bench) hotline(args ...string) (usage, error) {
	b.logf("cordon-hotline %s", strings.Join(args, " "))
	_, u, err := b.run(b.Hotline, args...)
	return u, err
}

// setUp makes a throw-away authority, three officers and a hotline whose limits let a list of this size pass.
func (b *bench) setUp() error {
	steps := [][]string{{"authority", "init", "--dir", "authority", "--development"}}
	initial := []string{"init", "--dir", "hotline", "--id", "hotline-one", "--name", "Hotline One", "--list", "hotline-one/main", "--canary", canary}
	for _, o := range []string{"officer-1", "officer-2", "officer-3"} {
		steps = append(steps, []string{"officer", "--dir", o})
		initial = append(initial, "--officer", o+"/officer.pub")
	}
	steps = append(steps, initial, []string{"authority", "accredit", "--dir", "authority", "--request", "hotline/request.json", "--out", "accredited",
		"--jurisdiction", "XA", "--basis", "law", "--kind", "url,prefix,host,domain", "--valid-days", "365"})
	for _, k := range []string{"root-1", "root-2", "root-3"} {
		steps = append(steps, []string{"authority", "sign", "--key", "authority/" + k, "accredited/1.root.json"})
	}
	for _, k := range []string{"accreditation-1", "accreditation-2"} {
		steps = append(steps, []string{"authority", "sign", "--key", "authority/" + k, "accredited/1.targets.json"})
	}
	for _, s := range append(steps, []string{"accept", "--dir", "hotline", "accredited"}) {
		if _, err := b.hotline(s...); err != nil {
			return err
		}
	}
	if err := b.raiseLimits(); err != nil {
		return err
	}
	b.logf("writing %d and %d synthetic rows", b.Entries, b.Delta)
	if err := b.rows("first.csv", 0, b.Entries); err != nil {
		return err
	}
	return b.rows("second.csv", b.Entries, b.Entries+b.Delta)
}

const canary = "canary.hotline-one.test"

// raiseLimits lets the list be as large as it is: the default is a brake.
func (b *bench) raiseLimits() error {
	path := b.path("hotline", "hotline.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var settings map[string]any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&settings); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	limits, ok := settings["limits"].(map[string]any)
	if !ok {
		return fmt.Errorf("read %s: it has no limits", path)
	}
	limits["max_entries"] = b.Entries + b.Delta
	if text, err = json.MarshalIndent(settings, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// approve is what officers say to the brakes on change and on whole sites: a synthetic list grows as no honest one does.
const approve = "a synthetic list, for measuring"

// version takes rows in, signs twice and publishes.
func (b *bench) version(of, rows string) error {
	total := usage{}
	steps := []struct {
		name string
		args []string
		sum  bool
	}{
		{"import", []string{"import", "--dir", "hotline", rows}, true},
		{"check", []string{"check", "--dir", "hotline"}, false},
		{"diff", []string{"diff", "--dir", "hotline"}, false},
		{"first signature", []string{"sign", "--dir", "hotline", "--officer", "officer-1", "--approve", approve}, true},
		{"second signature", []string{"sign", "--dir", "hotline", "--officer", "officer-2", "--approve", approve}, true},
		{"publish", []string{"publish", "--dir", "hotline"}, true},
	}
	for _, s := range steps {
		u, err := b.hotline(s.args...)
		if err != nil && s.name != "check" { // which holds a list that is all new, and says so with its exit code
			return err
		}
		b.report.used(of+": "+s.name, u)
		b.logf("  %s, %s", seconds(u.took.Seconds()), u.spent())
		if s.sum {
			total.took, total.cpu, total.peak = total.took+u.took, total.cpu+u.cpu, max(total.peak, u.peak)
		}
	}
	b.report.total(of+": import, both signatures, publish", total, of == firstVersion)
	return nil
}

const (
	firstVersion  = "first version"
	secondVersion = "second version"
)

func (b *bench) first() error {
	if err := b.version(firstVersion, "first.csv"); err != nil {
		return err
	}
	return os.Remove(b.path("first.csv"))
}

func (b *bench) second() error { return b.version(secondVersion, "second.csv") }
