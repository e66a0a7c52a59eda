package fetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

const mainID = match.ListID("north/main")

var now = trusttest.Now

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func repository(t *testing.T, base string) *fetch.Repository {
	t.Helper()
	r, err := fetch.NewRepository(base, "north", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func statement(number uint64) trust.Withdrawal {
	return trust.Withdrawal{
		List: mainID, Entries: []match.EntryID{{1}}, SeqFrom: 1, SeqTo: 2, Number: number,
		Issued: now.Unix(), Expires: now.Add(time.Hour).Unix(), Reason: "error",
	}
}

// The same hotline over HTTP and from a directory.
func TestRepositoryIsReadWhole(t *testing.T) {
	h := trusttest.New("fetch", "north", now)
	h.RotateRoot(now)
	list := trusttest.Files(mainID, 1)
	want := h.Publish(now, list)
	raw := h.Withdraw(statement(1), 0)
	dir := t.TempDir()
	if err := h.WriteRepository(dir); err != nil {
		t.Fatal(err)
	}
	for name, base := range map[string]string{"http": serve(t, h), "http below a path": serve(t, http.StripPrefix("/a/b", h)) + "/a/b/", "file": "file://" + dir} {
		t.Run(name, func(t *testing.T) {
			r := repository(t, base)
			ctx := context.Background()
			for rootVersion, roots := range map[int64]int{1: 1, 2: 0, 0: 2} {
				m, err := r.Metadata(ctx, rootVersion)
				if err != nil {
					t.Fatal(err)
				}
				if len(m.Roots) != roots {
					t.Errorf("roots after %d: got %d, want %d", rootVersion, len(m.Roots), roots)
				}
				v, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now)
				if rootVersion == 2 { // the roots that lead there were not asked for
					if !errors.Is(err, trust.ErrSignature) {
						t.Errorf("without roots: got %v", err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				s, _ := openStore(t)
				for _, f := range []trust.File{v.Lists[0].Edge, v.Lists[0].Audit, v.Lists[0].Edge} {
					if err := r.Stage(ctx, f, s); err != nil {
						t.Fatal(err)
					}
				}
				if b, err := s.ReadFile(v.Lists[0].Edge.SHA256); err != nil || !bytes.Equal(b, list.Edge) {
					t.Errorf("edge list: got %q, %v", b, err)
				}
				var out bytes.Buffer
				if err := r.File(ctx, v.Lists[0].Audit, &out); err != nil || !bytes.Equal(out.Bytes(), list.Audit) {
					t.Errorf("auditor list: got %q, %v", out.Bytes(), err)
				}
			}
			if m, err := r.Metadata(ctx, 1); err != nil || m.Hash() != want.Hash() {
				t.Errorf("metadata: got %x, %v, want %x", m.Hash(), err, want.Hash())
			}
			if b, err := r.Withdrawal(ctx, mainID, 1); err != nil || !bytes.Equal(b, raw) {
				t.Errorf("withdrawal: got %x, %v", b, err)
			}
			if _, err := r.Withdrawal(ctx, mainID, 2); !errors.Is(err, fetch.ErrNotFound) {
				t.Errorf("withdrawal 2: got %v, want %v", err, fetch.ErrNotFound)
			}
			if _, err := r.Withdrawal(ctx, "south/main", 1); !errors.Is(err, fetch.ErrPath) {
				t.Errorf("withdrawal of another hotline: got %v, want %v", err, fetch.ErrPath)
			}
		})
	}
}

// counting notes what was asked for.
type counting struct {
	http.Handler
	mu    sync.Mutex
	asked []string
}

func (c *counting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.asked = append(c.asked, r.URL.Path)
	c.mu.Unlock()
	c.Handler.ServeHTTP(w, r)
}

func (c *counting) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.asked = nil }()
	return c.asked
}

func TestPollThatFindsNothingNewReadsNothingElse(t *testing.T) {
	h := trusttest.New("fetch", "north", now)
	first := h.Publish(now, trusttest.Files(mainID, 1))
	c := &counting{Handler: h}
	r := repository(t, serve(t, c))
	for i, want := range []int{6, 2} { // root 2 (there is none) and timestamp; at first also snapshot, targets, list role, charter
		m, err := r.Metadata(context.Background(), 1)
		if err != nil || m.Hash() != first.Hash() {
			t.Fatalf("poll %d: got %x, %v", i, m.Hash(), err)
		}
		if asked := c.take(); len(asked) != want {
			t.Errorf("poll %d asked for %q", i, asked)
		}
	}
	second := h.Publish(now, trusttest.Files(mainID, 2))
	if m, err := r.Metadata(context.Background(), 1); err != nil || m.Hash() != second.Hash() {
		t.Errorf("after a publication: got %x, %v, want %x", m.Hash(), err, second.Hash())
	}
	h.RotateRoot(now)
	if m, err := r.Metadata(context.Background(), 1); err != nil || len(m.Roots) != 1 {
		t.Errorf("after a rotation: got %d roots, %v", len(m.Roots), err)
	}
}

// What a mirror can do to a list file. Nothing may be left in the store, and the error must say what happened.
func TestEvilMirrorGivesNoFile(t *testing.T) {
	body := bytes.Repeat([]byte("list"), 5000)
	file := trust.File{Path: "csam/north/main.1.edge", Length: int64(len(body)), SHA256: sha256.Sum256(body)}
	elsewhere := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(body) }))
	chunked := func(w http.ResponseWriter) { w.(http.Flusher).Flush() } // no Content-Length from here on
	tests := []struct {
		name  string
		serve http.HandlerFunc
		want  error
	}{
		{"good", func(w http.ResponseWriter, r *http.Request) { w.Write(body) }, nil},
		{"endless body", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(body); err != nil {
					return
				}
			}
		}, fetch.ErrTooLarge},
		{"announced as larger", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(1<<40))
			w.WriteHeader(http.StatusOK)
		}, fetch.ErrTooLarge},
		{"one byte more", func(w http.ResponseWriter, r *http.Request) {
			chunked(w)
			w.Write(append(body[:len(body):len(body)], 'x'))
		}, fetch.ErrTooLarge},
		{"one byte less", func(w http.ResponseWriter, r *http.Request) { w.Write(body[1:]) }, fetch.ErrTruncated},
		{"nothing", func(w http.ResponseWriter, r *http.Request) {}, fetch.ErrTruncated},
		{"breaks off", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.Write(body[:100])
			panic(http.ErrAbortHandler)
		}, errAny},
		{"one byte changed", func(w http.ResponseWriter, r *http.Request) {
			changed := bytes.Clone(body)
			changed[77] ^= 1
			w.Write(changed)
		}, fetch.ErrHash},
		{"not found", http.NotFound, fetch.ErrNotFound},
		{"gone", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusGone) }, fetch.ErrNotFound},
		{"server error", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, fetch.ErrStatus},
		{"partial content nobody asked for", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusPartialContent); w.Write(body) }, fetch.ErrStatus},
		{"not modified though nothing was asked", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotModified) }, fetch.ErrStatus},
		{"redirect to another host", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, http.StatusFound) }, fetch.ErrStatus},
		{"redirect to itself", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusPermanentRedirect)
		}, fetch.ErrStatus},
		{"redirect to a file", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusSeeOther)
		}, fetch.ErrStatus},
		{"compressed", func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Accept-Encoding"); got != "identity" {
				t.Errorf("accept-encoding: got %q, want identity", got)
			}
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(body)
		}, fetch.ErrStatus},
		{"endless header", func(w http.ResponseWriter, r *http.Request) {
			for i := range 2000 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 100))
			}
			w.Write(body)
		}, errAny},
		{"silent before the header", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, fetch.ErrTimeout},
		{"silent in the body", func(w http.ResponseWriter, r *http.Request) {
			w.Write(body[:10])
			chunked(w)
			<-r.Context().Done()
		}, fetch.ErrTimeout},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := repository(t, serve(t, test.serve))
			if test.want == fetch.ErrTimeout {
				r.Idle = 50 * time.Millisecond
			}
			s, dir := openStore(t)
			var out bytes.Buffer
			for how, err := range map[string]error{"stage": r.Stage(context.Background(), file, s), "file": r.File(context.Background(), file, &out)} {
				if test.want == errAny && err == nil || test.want != errAny && !errors.Is(err, test.want) {
					t.Errorf("%s: got %v, want %v", how, err, test.want)
				}
			}
			if int64(out.Len()) > file.Length {
				t.Errorf("file: %d bytes written, want at most %d", out.Len(), file.Length)
			}
			if test.want == nil {
				wantFiles(t, dir, string(body))
			} else {
				wantFiles(t, dir)
			}
		})
	}
}

var errAny = errors.New("any error will do")

// A mirror that sends a byte now and then is never idle: the time for all of it ends it.
func TestSlowBodyEndsWithItsTime(t *testing.T) {
	body := make([]byte, 1<<20)
	file := trust.File{Path: "csam/north/main.1.edge", Length: int64(len(body)), SHA256: sha256.Sum256(body)}
	drip := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
				w.Write([]byte{0})
				w.(http.Flusher).Flush()
			}
		}
	})
	base := serve(t, drip)
	t.Run("our own", func(t *testing.T) {
		r := repository(t, base)
		r.Large, r.Small = 100*time.Millisecond, 100*time.Millisecond
		s, dir := openStore(t)
		if err := r.Stage(context.Background(), file, s); !errors.Is(err, fetch.ErrTimeout) {
			t.Errorf("file: got %v, want %v", err, fetch.ErrTimeout)
		}
		if _, err := r.Metadata(context.Background(), 1); !errors.Is(err, fetch.ErrTimeout) {
			t.Errorf("metadata: got %v, want %v", err, fetch.ErrTimeout)
		}
		wantFiles(t, dir)
	})
	t.Run("the caller's", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		s, dir := openStore(t)
		if err := repository(t, base).Stage(ctx, file, s); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
		wantFiles(t, dir)
	})
}

// What a mirror can do to metadata: bounded and refused before trust.Verify sees it, or passed on for it to refuse.
func TestEvilMirrorGivesNoMetadata(t *testing.T) {
	h := trusttest.New("fetch", "north", now)
	h.Publish(now, trusttest.Files(mainID, 1))
	replace := func(name string, answer http.HandlerFunc) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, name) {
				answer(w, r)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(s)) }
	}
	flood := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}
	tests := []struct {
		name    string
		handler http.Handler
		want    error
	}{
		{"endless root", replace("2.root.json", flood), fetch.ErrTooLarge},
		{"endless timestamp", replace("timestamp.json", flood), fetch.ErrTooLarge},
		{"endless snapshot", replace("snapshot.json", flood), fetch.ErrTooLarge},
		{"endless charter", replace("charter.json", flood), fetch.ErrTooLarge},
		{"no timestamp", replace("timestamp.json", http.NotFound), fetch.ErrNotFound},
		{"no list role", replace("csam-north.json", http.NotFound), fetch.ErrNotFound},
		{"timestamp of rubbish", replace("timestamp.json", text("rubbish")), trust.ErrFormat},
		{"snapshot of rubbish", replace("snapshot.json", text("{}")), trust.ErrFormat},
		{"targets of rubbish", replace("targets.json", text("[]")), trust.ErrFormat},
		{"empty timestamp", replace("timestamp.json", text("")), trust.ErrFormat},
		{"root that is a server error", replace("2.root.json", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }), fetch.ErrStatus},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := repository(t, serve(t, test.handler)).Metadata(context.Background(), 1)
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
	t.Run("a root at every version", func(t *testing.T) {
		m, err := repository(t, serve(t, replace("root.json", text("{}")))).Metadata(context.Background(), 1)
		if err != nil || len(m.Roots) != trust.MaxRootSteps {
			t.Errorf("got %d roots, %v, want %d", len(m.Roots), err, trust.MaxRootSteps)
		}
	})
	t.Run("endless withdrawal", func(t *testing.T) {
		_, err := repository(t, serve(t, replace("withdrawals", flood))).Withdrawal(context.Background(), mainID, 1)
		if !errors.Is(err, fetch.ErrTooLarge) {
			t.Errorf("got %v, want %v", err, fetch.ErrTooLarge)
		}
	})
}

func TestPathsThatLeadElsewhereAreRefused(t *testing.T) {
	r := repository(t, serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked") })))
	s, _ := openStore(t)
	for _, p := range []string{"", "/etc/passwd", "../x", "csam/../x", "csam//x", "csam/./x", "csam/north/x?y", "csam/north/x#y", "csam/north/%2e", "CSAM/x", "a\\b", "a\x00b", strings.Repeat("a", 300)} {
		if err := r.Stage(context.Background(), trust.File{Path: p, Length: 1}, s); !errors.Is(err, fetch.ErrPath) {
			t.Errorf("%q: got %v, want %v", p, err, fetch.ErrPath)
		}
	}
	if err := r.Stage(context.Background(), trust.File{Path: "a", Length: fetch.MaxFile + 1}, s); !errors.Is(err, fetch.ErrTooLarge) {
		t.Errorf("got %v, want %v", err, fetch.ErrTooLarge)
	}
}

func TestURLsWithSurprisesAreRefused(t *testing.T) {
	for _, base := range []string{"", "mirror.example", "ftp://mirror.example/", "file:relative", "file://host/path", "http://", "https://user:secret@mirror.example/", "https://mirror.example/?x=y", "https://mirror.example/#x", "mailto:x@mirror.example", "https://%zz/", "unix:///run/x"} {
		if _, err := fetch.NewRepository(base, "north", nil); err == nil {
			t.Errorf("%q: taken", base)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error tells the password", base)
		}
	}
	if _, err := fetch.NewRepository("https://mirror.example/", "North", nil); err == nil {
		t.Error("a hotline id that is none: taken")
	}
}

// HTTP_PROXY and the like must not decide whom a hotline is asked through.
func TestProxiesOfTheEnvironmentAreNotUsed(t *testing.T) {
	h := trusttest.New("fetch", "north", now)
	h.Publish(now, trusttest.Files(mainID, 1))
	base := serve(t, h)
	proxied := func(*http.Request) (*url.URL, error) { t.Error("proxy asked"); return nil, nil }
	for name, client := range map[string]*http.Client{"none": nil, "plain": {}, "with a proxy": {Transport: &http.Transport{Proxy: proxied}}} {
		t.Run(name, func(t *testing.T) {
			r, err := fetch.NewRepository(base, "north", client)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Metadata(context.Background(), 1); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDirectoryGivesOnlyItsOwnRegularFiles(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	body := []byte("secret")
	if err := os.WriteFile(outside, body, 0o600); err != nil {
		t.Fatal(err)
	}
	name := func(path string) (trust.File, string) {
		f := trust.File{Path: path, Length: int64(len(body)), SHA256: sha256.Sum256(body)}
		full := filepath.Join(dir, trust.TargetName(f))
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		return f, full
	}
	r := repository(t, "file://"+dir)
	s, _ := openStore(t)
	link, full := name("link")
	if err := os.Symlink(outside, full); err != nil {
		t.Fatal(err)
	}
	pipe, full := name("pipe")
	if err := syscall.Mkfifo(full, 0o600); err != nil {
		t.Fatal(err)
	}
	folder, full := name("folder")
	if err := os.Mkdir(full, 0o700); err != nil {
		t.Fatal(err)
	}
	big, full := name("big")
	if err := os.WriteFile(full, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, test := range map[string]struct {
		f    trust.File
		want error
	}{"link": {link, errAny}, "pipe": {pipe, fetch.ErrStatus}, "folder": {folder, fetch.ErrStatus}, "big": {big, fetch.ErrTooLarge}, "absent": {trust.File{Path: "absent"}, fetch.ErrNotFound}} {
		err := r.Stage(context.Background(), test.f, s)
		if err == nil || test.want != errAny && !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", what, err, test.want)
		}
	}
}
