package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestAnEdgeJoinsAndLeaves: a later edge gets nothing before the log says it is a member, and no news after the log says it is not.
func TestAnEdgeJoinsAndLeaves(t *testing.T) {
	w := newWorld(t)
	w.startAll()
	w.publish(firstList())
	w.await("first list in force", w.bothWork)

	// A node directory copied to another machine: it is complete in itself.
	page := freePort(t, "127.0.0.61", "127.0.0.62")
	w.dns["e3"] = fmt.Sprintf("127.0.0.3:%d", freePort(t, "127.0.0.3"))
	w.run("cordon", "edge-add", "--dir", "isp", "e3,"+w.dns["e3"], "--upstream", w.upstream(), "--stop-law", "127.0.0.61",
		"--stop-voluntary", "127.0.0.62", "--stop-port", fmt.Sprint(page), "--implementer", "https://isp.example/blocking", "--contact", "tel:+10000000")
	if err := os.Rename(w.join("isp", "e3"), w.join("elsewhere")); err != nil {
		t.Fatal(err)
	}
	w.start("e3", "cordon", "edge", "--config", w.join("elsewhere", "edge.yaml"))
	w.await("an edge that is not enrolled answers SERVFAIL", func() error {
		a, err := ask(w.dns["e3"], unlisted[0], dns.TypeA)
		if err == nil && (a.rcode != dns.RcodeServerFailure || a.ede != dns.ExtendedErrorCodeNotReady) {
			err = fmt.Errorf("answer %v", a)
		}
		if err == nil && !strings.Contains(w.log("e3"), "not a member of this cluster") {
			err = fmt.Errorf("log of e3 does not say why:\n%s", w.log("e3"))
		}
		return err
	})
	w.run("cordon", "enrol", "--profile", w.profile, w.join("elsewhere", "edge.pub"))
	w.await("enrolled edge stops", func() error { return w.stopped("e3", listed[1], true) })
	w.await("its receipt is in the log", func() error {
		out, code := w.try("cordon", "status", "--profile", w.profile)
		if code != 0 || !strings.Contains(out, "e3: serves what is in force") {
			return fmt.Errorf("exit %d:\n%s", code, out)
		}
		return nil
	})

	w.run("cordon", "dismiss", "--profile", w.profile, "e3")
	w.publish(rows(entry("after-dismissal.test", "host", "law")))
	w.await("others have the news", func() error { return w.stopped("e1", "after-dismissal.test", true) })
	if err := w.passes("e3", "after-dismissal.test"); err != nil {
		t.Errorf("a dismissed edge got news: %v", err)
	}
	if err := w.stopped("e3", listed[1], true); err != nil {
		t.Errorf("a dismissed edge keeps what it verified: %v", err)
	}
	if out, code := w.try("cordon", "dismiss", "--profile", w.profile, "nobody"); code != 1 || !strings.Contains(out, "nobody") {
		t.Errorf("dismiss of an unknown edge: exit %d\n%s", code, out)
	}
	w.audited(w.join("bundle.tar"))
}
