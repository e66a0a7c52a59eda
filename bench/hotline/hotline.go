// Package hotline runs a throw-away hotline with the real cordon-hotline, for measuring.
//
// In comes a directory; out come, below it, an authority, three officers, an accredited hotline and what it publishes. Everything is
// synthetic and ends in .test. The steps are processes, so that time and memory are those that a user has.
package hotline

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// What every hotline here is called.
const (
	ID     = "hotline-one"
	Canary = "canary.hotline-one.test"
)

// Approve is what officers say to the brakes on change and on whole sites: a synthetic list grows as no honest one does.
const Approve = "a synthetic list, for measuring"

// Hotline is one, in Dir. Its methods are not for concurrent use.
type Hotline struct {
	Program string // path of cordon-hotline
	Dir     string // a directory of its own
	Logf    func(format string, a ...any)
}

// Usage is what a process took.
type Usage struct {
	Took time.Duration
	CPU  time.Duration // of all processors
	Peak int64         // bytes of memory that were resident at once
}

// Run runs a program in dir to its end and gives what it printed.
func Run(ctx context.Context, dir, program string, args ...string) (out []byte, u Usage, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err = cmd.Run()
	u.Took = time.Since(began)
	if err != nil {
		return nil, u, fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	u.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.Peak = r.Maxrss << 10 // Linux counts in KiB
	}
	return stdout.Bytes(), u, nil
}

// Do is one command of cordon-hotline.
func (h *Hotline) Do(ctx context.Context, args ...string) (Usage, error) {
	if h.Logf != nil {
		h.Logf("cordon-hotline %s", strings.Join(args, " "))
	}
	_, u, err := Run(ctx, h.Dir, h.Program, args...)
	return u, err
}

// Root is the file that an operator pins, Repository the directory that is published.
func (h *Hotline) Root() string       { return filepath.Join(h.Dir, "accredited", "1.root.json") }
func (h *Hotline) Repository() string { return filepath.Join(h.Dir, "hotline", "repository") }

// SetUp makes authority, officers and hotline, accredited for all kinds and the basis law, whose limits let a list of this size pass.
func (h *Hotline) SetUp(ctx context.Context, entries int) error {
	steps := [][]string{{"authority", "init", "--dir", "authority"}}
	initial := []string{"init", "--dir", "hotline", "--id", ID, "--name", "Hotline One", "--list", ID + "/main", "--canary", Canary}
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
		if _, err := h.Do(ctx, s...); err != nil {
			return err
		}
	}
	return h.raiseLimits(entries)
}

// raiseLimits lets the list be as large as it is: the default is a brake.
func (h *Hotline) raiseLimits(entries int) error {
	path := filepath.Join(h.Dir, "hotline", "hotline.json")
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
	limits["max_entries"] = entries
	if text, err = json.MarshalIndent(settings, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
