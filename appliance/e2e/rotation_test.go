package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestKeysAreRotatedUnderOnePin: the authority replaces every root key it had, twice over, an officer leaves and the service gets new keys,
// while three control processes and an edge follow with the one root they were installed with. An edge that comes later and an auditor who
// holds the trust file of the first day verify all of it. What the officer who left signs is refused.
func TestKeysAreRotatedUnderOnePin(t *testing.T) {
	w := newWorld(t)
	for _, c := range []string{"c1", "c2", "c3"} {
		w.startControl(c)
	}
	w.startEdge("e1")
	w.publish(firstList())
	w.await("first list in force", func() error { return w.stopped("e1", listed[2], true) })
	o := w.watch("e1")

	root := []string{"root-1", "root-2", "root-3", "root-4", "root-5"}
	version := 1
	rotate := func() {
		t.Helper()
		leaving, coming := root[0], fmt.Sprintf("root-%d", version+5)
		w.run("cordon-hotline", "authority", "rotate", "--dir", "authority", "--replace", leaving)
		root = append(root[1:], coming)
		version++
		w.accredit(version, append([]string{leaving}, root[:4]...))
	}
	for i := range 10 {
		rotate()
		if i%4 != 3 {
			w.run("cordon-hotline", "refresh", "--dir", "hotline")
			continue
		}
		name := fmt.Sprintf("under-root-%d.test", version)
		w.publish(rows(entry(name, "host", "law")))
		w.await("a version under root "+fmt.Sprint(version), func() error { return w.stopped("e1", name, true) })
	}

	// officer-1 leaves; the web service's keys are new too.
	w.run("cordon-hotline", "officer", "--dir", "officer-4")
	w.run("cordon-hotline", "change", "--dir", "hotline", "--remove", "officer-1", "--add", "officer-4/officer.pub", "--service-keys")
	rotate()
	w.officers = []string{"officer-2", "officer-4", "officer-3"}
	w.publish(rows(entry("by-those-of-today.test", "domain", "law")))
	w.await("a version by the officers of today", func() error { return w.stopped("e1", "www.by-those-of-today.test", true) })

	m := &mirrors{w: w, t: t}
	leaf := m.newestRefusal()
	f := m.fork()
	f.signers[0] = w.key("officer-1", "officer")
	f.snapshotKey, f.timestampKey = w.key("hotline/keys", m.serviceKey("snapshot")), w.key("hotline/keys", m.serviceKey("timestamp"))
	m.serve(f.publish())
	w.await("what the officer who left has signed is refused", func() error {
		if got := m.refusedSince(leaf); !slices.Contains(got, "threshold") {
			return fmt.Errorf("refusals since: %v; %s", got, m.problems())
		}
		return nil
	})
	w.lie.Store(nil)

	w.startEdge("e2")
	w.await("an edge that has only the first root", func() error { return w.stopped("e2", "by-those-of-today.test", true) })
	o.finish()
	w.audited(w.join("bundle.tar")) // with the trust file of the first day
}

// accredit renews the hotline's accreditation as root version n, signed by these root keys, and has the hotline take it in.
func (w *world) accredit(n int, root []string) {
	w.t.Helper()
	w.run("cordon-hotline", "authority", "accredit", "--dir", "authority", "--request", "hotline/request.json", "--jurisdiction", "XA",
		"--basis", "law,order,voluntary", "--kind", "url,prefix,host,domain", "--valid-days", "365", "--out", "accreditation")
	for _, key := range root {
		w.run("cordon-hotline", "authority", "sign", "--key", "authority/"+key, fmt.Sprintf("accreditation/%d.root.json", n))
	}
	for _, key := range []string{"accreditation-1", "accreditation-3"} {
		w.run("cordon-hotline", "authority", "sign", "--key", "authority/"+key, fmt.Sprintf("accreditation/%d.targets.json", n))
	}
	w.run("cordon-hotline", "accept", "--dir", "hotline", "accreditation")
}

// serviceKey names the newer key file of a role.
func (m *mirrors) serviceKey(role string) (name string) {
	m.t.Helper()
	files, err := filepath.Glob(m.w.join("hotline", "keys", role+"-*.key"))
	if err != nil || len(files) != 1 {
		m.t.Fatalf("%s keys: %v, %v", role, files, err)
	}
	return strings.TrimSuffix(filepath.Base(files[0]), ".key")
}
