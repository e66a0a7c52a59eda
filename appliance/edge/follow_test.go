package edge

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/match"
)

// nodes are control nodes that answer as a test says, and the follower of an edge that asks them.
func follow(t *testing.T, handlers ...http.Handler) (*follower, *edgeDisk) {
	t.Helper()
	e := newEdgeDisk(t)
	f := &follower{
		cluster: e.log.Desc, quorum: e.log.Desc.Quorum(), name: "e1", dir: e.shelf.dir, key: e.log.Edges["e1"], shelf: e.shelf,
		maxStale: time.Minute, swap: func(*match.Set) {}, clock: func() time.Time { return e.log.Now }, log: slog.New(slog.DiscardHandler),
	}
	for _, h := range handlers {
		s := httptest.NewUnstartedServer(h)
		s.EnableHTTP2 = true
		s.StartTLS()
		t.Cleanup(s.Close)
		pool := x509.NewCertPool()
		pool.AddCert(s.Certificate())
		f.controls = append(f.controls, api.NewClient(s.URL, &tls.Config{RootCAs: pool}))
	}
	return f, e
}

// A control node that answers and never has news may be cut off from the others: an edge that stayed with it would miss every withdrawal
// (found in review).
func TestAnEdgeDoesNotStayWithANodeThatHasNoNews(t *testing.T) {
	var asked [3]atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var handlers []http.Handler
	for i := range asked {
		handlers = append(handlers, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked[i].Add(1)
			w.WriteHeader(http.StatusNotModified)
			if asked[0].Load() > 0 && asked[1].Load() > 0 && asked[2].Load() > 0 {
				cancel()
			}
		}))
	}
	f, _ := follow(t, handlers...)
	timeout := time.AfterFunc(time.Minute, cancel)
	defer timeout.Stop()
	if err := f.Run(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range asked {
		if n := asked[i].Load(); n == 0 || n > 3 {
			t.Errorf("node %d was asked %d times until all three were", i, n)
		}
	}
}

// control answers like a control node that is honest about l.
func (e *edgeDisk) control(receipts *[]audit.SignedReceipt, mu *sync.Mutex) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/manifest", func(w http.ResponseWriter, r *http.Request) {
		since, err := strconv.ParseUint(r.FormValue("since"), 10, 64)
		if err != nil || since > uint64(len(e.log.Leaves)) {
			http.Error(w, "since", http.StatusBadRequest)
			return
		}
		w.Write(e.log.Manifest(since).Encode())
	})
	mux.HandleFunc("GET /v1/files/{sum}", func(w http.ResponseWriter, r *http.Request) {
		if sum, err := hex.DecodeString(r.PathValue("sum")); err == nil && len(sum) == sha256.Size {
			w.Write(e.log.Files[[32]byte(sum)])
		}
	})
	mux.HandleFunc("POST /v1/keys", func(w http.ResponseWriter, r *http.Request) {
		b, err := e.src.Keys(r.Context(), listtest.List, e.log.InForce.Lists[0].Epoch)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write(b)
	})
	mux.HandleFunc("POST /v1/receipts", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body) // one read may bring the half of it
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if s, err := audit.DecodeSignedReceipt(b); err == nil {
			*receipts = append(*receipts, s)
		}
	})
	return mux
}

// controlNode answers with h for as long as the test runs; the client trusts its certificate.
func controlNode(t *testing.T, h http.Handler) (*api.Client, *httptest.Server) {
	t.Helper()
	server := httptest.NewTLSServer(h)
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return api.NewClient(server.URL, &tls.Config{RootCAs: pool}), server
}

// What an edge pulls is in force, kept for a restart without anybody, and signed for with the state id an auditor computes.
func TestAnEdgeFollowsAndRestartsAlone(t *testing.T) {
	var mu sync.Mutex
	var receipts []audit.SignedReceipt
	f, e := follow(t)
	c, server := controlNode(t, e.control(&receipts, &mu))
	f.controls = []*api.Client{c}
	if ok, err := f.restore(t.Context()); ok || err != nil {
		t.Fatalf("restore of nothing: %v, %v", ok, err)
	}
	if err := f.pull(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	f.confirm(t.Context(), c)
	want := e.log.State(e.log.InForce)
	if len(receipts) != 1 {
		t.Fatalf("%d receipts, want 1", len(receipts))
	}
	if r, err := audit.VerifyReceipt(receipts[0], e.log.Edges["e1"].Public().(ed25519.PublicKey)); err != nil || r.State != want {
		t.Errorf("receipt %+v, %v, want state %v", r, err, want)
	}
	server.Close()

	again := &follower{
		cluster: f.cluster, quorum: f.quorum, name: f.name, dir: f.dir, key: f.key, shelf: f.shelf,
		maxStale: f.maxStale, swap: func(*match.Set) {}, clock: f.clock, log: f.log,
	}
	if ok, err := again.restore(t.Context()); !ok || err != nil {
		t.Fatalf("restore alone: %v, %v", ok, err)
	}
	if got := again.active.set.StateID(); got != want {
		t.Errorf("restored state %v, want %v", got, want)
	}
	if again.seen.Size != f.seen.Size || again.counter != f.counter {
		t.Errorf("restored marks %d and %d, want %d and %d", again.seen.Size, again.counter, f.seen.Size, f.counter)
	}
}

// A full disk must not leave marks behind that keep the last kept manifest from coming back (found reading).
func TestMarksNeverGetAheadOfTheManifestOnDisk(t *testing.T) {
	var mu sync.Mutex
	var receipts []audit.SignedReceipt
	f, e := follow(t)
	c, _ := controlNode(t, e.control(&receipts, &mu))
	if err := f.pull(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	first := f.active.set.StateID()

	// The manifest's place is taken by a directory: it cannot be written.
	kept := filepath.Join(e.dir, "kept")
	if err := os.Rename(f.dir.Join(manifestFile), kept); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(f.dir.Join(manifestFile), 0o700); err != nil {
		t.Fatal(err)
	}
	marks := f.seen
	e.log.Publish(60)
	if err := f.pull(t.Context(), c); err == nil {
		t.Error("no error while the manifest cannot be kept")
	}
	second := f.active.set.StateID()
	if second == first || f.seen.Size <= marks.Size {
		t.Fatal("the new list is not in force")
	}
	if err := os.Remove(f.dir.Join(manifestFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(kept, f.dir.Join(manifestFile)); err != nil {
		t.Fatal(err)
	}
	again := &follower{
		cluster: f.cluster, quorum: f.quorum, name: f.name, dir: f.dir, key: f.key, shelf: f.shelf,
		maxStale: f.maxStale, swap: func(*match.Set) {}, clock: f.clock, log: f.log,
	}
	if err := again.readSeen(t.Context(), marks); err != nil {
		t.Errorf("a restart with the manifest that was kept: %v", err)
	}
	if err := f.see(f.seen); err != nil {
		t.Fatal(err)
	}
	if ok, err := again.restore(t.Context()); !ok || err != nil || again.active.set.StateID() != second {
		t.Errorf("a restart after the new one could be kept: %v, %v", ok, err)
	}
}

// Whatever could not be kept since, a restart without anybody brings back what the manifest on disk says: its lists and keys stay there.
func TestTheListOfTheManifestOnDiskStays(t *testing.T) {
	var mu sync.Mutex
	var receipts []audit.SignedReceipt
	f, e := follow(t)
	c, _ := controlNode(t, e.control(&receipts, &mu))
	if err := f.pull(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	want := f.active.set.StateID()
	for range 3 { // versions that come into force, whose manifests are not kept
		e.log.Publish(50)
		if err := f.load(t.Context(), e.opened(), e.src, e.log.Now); err != nil {
			t.Fatal(err)
		}
	}
	e.restart()
	again := &follower{
		cluster: f.cluster, quorum: f.quorum, name: f.name, dir: f.dir, key: f.key, shelf: e.shelf,
		maxStale: f.maxStale, swap: func(*match.Set) {}, clock: f.clock, log: f.log,
	}
	if ok, err := again.restore(t.Context()); !ok || err != nil {
		t.Fatalf("restore alone: %v, %v", ok, err)
	}
	if got := again.active.set.StateID(); got != want {
		t.Errorf("restored state %v, want %v", got, want)
	}
}

// asideLog is a log whose lines note whether they come from work that has stepped back.
type asideLog struct {
	slog.Handler
	t    *testing.T
	own  int32 // nice of all others
	said map[string]bool
}

func (l *asideLog) Enabled(context.Context, slog.Level) bool { return true }

func (l *asideLog) Handle(_ context.Context, r slog.Record) error {
	l.said[r.Message] = standing(l.t).Nice > l.own
	return nil
}

// TestListsAreWorkedOnAside, and so is every word with the disk about them.
func TestListsAreWorkedOnAside(t *testing.T) {
	var mu sync.Mutex
	var receipts []audit.SignedReceipt
	f, e := follow(t)
	f.controls = nil
	c, _ := controlNode(t, e.control(&receipts, &mu))
	l := &asideLog{slog.DiscardHandler, t, standing(t).Nice, map[string]bool{}}
	f.log, f.shelf.log = slog.New(l), slog.New(l)
	if err := f.pull(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	e.log.Publish(60)
	if err := os.RemoveAll(filepath.Join(f.dir.Join(), "indexes")); err != nil { // so that keeping one is said to fail
		t.Fatal(err)
	}
	if err := f.pull(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, message := range []string{"list made from deltas", "lists active", "index not kept: a restart takes longer"} {
		if aside, ok := l.said[message]; !ok || !aside {
			t.Errorf("%q: said %v, aside %v; want both", message, ok, aside)
		}
	}
}
