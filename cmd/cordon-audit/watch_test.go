package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

// control is a live node of this log, its address and the trust file; asked are the bundles it was asked for.
func control(t *testing.T, l *audittest.Log) (base, trust string, asked *[]string) {
	t.Helper()
	asked = new([]string)
	base, ca := node(t, "cordon://"+l.Desc.ID()+"/control/c1", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/checkpoint":
			_, _ = w.Write(l.Checkpoint())
		case "/v1/bundle":
			*asked = append(*asked, r.URL.RawQuery)
			since, _ := strconv.ParseUint(r.URL.Query().Get("since"), 10, 64)
			if err := audit.WriteBundle(r.Context(), w, l, audit.Part{Since: since, All: r.URL.Query().Has("all")}, l.Now); err != nil {
				t.Error(err)
			}
		default:
			http.NotFound(w, r)
		}
	})
	return base, write(t, "trust.json", audit.NewTrustFile(l.Desc, ca).Encode()), asked
}

func TestANextVisitAsksForWhatIsNew(t *testing.T) {
	l := audittest.Honest("tool")
	base, trust, asked := control(t, l)
	state := filepath.Join(t.TempDir(), "state")
	for _, want := range []string{"PASS  log          15 leaves hash", "PASS  log          16 leaves hash to the checkpoint's root; the first 15 of them were verified at an earlier visit"} {
		code, stdout, stderr := tool(t, "verify", "--state", state, "--trust", trust, base)
		if code != 0 || !strings.Contains(stdout, want) {
			t.Fatalf("code %d\n%s%s\nwant %q", code, stdout, stderr, want)
		}
		l.Publish(50)
	}
	if got := strings.Join(*asked, " "); got != " since=15" {
		t.Errorf("asked for %q", got)
	}
	if code, stdout, _ := tool(t, "verify", "--all", "--trust", trust, base); code != 0 || !strings.Contains(stdout, "the files of 4 versions") {
		t.Errorf("--all: code %d\n%s", code, stdout)
	}
	l.PublishWith(60, func(p audit.Publish) audit.Publish { p.Verdicts = nil; return p })
	code, stdout, _ := tool(t, "verify", "--state", state, "--trust", trust, base)
	if code != 5 || !strings.Contains(stdout, "FAIL  verdicts") || !strings.Contains(stdout, "PASS  log          18 leaves hash to the checkpoint's root\n") {
		t.Errorf("a lie in what is new: code %d\n%s", code, stdout)
	}
	other := audittest.New("tool")
	for len(other.Leaves) < 20 {
		other.Receipts(audittest.E1)
	}
	*l = *other
	if code, stdout, _ = tool(t, "verify", "--state", state, "--trust", trust, base); code != 5 || !strings.Contains(stdout, "fork: the first 18 leaves are not those of the last visit") {
		t.Errorf("another history: code %d\n%s", code, stdout)
	}
}

func TestWatchSaysWhatHappens(t *testing.T) {
	l := audittest.Honest("tool")
	base, trust, _ := control(t, l)
	dir := filepath.Join(t.TempDir(), "watch")
	once := func(more ...string) (int, string, string) {
		return tool(t, append([]string{"watch", "--once", "--max-age", "0", "--state", dir, "--trust", trust, base}, more...)...)
	}
	if code, stdout, stderr := once(); code != 0 || !strings.Contains(stdout, "  verified "+base+"  15 new leaves, 15 in all, every check passed") {
		t.Errorf("first round: code %d\n%s%s", code, stdout, stderr)
	}
	l.Publish(50)
	if code, stdout, _ := once("--json"); code != 0 || !strings.Contains(stdout, `"kind":"leaf"`) {
		t.Errorf("a new version: code %d\n%s", code, stdout)
	}
	down := "https://127.0.0.1:1"
	if code, stdout, stderr := once(down); code != 3 || !strings.Contains(stdout, "problem  "+down+"  unreachable: ") || !strings.Contains(stderr, "1 problems") {
		t.Errorf("a node that is down: code %d\n%s%s", code, stdout, stderr)
	}
	if code, stdout, _ := tool(t, "watch", "--once", "--max-age", "1h", "--state", t.TempDir(), "--trust", trust, base); code != 3 || !strings.Contains(stdout, "stale: a quorum signed its checkpoint") {
		t.Errorf("a stale checkpoint: code %d\n%s", code, stdout)
	}
	l.PublishWith(60, func(p audit.Publish) audit.Publish { p.Verdicts = nil; return p })
	if code, stdout, stderr := once(); code != 5 || !strings.Contains(stdout, "lie      "+base+"  verdicts: leaf 16") || !strings.Contains(stdout, "evidence in "+dir) || stderr != "" {
		t.Errorf("a lie: code %d\n%s%s", code, stdout, stderr)
	}
}

func TestWatchIsToldWhatItNeeds(t *testing.T) {
	l := audittest.Honest("tool")
	trust, dir := write(t, "trust.json", l.TrustFile()), t.TempDir()
	key := filepath.Join(dir, "key")
	if code, stdout, stderr := tool(t, "witness-key", "--out", key, "--name", "auditor.example/watch"); code != 0 || !strings.HasPrefix(stdout, "auditor.example/watch+") {
		t.Fatalf("witness-key: code %d %s%s", code, stdout, stderr)
	}
	open := filepath.Join(dir, "open")
	b, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(open, b, 0o644); err != nil {
		t.Fatal(err)
	}
	n := "https://127.0.0.1:1"
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"no node", []string{"watch", "--state", dir, "--trust", trust}, 2, "requires at least 1 arg"},
		{"no directory", []string{"watch", "--trust", trust, n}, 2, `"state" not set`},
		{"a bundle file", []string{"watch", "--state", dir, "--trust", trust, "bundle.tar"}, 2, "write https://NAME:PORT"},
		{"a node twice", []string{"watch", "--state", dir, "--trust", trust, n, n}, 2, "named twice"},
		{"a key without an address", []string{"watch", "--state", dir, "--trust", trust, "--witness-key", key, n}, 2, "go together"},
		{"a directory that is a file", []string{"watch", "--once", "--state", trust, "--trust", trust, n}, 3, "--state names a directory"},
		{"a trust file that is none", []string{"watch", "--once", "--state", dir, "--trust", key, n}, 3, "--trust names the trust file"},
		{"a key that others can read", []string{"watch", "--state", dir, "--trust", trust, "--witness-key", open, "--listen", "127.0.0.1:0", n}, 3, "can be read by others"},
		{"a key that is none", []string{"watch", "--state", dir, "--trust", trust, "--witness-key", write(t, "none", []byte("x")), "--listen", "127.0.0.1:0", n}, 3, "not one that witness-key wrote"},
		{"a key that is there", []string{"witness-key", "--out", key, "--name", "auditor.example/watch"}, 3, "is left as it is"},
		{"a key without a name", []string{"witness-key", "--out", key}, 2, "--out and --name are needed"},
		{"a name that is none", []string{"witness-key", "--out", filepath.Join(dir, "x"), "--name", "a b"}, 2, "a name is like"},
	} {
		if code, stdout, stderr := tool(t, c.args...); code != c.code || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%s: code %d, %s%s\nwant %d, %q", c.name, code, stdout, stderr, c.code, c.says)
		}
	}
}

// slow is a body that does not come, and says when somebody waits for it.
type slow struct {
	waits func()
	end   chan struct{}
}

func (s slow) Read([]byte) (int, error) {
	s.waits()
	<-s.end
	return 0, io.ErrUnexpectedEOF
}

func TestSlowRequestsTakeNobodysPlaceAtAWitness(t *testing.T) {
	h := bounded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); err != nil || string(b) != "old 0\n" {
			http.Error(w, "no body", http.StatusBadRequest)
		}
	}))
	ask := func(body io.Reader) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/add-checkpoint", body))
		return w.Code
	}
	const n = 40
	end := make(chan struct{})
	var waiting, done sync.WaitGroup
	waiting.Add(n)
	for range n {
		done.Go(func() {
			once := sync.OnceFunc(waiting.Done)
			defer once()
			ask(slow{once, end})
		})
	}
	waiting.Wait()
	if code := ask(strings.NewReader("old 0\n")); code != http.StatusOK {
		t.Errorf("beside %d requests whose bodies do not come: %d", n, code)
	}
	close(end)
	done.Wait()
}

func TestOneWatchADirectory(t *testing.T) {
	l := audittest.Honest("tool")
	base, trust, _ := control(t, l)
	dir := filepath.Join(t.TempDir(), "watch")
	unlock, err := lockState(dir)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"watch", "--once", "--max-age", "0", "--state", dir, "--trust", trust, base}
	if code, _, stderr := tool(t, args...); code != 3 || !strings.Contains(stderr, "in use by another watch") {
		t.Errorf("a second watch in the directory: code %d\n%s", code, stderr)
	}
	unlock()
	if code, stdout, stderr := tool(t, args...); code != 0 {
		t.Errorf("after the first has ended: code %d\n%s%s", code, stdout, stderr)
	}
}
