package fetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

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
