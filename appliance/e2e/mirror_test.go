package e2e

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

// attack is one of the TUF specification's (section 1.5.2), told by the first place that control nodes ask. While it goes on the hotline
// publishes a good version, which only the second place has.
type attack struct {
	name    string
	reason  string // of the refusal in the log; empty when nothing whole is offered that could be refused
	problem string // what cordon status says then
	lie     func(m *mirrors) http.HandlerFunc
}

// TestEveryAttackOfTheTUFSpecification: a hostile repository in front of three control processes, which also serves old, mixed, truncated,
// bit-flipped, endless and slow files (fault 25). Each attack is refused and logged with its
// reason, or shown; the last list stays in force on the edge, without a missed or wrong answer; memory stays bounded; and the good version
// comes in from the next mirror while the attack goes on.
func TestEveryAttackOfTheTUFSpecification(t *testing.T) {
	w := newWorld(t)
	m := w.addMirror()
	for _, c := range []string{"c1", "c2", "c3"} {
		w.startControl(c)
	}
	w.startEdge("e1")
	w.publish(firstList())
	inForce := listed[2]
	w.await("first list in force", func() error { return w.stopped("e1", inForce, true) })
	old := w.copyRepository()
	oldDisk := m.stopAndKeep("c3")
	o := w.watch("e1")
	before := w.memory()

	for i, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			m.t, m.over = t, make(chan struct{})
			defer close(m.over)
			m.open.Store(false)
			m.old = old
			leaf := m.newestRefusal()
			lie := a.lie(m)
			m.serve(lie)
			if a.reason != "" {
				w.await("refused: "+a.reason, func() error {
					if got := m.refusedSince(leaf); !slices.Contains(got, a.reason) {
						return fmt.Errorf("refusals since: %v, want %s; %s", got, a.reason, m.problems())
					}
					return nil
				})
			}
			if a.problem != "" {
				w.await("said: "+a.problem, func() error {
					if got := m.problems(); !strings.Contains(got, a.problem) {
						return fmt.Errorf("status says %q, want %q", got, a.problem)
					}
					return nil
				})
			}
			if err := w.stopped("e1", inForce, true); err != nil {
				t.Errorf("last good list: %v", err)
			}
			if err := w.passes("e1", "never-signed.test"); err != nil {
				t.Errorf("what the attacker listed: %v", err)
			}
			name := fmt.Sprintf("good-%d.test", i)
			w.publish(rows(entry(name, "host", "law")))
			m.open.Store(true)
			w.await("the good version from the next mirror", func() error { return w.stopped("e1", name, true) })
			inForce = name
		})
	}
	if after := w.memory(); after > before+96<<20 {
		t.Errorf("the control nodes' memory grew from %d MiB to %d MiB", before>>20, after>>20)
	}

	var h struct {
		Seq uint64 `json:"seq"`
	}
	if err := json.Unmarshal(w.printed("cordon-hotline", "status", "--dir", "hotline", "--json"), &h); err != nil {
		t.Fatal(err)
	}
	published := h.Seq
	// Marks outlive a restart, and a disk as old as the first version.
	m.open.Store(false)
	m.serve(m.dir(old))
	for _, c := range []string{"c1", "c2"} {
		w.stop(c)
		w.startControl(c)
	}
	m.restore("c3", oldDisk)
	w.startControl("c3")
	w.await("three nodes that know better than the old repository", func() error {
		if seqs := m.seqs(); len(seqs) != 3 || slices.Min(seqs) != published {
			return fmt.Errorf("versions in force %v, published is %d", seqs, published)
		}
		if got := m.problems(); !strings.Contains(got, "refused (rollback)") {
			return fmt.Errorf("status says %q", got)
		}
		return nil
	})
	if err := w.stopped("e1", inForce, true); err != nil {
		t.Errorf("after restart and restore: %v", err)
	}
	o.finish()

	w.audited(w.join("bundle.tar"))
}

// TestTheSecurityPageNamesEveryAttack: the table there has the attacks run here, and no other.
func TestTheSecurityPageNamesEveryAttack(t *testing.T) {
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "## Attacks on the way from the hotline")
	table, _, _ = strings.Cut(table, "\n## ")
	for _, a := range attacks {
		row := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(a.name) + ` \|.*$`).FindString(table)
		if row == "" || !strings.Contains(row, "`"+a.reason+"`") && a.reason != "" {
			t.Errorf("docs/security.md has no row for %q with its reason %q", a.name, a.reason)
		}
	}
	if rows := strings.Count(table, "\n| "); rows != len(attacks)+1 {
		t.Errorf("docs/security.md has %d rows, want the head and %d attacks", rows, len(attacks))
	}
}

var attacks = []attack{
	{"arbitrary software", "signature", "refused (signature)", func(m *mirrors) http.HandlerFunc {
		f := m.fork()
		f.signers, f.snapshotKey, f.timestampKey = stranger(0, 1), stranger(2)[0], stranger(3)[0]
		return f.publish()
	}},
	{"key compromise: one officer and both online keys", "threshold", "refused (threshold)", func(m *mirrors) http.HandlerFunc {
		f := m.fork()
		f.signers = f.signers[:1]
		return f.publish()
	}},
	{"key compromise: two root keys", "threshold", "refused (threshold)", func(m *mirrors) http.HandlerFunc {
		f := m.fork()
		f.newRoot(m.w.key("authority/root-1", "root"), m.w.key("authority/root-2", "root"))
		return f.publish()
	}},
	{"wrong software: another list's file", "hash", "refused (hash)", func(m *mirrors) http.HandlerFunc {
		return m.files(".edge", func(rw http.ResponseWriter, r *http.Request, b []byte) {
			swapped, err := filepath.Glob(filepath.Join(m.old, "targets", "csam", hotlineID, "*.edge"))
			if err != nil || len(swapped) != 1 {
				m.t.Errorf("old edge list: %v, %v", swapped, err)
				return
			}
			other := m.w.get(swapped[0])
			rw.Write(append(other, make([]byte, max(0, len(b)-len(other)))...)[:len(b)])
		})
	}},
	{"wrong software: a flipped bit", "hash", "refused (hash)", func(m *mirrors) http.HandlerFunc {
		return m.files(".audit", func(rw http.ResponseWriter, _ *http.Request, b []byte) { b[len(b)/2] ^= 1; rw.Write(b) })
	}},
	{"a truncated file", "", "ended early", func(m *mirrors) http.HandlerFunc {
		return m.files(".edge", func(rw http.ResponseWriter, _ *http.Request, b []byte) { rw.Write(b[:len(b)/2]) })
	}},
	{"mix-and-match", "hash", "refused (hash)", func(m *mirrors) http.HandlerFunc {
		f := m.fork()
		f.sign()
		f.list = m.w.get(filepath.Join(m.old, "metadata", "1.csam-"+hotlineID+".json")) // under the new snapshot
		return f.place()
	}},
	{"rollback", "rollback", "refused (rollback)", func(m *mirrors) http.HandlerFunc { return m.dir(m.old) }},
	{"fast-forward", "too_large", "refused (too_large)", func(m *mirrors) http.HandlerFunc {
		f := m.fork()
		f.stamp = 1<<53 - 1
		return f.publish()
	}},
	{"indefinite freeze", "", "the hotline has renewed nothing", func(m *mirrors) http.HandlerFunc {
		f := m.fork() // the same list under a timestamp that ends in seconds, with the hotline's own keys
		f.renew = true
		m.w.run("cordon-hotline", "refresh", "--dir", "hotline") // the hotline's own count goes on
		frozen := sync.OnceValue(func() http.HandlerFunc {
			f.stampEnds = time.Now().Add(15 * time.Second) // from when it is first asked for: nodes must agree on it in time
			return f.publish()
		})
		return func(rw http.ResponseWriter, r *http.Request) { frozen()(rw, r) }
	}},
	{"endless data: metadata", "too_large", "refused (too_large)", func(m *mirrors) http.HandlerFunc {
		return m.files("timestamp.json", func(rw http.ResponseWriter, r *http.Request, _ []byte) { endless(rw, r) })
	}},
	{"endless data: a list file", "too_large", "refused (too_large)", func(m *mirrors) http.HandlerFunc {
		return m.files(".edge", func(rw http.ResponseWriter, r *http.Request, _ []byte) { endless(rw, r) })
	}},
	{"extraneous dependencies", "path", "refused (path)", func(m *mirrors) http.HandlerFunc {
		f := m.fork()
		f.list = trusttest.Edit(f.list, func(signed map[string]any) {
			signed["targets"].(map[string]any)["csam/"+hotlineID+"/needed-too.1.package"] = map[string]any{
				"length": 1, "hashes": map[string]any{"sha256": strings.Repeat("0", 64)},
			}
		})
		return f.publish()
	}},
	{"slow retrieval", "", "slow", func(m *mirrors) http.HandlerFunc {
		over := m.over
		return func(rw http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(200 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-r.Context().Done():
					return
				case <-over:
					return
				case <-tick.C:
					rw.Write([]byte(" "))
					rw.(http.Flusher).Flush()
				}
			}
		}
	}},
	{"malicious mirror prevents updates: it has nothing", "", "not found", func(*mirrors) http.HandlerFunc { return http.NotFound }},
	{"malicious mirror prevents updates: it sends elsewhere", "", "refused to answer", func(m *mirrors) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, m.url+r.URL.Path, http.StatusFound)
		}
	}},
	{"forged withdrawals", "signature", "not a statement of the hotline's officers", func(m *mirrors) http.HandlerFunc {
		thief := trusttest.New("thief", hotlineID, time.Now())
		return func(rw http.ResponseWriter, r *http.Request) {
			n, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(r.URL.Path), ".cbor"), 10, 64)
			if !strings.Contains(r.URL.Path, "/withdrawals/") || err != nil {
				http.FileServer(http.Dir(m.w.repository)).ServeHTTP(rw, r)
				return
			}
			rw.Write(thief.Withdraw(trust.Withdrawal{V: 1, List: hotlineID + "/main", Entries: []match.EntryID{{1}}, SeqFrom: 1, SeqTo: 99,
				Number: n, Issued: time.Now().Unix(), Expires: time.Now().Add(time.Hour).Unix(), Reason: "error"}, 0, 1))
		}
	}},
}

func endless(rw http.ResponseWriter, r *http.Request) {
	block := []byte(strings.Repeat(" ", 64<<10))
	for r.Context().Err() == nil {
		if _, err := rw.Write(block); err != nil {
			return
		}
	}
}

func stranger(n ...int) (keys []ed25519.PrivateKey) {
	for _, i := range n {
		keys = append(keys, trusttest.Key("stranger", fmt.Sprint(i)))
	}
	return keys
}
