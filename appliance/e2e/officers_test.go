package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// decide is what two people of the operator's do with a picture whose list has had two versions: one signs and another countersigns, and
// what they decide shows in DNS, in status and, with the bundle that follows, to an auditor. In the end all is as before.
func (w *world) decide(dirs []string, listed string, stopped, passes func(string) error) {
	w.t.Helper()
	profile := w.join("picture", "dev.json")
	both := []string{"--profile", profile, "--reason", "appeal", "--officer", dirs[0], "--officer", dirs[1]}

	if out, code := w.try("cordon", "suppress", "--profile", profile, "--reason", "appeal", "--officer", dirs[0], "--name", listed, "--out", w.join("suppress.order")); code != 0 || !strings.Contains(out, "waits for one more officer") {
		w.t.Fatalf("one officer's suppression: exit %d\n%s", code, out)
	}
	if b, err := os.ReadFile(w.join("suppress.order")); err != nil || strings.Contains(string(b), listed) {
		w.t.Errorf("the order holds the name (%v)", err)
	}
	if out, code := w.try("cordon", "submit", "--profile", profile, w.join("suppress.order")); code != 5 || !strings.Contains(out, "alone") {
		w.t.Errorf("one officer's order handed in: exit %d\n%s", code, out)
	}
	if err := stopped(listed); err != nil {
		w.t.Errorf("after it: %v", err)
	}
	w.run("cordon", "countersign", "--officer", dirs[1], w.join("suppress.order"))
	w.run("cordon", "submit", "--profile", profile, w.join("suppress.order"))
	w.await("a suppressed name passes", func() error { return passes(listed) })
	says := func(code int, want string) { w.t.Helper(); w.awaitStatus(profile, code, want) }
	says(0, "1 entry is suppressed")
	var found []struct {
		Entry string `json:"entry"`
		Until string `json:"suppressed_until"`
	}
	if err := json.Unmarshal(w.printed("cordon", "which", "--profile", profile, "--json", listed), &found); err != nil || len(found) != 1 || found[0].Until == "" {
		w.t.Errorf("which: %+v, %v", found, err)
	}
	w.run("cordon", append([]string{"suppress", "--lift", "--name", listed}, both...)...)
	w.await("and is stopped again", func() error { return stopped(listed) })

	w.run("cordon", append([]string{"bypass", "--for", "1h"}, both...)...)
	w.await("everything passes", func() error { return passes(listed) })
	says(1, "BYPASS: everything passes until")
	w.run("cordon", append([]string{"bypass", "--lift"}, both...)...)
	w.await("and nothing listed passes", func() error { return stopped(listed) })

	// Version 2 has brand-new.test, which is withdrawn; version 1 has not. Going there and back changes nothing else.
	w.run("cordon", append([]string{"return", "--to", "1"}, both...)...)
	says(1, "version 1 (officers went back to it from version 2)")
	w.run("cordon", append([]string{"return", "--to", "2"}, both...)...)
	if err := passes("deep.below.brand-new.test"); err != nil {
		w.t.Errorf("withdrawn, and back with its version: %v", err)
	}
	if err := stopped(listed); err != nil {
		w.t.Error(err)
	}
	w.noNameIn(filepath.Join(w.dir, "picture", "operator"), listed)
}

// awaitStatus waits until cordon status ends with a code and says all of these: which node it hears first, and how far that one is, is its own affair.
func (w *world) awaitStatus(profile string, code int, wants ...string) {
	w.t.Helper()
	w.await(fmt.Sprintf("status says %q", wants), func() error {
		out, got := w.try("cordon", "status", "--profile", profile)
		for _, want := range wants {
			if got != code || !strings.Contains(out, want) {
				return fmt.Errorf("exit %d, want %d and %q in:\n%s", got, code, want, out)
			}
		}
		return nil
	})
}

// noNameIn reads every file below a folder of the operator's back: none holds a listed name.
func (w *world) noNameIn(dir, name string) {
	w.t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if gone(path, dir, err) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if gone(path, dir, err) {
			return nil // a temporary one
		}
		if err == nil && strings.Contains(string(b), name) {
			w.t.Errorf("%s holds %s", path, name)
		}
		return err
	})
	if err != nil {
		w.t.Errorf("read %s: %v", dir, err)
	}
}
