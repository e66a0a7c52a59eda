package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestDevIsTheWholePicture follows what cordon dev prints, as a newcomer would.
func TestDevIsTheWholePicture(t *testing.T) {
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
		DNS           string   `json:"dns"`
		TLS           string   `json:"tls"`
		HTTPS         string   `json:"https"`
		ResolverName  string   `json:"resolver_name"`
		ResolverCA    string   `json:"resolver_ca"`
		Metrics       string   `json:"metrics"`
		StopAddresses []string `json:"stop_addresses"`
		StopPages     []string `json:"stop_pages"`
		Repository    string   `json:"repository"`
		HotlineDir    string   `json:"hotline_dir"`
		Signers       []string `json:"signers"`
		API           []string `json:"api"`
		CA, Cert, Key string
		Officers      []string `json:"officers"`
		Trust         string   `json:"trust"`
		Listed        []string `json:"listed"`
		Unlisted      []string `json:"unlisted"`
		URLs          []string `json:"urls"`
		Canary        string   `json:"canary"`
		PID           int      `json:"pid"`
	}
	w.await("dev.json", func() error {
		b, err := os.ReadFile(w.join("picture", "dev.json"))
		if err != nil {
			return err
		}
		return json.Unmarshal(b, &p)
	})
	if p.PID != w.procs["dev"].cmd.Process.Pid || len(p.StopAddresses) != 2 || len(p.StopPages) != 2 || len(p.API) != 3 || len(p.Signers) < 2 {
		t.Fatalf("dev.json: %+v", p)
	}
	for _, path := range append([]string{p.HotlineDir, p.CA, p.Cert, p.Key, p.Trust}, p.Signers...) {
		if !exists(path) {
			t.Errorf("dev.json names %q, which is not there", path)
		}
	}
	if host, _, err := net.SplitHostPort(p.DNS); err != nil || !net.ParseIP(host).IsLoopback() {
		t.Errorf("dns %q: %v", p.DNS, err)
	}

	stopped := func(name string) error {
		a, err := ask(p.DNS, name, dns.TypeA)
		if err == nil && (len(a.addrs) != 1 || (a.addrs[0] != p.StopAddresses[0] && a.addrs[0] != p.StopAddresses[1]) || (a.ede != 15 && a.ede != 16)) {
			err = fmt.Errorf("%s: %v", name, a)
		}
		return err
	}
	passes := func(name string) error {
		a, err := ask(p.DNS, name, dns.TypeA)
		if err == nil && (a.rcode != dns.RcodeSuccess || len(a.addrs) == 0 || a.ede != 0) {
			err = fmt.Errorf("%s: %v", name, a)
		}
		return err
	}
	for _, name := range append(p.Listed, p.Canary) {
		if err := stopped(name); err != nil {
			t.Error(err)
		}
	}
	for how, at := range map[string]string{"+tls": p.TLS, "+https": p.HTTPS} {
		host, port, _ := net.SplitHostPort(at)
		out, err := exec.Command("dig", "@"+host, "-p", port, how, "+tls-ca="+p.ResolverCA, "+tls-hostname="+p.ResolverName, p.Listed[0]).CombinedOutput()
		if err != nil || !strings.Contains(string(out), p.StopAddresses[0]) || !strings.Contains(string(out), "EDE: 16 (Censored)") {
			t.Errorf("dig %s: %v\n%s", how, err, out)
		}
	}
	if out, err := exec.Command("kdig", "@127.0.0.1", "-p", p.TLS[strings.LastIndex(p.TLS, ":")+1:], "+tls-ca="+p.ResolverCA, "+tls-hostname="+p.ResolverName, p.Listed[0]).CombinedOutput(); err != nil ||
		!strings.Contains(string(out), p.StopAddresses[0]) {
		t.Errorf("kdig: %v\n%s", err, out)
	}
	if out, err := exec.Command("dig", "@127.0.0.1", "-p", p.DNS[strings.LastIndex(p.DNS, ":")+1:], "+short", "_dns.resolver.arpa", "type64").CombinedOutput(); err != nil ||
		strings.Count(string(out), p.ResolverName) != 3 {
		t.Errorf("discovery: %v\n%s", err, out)
	}
	for _, name := range p.Unlisted {
		if err := passes(name); err != nil {
			t.Error(err)
		}
	}
	if out, err := exec.Command("curl", "-sSf", p.Metrics).CombinedOutput(); err != nil || !strings.Contains(string(out), "\ncordon_ready 1\n") ||
		!strings.Contains(string(out), "cordon_upstream_up{") || strings.Contains(string(out), p.Listed[0]) {
		t.Errorf("metrics: %v\n%s", err, out)
	}
	for _, url := range p.URLs {
		host, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
		if err := passes(host); err != nil {
			t.Errorf("host of a page entry: %v", err)
		}
	}
	for i, status := range []int{451, 403} {
		if got, _, _, err := get(p.StopPages[i]); err != nil || got != status {
			t.Errorf("%s: %d, %v, want %d", p.StopPages[i], got, err, status)
		}
	}

	csv := w.join("more.csv")
	if err := os.WriteFile(csv, []byte(rows(entry("brand-new.test", "domain", "order"))), 0o600); err != nil {
		t.Fatal(err)
	}
	w.run("cordon-hotline", "import", "--dir", p.HotlineDir, csv)
	w.run("cordon-hotline", "sign", "--dir", p.HotlineDir, "--officer", p.Signers[0])
	w.run("cordon-hotline", "sign", "--dir", p.HotlineDir, "--officer", p.Signers[1])
	w.run("cordon-hotline", "publish", "--dir", p.HotlineDir)
	w.await("one more entry stopped", func() error { return stopped("deep.below.brand-new.test") })
	w.run("cordon-hotline", "withdraw", "--dir", p.HotlineDir, "--officer", p.Signers[0], "--reason", "court", "brand-new.test")
	w.await("and freed", func() error { return passes("deep.below.brand-new.test") })

	w.decide(p.Officers, p.Listed[0], stopped, passes)
	w.record(p.Officers, p.Trust)

	w.profile, w.trust = w.join("picture", "dev.json"), p.Trust
	w.audited(w.join("bundle.tar"))

	// A second picture in the same directory is refused; real nodes refuse the throw-away keys.
	if out, code := w.try("cordon", "dev", "--dir", "picture"); code != 3 || !strings.Contains(out, "in use by a running cordon dev") {
		t.Errorf("second dev: exit %d\n%s", code, out)
	}
	for _, node := range []string{"control --config picture/operator/c1/control.yaml", "edge --config picture/operator/e1/edge.yaml"} {
		if out, code := w.try("cordon", strings.Fields(node)...); code != 3 || !strings.Contains(out, "made by cordon dev") {
			t.Errorf("cordon %s: exit %d\n%s", node, code, out)
		}
	}
	w.stop("dev")
	if log := w.log("dev"); !strings.Contains(log, "dig @") || strings.Contains(log, "level=") {
		t.Errorf("what a newcomer reads:\n%s", log)
	}
}
