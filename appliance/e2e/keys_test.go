package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/cordon-project/cordon/appliance/identity/seal/sealtest"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// sealEdge seals an edge's keys to a TPM in software, as its operator would.
func (w *world) sealEdge(name string) {
	w.t.Helper()
	tpm := sealtest.Start(w.t)
	out := w.run("cordon", "seal", "--config", w.join("isp", name, "edge.yaml"), "--tpm", tpm.Device)
	if strings.Count(out, "Sealed ") != 3 {
		w.t.Errorf("cordon seal: %s", out)
	}
}

// credentials hands a control node's keys over as systemd does: encrypted outside of its directory, decrypted into a folder that only the
// node's user may read and that is in memory.
func (w *world) credentials(name string) {
	w.t.Helper()
	folder, err := os.MkdirTemp("/dev/shm", "credentials")
	if err != nil {
		folder = w.t.TempDir()
	}
	w.t.Cleanup(func() { os.RemoveAll(folder) })
	home := w.join("isp", name)
	for _, k := range []struct{ key, file string }{{"key", "node.key"}, {"certificate_key", "tls.key"}, {"cluster_key", "cluster.agekey"}} {
		plain, handed := filepath.Join(home, k.file), filepath.Join(folder, k.file)
		if _, err := exec.LookPath("systemd-creds"); err == nil && os.Geteuid() == 0 {
			sealed := filepath.Join(w.t.TempDir(), k.file)
			w.run("systemd-creds", "--with-key=host", "encrypt", "--name="+k.file, plain, sealed)
			w.run("systemd-creds", "decrypt", "--name="+k.file, sealed, handed)
		} else if err := os.WriteFile(handed, w.get(plain), 0o400); err != nil {
			w.t.Fatal(err)
		}
		if err := os.Chmod(handed, 0o400); err != nil {
			w.t.Fatal(err)
		}
		if err := os.Remove(plain); err != nil {
			w.t.Fatal(err)
		}
		w.edit(filepath.Join("isp", name, "control.yaml"), k.key+":", k.key+": credential:"+k.file)
	}
	w.edit(filepath.Join("isp", name, "control.yaml"), "accept_key_on_disk:", "")
	w.env[name] = []string{"CREDENTIALS_DIRECTORY=" + folder}
}

// newEpoch publishes a version with new keys while a control node is down, and restarts an edge between the two. Who asks meanwhile is
// answered as before.
func (w *world) newEpoch(o *oracle) {
	w.t.Helper()
	w.run("cordon-hotline", "rekey", "--dir", "hotline")
	w.kill("c3")
	w.publish(rows(entry("a-second-epoch.test", "host", "order")))
	o.pause("e1", true)
	w.stop("e1")
	w.startEdge("e1")
	w.await("the edge that was restarted answers at once", func() error { return w.stopped("e1", listed[0], true) })
	o.pause("e1", false)
	w.await("both edges have changed keys", func() error {
		return w.onEdges(func(e string) error { return w.stopped(e, "a-second-epoch.test", true) })
	})
	for _, e := range []string{"e1", "e2"} {
		if files, _ := filepath.Glob(w.join("isp", e, "data", "keys", "*.2.age")); len(files) != 1 {
			w.t.Errorf("%s has %d wrapped keys of epoch 2 on its disk, want 1", e, len(files))
		}
	}
	w.startControl("c3")
}

// dismissEdge takes an edge out. It gets nothing of the epoch after that, whichever control node it asks.
func (w *world) dismissEdge(name, other string) {
	w.t.Helper()
	w.run("cordon", "dismiss", "--profile", w.profile, name)
	w.run("cordon-hotline", "rekey", "--dir", "hotline")
	w.publish(rows(entry("a-third-epoch.test", "host", "order")))
	w.await("the other edge has changed keys", func() error { return w.stopped(other, "a-third-epoch.test", true) })
	w.await("the dismissed edge is told why it gets nothing", func() error {
		if log := w.log(name); !strings.Contains(log, "edge "+name+" is not a member of this cluster") {
			return fmt.Errorf("its log:\n%s", tail(log, 2000))
		}
		return nil
	})
	if err := w.passes(name, "a-third-epoch.test"); err != nil {
		w.t.Errorf("the dismissed edge: %v", err)
	}
	if files, _ := filepath.Glob(w.join("isp", name, "data", "keys", "*.3.age")); len(files) > 0 {
		w.t.Errorf("the dismissed edge has keys of the epoch after: %q", files)
	}
}

// stolenDisks gives the disks of nodes to a thief who knows everything that is public, this program's source included (attack 3).
// With keys on disk the thief has the list; with keys in a TPM, or from systemd, the thief has nothing. The manual says both.
func (w *world) stolenDisks() {
	w.t.Helper()
	guesses := append(slices.Clone(listed), unlisted...)
	guesses = append(guesses, "added-later.test", "a-second-epoch.test")
	for _, disk := range []struct {
		node string
		open bool
	}{{"e1", true}, {"c1", true}, {"e2", false}, {"c2", false}} {
		found := theft(w.t, w.join("isp", disk.node), guesses)
		if !disk.open && (found.identities > 0 || found.keys > 0 || len(found.names) > 0) {
			w.t.Errorf("the disk of %s, whose keys are elsewhere, gives %d identities, %d list keys, and tells %q apart", disk.node, found.identities, found.keys, found.names)
		}
		if found.lists == 0 || found.wrapped == 0 {
			w.t.Errorf("the disk of %s has %d lists and %d wrapped keys: the thief looks in the wrong places", disk.node, found.lists, found.wrapped)
		}
		if disk.open && !(slices.Contains(found.names, listed[0]) && slices.Contains(found.names, "a-second-epoch.test") && !slices.Contains(found.names, unlisted[0])) {
			w.t.Errorf("the disk of %s, keys and all, tells %q apart: the thief is no thief", disk.node, found.names)
		}
		w.t.Logf("stolen disk of %s: %+v", disk.node, found)
	}
}

// loot is what a thief makes of a disk.
type loot struct {
	lists, wrapped   int      // of no use by themselves
	identities, keys int      // age identities in the clear, list keys that they open
	names            []string // guesses that a list confirms
}

var ageSecret = regexp.MustCompile(`AGE-SECRET-KEY-1[0-9A-Z]+`)

func theft(t *testing.T, dir string, guesses []string) (l loot) {
	t.Helper()
	var identities []age.Identity
	var wrapped [][]byte
	var lists []*list.Edge
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, text := range ageSecret.FindAll(b, -1) {
			if id, err := age.ParseX25519Identity(string(text)); err == nil {
				identities = append(identities, id)
			}
		}
		if bytes.HasPrefix(b, []byte("age-encryption.org/v1")) {
			wrapped = append(wrapped, b)
		}
		if e, err := list.OpenEdge(b); err == nil {
			lists = append(lists, e)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	l.lists, l.wrapped, l.identities = len(lists), len(wrapped), len(identities)
	keys := []*match.Keys{{}} // without any key: perhaps a digest needs none
	for _, id := range identities {
		for _, b := range wrapped {
			if k, err := trust.UnwrapKeys(b, id); err == nil {
				l.keys++
				keys = append(keys, k.Keys)
				defer k.Close()
			}
		}
	}
	for _, e := range lists {
		for _, k := range keys {
			for _, name := range guesses {
				d := k.Digest(e.Version().List, canon.ClassName, []byte(name))
				for i := range e.Len() {
					if e.Record(i).Digest == d && !slices.Contains(l.names, name) {
						l.names = append(l.names, name)
					}
				}
			}
		}
	}
	return l
}
