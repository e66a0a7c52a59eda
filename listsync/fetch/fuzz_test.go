package fetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

// answers is a web server in memory that says whatever it is told, and counts what is taken from it.
type answers struct {
	status int
	header string // lines "name: value"
	bodies map[string][]byte
	taken  map[string]int
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	res := &http.Response{StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: r, ContentLength: -1}
	for line := range strings.Lines(a.header) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			res.Header.Add(name, value)
		}
	}
	var body []byte
	for part, b := range a.bodies {
		if strings.Contains(r.URL.Path, part) {
			body = b
		}
	}
	res.Body = io.NopCloser(&counted{bytes.NewReader(body), a.taken, r.URL.Path})
	return res, nil
}

type counted struct {
	r     io.Reader
	taken map[string]int
	path  string
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.taken[c.path] += n
	return n, err
}

// Whatever a server says: no more is read than a file of its kind may have, and only whole parts come out.
func FuzzMetadata(f *testing.F) {
	h := trusttest.New("fetch", "north", now)
	h.RotateRoot(now)
	m := h.Publish(now, trusttest.Files(mainID, 1))
	f.Add(200, "", m.Roots[0], m.Timestamp, m.Snapshot, m.Targets, m.List, m.Charter)
	f.Add(200, "ETag: \"1\"\nContent-Encoding: gzip", []byte{}, m.Timestamp, m.Snapshot, m.Targets, m.List, m.Charter)
	f.Add(304, "ETag: x", []byte("{}"), []byte("{}"), []byte("[]"), []byte("0"), []byte(" "), []byte(`"`))
	f.Add(404, "Location: /", []byte{}, m.Snapshot, m.Timestamp, m.List, m.Targets, m.Charter)
	f.Fuzz(func(t *testing.T, status int, header string, root, timestamp, snapshot, targets, list, charter []byte) {
		a := &answers{status: status, header: header, taken: map[string]int{}, bodies: map[string][]byte{
			"root.json": root, "timestamp.json": timestamp, "snapshot.json": snapshot, "targets.json": targets, "csam-north.json": list, "charter.json": charter,
		}}
		r, err := fetch.NewRepository("http://repository.test/x", "north", &http.Client{Transport: a})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second one may use what the first has kept
			m, err := r.Metadata(context.Background(), 1)
			for path, n := range a.taken {
				if n > 2*(64<<10+1) {
					t.Errorf("%d bytes taken of %s", n, path)
				}
			}
			if err == nil && (len(m.Timestamp) == 0 || len(m.Roots) > trust.MaxRootSteps) {
				t.Errorf("%d roots, a timestamp of %d bytes, and no error", len(m.Roots), len(m.Timestamp))
			}
		}
	})
}

// A target that is taken is the one that was signed, byte for byte.
func FuzzTarget(f *testing.F) {
	f.Add(200, "", []byte("list"), []byte("list"), int64(4))
	f.Add(200, "Content-Encoding: identity", []byte("list"), []byte("lists"), int64(4))
	f.Add(206, "", []byte(""), []byte(""), int64(-1))
	f.Fuzz(func(t *testing.T, status int, header string, signed, sent []byte, length int64) {
		file := trust.File{Path: "csam/north/main.1.edge", Length: length, SHA256: sha256.Sum256(signed)}
		a := &answers{status: status, header: header, taken: map[string]int{}, bodies: map[string][]byte{".edge": sent}}
		r, err := fetch.NewRepository("http://repository.test/", "north", &http.Client{Transport: a})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := r.File(context.Background(), file, &out); err == nil && (!bytes.Equal(out.Bytes(), signed) || int64(len(signed)) != length) {
			t.Errorf("took %d bytes for the %d signed as %d", out.Len(), len(signed), length)
		}
		for path, n := range a.taken {
			if int64(n) > max(length+1, 0) {
				t.Errorf("%d bytes taken of %s, signed were %d", n, path, length)
			}
		}
	})
}

func FuzzRepositoryURL(f *testing.F) {
	for _, s := range []string{"https://mirror.example/cordon/", "file:///srv/repo", "http://u:p@x.test/", "http://x.test/?q", "ftp://x.test", "//x.test", "file://host/x"} {
		f.Add(s, "north", "csam/north/main.1.edge")
	}
	f.Fuzz(func(t *testing.T, base, hotline, path string) {
		asked := &answers{status: 200, taken: map[string]int{}, bodies: map[string][]byte{}}
		r, err := fetch.NewRepository(base, trust.HotlineID(hotline), &http.Client{Transport: asked})
		if err != nil || !strings.HasPrefix(strings.ToLower(base), "http") {
			return
		}
		_ = r.File(context.Background(), trust.File{Path: path, Length: 1, SHA256: sha256.Sum256([]byte("x"))}, io.Discard)
		for p := range asked.taken {
			if slices.Contains(strings.Split(p, "/"), "..") {
				t.Errorf("base %q, target %q: asked for %q", base, path, p)
			}
		}
	})
}
