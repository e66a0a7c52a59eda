package e2e

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestAnalystsAreExemptForATimeByTwoOfficers: with real processes. Nothing is stopped for one prefix and everything for the others; the prefix is in no log and no bundle;
// the auditor, whose tool knows nothing but the file's hash, passes it with a note.
func TestAnalystsAreExemptForATimeByTwoOfficers(t *testing.T) {
	w := newWorld(t)
	w.edit("isp/e1/edge.yaml", "analysts:", "analysts: analysts.txt")
	for _, name := range []string{"c1", "c2", "c3"} {
		w.startControl(name)
	}
	w.startEdge("e1")
	w.publish(firstList())
	subscriber := func() error { return w.stopped("e1", "a-listed-domain.test", true) }
	w.await("list in force", subscriber)
	analyst := func(passes bool) func() error {
		return func() error {
			m := new(dns.Msg).SetQuestion("a-listed-domain.test.", dns.TypeA)
			m.SetEdns0(1232, false)
			c := &dns.Client{Timeout: answerTime, Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 0, 9, 77)}}}
			r, _, err := c.Exchange(m, w.dns["e1"])
			if err != nil {
				return err
			}
			if got := len(r.IsEdns0().Option) == 0; got != passes || r.Rcode != dns.RcodeSuccess || len(r.Answer) == 0 {
				return fmt.Errorf("got %v, want it to pass: %v", r, passes)
			}
			return nil
		}
	}
	w.await("an analyst is stopped like anybody", analyst(false))

	file := w.join("analysts.txt")
	w.run("cordon", "analysts", file, "127.0.9.0/24", "2001:db8:1::/56")
	if out, code := w.try("cordon", "analysts", w.join("wide.txt"), "127.0.0.0/8"); code != 3 || !strings.Contains(out, "more than an office") {
		t.Errorf("a whole network: exit %d\n%s", code, out)
	}
	exempt := func(more ...string) []string {
		return append([]string{"exempt", "--profile", w.profile, "--reason", "other(office of the hotline)", "--officer", "ada", "--officer", "grace"}, more...)
	}
	if out, code := w.try("cordon", exempt("--file", file, "--for", "31d")...); code != 3 || !strings.Contains(out, "lasts at most 720 hours") {
		t.Errorf("for 31 days: exit %d\n%s", code, out)
	}
	if out, code := w.try("cordon", exempt("--lift")...); code != 3 || !strings.Contains(out, "nobody is exempt") {
		t.Errorf("nothing to lift: exit %d\n%s", code, out)
	}
	w.run("cordon", exempt("--file", file, "--for", "30d")...)
	w.await("status says so", func() error {
		return w.statusSays("not enforced towards 2 prefixes of accredited analysts until", "exempt order 1")
	})
	if err := analyst(false)(); err != nil {
		t.Errorf("before the edge has the file: %v", err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.join("isp/e1/analysts.txt"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	w.await("the edge takes the file", analyst(true))
	if err := subscriber(); err != nil {
		t.Errorf("a subscriber: %v", err)
	}
	w.kill("e1")
	w.startEdge("e1")
	w.await("after a restart too", analyst(true))
	if err := subscriber(); err != nil {
		t.Errorf("a subscriber: %v", err)
	}

	if out := w.audited(w.join("bundle.tar")); !strings.Contains(out, "lists are not enforced towards 2 prefixes of analysts until") {
		t.Errorf("the auditor is not told:\n%s", out)
	}
	w.run("cordon", exempt("--lift")...)
	w.await("lifted", analyst(false))
	w.stop("e1")
	for _, place := range []string{"logs", "isp/c1", "bundle.tar"} {
		w.noNameIn(w.join(place), "127.0.9.0")
	}
}
