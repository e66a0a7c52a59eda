package e2e

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/appliance/identity"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/liestest"
)

// TestLiesToldByLiveProcesses: a real cluster that an auditor visits; then a control node hands out what it should not, an edge signs what it
// does not run, and at last the operator throws the whole log away and begins anew. Each is named.
func TestLiesToldByLiveProcesses(t *testing.T) {
	w := newWorld(t)
	w.startAll()
	w.publish(firstList())
	w.await("first list in force", w.bothWork)
	old := w.join("old.tar")
	w.await("the auditor's first visit", func() error { return w.visit("verify", "--trust", w.trust, "--state", "visit", w.bundleTo(old)) })
	w.publish(rows(entry("added-later.test", "host", "order")))
	w.await("second version", func() error {
		return w.onEdges(func(e string) error { return w.stopped(e, "added-later.test", true) })
	})
	w.await("the second, at a live node", func() error { return w.visit("verify", "--trust", w.trust, "--state", "visit", w.api["c2"]) })

	w.exported("first")
	w.searched()

	w.lyingNode("an old log, from a live node", "consistency", "rollback", w.get(old))
	now := readTar(t, w.bundleTo(w.join("now.tar")))
	tile := slices.IndexFunc(now, func(m member) bool { return strings.HasPrefix(m.name, "tile/entries/") })
	cut := slices.Clone(now)
	cut[tile].body = withoutLastLeaf(cut[tile].body)
	writeTar(t, w.join("cut.tar"), cut)
	w.lyingNode("a log without its last leaf, from a live node", "log", "", w.get(w.join("cut.tar")))
	w.lyingReceipt()
	out, _ := w.try("cordon-audit", "verify", "--trust", w.trust, w.join("lying-edge.tar"))
	told(liestest.Edge, "a live edge signs an index that it did not compile from the list", "receipts", out)

	for _, name := range []string{"e1", "e2", "c1", "c2", "c3"} {
		w.stop(name)
	}
	for _, name := range []string{"c1", "c2", "c3"} {
		if err := os.RemoveAll(w.join("isp", name, "data")); err != nil {
			t.Fatal(err)
		}
		w.startControl(name)
	}
	w.await("the log begun anew is another one", func() error {
		out, code := w.try("cordon-audit", "verify", "--trust", w.trust, "--state", "visit", w.api["c1"])
		if code != 5 || !strings.Contains(out, "FAIL  consistency") || !strings.Contains(out, "the last visit") {
			return fmt.Errorf("exit %d\n%s", code, out)
		}
		told(liestest.Operator, "the whole log is thrown away and begun anew, by live processes", "consistency", out)
		return nil
	})
	if out, code := w.try("cordon", "export", "--profile", w.profile, "--dir", "log"); code != 3 || !strings.Contains(out, "not the log that the directory holds") {
		t.Errorf("an export of another log: exit %d\n%s", code, out)
	}
}

// told puts a lie that was caught into the table of make lies.
func told(who liestest.Liar, name, check, out string) {
	_, words, _ := strings.Cut(out, "FAIL  "+check)
	words, _, _ = strings.Cut(words, "\n")
	table = append(table, row{string(who), name, check, strings.TrimSpace(words), "caught"})
}

// bundleTo has the operator write a bundle.
func (w *world) bundleTo(path string) string {
	w.t.Helper()
	w.run("cordon", "bundle", "--profile", w.profile, "--out", path)
	return path
}

func (w *world) visit(args ...string) error {
	if out, code := w.try("cordon-audit", args...); code != 0 {
		return fmt.Errorf("exit %d\n%s", code, out)
	}
	return nil
}

// exported writes the log as static files, twice, and rebuilds it from them.
func (w *world) exported(what string) {
	w.t.Helper()
	w.run("cordon", "export", "--profile", w.profile, "--dir", "log")
	w.run("cordon", "export", "--profile", w.profile, "--dir", "log")
	c, err := audit.PeekCheckpoint(w.get(w.join("log", "checkpoint")))
	if err != nil {
		w.t.Fatal(err)
	}
	tree, err := audit.ReadStatic(c, func(path string) ([]byte, error) { return os.ReadFile(w.join("log", path)) })
	if err != nil {
		w.t.Fatalf("%s export: %v", what, err)
	}
	for _, path := range audit.StaticTiles(c.Size) {
		want, err := tree.Tile(path)
		if err != nil {
			w.t.Fatal(err)
		}
		if !bytes.Equal(w.get(w.join("log", path)), want) {
			w.t.Errorf("%s is not the tree's", path)
		}
	}
}

// searched looks for listed names, in any spelling, in everything that an outsider can ask a control node for.
func (w *world) searched() {
	w.t.Helper()
	answers := w.join("answers")
	if err := os.Mkdir(answers, 0o700); err != nil {
		w.t.Fatal(err)
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // names are searched, nothing is believed
	for i, path := range []string{"/checkpoint", "/v1/bundle", "/v1/bundle?all=1", "/v1/withdrawals", "/v1/status", "/tile/entries/000.p/1", "/nothing"} {
		res, err := client.Get(w.api["c1"] + path)
		if err != nil {
			w.t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			w.t.Fatalf("%s: %v", path, err)
		}
		w.put(filepath.Join(answers, fmt.Sprint(i)), b)
	}
	w.put(filepath.Join(answers, "status"), w.printed("cordon", "status", "--profile", w.profile, "--json"))
	w.put(filepath.Join(answers, "planted"), []byte("a-listed-host"))
	if found := holders(w.t, secrets, answers, w.join("log")); len(found) != 1 || !strings.Contains(found[0], "planted") {
		w.t.Errorf("the search finds %q, want the one planted name", found)
	}
}

// lyingNode has control node c1 serve another bundle than its own, under its own certificate, and the auditor visit it.
func (w *world) lyingNode(name, check, says string, bundle []byte) {
	w.t.Helper()
	c, err := config.LoadControl(w.join("isp", "c1", "control.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	description, err := audit.ParseCluster(w.get(c.Cluster))
	if err != nil {
		w.t.Fatal(err)
	}
	conf, err := identity.ServerTLS(c.CA, c.Certificate, c.CertificateKey, description.ID())
	if err != nil {
		w.t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", conf)
	if err != nil {
		w.t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/bundle" {
			http.NotFound(rw, r)
			return
		}
		_, _ = rw.Write(bundle)
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	defer func() {
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			w.t.Error(err)
		}
	}()
	out, code := w.try("cordon-audit", "verify", "--trust", w.trust, "--state", "visit", "https://"+ln.Addr().String())
	if code != 5 || !strings.Contains(out, "FAIL  "+check) || !strings.Contains(out, says) {
		w.t.Errorf("%s: exit %d, want 5 and FAIL %s that says %q\n%s", name, code, check, says, out)
		return
	}
	told(liestest.Node, name, check, out)
}
