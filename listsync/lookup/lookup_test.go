package lookup_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/lookup"
	"github.com/cordon-project/cordon/listsync/oprf"
)

type world struct {
	key      *oprf.Key
	auditors []lookup.Auditor
	now      time.Time
	opened   atomic.Int64 // columns that are not closed
	client   lookup.Client
	server   *httptest.Server
}

type closing struct {
	io.Reader
	close func()
}

func (c closing) Close() error { c.close(); return nil }

var column = []byte("a column")

func newWorld(t *testing.T, daily int) *world {
	t.Helper()
	raw, err := oprf.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{now: time.Unix(1780000000, 0), auditors: []lookup.Auditor{{Name: "board", Hash: sha256.Sum256([]byte("token"))}}}
	if w.key, err = oprf.OpenKey(raw); err != nil {
		t.Fatal(err)
	}
	s := lookup.NewService(lookup.Config{
		Key: w.key, Auditors: func() ([]lookup.Auditor, error) { return w.auditors, nil }, Clock: func() time.Time { return w.now }, Daily: daily,
		Column: func(sum [32]byte) (io.ReadCloser, int64, error) {
			if sum != sha256.Sum256(column) {
				return nil, 0, fs.ErrNotExist
			}
			w.opened.Add(1)
			return closing{bytes.NewReader(column), func() { w.opened.Add(-1) }}, int64(len(column)), nil
		},
	})
	server := httptest.NewServer(s.Handler("/base"))
	t.Cleanup(server.Close)
	w.server = server
	w.client = lookup.Client{URL: server.URL + "/base", Token: "token", HTTP: server.Client()}
	return w
}

func inputs(n int) [][]byte {
	var out [][]byte
	for i := range n {
		out = append(out, []byte{byte(i), 1})
	}
	return out
}

func TestAnAuditorGetsOutputsAndTheServiceSeesQuestionsOfOneSize(t *testing.T) {
	w := newWorld(t, 0)
	var sizes []int
	w.client.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, len(b))
		r.Body = io.NopCloser(bytes.NewReader(b))
		return http.DefaultTransport.RoundTrip(r)
	})}
	for _, n := range []int{1, 5, 16, 17} {
		got, err := w.client.Ask(t.Context(), w.key.Public(), inputs(n))
		if err != nil || len(got) != n {
			t.Fatalf("%d inputs: %d outputs, %v", n, len(got), err)
		}
		for i, in := range inputs(n) {
			if want, err := w.key.Full(in); err != nil || got[i] != want {
				t.Errorf("input %d of %d: got %x, want %x", i, n, got[i], want)
			}
		}
	}
	if len(sizes) != 5 { // 17 inputs are two questions
		t.Errorf("%d questions", len(sizes))
	}
	for _, n := range sizes {
		if n != 32+oprf.QuestionSize {
			t.Errorf("a question of %d bytes", n)
		}
	}
	if b, err := w.client.Column(t.Context(), sha256.Sum256(column), int64(len(column))); err != nil || !bytes.Equal(b, column) {
		t.Errorf("column %q, %v", b, err)
	}
	w.server.Close() // when it returns, handlers have
	if n := w.opened.Load(); n != 0 {
		t.Errorf("%d columns are still open", n)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWhoMayNotAskIsToldSo(t *testing.T) {
	w := newWorld(t, 3)
	ask := func() error {
		_, err := w.client.Ask(t.Context(), w.key.Public(), inputs(1))
		return err
	}
	wants := func(err error, says string) {
		t.Helper()
		if !errors.Is(err, lookup.ErrService) || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want it to say %q", err, says)
		}
	}
	w.client.Token = "guess"
	wants(ask(), "none of an auditor")
	w.client.Token = ""
	wants(ask(), "token is needed")
	w.client.Token = "token"
	_, err := w.client.Ask(t.Context(), [32]byte(bytes.Repeat([]byte{0xe2}, 32)), inputs(1))
	if err == nil {
		t.Error("asked for a key that is none")
	}
	for range 2 {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	_, err = w.client.Column(t.Context(), [32]byte{1}, 9)
	wants(err, "no such column")
	wants(ask(), "3 questions of today are used up")
	w.now = w.now.Add(24 * time.Hour)
	if err := ask(); err != nil {
		t.Errorf("the next day: %v", err)
	}
	w.auditors = nil
	wants(ask(), "any more")
}

func TestAServiceThatCheatsIsNotBelieved(t *testing.T) {
	w := newWorld(t, 0)
	other := newWorld(t, 0)
	honest := w.client.URL
	cheat := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if strings.Contains(r.URL.Path, "column") {
			rw.Write([]byte("b column"))
			return
		}
		answer, err := other.key.Answer(body[32:])
		if err != nil {
			t.Error(err)
		}
		rw.Write(answer)
	}))
	t.Cleanup(cheat.Close)
	w.client.URL = cheat.URL
	if got, err := w.client.Ask(t.Context(), w.key.Public(), inputs(1)); !errors.Is(err, oprf.ErrProof) {
		t.Errorf("another key: got %x, %v", got, err)
	}
	if b, err := w.client.Column(t.Context(), sha256.Sum256(column), int64(len(column))); !errors.Is(err, oprf.ErrProof) {
		t.Errorf("another column: %q, %v", b, err)
	}
	w.client.URL = honest
	if _, err := w.client.Ask(t.Context(), other.key.Public(), inputs(1)); !errors.Is(err, lookup.ErrService) || !strings.Contains(err.Error(), "another key") {
		t.Errorf("a question for another key: %v", err)
	}
}

func TestBodiesThatAreNoQuestionAreRefused(t *testing.T) {
	w := newWorld(t, 0)
	pub := w.key.Public()
	for name, body := range map[string][]byte{
		"empty": nil, "a key alone": pub[:], "zeros": append(pub[:], make([]byte, oprf.QuestionSize)...), "too long": append(pub[:], make([]byte, oprf.QuestionSize+1)...),
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.client.URL+"/v1/lookup", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer token")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", name, res.Status)
		}
	}
}
