package listsync

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

func TestANewVersionIsProposedOnce(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, h)
	for range 3 {
		if err := s.lists.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.Publish(trusttest.Now, trusttest.Files(listID, 2))
	if err := s.lists.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(a.published); got != "[1 2]" {
		t.Errorf("published %s, want [1 2]", got)
	}
}

func TestARefusalIsRecordedOnceAndStaysInHealth(t *testing.T) {
	tests := []struct {
		name   string
		fault  trusttest.Fault
		reason string
	}{
		{"one key of two", trusttest.ListSigners(0), "threshold"},
		{"another scope", trusttest.Scope("gambling"), "scope"},
		{"expired timestamp", trusttest.TimestampLives(-time.Hour), "expired"},
		{"flipped byte", trusttest.FlippedSignature("list"), "threshold"},
		{"duplicate key", trusttest.DuplicateKey("list"), "format"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := published(1)
			s, a := setup(t, h, h)
			if err := s.lists.poll(t.Context()); err != nil {
				t.Fatal(err)
			}
			h.Break(test.fault)
			h.Publish(trusttest.Now, trusttest.Files(listID, 2))
			for range 3 {
				s.lists.report(t.Context(), s.lists.poll(t.Context()))
			}
			if len(a.refusals) != 1 || a.refusals[0].Reason != test.reason || a.refusals[0].Hotline != h.ID {
				t.Errorf("refusals %+v, want one for %s", a.refusals, test.reason)
			}
			if len(a.published) != 1 {
				t.Errorf("published %v, want only version 1", a.published)
			}
			if p := s.Health().Problem; !strings.Contains(p, "refused ("+test.reason+")") {
				t.Errorf("health says %q", p)
			}
			h.Mend()
			h.Publish(trusttest.Now, trusttest.Files(listID, 3))
			s.lists.report(t.Context(), s.lists.poll(t.Context()))
			if p := s.Health(); p.Problem != "" || len(a.published) != 2 {
				t.Errorf("after mending: %+v, published %v", p, a.published)
			}
		})
	}
}

// lying answers like h but spoils what spoil names.
func lying(h http.Handler, part string, spoil func([]byte) []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		body := rec.Body.Bytes()
		if strings.Contains(r.URL.Path, part) {
			body = spoil(body)
		}
		w.WriteHeader(rec.Code)
		w.Write(body)
	})
}

func flip(b []byte) []byte {
	b = append([]byte(nil), b...)
	b[len(b)/2] ^= 1
	return b
}

func TestALyingMirrorCostsTimeOnly(t *testing.T) {
	h := published(1)
	for _, mirror := range []http.Handler{
		lying(h, ".edge", flip),
		lying(h, ".edge", func(b []byte) []byte { return append(b, 0) }),
		lying(h, ".edge", func(b []byte) []byte { return b[:len(b)/2] }),
		lying(h, "timestamp", flip),
		http.NotFoundHandler(),
	} {
		for name, places := range map[string][]http.Handler{"first": {mirror, h}, "second": {h, mirror}} {
			s, a := setup(t, h, places...)
			for range 2 {
				s.lists.poll(t.Context()) // may well complain of the one that lies
			}
			if len(a.published) != 1 {
				t.Errorf("published %v with a liar in %s place, want version 1", a.published, name)
			}
		}
	}
}

func TestAFileThatIsNotWhatWasSignedIsRefused(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, lying(h, ".audit", flip))
	for range 3 {
		if err := s.lists.poll(t.Context()); err == nil {
			t.Fatal("no error")
		}
	}
	if len(a.published) != 0 || len(a.refusals) != 1 || a.refusals[0].Reason != "hash" || a.refusals[0].Seq != 1 {
		t.Errorf("published %v, refusals %+v", a.published, a.refusals)
	}
}

// A delta saves work: a repository where one is damaged, cut off or gone still has the whole list.
func TestADeltaThatCannotBeHadHoldsUpNoVersion(t *testing.T) {
	for name, spoil := range map[string]func(http.Handler) http.Handler{
		"damaged": func(h http.Handler) http.Handler { return lying(h, ".delta", flip) },
		"longer": func(h http.Handler) http.Handler {
			return lying(h, ".delta", func(b []byte) []byte { return append(b, 0) })
		},
		"cut off": func(h http.Handler) http.Handler {
			return lying(h, ".delta", func(b []byte) []byte { return b[:len(b)/2] })
		},
		"gone": func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, ".delta") {
					http.NotFound(w, r)
					return
				}
				h.ServeHTTP(w, r)
			})
		},
	} {
		h := published(1)
		s, a := setup(t, h, spoil(h))
		if err := s.lists.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		next := trusttest.Files(listID, 2)
		next.Deltas = []trusttest.Delta{{From: 1, To: 2, File: []byte("a delta from 1 to 2\n")}}
		h.Publish(trusttest.Now, next)
		if err := s.lists.poll(t.Context()); err != nil || len(a.published) != 2 || len(a.refusals) != 0 {
			t.Errorf("%s: published %v, refusals %+v and %v, want version 2", name, a.published, a.refusals, err)
		}
	}
}

func TestAnOldRepositoryIsRefusedAsRollback(t *testing.T) {
	h, old := published(3), published(1)
	s, a := setup(t, h, h)
	if err := s.lists.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(old)
	defer server.Close()
	repo, err := fetch.NewRepository(server.URL, h.ID, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	s.lists.Repositories = []*fetch.Repository{repo}
	if err := s.lists.poll(t.Context()); err == nil {
		t.Error("old repository followed")
	}
	if len(a.refusals) != 1 || a.refusals[0].Reason != "rollback" {
		t.Errorf("refusals %+v, want rollback", a.refusals)
	}
}

// A repository that shows again what was once accepted is as old as any other (found end to end).
func TestAReplayedRepositoryIsRefusedAsRollback(t *testing.T) {
	h := published(1)
	old := published(1)
	var now http.Handler = h
	s, a := setup(t, h, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { now.ServeHTTP(w, r) }))
	if err := s.lists.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Publish(trusttest.Now, trusttest.Files(listID, 2))
	if err := s.lists.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	now = old
	if err := s.lists.poll(t.Context()); err == nil || len(a.refusals) != 1 || a.refusals[0].Reason != "rollback" {
		t.Errorf("replayed repository: %v, refusals %+v", err, a.refusals)
	}
}

func TestOthersWaitForTheLeader(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, h)
	a.follower = true
	for i := range patience {
		if err := s.lists.poll(t.Context()); err != nil || len(a.published) > 0 {
			t.Fatalf("poll %d: %v, published %v", i, err, a.published)
		}
	}
	if err := s.lists.poll(t.Context()); err != nil || len(a.published) != 1 {
		t.Errorf("after patience: %v, published %v", err, a.published)
	}
}

func TestNothingDecidedIsTriedAgain(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, h)
	a.answer = errors.New("no leader")
	if err := s.lists.poll(t.Context()); err == nil {
		t.Fatal("no error")
	}
	a.answer = nil
	if err := s.lists.poll(t.Context()); err != nil || len(a.published) != 1 {
		t.Errorf("second try: %v, published %v", err, a.published)
	}
}

// A mirror that stands still, or one that is ahead of the hotline's own server, must not hide news.
func TestAFrozenRepositoryDoesNotHideItsMirror(t *testing.T) {
	h, frozen := published(1), published(1)
	s, a := setup(t, h, frozen, h)
	if err := s.lists.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Publish(trusttest.Now, trusttest.Files(listID, 2))
	for range 2 {
		if err := s.lists.poll(t.Context()); err != nil && !strings.Contains(err.Error(), "rollback") {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(a.published); got != "[1 2]" {
		t.Errorf("published %s, want [1 2]", got)
	}
}

func TestOneSpoiledReadDoesNotStick(t *testing.T) {
	h := published(1)
	spoiled := true
	s, a := setup(t, h, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if spoiled {
			lying(h, "snapshot", flip).ServeHTTP(w, r)
		} else {
			h.ServeHTTP(w, r)
		}
	}))
	if err := s.lists.poll(t.Context()); err == nil {
		t.Fatal("spoiled read accepted")
	}
	spoiled = false
	if err := s.lists.poll(t.Context()); err != nil || len(a.published) != 1 {
		t.Errorf("after it: %v, published %v", err, a.published)
	}
}

// What is recorded for ever is in this package's words, whatever a stranger wrote.
func TestARefusalRepeatsNothingThatAStrangerWrote(t *testing.T) {
	h := published(1)
	s, a := setup(t, h, lying(h, ".csam-", func(b []byte) []byte {
		return []byte(strings.Replace(string(b), `"_type"`, `"aaa name.example":1,"_type"`, 1))
	}))
	if err := s.lists.poll(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if len(a.refusals) != 1 || strings.Contains(a.refusals[0].Detail, "example") || a.refusals[0].Detail == "" {
		t.Errorf("refusals %+v", a.refusals)
	}
}
