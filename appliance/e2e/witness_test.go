package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
)

// apis are the addresses of an operator's control nodes.
func (w *world) apis(profile string) []string {
	w.t.Helper()
	var p struct {
		API []string `json:"api"`
	}
	if err := json.Unmarshal(w.get(profile), &p); err != nil {
		w.t.Fatal(err)
	}
	return p.API
}

// setWitnesses gives a trust file a witness policy, as the auditor decides.
func (w *world) setWitnesses(trust, policy string) string {
	w.t.Helper()
	var f map[string]any
	if err := json.Unmarshal(w.get(trust), &f); err != nil {
		w.t.Fatal(err)
	}
	f["witnesses"] = policy
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		w.t.Fatal(err)
	}
	path := w.join("trust-with-witnesses.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// TestTwoOperatorsWitnessAndCompare: one operator's control nodes cosign the other's log, which an auditor asks for; and the two compare what they were
// shown of the hotline's public log. When it has told two stories, both put the evidence into their logs and take nothing more from it.
func TestTwoOperatorsWitnessAndCompare(t *testing.T) {
	w := newWorld(t)
	var shown atomic.Value // to the second operator
	shown.Store(w.repository)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.FileServer(http.Dir(shown.Load().(string))).ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	two := w.otherOperator(server.URL)

	// The first operator asks the second one's nodes, and compares with one of them.
	var policy string
	w.await("the second operator's nodes say what witnesses they are", func() error {
		policy = string(w.printed("cordon", "witness", "--profile", two.profile)) + "quorum isp-two.example/cordon\n"
		if strings.Count(policy, "\nwitness ") < 2 {
			return fmt.Errorf("they say:\n%s", policy)
		}
		return os.WriteFile(w.join("policy"), []byte(policy), 0o600)
	})
	for _, c := range []string{"c1", "c2", "c3"} {
		config := filepath.Join("isp", c, "control.yaml")
		w.edit(config, "witness:", fmt.Sprintf("witness:\n  policy: %s\n  ca: %s", w.join("policy"), w.join("isp-two", "ca", "ca.crt")))
		w.edit(config, "gossip:", fmt.Sprintf("gossip:\n  - url: %s\n    ca: %s", w.apis(two.profile)[0], w.join("isp-two", "ca", "ca.crt")))
		w.startControl(c)
	}
	w.await("they do not watch this log yet", func() error {
		if out, _ := w.try("cordon", "status", "--profile", w.profile); !strings.Contains(out, "must add the log's key") {
			return fmt.Errorf("status says:\n%s", out)
		}
		return nil
	})
	var keys []string
	w.await("the first operator says which keys its log has", func() error {
		keys = regexp.MustCompile(`(?m)^#   - (\S+)$`).FindAllString(string(w.printed("cordon", "witness", "--profile", w.profile)), -1)
		if len(keys) != 3 {
			return fmt.Errorf("%q", keys)
		}
		return nil
	})
	for _, c := range []string{"c1", "c2"} {
		w.stop("two-" + c)
		config := filepath.Join("isp-two", c, "control.yaml")
		w.edit(config, "witness:", "witness:\n  logs:\n"+strings.ReplaceAll(strings.Join(keys, "\n"), "#   -", "    -"))
		w.edit(config, "gossip:", fmt.Sprintf("gossip:\n  - url: %s\n    ca: %s", w.api["c2"], w.join("isp", "ca", "ca.crt")))
		w.start("two-"+c, "cordon", "control", "--config", w.join(config))
	}
	w.publish(firstList())
	w.inForce(w.profile, 1)
	w.inForce(two.profile, 1)

	strict := w.setWitnesses(w.trust, policy)
	w.await("an auditor sees that they have cosigned", func() error {
		out, code := w.try("cordon-audit", "verify", "--trust", strict, w.api["c1"])
		if !strings.Contains(out, "PASS  witnesses    cosigned by isp-two.example/cordon/c1, isp-two.example/cordon/c2 as the policy asks") {
			return fmt.Errorf("exit %d\n%s", code, out)
		}
		return nil
	})
	if out := w.run("cordon", "status", "--profile", w.profile, "--json"); !strings.Contains(out, `"met"`) {
		t.Errorf("status does not say when the policy was met:\n%s", out)
	}
	w.run("cordon", "prove", "--profile", w.profile, "--out", w.join("leaf.tlog-proof"), "0")
	if out := w.run("cordon-audit", "proof", "--trust", strict, w.join("leaf.tlog-proof")); !strings.Contains(out, "PASS  leaf 0") || !strings.Contains(out, "witnessed by isp-two.example/cordon/c1") {
		t.Errorf("the proof of one record:\n%s", out)
	}
	other := w.setWitnesses(w.trust, strings.ReplaceAll(policy, "group isp-two.example/cordon 2", "group isp-two.example/cordon 1")+"#\n")
	if out := w.run("cordon-audit", "proof", "--trust", other, w.join("leaf.tlog-proof")); !strings.Contains(out, "PASS") {
		t.Errorf("a milder policy:\n%s", out)
	}

	// The hotline shows the second operator another history.
	if out, err := exec.Command("cp", "-a", w.join("hotline"), w.join("twin")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	shown.Store(w.join("twin", "repository"))
	w.publish(rows(entry("for-everybody.test", "host", "law")))
	if err := os.WriteFile(w.join("secret.csv"), []byte(rows(entry("for-one-operator.test", "host", "law"))), 0o600); err != nil {
		t.Fatal(err)
	}
	w.run("cordon-hotline", "import", "--dir", "twin", "secret.csv")
	w.run("cordon-hotline", "sign", "--dir", "twin", "--officer", w.officers[0])
	w.run("cordon-hotline", "sign", "--dir", "twin", "--officer", w.officers[1])
	w.run("cordon-hotline", "publish", "--dir", "twin")
	for _, profile := range []string{w.profile, two.profile} {
		w.await("it is found out at "+profile, func() error {
			out, code := w.try("cordon", "status", "--profile", profile)
			if code == 0 || !strings.Contains(out, "the public log of hotline hotline-one") || !strings.Contains(out, "has signed two histories (size 2)") || !strings.Contains(out, "No new version of it is taken") {
				return fmt.Errorf("exit %d:\n%s", code, out)
			}
			return nil
		})
	}
	w.publish(rows(entry("and-more.test", "host", "law")))
	w.await("nothing new is taken from it", func() error {
		if out, _ := w.try("cordon", "status", "--profile", w.profile); !strings.Contains(out, "refused (forked_log)") || strings.Contains(out, "main version 3") {
			return fmt.Errorf("status says:\n%s", out)
		}
		return nil
	})
	// A witness that has forgotten what it signed is none.
	w.stop("two-c1")
	kept, err := filepath.Glob(w.join("isp-two", "c1", "data", "witness", "*.head"))
	if err != nil || len(kept) == 0 {
		t.Fatalf("what it cosigned is not on its disk: %v", err)
	}
	b := w.get(kept[0])
	if err := os.WriteFile(kept[0], b[:len(b)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := w.try("cordon", "control", "--config", w.join("isp-two", "c1", "control.yaml")); code != 3 || !strings.Contains(out, "is damaged: restore it from a backup") {
		t.Errorf("with a damaged memory: exit %d\n%s", code, out)
	}
	if err := os.Remove(kept[0]); err != nil {
		t.Fatal(err)
	}
	if out, code := w.try("cordon", "control", "--config", w.join("isp-two", "c1", "control.yaml")); code != 3 || !strings.Contains(out, "is gone, and with it what is known of log") {
		t.Errorf("with a memory that was taken away: exit %d\n%s", code, out)
	}

	out := w.audited(w.join("bundle.tar"))
	if !strings.Contains(out, "PASS  forks        1 public logs have signed two histories") || !strings.Contains(out, "shows different people different lists") {
		t.Errorf("an honest operator that reports it passes, with a note:\n%s", out)
	}
}
