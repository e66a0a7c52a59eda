package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// second is another hotline of the same authority, with a narrower charter: no pages, no orders, jurisdiction XB.
type second struct {
	w   *world
	dir atomic.Value // what its web server serves
}

const secondID = "hotline-two"

func (s *second) make(w *world) {
	s.w = w
	init := []string{"init", "--dir", secondID, "--id", secondID, "--name", "Hotline Two", "--list", secondID + "/main", "--canary", "canary.hotline-two.test"}
	for i := range 3 {
		officer := fmt.Sprintf("two-officer-%d", i+1)
		w.run("cordon-hotline", "officer", "--dir", officer)
		init = append(init, "--officer", filepath.Join(officer, "officer.pub"))
	}
	w.run("cordon-hotline", init...)
	w.run("cordon-hotline", "authority", "accredit", "--dir", "authority", "--request", secondID+"/request.json", "--jurisdiction", "XB",
		"--basis", "law,voluntary", "--kind", "host,domain", "--valid-days", "365", "--out", "accreditation-two")
	for _, key := range []string{"root-2", "root-3", "root-5"} {
		w.run("cordon-hotline", "authority", "sign", "--key", "authority/"+key, "accreditation-two/1.root.json")
	}
	for _, key := range []string{"accreditation-2", "accreditation-3"} {
		w.run("cordon-hotline", "authority", "sign", "--key", "authority/"+key, "accreditation-two/1.targets.json")
	}
	w.run("cordon-hotline", "accept", "--dir", secondID, "accreditation-two")
	s.dir.Store(w.join(secondID, "repository"))
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.FileServer(http.Dir(s.dir.Load().(string))).ServeHTTP(rw, r)
	}))
	w.t.Cleanup(server.Close)
	w.hotlines = append(w.hotlines, secondID+","+w.join("accreditation-two", "1.root.json")+","+server.URL)
}

// entry is a row within its charter's jurisdiction.
func (s *second) entry(expression, kind, basis string) string {
	return strings.Replace(entry(expression, kind, basis), ",XA,", ",XB,", 1)
}

func (s *second) publish(csv string) {
	s.w.t.Helper()
	if err := os.WriteFile(s.w.join("two.csv"), []byte(csv), 0o600); err != nil {
		s.w.t.Fatal(err)
	}
	s.w.run("cordon-hotline", "import", "--dir", secondID, "two.csv")
	for _, o := range []string{"two-officer-1", "two-officer-2"} {
		s.w.run("cordon-hotline", "sign", "--dir", secondID, "--officer", o)
	}
	s.w.run("cordon-hotline", "publish", "--dir", secondID)
}

func (s *second) withdraw(name string) {
	s.w.t.Helper()
	s.w.run("cordon-hotline", "withdraw", "--dir", secondID, "--officer", "two-officer-1", "--officer", "two-officer-3", "--reason", "error", name)
}

// TestTwoHotlinesInOneCluster: their lists overlap and disagree. Law beats agreement whichever list says it; what one of them withdraws the
// other keeps in force; neither can speak for the other, nor beyond its charter.
func TestTwoHotlinesInOneCluster(t *testing.T) {
	two := new(second)
	w := newWorld(t, two.make)
	w.run("cordon-hotline", "operator", "add", "--dir", secondID, w.join("isp", "cluster.pub"))
	for _, c := range []string{"c1", "c2", "c3"} {
		w.startControl(c)
	}
	w.startEdge("e1")
	stopped := func(name string, law bool) func() error {
		return func() error { return w.stopped("e1", name, law) }
	}
	passes := func(name string) func() error { return func() error { return w.passes("e1", name) } }

	w.publish(firstList())
	w.await("the first hotline's list", stopped("listed-by-agreement.test", false))

	// Beyond its charter the second hotline's own tool takes nothing.
	for _, row := range []string{two.entry("http://x.test/page", "url", "law"), two.entry("x.test", "host", "order"), entry("x.test", "host", "law")} {
		if err := os.WriteFile(w.join("beyond.csv"), []byte(rows(row)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, code := w.try("cordon-hotline", "import", "--dir", secondID, "beyond.csv"); code != 3 || !strings.Contains(out, "charter") {
			t.Errorf("row %s: exit %d\n%s", row, code, out)
		}
	}
	two.publish(rows(two.entry("listed-by-agreement.test", "host", "law"), two.entry("a-listed-domain.test", "domain", "voluntary"),
		two.entry("only-second.test", "host", "voluntary")))
	w.await("the second hotline's list", stopped("only-second.test", false))
	for name, law := range map[string]bool{"listed-by-agreement.test": true, "www.a-listed-domain.test": true, "a-listed-host.test": true} {
		if err := stopped(name, law)(); err != nil {
			t.Errorf("both lists: %v", err)
		}
	}

	// Withdrawn by one, in force by the other; withdrawn by both, free.
	two.withdraw("listed-by-agreement.test")
	w.await("by agreement again", stopped("listed-by-agreement.test", false))
	two.withdraw("a-listed-domain.test")
	two.withdraw("only-second.test")
	w.await("only the second had it", passes("only-second.test"))
	if err := stopped("www.a-listed-domain.test", true)(); err != nil {
		t.Errorf("withdrawn by the second hotline only: %v", err)
	}
	w.run("cordon-hotline", "withdraw", "--dir", "hotline", "--officer", w.officers[0], "--reason", "error", "listed-by-agreement.test")
	w.await("withdrawn by both", passes("listed-by-agreement.test"))

	// The first hotline's repository in the second one's place says nothing for it.
	m := &mirrors{w: w, t: t}
	leaf := m.newestRefusal()
	two.dir.Store(w.repository)
	w.await("refused: format", func() error { // its snapshot does not even speak of the second hotline
		if got := m.refusedSince(leaf); !slices.Contains(got, "format") {
			return fmt.Errorf("refusals since: %v; %s", got, m.problems())
		}
		return nil
	})
	two.dir.Store(w.join(secondID, "repository"))
	two.publish(rows(two.entry("again-second.test", "domain", "law")))
	w.await("the second hotline's next version", stopped("www.again-second.test", true))

	w.audited(w.join("bundle.tar"))
}
