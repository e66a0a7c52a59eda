package publish

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/brake"
)

// A popular name and a host that carries many others can be listed, by two officers who each write why, entry by entry.
func TestPopularNamesNeedAReasonForEachEntry(t *testing.T) {
	w := newWorld(t)
	key, err := NewPopularityKey(w.c, w.path("key"), "popularity.hotline-one.test")
	w.must(err)
	_, err = SignPopularity(w.c, PopularityOptions{Key: w.path("key"), Popular: strings.NewReader("1,popular.test\n2,other.test\n"),
		Shared: strings.NewReader("pages.test\n"), Out: w.path("names")})
	w.must(err)
	if _, err := w.h.UsePopularity(w.path("names")); ExitCode(err) != int(CodeUsage) {
		t.Errorf("without a key: got %v", err)
	}
	info, err := w.h.UsePopularity(w.path("names"), key.Key)
	w.must(err)
	if info.Popular != 2 || info.Shared != 1 {
		t.Errorf("got %+v", info)
	}
	w.importRows("www.popular.test,host", "pages.test,domain", "other.test/x,url", "fine.test,host")
	r, err := w.h.Check()
	w.must(err)
	if len(r.Holds) != 2 || r.Holds[0].Brake != "popular" || r.Holds[1].Brake != "shared" || !r.Holds[0].Approve {
		t.Fatalf("got %+v", r.Holds)
	}
	for _, tt := range []struct {
		name    string
		approve SignOptions
		held    bool
	}{
		{"one reason for all", SignOptions{Approve: "we are sure"}, true},
		{"a reason for one of two", SignOptions{ApproveEntries: map[string]string{"pages.test": "the host removes nothing"}}, true},
		{"a reason for each", SignOptions{ApproveEntries: map[string]string{"pages.test": "the host removes nothing", r.Holds[0].Entry: "taken over by strangers"}}, false},
	} {
		tt.approve.Officer = w.officers[0]
		if _, err := w.h.SignWith(tt.approve); errors.Is(err, ErrHeld) != tt.held {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
	if _, err := w.h.Sign(w.officers[1]); !errors.Is(err, ErrHeld) {
		t.Errorf("the second officer has written nothing: got %v", err)
	}
	_, err = w.h.SignWith(SignOptions{Officer: w.officers[1], ApproveEntries: map[string]string{"pages.test": "seen", "www.popular.test": "seen too"}})
	w.must(err)
	_, err = w.h.Publish("")
	w.must(err)
	m, err := os.ReadFile(w.path("hotline", "versions", "1.json"))
	w.must(err)
	for _, want := range []string{"taken over by strangers", "seen too", r.Holds[0].Entry} {
		if !strings.Contains(string(m), want) {
			t.Errorf("%q is not kept: %s", want, m)
		}
	}
	// The next version needs no reasons for what is published; what was withdrawn and comes back does.
	w.importRows("more.test,host")
	_, err = w.h.Sign(w.officers[0])
	w.must(err)
	_, err = w.h.Withdraw(w.officers[:2], "error", "pages.test")
	w.must(err)
	w.importRows("pages.test,domain")
	if r, err := w.h.Check(); err != nil || len(r.Holds) != 1 || r.Holds[0].Address != "pages.test" {
		t.Errorf("withdrawn and imported again: %+v, %v", r, err)
	}
	// A file that is gone or changed holds everything: nobody signs without it.
	w.inPlace(w.path("hotline", popularityFile), func(b []byte) []byte { return bytes.Replace(b, []byte("popular.test"), []byte("popular.tesu"), 1) })
	if _, err := w.h.Check(); ExitCode(err) != int(CodeVerify) {
		t.Errorf("changed file: got %v", err)
	}
}

// Officers write their reasons on machines of their own, and the tool there asks the same brakes with the same file.
func TestReasonsForEntriesAreCarried(t *testing.T) {
	w := newWorld(t)
	key, err := NewPopularityKey(w.c, w.path("key"), "popularity.hotline-one.test")
	w.must(err)
	_, err = SignPopularity(w.c, PopularityOptions{Key: w.path("key"), Popular: strings.NewReader("popular.test\n"), Out: w.path("names")})
	w.must(err)
	_, err = w.h.UsePopularity(w.path("names"), key.Key)
	w.must(err)
	w.importRows("popular.test,host", "fine.test,host")
	for n, full := range []bool{false, true} {
		request, out := w.request(full), w.path("signature")
		a, err := w.answer(n, request, out)
		if !errors.Is(err, ErrHeld) || len(a.Check.Holds) != 1 || a.Check.Holds[0].Brake != "popular" {
			t.Fatalf("full %t without a reason: %+v, %v", full, a, err)
		}
		_, err = w.answer(n, request, out, func(o *AnswerOptions) { o.ApproveEntries = map[string]string{"popular.test": "taken over"} })
		w.must(err)
		b, err := os.ReadFile(out)
		w.must(err)
		if strings.Contains(string(b), "popular.test") || !strings.Contains(string(b), a.Check.Holds[0].Entry) {
			t.Errorf("a signature file names entries by id: %s", b)
		}
		_, err = w.h.ImportSignature(out)
		w.must(err)
	}
	_, err = w.h.Publish("")
	w.must(err)
	m, err := os.ReadFile(w.path("hotline", "versions", "1.json"))
	w.must(err)
	if strings.Count(string(m), "taken over") != 2 {
		t.Errorf("the reasons are not kept: %s", m)
	}
}

func TestManySmallStepsAreOneLargeOne(t *testing.T) {
	w := newWorld(t)
	add := func(n, from int) {
		var rows []string
		for i := range n {
			rows = append(rows, fmt.Sprintf("n%d.test,host", from+i))
		}
		w.importRows(rows...)
	}
	add(50, 0)
	w.publishAll()
	for step := range 6 {
		w.now = w.now.Add(time.Hour)
		add(90, 1000*(step+1))
		if _, err := w.h.Sign(w.officers[0]); step < 5 {
			w.must(err)
			_, err = w.h.Sign(w.officers[1])
			w.must(err)
			_, err = w.h.Publish("")
			w.must(err)
		} else if r, _ := w.h.Check(); !errors.Is(err, ErrHeld) || len(r.Holds) != 1 || r.Holds[0].Brake != "window" {
			t.Errorf("step %d: got %v, %+v", step, err, r.Holds)
		}
	}
	then := w.now
	w.now = w.now.Add(brake.Span + time.Hour)
	if _, err := w.h.Sign(w.officers[0]); err != nil {
		t.Errorf("a week later: got %v", err)
	}
	w.now = then
	for _, o := range w.officers[:2] {
		_, err := w.h.SignWith(SignOptions{Officer: o, Approve: "counted and right"})
		w.must(err)
	}
	_, err := w.h.Publish("")
	w.must(err)
	add(90, 10_000)
	if _, err := w.h.Sign(w.officers[0]); err != nil {
		t.Errorf("after people have looked at the sum: got %v", err)
	}
}
