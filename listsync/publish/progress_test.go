package publish

import (
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// listener is a Progress that remembers.
type listener struct {
	mu    sync.Mutex
	steps []string
	total []int64
	done  []int64
	ended int
}

func (l *listener) Begin(step string, total int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.steps, l.total, l.done = append(l.steps, step), append(l.total, total), append(l.done, 0)
}

func (l *listener) Add(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done[len(l.done)-1] += n
}

func (l *listener) Done() { l.ended++ }

func TestLongWorkTellsHowFarItIs(t *testing.T) {
	w := newWorld(t)
	l := &listener{}
	w.c.Progress = l
	var err error
	w.h, err = Open(w.c, w.path("hotline"))
	w.must(err)
	w.must(os.WriteFile(w.path("rows.csv"), []byte(w.csv("a.test,host", "b.test/x,url")), 0o600))
	f, err := os.Open(w.path("rows.csv"))
	w.must(err)
	defer f.Close()
	_, err = w.h.Import(f)
	w.must(err)
	_, err = w.h.Check()
	w.must(err)
	w.publishAll()
	_, err = w.h.Diff()
	w.must(err)
	steps := strings.Join(slices.Compact(slices.Clone(l.steps)), "; ")
	const want = "reading the rows; sorting the rows in; reading the entries; making version 1; reading the entries; making version 1; " +
		"verifying version 1; copying the files to the repository; comparing with version 1"
	if steps != want {
		t.Errorf("got  %s\nwant %s", steps, want)
	}
	for i, step := range l.steps {
		if l.done[i] > l.total[i] || l.done[i] == 0 && !strings.HasPrefix(step, "sorting") {
			t.Errorf("%s: %d of %d", step, l.done[i], l.total[i])
		}
	}
	if l.ended < 5 {
		t.Errorf("%d commands told that they are done", l.ended)
	}
}
