package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestTheWholeStory: a hotline signs and publishes, three control processes agree, two edges stop what is listed and resolve the rest, all
// the time, whatever dies; an auditor verifies it offline; nothing that the operator's machines wrote holds a listed name.
func TestTheWholeStory(t *testing.T) {
	w := newWorld(t)
	w.sealEdge("e2")
	w.credentials("c2")
	w.startAll()

	w.await("edges without a list answer SERVFAIL, Not Ready", func() error {
		for _, e := range []string{"e1", "e2"} {
			for _, name := range []string{listed[0], unlisted[0]} {
				a, err := ask(w.dns[e], name, dns.TypeA)
				if err != nil {
					return err
				}
				if a.rcode != dns.RcodeServerFailure || a.ede != dns.ExtendedErrorCodeNotReady {
					t.Fatalf("%s answers %s without a list: %v", e, name, a)
				}
			}
		}
		return nil
	})

	w.await("no process may write a core file", func() error {
		for name, p := range w.procs {
			limits := string(w.get(fmt.Sprintf("/proc/%d/limits", p.cmd.Process.Pid)))
			if _, core, ok := strings.Cut(limits, "Max core file size"); !ok || strings.Fields(core)[0] != "0" {
				return fmt.Errorf("%s has these limits:\n%s", name, limits)
			}
		}
		return nil
	})
	w.publish(firstList())
	w.await("both edges stop and resolve", w.bothWork)
	w.checkStopPages()
	w.checkDig()
	w.checkMemory("e1")
	w.checkMemory("c1")

	o := w.watch("e1", "e2")
	w.publish(rows(entry("added-later.test", "host", "order")))
	w.await("one more entry stopped", func() error { return w.onEdges(func(e string) error { return w.stopped(e, "added-later.test", true) }) })
	w.run("cordon-hotline", "withdraw", "--dir", "hotline", "--officer", w.officers[0], "--reason", "error", "added-later.test")
	w.await("withdrawn entry freed", func() error { return w.onEdges(func(e string) error { return w.passes(e, "added-later.test") }) })

	w.await("status is well", func() error {
		out, code := w.try("cordon", "status", "--profile", w.profile)
		if code != 0 || !strings.Contains(out, "All is well") || !strings.Contains(out, "keys of c1, c3 and e1 are plain files") {
			return fmt.Errorf("exit %d: %s", code, out)
		}
		return nil
	})
	w.await("NSID is what the edge signed", w.nsidIsInAReceipt)
	w.await("the hotline reads both edges' receipts back", func() error {
		out, code := w.try("cordon-hotline", "receipts", "--dir", "hotline", "--trust", w.trust, "--from", w.api["c2"])
		for _, want := range []string{"version 2 is confirmed by 2 of 2 edges\n", "withdrawal 1 is confirmed by 2 of 2 edges, the last at "} {
			if code != 0 || !strings.Contains(out, want) {
				return fmt.Errorf("exit %d, want %q in:\n%s", code, want, out)
			}
		}
		return nil
	})

	// Two of three control nodes die: nothing new can be agreed, and nobody who asks DNS may notice.
	w.kill("c1")
	w.kill("c2")
	w.await("status says what is wrong and since when", func() error {
		out, code := w.try("cordon", "status", "--profile", w.profile)
		for _, want := range []string{"does not answer", "no leader since 20", "c1 has not answered the others since 20", "c2 has not answered the others since 20"} {
			if code != 1 || !strings.Contains(out, want) {
				return fmt.Errorf("exit %d, want %q in:\n%s", code, want, out)
			}
		}
		return nil
	})
	o.pause("e1", true)
	w.stop("e1")
	w.startEdge("e1")
	w.await("restarted edge answers without a quorum", w.bothWork)
	o.pause("e1", false)

	w.startControl("c1")
	w.startControl("c2")
	w.publish(rows(entry("added-later.test", "domain", "law")))
	w.await("publishing works again", func() error {
		return w.onEdges(func(e string) error { return w.stopped(e, "www.added-later.test", true) })
	})
	w.newEpoch(o)
	o.finish()

	bundle := w.join("bundle.tar")
	w.audited(bundle)
	w.await("auditor passes a node that was away when a version came", func() error {
		if out, code := w.try("cordon-audit", "verify", "--trust", w.trust, w.api["c3"]); code != 0 {
			return fmt.Errorf("exit %d\n%s", code, out)
		}
		return nil
	})

	w.checkLies(bundle)
	w.lyingReceipt()
	w.dismissEdge("e2", "e1")

	for _, name := range []string{"e1", "e2", "c1", "c2", "c3"} {
		w.stop(name)
	}
	w.checkNothingLeaked(bundle)
	w.stolenDisks()
}

func (w *world) onEdges(ask func(edge string) error) error {
	for _, e := range []string{"e1", "e2"} {
		if err := ask(e); err != nil {
			return err
		}
	}
	return nil
}

// checkStopPages visits the pages by the address asked, which alone decides.
func (w *world) checkStopPages() {
	for _, page := range []struct {
		url    string
		status int
	}{{"http://" + w.law.String(), 451}, {"http://" + w.vol.String(), 403}} {
		status, header, body, err := get(page.url + "/some/path?q=reflected-text")
		if err != nil || status != page.status {
			w.t.Errorf("%s: status %d, %v, want %d", page.url, status, err, page.status)
			continue
		}
		if strings.Contains(body, "reflected-text") || len(header.Values("Set-Cookie")) > 0 || len(body) > 14<<10 {
			w.t.Errorf("%s reflects, sets a cookie or is too large (%d bytes)", page.url, len(body))
		}
		if linked := strings.Contains(header.Get("Link"), `rel="blocked-by"`); linked != (page.status == 451) {
			w.t.Errorf("%s: Link %q", page.url, header.Get("Link"))
		}
	}
}

// checkDig asks with somebody else's client.
func (w *world) checkDig() {
	host, port, _ := strings.Cut(w.dns["e1"], ":")
	out, code := w.try("dig", "@"+host, "-p", port, "+nocookie", "+tries=1", "+time=15", listed[0], "A")
	if code != 0 || !strings.Contains(out, "EDE: 16 (Censored)") || !strings.Contains(out, w.law.Addr().String()) {
		w.t.Errorf("dig of a listed name: exit %d\n%s", code, out)
	}
	out, code = w.try("dig", "@"+host, "-p", port, "+tcp", "+tries=1", "+time=15", listed[3], "A")
	if code != 0 || !strings.Contains(out, "EDE: 15 (Blocked)") || !strings.Contains(out, w.vol.Addr().String()) {
		w.t.Errorf("dig +tcp of a voluntarily listed name: exit %d\n%s", code, out)
	}
	out, code = w.try("dig", "@"+host, "-p", port, "+tries=1", "+time=15", unlisted[0], "A")
	if code != 0 || strings.Contains(out, "EDE") || !strings.Contains(out, "NOERROR") {
		w.t.Errorf("dig of an unlisted name: exit %d\n%s", code, out)
	}
}

// nsidIsInAReceipt binds what an outside probe sees to what the edge signed.
func (w *world) nsidIsInAReceipt() error {
	a, err := ask(w.dns["e2"], unlisted[0], dns.TypeA)
	if err != nil {
		return err
	}
	out := w.printed("cordon", "status", "--profile", w.profile, "--json")
	var nodes []struct {
		Status struct {
			Edges []struct {
				Name  string `json:"name"`
				State string `json:"state"`
			} `json:"edges"`
		} `json:"status"`
	}
	if err := json.Unmarshal(out, &nodes); err != nil {
		return fmt.Errorf("status --json: %w", err)
	}
	var all any
	if err := json.Unmarshal(out, &all); err != nil {
		return fmt.Errorf("status --json: %w", err)
	}
	if bad := goNames(all); len(bad) > 0 {
		w.t.Errorf("status --json has the names %q, want snake_case", bad)
	}
	for _, e := range nodes[0].Status.Edges {
		if e.Name == "e2" && e.State == a.nsid && a.nsid != "" {
			return nil
		}
	}
	return fmt.Errorf("NSID %q of e2 is not in its last receipt: %+v", a.nsid, nodes[0].Status.Edges)
}

var snakeCase = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// goNames are the names in a JSON value that are not what programs rely on.
func goNames(v any) []string {
	var out []string
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			out = append(out, goNames(x)...)
		}
	case map[string]any:
		for name, x := range v {
			if !snakeCase.MatchString(name) {
				out = append(out, name)
			}
			out = append(out, goNames(x)...)
		}
	}
	return out
}

// checkNothingLeaked searches everything the operator's nodes wrote. The search must first find what is planted.
func (w *world) checkNothingLeaked(bundle string) {
	planted := w.join("isp", "c1", "planted")
	if err := os.WriteFile(planted, []byte("xx www.A-Listed-Host.test xx"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	dirs := []string{w.join("isp"), w.join("logs"), bundle}
	if found := holders(w.t, secrets, dirs...); len(found) != 1 || !strings.HasPrefix(found[0], planted) {
		w.t.Fatalf("the search finds %q, want the one planted name", found)
	}
	os.Remove(planted)
	if found := holders(w.t, secrets, dirs...); len(found) > 0 {
		w.t.Errorf("listed names on the operator's disks:\n%s", strings.Join(found, "\n"))
	}
	var files int
	for _, d := range dirs {
		filepath.WalkDir(d, func(_ string, e os.DirEntry, _ error) error {
			if e.Type().IsRegular() {
				files++
			}
			return nil
		})
	}
	w.t.Logf("searched %d files", files)
}
