package e2e

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/appliance/identity"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

// member is one file of a bundle.
type member struct {
	name string
	body []byte
}

func readTar(t *testing.T, path string) (all []member) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, member{h.Name, b})
	}
}

func writeTar(t *testing.T, path string, all []member) {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range all {
		if err := w.WriteHeader(&tar.Header{Name: m.name, Size: int64(len(m.body)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(m.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// withoutLastLeaf drops the last leaf of an entry bundle: each is a 16-bit length and its bytes.
func withoutLastLeaf(b []byte) []byte {
	last := 0
	for at := 0; at < len(b); at += 2 + int(binary.BigEndian.Uint16(b[at:])) {
		last = at
	}
	return b[:last]
}

// checkLies has cordon-audit look at the run's own bundle with one lie told in it at a time.
func (w *world) checkLies(bundle string) {
	honest := readTar(w.t, bundle)
	change := func(prefix string, change func([]byte) []byte) []member {
		w.t.Helper()
		all := append([]member(nil), honest...)
		for i, m := range all {
			if strings.HasPrefix(m.name, prefix) {
				all[i].body = change(bytes.Clone(m.body))
				return all
			}
		}
		w.t.Fatalf("bundle has no %s", prefix)
		return nil
	}
	for _, lie := range []struct {
		name   string
		check  string
		says   string
		bundle []member
	}{
		{"a list file changed", "lists", "", change("files/", func(b []byte) []byte { b[len(b)-1] ^= 1; return b })},
		{"a leaf removed", "log", "", change("tile/entries/", withoutLastLeaf)},
		{"a checkpoint of another log", "checkpoint", "another log", change("checkpoint", func([]byte) []byte { return audittest.Honest("another").Checkpoint() })},
		{"scope gambling, re-signed by the hotline's own keys", "metadata", "gambling", change("metadata/", w.gambling)},
	} {
		path := w.join("lie.tar")
		writeTar(w.t, path, lie.bundle)
		w.expectFail(lie.name, path, lie.check, lie.says)
	}
}

func (w *world) expectFail(name, bundle, check, says string) {
	w.t.Helper()
	out, code := w.try("cordon-audit", "verify", "--trust", w.trust, bundle)
	if code != 5 {
		w.t.Errorf("%s: exit %d, want 5\n%s", name, code, out)
		return
	}
	for _, line := range strings.Split(out, "\n") {
		if strings.HasPrefix(line, "FAIL  "+check) && strings.Contains(out, says) {
			w.t.Logf("%s: %s", name, line)
			return
		}
	}
	w.t.Errorf("%s: no FAIL %s that says %q\n%s", name, check, says, out)
}

// gambling is the run's metadata with another scope, signed by all keys that the hotline has.
func (w *world) gambling(encoded []byte) []byte {
	w.t.Helper()
	m, err := trust.DecodeMetadata(encoded)
	if err != nil {
		w.t.Fatal(err)
	}
	m.List = trusttest.Sign(editScope(m.List, "gambling"), w.key(w.officers[0], "officer"), w.key(w.officers[1], "officer"))
	version := func(b []byte) int64 {
		d, err := trust.Describe(b)
		if err != nil {
			w.t.Fatal(err)
		}
		return d.Version
	}
	end := time.Now().Add(time.Hour)
	m.Snapshot = w.signed("hotline/keys", "snapshot")(trust.NewSnapshot(version(m.Snapshot), end, hotlineID, m.Targets, m.List))
	m.Timestamp = w.signed("hotline/keys", "timestamp")(trust.NewTimestamp(version(m.Timestamp), end, m.Snapshot))
	out, err := m.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// lyingReceipt has edge e1 sign, with its own key, that it serves an index which nobody compiled from the signed lists. Control nodes hold
// no index, so the receipt goes into the log: the auditor finds it.
func (w *world) lyingReceipt() {
	w.t.Helper()
	c, err := config.LoadEdge(w.join("isp", "e1", "edge.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := identity.LoadSigningKey(c.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	description, err := audit.ParseCluster(w.get(c.Cluster))
	if err != nil {
		w.t.Fatal(err)
	}
	tlsConfig, err := identity.ClientTLS(c.CA, c.Certificate, c.CertificateKey, description.ID())
	if err != nil {
		w.t.Fatal(err)
	}
	client := api.NewClient(c.Control[0], tlsConfig)
	m, err := client.Manifest(w.t.Context(), 0)
	if err != nil {
		w.t.Fatal(err)
	}
	opened, err := description.Quorum().OpenManifest(m, description.Anchors())
	if err != nil {
		w.t.Fatal(err)
	}
	lie := audit.Receipt{
		Cluster: description.ID(), Edge: "e1", Counter: 1 << 62, State: [32]byte{1, 2, 3},
		Size: opened.Checkpoint.Size, Root: opened.Checkpoint.Root, Time: time.Now().Unix(),
	}
	w.await("the lie is taken", func() error { return client.Receipt(w.t.Context(), audit.SignReceipt(lie, key.Private)) })
	path := w.join("lying-edge.tar")
	w.await("the auditor finds the edge that runs another index", func() error {
		w.run("cordon", "bundle", "--profile", w.profile, "--out", path)
		if out, code := w.try("cordon-audit", "verify", "--trust", w.trust, path); code != 5 {
			return errors.New(out)
		}
		return nil
	})
	w.expectFail("an index not compiled from the signed list", path, "receipts", "e1")
	w.await("and so does the operator", func() error {
		out, code := w.try("cordon", "status", "--profile", w.profile)
		if code != 1 || !strings.Contains(out, "edge e1 signs a state that does not follow from the signed lists") {
			return errors.New(out)
		}
		return nil
	})
}
