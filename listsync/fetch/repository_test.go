package fetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
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
