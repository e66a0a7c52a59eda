package e2e

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

// mirrors are the two places that control nodes ask: the web server of newWorld, which lies, and behind it an honest one that can be shut.
type mirrors struct {
	w    *world
	t    *testing.T
	url  string        // of the honest one
	open atomic.Bool   // whether it answers
	old  string        // the repository as it was at its first version
	over chan struct{} // closed when the attack is over
}

// addMirror starts the honest mirror and names it in the control nodes' files.
func (w *world) addMirror() *mirrors {
	w.t.Helper()
	m := &mirrors{w: w, t: w.t}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !m.open.Load() {
			http.NotFound(rw, r)
			return
		}
		http.FileServer(http.Dir(w.repository)).ServeHTTP(rw, r)
	})}
	go server.Serve(ln)
	w.t.Cleanup(func() { server.Close() })
	m.url = "http://" + ln.Addr().String()
	for _, c := range []string{"c1", "c2", "c3"} {
		w.edit(filepath.Join("isp", c, "control.yaml"), "url:", "    url: "+w.repoURL+"\n    mirrors:\n      - "+m.url)
	}
	return m
}

func (m *mirrors) serve(h http.HandlerFunc) {
	lie := func(rw http.ResponseWriter, r *http.Request) bool { h(rw, r); return true }
	m.w.lie.Store(&lie)
}

func (m *mirrors) dir(dir string) http.HandlerFunc { return http.FileServer(http.Dir(dir)).ServeHTTP }

// files lies about the files whose path holds part, of a next version that the hotline has published.
func (m *mirrors) files(part string, answer func(rw http.ResponseWriter, r *http.Request, honest []byte)) http.HandlerFunc {
	m.w.publish(rows(entry(fmt.Sprintf("spoiled-%d.test", time.Now().UnixNano()), "host", "law")))
	dir := m.w.copyRepository()
	return func(rw http.ResponseWriter, r *http.Request) {
		path := filepath.Join(dir, filepath.Clean("/"+r.URL.Path))
		if b, err := os.ReadFile(path); err == nil && strings.Contains(r.URL.Path, part) {
			answer(rw, r, b)
			return
		}
		m.dir(dir)(rw, r)
	}
}

// fork is a next version of the hotline's metadata by somebody who holds some keys. It lists never-signed.test only in spirit: no file is
// ever asked for.
type fork struct {
	m                         *mirrors
	dir                       string
	version, stamp            int64
	renew                     bool // everything as it is under a new timestamp
	root                      []byte
	list, targets             []byte
	snapshot, timestamp       []byte
	signers                   []ed25519.PrivateKey
	snapshotKey, timestampKey ed25519.PrivateKey
	stampEnds                 time.Time
}

func (m *mirrors) fork() *fork {
	m.t.Helper()
	w := m.w
	f := &fork{m: m, dir: w.copyRepository(), stampEnds: time.Now().Add(time.Hour)}
	dir := filepath.Join(f.dir, "metadata")
	current, list := w.newest(dir, ".csam-"+hotlineID+".json")
	_, snapshot := w.newest(dir, ".snapshot.json")
	timestamp, err := trust.Describe(w.get(filepath.Join(dir, "timestamp.json")))
	if err != nil {
		m.t.Fatal(err)
	}
	f.version = max(list, snapshot, timestamp.Version) + 1
	f.stamp = timestamp.Version + 1
	f.list = current
	f.targets, _ = w.newest(dir, ".targets.json")
	f.signers = []ed25519.PrivateKey{w.key(w.officers[0], "officer"), w.key(w.officers[1], "officer")}
	f.snapshotKey, f.timestampKey = w.key("hotline/keys", "snapshot"), w.key("hotline/keys", "timestamp")
	return f
}

// newRoot gives the thief's own keys all roles, signed by those he has stolen and his own.
func (f *fork) newRoot(stolen ...ed25519.PrivateKey) {
	public := func(keys []ed25519.PrivateKey) (out []ed25519.PublicKey) {
		for _, k := range keys {
			out = append(out, k.Public().(ed25519.PublicKey))
		}
		return out
	}
	own := stranger(10, 11, 12, 13, 14)
	b, err := trust.NewRoot(trust.RootSpec{
		Version: 2, Expires: time.Now().AddDate(0, 6, 0), Root: trust.Role{Threshold: 3, Keys: public(own)},
		Targets:  trust.Role{Threshold: 2, Keys: public(stranger(15, 16, 17))},
		Snapshot: trust.Role{Threshold: 1, Keys: public(stranger(18))}, Timestamp: trust.Role{Threshold: 1, Keys: public(stranger(19))},
	})
	if err != nil {
		f.m.t.Fatal(err)
	}
	f.root = trusttest.Sign(b, append(own, stolen...)...)
}

// sign signs the next version, or, as a renewal, only a timestamp.
func (f *fork) sign() {
	f.m.t.Helper()
	if !f.renew {
		f.list = trusttest.Sign(trusttest.Edit(f.list, func(signed map[string]any) { signed["version"] = f.version }), f.signers...)
	}
	check := func(b []byte, err error) []byte {
		f.m.t.Helper()
		if err != nil {
			f.m.t.Fatal(err)
		}
		return b
	}
	defer func() {
		f.timestamp = trusttest.Sign(check(trust.NewTimestamp(f.stamp, f.stampEnds, f.snapshot)), f.timestampKey)
	}()
	if f.renew {
		f.snapshot, _ = f.m.w.newest(filepath.Join(f.dir, "metadata"), ".snapshot.json")
		return
	}
	f.snapshot = check(trust.NewSnapshot(f.version, time.Now().Add(time.Hour), hotlineID, f.targets, f.list))
	f.snapshot = trusttest.Sign(f.snapshot, f.snapshotKey)
}

// place puts the version into the thief's repository, which is then served.
func (f *fork) place() http.HandlerFunc {
	dir := filepath.Join(f.dir, "metadata")
	if !f.renew {
		f.m.w.put(filepath.Join(dir, fmt.Sprintf("%d.csam-%s.json", f.version, hotlineID)), f.list)
		f.m.w.put(filepath.Join(dir, fmt.Sprintf("%d.snapshot.json", f.version)), f.snapshot)
	}
	f.m.w.put(filepath.Join(dir, "timestamp.json"), f.timestamp)
	if f.root != nil {
		f.m.w.put(filepath.Join(dir, "2.root.json"), f.root)
	}
	return f.m.dir(f.dir)
}

func (f *fork) publish() http.HandlerFunc {
	f.m.t.Helper()
	f.sign()
	return f.place()
}

// status is what cordon status --json says, as far as these stories look at it.
type status []struct {
	Status struct {
		Node struct {
			Lists []struct {
				Seq uint64 `json:"seq"`
			} `json:"lists"`
			Refusals []struct {
				Leaf   uint64 `json:"leaf"`
				Reason string `json:"reason"`
			} `json:"refusals"`
		} `json:"node"`
		Hotlines []struct {
			Problem string `json:"problem"`
		} `json:"hotlines"`
	} `json:"status"`
}

func (m *mirrors) status() (s status) {
	m.t.Helper()
	out := m.w.printed("cordon", "status", "--profile", m.w.profile, "--json")
	if err := json.Unmarshal(out, &s); err != nil {
		m.t.Fatalf("status: %v\n%s", err, out)
	}
	return s
}

func (m *mirrors) newestRefusal() (leaf uint64) {
	for _, n := range m.status() {
		for _, r := range n.Status.Node.Refusals {
			leaf = max(leaf, r.Leaf)
		}
	}
	return leaf
}

func (m *mirrors) refusedSince(leaf uint64) (reasons []string) {
	for _, n := range m.status() {
		for _, r := range n.Status.Node.Refusals {
			if r.Leaf > leaf {
				reasons = append(reasons, r.Reason)
			}
		}
	}
	return reasons
}

func (m *mirrors) problems() string {
	var all []string
	for _, n := range m.status() {
		for _, h := range n.Status.Hotlines {
			all = append(all, h.Problem)
		}
	}
	return strings.Join(all, "\n")
}

func (m *mirrors) seqs() (seqs []uint64) {
	for _, n := range m.status() {
		for _, l := range n.Status.Node.Lists {
			seqs = append(seqs, l.Seq)
		}
	}
	return seqs
}

// memory is the most that any control process has ever held, in bytes.
func (w *world) memory() (most int) {
	w.t.Helper()
	for _, c := range []string{"c1", "c2", "c3"} {
		p, ok := w.procs[c]
		if !ok {
			continue
		}
		for line := range strings.Lines(string(w.get(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid)))) {
			var kib int
			if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
				most = max(most, kib<<10)
			}
		}
	}
	return most
}

// stopAndKeep copies a control node's disk while it stands still, and starts it again.
func (m *mirrors) stopAndKeep(name string) string {
	m.w.stop(name)
	kept := filepath.Join(m.t.TempDir(), name)
	if err := os.CopyFS(kept, os.DirFS(m.w.join("isp", name, "data"))); err != nil {
		m.t.Fatal(err)
	}
	m.w.startControl(name)
	return kept
}

// restore puts the copy back in place of what the node has learnt since.
func (m *mirrors) restore(name, kept string) {
	m.w.stop(name)
	data := m.w.join("isp", name, "data")
	if err := os.Rename(data, data+".newer"); err != nil {
		m.t.Fatal(err)
	}
	if err := os.CopyFS(data, os.DirFS(kept)); err != nil {
		m.t.Fatal(err)
	}
	if err := filepath.WalkDir(data, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		} else if err == nil {
			return os.Chmod(path, 0o600)
		}
		return err
	}); err != nil {
		m.t.Fatal(err)
	}
}
