package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestALostLogBeginsNoOtherHistory: a control node that lost its log refuses to start, says what to do, and with --rejoin takes the log from
// the others; edges answer all the time.
func TestALostLogBeginsNoOtherHistory(t *testing.T) {
	w := newWorld(t)
	w.startAll()
	w.publish(firstList())
	w.await("first list in force", w.bothWork)
	w.await("every node has a checkpoint", func() error {
		for name := range w.api {
			if files, _ := filepath.Glob(w.join("isp", name, "data", "cluster", "checkpoint*")); len(files) == 0 {
				if files, _ := filepath.Glob(w.join("isp", name, "data", "cluster", "manifest*")); len(files) == 0 {
					return fmt.Errorf("%s keeps neither checkpoint nor manifest", name)
				}
			}
		}
		return nil
	})
	o := w.watch("e1", "e2")
	w.stop("c3")
	if err := os.Remove(w.join("isp", "c3", "data", "cluster", "raft.db")); err != nil {
		t.Fatal(err)
	}
	config := w.join("isp", "c3", "control.yaml")
	out, code := w.try("cordon", "control", "--config", config)
	if code == 0 || !strings.Contains(out, "--rejoin") {
		t.Fatalf("a node without its log: exit %d\n%s", code, out)
	}
	w.start("c3", "cordon", "control", "--config", config, "--rejoin")
	w.publish(rows(entry("after-the-loss.test", "host", "law")))
	w.await("all is well with three nodes", func() error {
		out, code := w.try("cordon", "status", "--profile", w.profile)
		if code != 0 || !strings.Contains(out, "version 2") {
			return fmt.Errorf("exit %d:\n%s", code, out)
		}
		return nil
	})
	w.await("and an auditor visits the mended one", func() error {
		out, code := w.try("cordon-audit", "verify", "--trust", w.trust, w.api["c3"])
		if code != 0 {
			return fmt.Errorf("exit %d:\n%s", code, out)
		}
		return nil
	})
	o.finish()
}
