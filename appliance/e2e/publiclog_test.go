package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// other is a second operator: three control nodes, of which two run, that follow the same hotline at an address of their own.
type other struct {
	w       *world
	trust   string
	profile string
}

func (w *world) otherOperator(repository string) *other {
	w.t.Helper()
	o := &other{w: w}
	args := []string{"init", "--dir", "isp-two", "--name", "isp-two.example", "--upstream", "127.0.0.1:9", "--stop-law", "127.0.0.63", "--stop-voluntary", "127.0.0.64",
		"--stop-port", "8080", "--implementer", "https://isp-two.example/blocking", "--contact", "mailto:complaints@isp-two.example",
		"--hotline", hotlineID + "," + w.join("accreditation", "1.root.json") + "," + repository, "--edge", "e1,127.0.0.1:5355"}
	for i := range 3 {
		name := fmt.Sprintf("c%d", i+1)
		args = append(args, "--control", fmt.Sprintf("%s,127.0.0.1:%d,127.0.0.1:%d", name, freePort(w.t, "127.0.0.1"), freePort(w.t, "127.0.0.1")))
	}
	w.run("cordon", args...)
	for _, name := range []string{"c1", "c2"} {
		config := filepath.Join("isp-two", name, "control.yaml")
		w.edit(config, "poll:", "poll: 1s")
		w.start("two-"+name, "cordon", "control", "--config", w.join(config))
	}
	o.trust, o.profile = w.join("isp-two", "trust.json"), w.join("isp-two", "operator", "profile.json")
	w.run("cordon-hotline", "operator", "add", "--dir", "hotline", w.join("isp-two", "cluster.pub"))
	return o
}

// inForce waits until an operator has a version in force.
func (w *world) inForce(profile string, version int) {
	w.t.Helper()
	w.await(fmt.Sprintf("version %d in force at %s", version, filepath.Base(filepath.Dir(filepath.Dir(profile)))), func() error {
		out, _ := w.try("cordon", "status", "--profile", profile)
		if !strings.Contains(out, fmt.Sprintf("%s/main version %d", hotlineID, version)) {
			return fmt.Errorf("status says:\n%s", out)
		}
		return nil
	})
}

// TestAListShownToOneOperatorOnly: officers and service of a hotline are in it together. They sign two versions of one number and show each operator one of
// them. Both operators' logs are in order; who reads the hotline's public log and holds it against both finds out. When an operator that has seen one
// history is shown the other, it says so and takes nothing.
func TestAListShownToOneOperatorOnly(t *testing.T) {
	w := newWorld(t)
	var shown atomic.Value // to the second operator
	shown.Store(w.repository)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.FileServer(http.Dir(shown.Load().(string))).ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	two := w.otherOperator(server.URL)
	for _, c := range []string{"c1", "c2", "c3"} {
		w.startControl(c)
	}
	w.publish(firstList())
	w.inForce(w.profile, 1)
	w.inForce(two.profile, 1)

	if out, err := exec.Command("cp", "-a", w.join("hotline"), w.join("twin")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	shown.Store(w.join("twin", "repository"))
	w.publish(rows(entry("for-everybody.test", "host", "law")))
	secret := func(name string) {
		if err := os.WriteFile(w.join("secret.csv"), []byte(rows(entry(name, "host", "law"))), 0o600); err != nil {
			t.Fatal(err)
		}
		w.run("cordon-hotline", "import", "--dir", "twin", "secret.csv")
		w.run("cordon-hotline", "sign", "--dir", "twin", "--officer", w.officers[0])
		w.run("cordon-hotline", "sign", "--dir", "twin", "--officer", w.officers[1])
		w.run("cordon-hotline", "publish", "--dir", "twin")
	}
	secret("for-one-operator.test")
	w.inForce(w.profile, 2)
	w.inForce(two.profile, 2)

	audits := func(trust, profile string) string {
		bundle := filepath.Join(filepath.Dir(profile), "bundle.tar")
		w.await("a bundle with both versions", func() error {
			w.run("cordon", "bundle", "--profile", profile, "--out", bundle)
			if out, code := w.try("cordon-audit", "verify", "--trust", trust, bundle); code != 0 || !strings.Contains(out, "2 of 2 versions") { // each log alone is in order
				return fmt.Errorf("exit %d\n%s", code, out)
			}
			return nil
		})
		return bundle
	}
	one, other := audits(w.trust, w.profile), audits(two.trust, two.profile)
	if out := w.run("cordon-audit", "publiclog", "--trust", w.trust, w.repoURL, one); !strings.Contains(out, "2 versions are in both logs") {
		t.Errorf("the honest comparison:\n%s", out)
	}
	out, code := w.try("cordon-audit", "publiclog", "--trust", two.trust, w.repoURL, other)
	if code != 5 || !strings.Contains(out, "a list that was shown to one operator only") {
		t.Errorf("the list that one operator alone was shown: exit %d\n%s", code, out)
	}

	// The first operator is shown the other history, with a further version on top.
	secret("and-more.test")
	lie := func(rw http.ResponseWriter, r *http.Request) bool {
		http.FileServer(http.Dir(w.join("twin", "repository"))).ServeHTTP(rw, r)
		return true
	}
	w.lie.Store(&lie)
	w.await("the first operator says that the public log was rewritten", func() error {
		out, code := w.try("cordon", "status", "--profile", w.profile)
		if code == 0 || !strings.Contains(out, "shows this operator another history than before") || !strings.Contains(out, "refused (split_view)") {
			return fmt.Errorf("exit %d:\n%s", code, out)
		}
		return nil
	})
	w.inForce(w.profile, 2)
	w.await("an auditor reads it in the log", func() error {
		if out := w.run("cordon-audit", "show", "--trust", w.trust, w.api["c1"]); !strings.Contains(out, "split_view") {
			return fmt.Errorf("log:\n%s", out)
		}
		return nil
	})
}

// TestWitnessesMustHaveSeenThePublicLog: an operator asks for another one's control nodes as witnesses of the hotline's public log. Without them it takes
// nothing in; the hotline has them asked, and what it has published comes in.
func TestWitnessesMustHaveSeenThePublicLog(t *testing.T) {
	var two *other
	policy := "witnesses.policy"
	w := newWorld(t, func(w *world) {
		two = w.otherOperator(w.repoURL)
		w.await("its control nodes say what witnesses they are", func() error {
			text := string(w.printed("cordon", "witness", "--profile", two.profile))
			if strings.Count(text, "\nwitness ") < 2 {
				return fmt.Errorf("it says:\n%s", text)
			}
			return os.WriteFile(w.join(policy), []byte(text+"quorum isp-two.example/cordon\n"), 0o600)
		})
		w.initFlags = []string{"--log-witnesses", policy}
	})
	for _, c := range []string{"c1", "c2", "c3"} {
		w.startControl(c)
	}
	w.publish(firstList())
	w.inForce(two.profile, 1) // it asks for nobody, and watches the log from now on
	w.await("the first operator misses the witnesses", func() error {
		out, code := w.try("cordon", "status", "--profile", w.profile)
		if code == 0 || !strings.Contains(out, "refused (public_log)") || strings.Contains(out, "/main version") {
			return fmt.Errorf("exit %d:\n%s", code, out)
		}
		return nil
	})
	if out, code := w.try("cordon-hotline", "witnesses", "--dir", "hotline", "--policy", "import.csv"); code != 3 || !strings.Contains(out, "line 1") {
		t.Errorf("a policy that is none: exit %d\n%s", code, out)
	}
	w.run("cordon-hotline", "witnesses", "--dir", "hotline", "--policy", policy, "--ca", filepath.Join("isp-two", "operator", "ca.crt"))
	w.await("the witnesses cosign", func() error {
		if out := w.run("cordon-hotline", "refresh", "--dir", "hotline"); strings.Contains(out, "do not take version 1 in yet") {
			return fmt.Errorf("refresh says:\n%s", out)
		}
		return nil
	})
	w.inForce(w.profile, 1)
	w.publish(rows(entry("seen-by-witnesses.test", "host", "law")))
	w.inForce(w.profile, 2)
	bundle := w.join("bundle.tar")
	w.await("an auditor has both versions", func() error {
		w.run("cordon", "bundle", "--profile", w.profile, "--out", bundle)
		if out, code := w.try("cordon-audit", "verify", "--trust", w.trust, bundle); code != 0 || !strings.Contains(out, "2 of 2 versions are in their hotlines' public logs") {
			return fmt.Errorf("exit %d\n%s", code, out)
		}
		return nil
	})
	if out := w.run("cordon-audit", "publiclog", "--trust", w.trust, w.repoURL, bundle); !strings.Contains(out, "cosigned by isp-two.example/cordon/c1") {
		t.Errorf("the public log:\n%s", out)
	}

	w.stop("two-c1")
	w.stop("two-c2")
	if err := os.WriteFile(w.join("import.csv"), []byte(rows(entry("nobody-looks.test", "host", "law"))), 0o600); err != nil {
		t.Fatal(err)
	}
	w.run("cordon-hotline", "import", "--dir", "hotline", "import.csv")
	w.run("cordon-hotline", "sign", "--dir", "hotline", "--officer", w.officers[0])
	w.run("cordon-hotline", "sign", "--dir", "hotline", "--officer", w.officers[1])
	if out, code := w.try("cordon-hotline", "publish", "--dir", "hotline"); code != 4 || !strings.Contains(out, "is not published") || !strings.Contains(out, "--without-witnesses") {
		t.Errorf("without witnesses: exit %d\n%s", code, out)
	}

	// The hotline thinks better of the version that stands in the log already: its number goes with it, and auditors read why.
	if err := os.WriteFile(w.join("import.csv"), []byte(rows(entry("thought-better-of.test", "host", "law"))), 0o600); err != nil {
		t.Fatal(err)
	}
	w.run("cordon-hotline", "import", "--dir", "hotline", "import.csv")
	if out, code := w.try("cordon-hotline", "sign", "--dir", "hotline", "--officer", w.officers[0]); code != 4 || !strings.Contains(out, "--again") {
		t.Errorf("another content of a version in the log: exit %d\n%s", code, out)
	}
	w.run("cordon-hotline", "sign", "--dir", "hotline", "--officer", w.officers[0], "--again")
	w.run("cordon-hotline", "sign", "--dir", "hotline", "--officer", w.officers[1])
	for _, name := range []string{"c1", "c2"} {
		w.start("two-"+name, "cordon", "control", "--config", w.join("isp-two", name, "control.yaml"))
	}
	w.await("the witnesses are back", func() error {
		if out, code := w.try("cordon-hotline", "publish", "--dir", "hotline"); code != 0 {
			return fmt.Errorf("exit %d\n%s", code, out)
		}
		return nil
	})
	w.inForce(w.profile, 4)
	w.await("an auditor has the version behind the dropped one", func() error {
		w.run("cordon", "bundle", "--profile", w.profile, "--out", bundle)
		if out, code := w.try("cordon-audit", "verify", "--trust", w.trust, bundle); code != 0 || !strings.Contains(out, "3 of 3 versions are in their hotlines' public logs") {
			return fmt.Errorf("exit %d\n%s", code, out)
		}
		return nil
	})
	if out := w.run("cordon-audit", "publiclog", "--trust", w.trust, w.repoURL, bundle); !strings.Contains(out, "3 versions are in both logs") || !strings.Contains(out, "sequence 3") || !strings.Contains(out, "was dropped before it was published") {
		t.Errorf("the public log with a dropped version:\n%s", out)
	}
}
