package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAHotlineIsAddedWhileEverythingRuns: two officers pin a second hotline; its list comes into force on an edge that has only ever heard of
// the first; an auditor fails all of it until his own trust file names the hotline.
func TestAHotlineIsAddedWhileEverythingRuns(t *testing.T) {
	two := new(second)
	var url string
	w := newWorld(t, func(w *world) {
		two.make(w)
		last := w.hotlines[len(w.hotlines)-1]
		url = last[strings.LastIndex(last, ",")+1:]
		w.hotlines = nil // the cluster is made without it
	})
	w.run("cordon-hotline", "operator", "add", "--dir", secondID, w.join("isp", "cluster.pub"))
	for _, c := range []string{"c1", "c2", "c3"} {
		w.edit(filepath.Join("isp", c, "control.yaml"), "hotlines:", fmt.Sprintf("hotlines:\n  - id: %s\n    url: %s", secondID, url))
		w.startControl(c)
	}
	w.startEdge("e1")
	w.publish(firstList())
	w.await("the first hotline's list", func() error { return w.stopped("e1", "listed-by-agreement.test", false) })
	two.publish(rows(two.entry("only-second.test", "host", "voluntary")))
	w.await("the second waits", func() error {
		if out, _ := w.try("cordon", "status", "--profile", w.profile); !strings.Contains(out, "hotline hotline-two") || !strings.Contains(out, "waits to be pinned") {
			return fmt.Errorf("status:\n%s", out)
		}
		return nil
	})
	if err := w.passes("e1", "only-second.test"); err != nil {
		t.Errorf("before the pin: %v", err)
	}

	root := w.join("accreditation-two", "1.root.json")
	pin := func(id, root string, more ...string) (string, int) {
		return w.try("cordon", append([]string{"pin", "--profile", w.profile, "--hotline", id + "," + root, "--reason", "other(second hotline)"}, more...)...)
	}
	for _, x := range []struct {
		name, id, root string
		code           int
		says           string
	}{
		{"of another file", secondID, w.trust, 3, "take the 1.root.json that the authority signed"},
		{"of one that is known", hotlineID, root, 3, "is known to this cluster already"},
		{"of no id", "Two", root, 3, "is no hotline's id"},
		{"of a missing file", secondID, w.join("none"), 3, "no such file"},
	} {
		if out, code := pin(x.id, x.root, "--officer", "ada", "--officer", "grace"); code != x.code || !strings.Contains(out, x.says) {
			t.Errorf("pin %s: exit %d, want %d and %q\n%s", x.name, code, x.code, x.says, out)
		}
	}
	if out, code := pin(secondID, root, "--officer", "ada", "--out", w.join("pin.order")); code != 0 || !strings.Contains(out, "waits for one more officer") {
		t.Fatalf("one officer's pin: exit %d\n%s", code, out)
	}
	if out, code := w.try("cordon", "submit", "--profile", w.profile, w.join("pin.order")); code != 5 {
		t.Errorf("one officer's pin handed in: exit %d\n%s", code, out)
	}
	if out := w.run("cordon", "countersign", "--officer", "grace", w.join("pin.order")); !strings.Contains(out, "root with SHA-256") {
		t.Errorf("what the second officer signs:\n%s", out)
	}
	w.run("cordon", "submit", "--profile", w.profile, w.join("pin.order"))
	w.await("its list is in force", func() error { return w.stopped("e1", "only-second.test", false) })
	w.await("status says who added it", func() error {
		if out, _ := w.try("cordon", "status", "--profile", w.profile); !strings.Contains(out, "hotline hotline-two was added by officers") || strings.Contains(out, "waits to be pinned") {
			return fmt.Errorf("status:\n%s", out)
		}
		return nil
	})

	// The edge comes back from its own disk, and a control node from its log.
	w.stop("e1")
	w.stop("c2")
	w.startControl("c2")
	w.startEdge("e1")
	w.await("after a restart", func() error { return w.stopped("e1", "only-second.test", false) })

	bundle := w.join("bundle.tar")
	w.await("an auditor who does not know it", func() error {
		w.run("cordon", "bundle", "--profile", w.profile, "--out", bundle)
		if out, code := w.try("cordon-audit", "verify", "--trust", w.trust, bundle); code != 5 || !strings.Contains(out, "was added by the operator and nobody you trust accredits it") || strings.Count(out, "\nFAIL") != 2 {
			return fmt.Errorf("exit %d\n%s", code, out)
		}
		return nil
	})
	named := w.join("trust-two.json")
	w.run("cordon-audit", "trust", "--trust", w.trust, "--hotline", secondID+","+root, "--out", named)
	if out, code := w.try("cordon-audit", "verify", "--trust", named, bundle); code != 0 {
		t.Errorf("an auditor who does: exit %d\n%s", code, out)
	}
	if _, err := os.Stat(named); err != nil {
		t.Error(err)
	}
}
