package e2e

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

// TestWhatMustNotComeIntoForceDoesNot: each way in which a published list can be wrong is refused by the running cluster, the refusal is in
// the log with its reason, and the last good list stays in force on both edges without a missed or wrong answer.
func TestWhatMustNotComeIntoForceDoesNot(t *testing.T) {
	w := newWorld(t)
	w.startAll()
	w.publish(firstList())
	w.await("first list in force", w.bothWork)
	o := w.watch("e1", "e2")
	old := w.copyRepository()
	w.publish(rows(entry("second-version.test", "host", "law")))
	second := func() error {
		return w.onEdges(func(e string) error { return w.stopped(e, "second-version.test", true) })
	}
	w.await("second version in force", second)

	metadata := func(change func(m *forgery)) func() {
		return func() { w.forge(change) }
	}
	n := 0
	nextVersion := func(lie func([]byte) []byte) func() {
		return func() {
			w.lieAbout(".edge", lie)
			n++
			w.publish(rows(entry(fmt.Sprintf("spoiled-%d.test", n), "host", "law")))
		}
	}
	for _, bad := range []struct {
		name, reason string
		do           func()
	}{
		{"one key of two", "threshold", metadata(func(m *forgery) { m.signers = m.signers[:1] })},
		{"another scope", "scope", metadata(func(m *forgery) { m.list = editScope(m.list, "gambling") })},
		{"an expired timestamp", "expired", metadata(func(m *forgery) { m.timestampEnds = time.Now().Add(-time.Hour) })},
		{"an older sequence", "rollback", func() { w.serveInstead(old) }},
		{"a flipped byte", "hash", nextVersion(func(b []byte) []byte { b[len(b)/2] ^= 1; return b })},
		{"a too large file", "too_large", nextVersion(func(b []byte) []byte { return append(b, 0) })},
	} {
		t.Run(bad.name, func(t *testing.T) {
			kept := w.copyRepository()
			before := w.refusals()
			bad.do()
			w.await("refused: "+bad.reason, func() error {
				after := w.refusals()
				if after.total == before.total || after.last != bad.reason {
					return fmt.Errorf("refusals were %+v, are %+v, want one more for %s", before, after, bad.reason)
				}
				return nil
			})
			if err := second(); err != nil {
				t.Errorf("last good list: %v", err)
			}
			w.lie.Store(nil)
			if bad.reason != "hash" && bad.reason != "too_large" {
				w.restoreRepository(kept)
			}
		})
	}
	w.publish(rows(entry("mended.test", "host", "voluntary")))
	w.await("a good version after all of them", func() error {
		return w.onEdges(func(e string) error { return w.stopped(e, "mended.test", false) })
	})
	o.finish()

	bundle := w.join("bundle.tar")
	w.audited(bundle)
	log := w.run("cordon-audit", "show", "--trust", w.trust, bundle)
	for _, reason := range []string{"threshold", "scope", "expired", "rollback", "hash", "too_large"} {
		if !strings.Contains(log, reason) {
			t.Errorf("the log does not name the refusal for %s:\n%s", reason, log)
		}
	}
}

// refused is what the control nodes' status says of refusals.
type refused struct {
	total uint64
	last  string
}

func (w *world) refusals() refused {
	w.t.Helper()
	out := w.printed("cordon", "status", "--profile", w.profile, "--json")
	var nodes []struct {
		Status struct {
			Node struct {
				Refused  uint64 `json:"refused"`
				Refusals []struct {
					Reason string `json:"reason"`
				} `json:"refusals"`
			} `json:"node"`
		} `json:"status"`
	}
	if err := json.Unmarshal(out, &nodes); err != nil {
		w.t.Fatalf("status: %v\n%s", err, out)
	}
	n := nodes[0].Status.Node
	r := refused{total: n.Refused}
	if len(n.Refusals) > 0 {
		r.last = n.Refusals[0].Reason
	}
	return r
}

// lieAbout spoils the files of the repository whose path holds part.
func (w *world) lieAbout(part string, spoil func([]byte) []byte) {
	lie := func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, part) {
			return false
		}
		b, err := os.ReadFile(filepath.Join(w.repository, filepath.Clean("/"+r.URL.Path)))
		if err != nil {
			return false
		}
		rw.Write(spoil(b))
		return true
	}
	w.lie.Store(&lie)
}

// serveInstead serves another directory.
func (w *world) serveInstead(dir string) {
	lie := func(rw http.ResponseWriter, r *http.Request) bool {
		http.FileServer(http.Dir(dir)).ServeHTTP(rw, r)
		return true
	}
	w.lie.Store(&lie)
}

func (w *world) copyRepository() string {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), "repository")
	if err := os.CopyFS(dir, os.DirFS(w.repository)); err != nil {
		w.t.Fatal(err)
	}
	return dir
}

// restoreRepository puts metadata back as it was, as a hotline does that finds its web server broken into.
func (w *world) restoreRepository(dir string) {
	w.t.Helper()
	for _, d := range []string{w.repository, dir} {
		if !exists(d) {
			w.t.Fatalf("%s is not there", d)
		}
	}
	for _, name := range w.files(dir, "metadata") {
		w.put(filepath.Join(w.repository, "metadata", name), w.get(filepath.Join(dir, "metadata", name)))
	}
}

func (w *world) files(dir ...string) []string {
	w.t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir...))
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names
}

func (w *world) get(path string) []byte {
	w.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) put(path string, b []byte) {
	w.t.Helper()
	if err := os.WriteFile(path+".new", b, 0o644); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		w.t.Fatal(err)
	}
}

// forgery is a next version of the hotline's metadata by somebody who holds some of its keys.
type forgery struct {
	list          []byte // the role's metadata, unsigned
	signers       []ed25519.PrivateKey
	timestampEnds time.Time
}

// forge publishes a next metadata version, with everything above it signed as it should be.
func (w *world) forge(change func(*forgery)) {
	w.t.Helper()
	dir := filepath.Join(w.repository, "metadata")
	current, _ := w.newest(dir, ".csam-"+hotlineID+".json")
	_, version := w.newest(dir, ".snapshot.json")
	timestamp, err := trust.Describe(w.get(filepath.Join(dir, "timestamp.json")))
	if err != nil {
		w.t.Fatal(err)
	}
	version = max(version, timestamp.Version) + 1
	m := &forgery{
		list:          trusttest.Edit(current, func(signed map[string]any) { signed["version"] = version }),
		signers:       []ed25519.PrivateKey{w.key(w.officers[0], "officer"), w.key(w.officers[1], "officer")},
		timestampEnds: time.Now().Add(time.Hour),
	}
	change(m)
	list := trusttest.Sign(m.list, m.signers...)
	targets, _ := w.newest(dir, ".targets.json")
	snapshot := w.signed("hotline/keys", "snapshot")(trust.NewSnapshot(version, time.Now().Add(time.Hour), hotlineID, targets, list))
	stamp := w.signed("hotline/keys", "timestamp")(trust.NewTimestamp(version, time.Now().Add(time.Hour), snapshot))
	if m.timestampEnds.Before(time.Now()) {
		stamp = trusttest.Sign(trusttest.Edit(stamp, func(signed map[string]any) {
			signed["expires"] = m.timestampEnds.UTC().Format(time.RFC3339)
		}), w.key("hotline/keys", "timestamp"))
	}
	w.put(filepath.Join(dir, fmt.Sprintf("%d.csam-%s.json", version, hotlineID)), list)
	w.put(filepath.Join(dir, fmt.Sprintf("%d.snapshot.json", version)), snapshot)
	w.put(filepath.Join(dir, "timestamp.json"), stamp)
}

func editScope(list []byte, scope string) []byte {
	return trusttest.Edit(list, func(signed map[string]any) {
		for path, target := range signed["targets"].(map[string]any) {
			if strings.HasSuffix(path, ".edge") {
				target.(map[string]any)["custom"].(map[string]any)["scope"] = scope
			}
		}
	})
}

// newest is the metadata file of a kind with the highest version.
func (w *world) newest(dir, suffix string) (b []byte, version int64) {
	w.t.Helper()
	for _, name := range w.files(dir) {
		var v int64
		if text, ok := strings.CutSuffix(name, suffix); ok {
			if _, err := fmt.Sscan(text, &v); err == nil && v > version {
				version, b = v, w.get(filepath.Join(dir, name))
			}
		}
	}
	if version == 0 {
		w.t.Fatalf("no %s in %s", suffix, dir)
	}
	return b, version
}

func (w *world) signed(dir, name string) func(b []byte, err error) []byte {
	return func(b []byte, err error) []byte {
		w.t.Helper()
		if err == nil {
			b, err = trust.Sign(b, w.key(dir, name))
		}
		if err != nil {
			w.t.Fatal(err)
		}
		return b
	}
}

// key reads a private key of the hotline, which the forger has stolen.
func (w *world) key(dir, name string) ed25519.PrivateKey {
	w.t.Helper()
	block, _ := pem.Decode(bytes.TrimSpace(w.get(w.join(dir, name+".key"))))
	if block == nil {
		w.t.Fatalf("%s/%s.key is not PEM", dir, name)
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		w.t.Fatal(err)
	}
	return k.(ed25519.PrivateKey)
}
