package publish

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cordon-project/cordon/listsync/publish/ledger"
	"github.com/cordon-project/cordon/listsync/trust"
)

// A publish that is killed between two of its steps: the next command goes on, whichever it is, and the public log is one that auditors pass.
func TestAPublishThatIsKilledBetweenTwoStepsLeavesAnHonestLog(t *testing.T) {
	w := newWorld(t)
	w.importRows("x.test,domain")
	w.publishAll()
	first, _ := w.fetchAll(trust.HighWater{})
	w.signed("y.test,domain")
	before, half, after := w.path("before"), w.path("half"), w.path("after")
	w.must(copyDir(before, w.path("hotline")))
	checkpoint := w.path("hotline", "repository", "log", "checkpoint")
	w.must(os.WriteFile(checkpoint, []byte("x\n"), 0o644))
	if _, err := w.h.Publish(""); !errors.Is(err, ledger.ErrLost) { // all that is written before the log is
		t.Fatalf("with a damaged log: %v", err)
	}
	w.must(copyDir(half, w.path("hotline")))
	w.must(os.WriteFile(checkpoint, w.bytesOf(before, "repository", "log", "checkpoint"), 0o644))
	_, err := w.h.Publish("")
	w.must(err)
	w.must(copyDir(after, w.path("hotline")))
	var is state
	w.must(readJSON(filepath.Join(after, "state.json"), &is))

	from := func(dir string, elem ...string) { // this is on disk
		to, of := w.path(append([]string{"hotline"}, elem...)...), filepath.Join(append([]string{dir}, elem...)...)
		w.must(os.RemoveAll(to))
		info, err := os.Stat(of)
		w.must(err)
		if info.IsDir() {
			w.must(copyDir(to, of))
			return
		}
		w.must(os.WriteFile(to, w.bytesOf(of), info.Mode()))
	}
	done := func(elem ...string) { from(after, elem...) }
	steps := []struct {
		name   string
		do     func()
		logged bool // the version may stand in the public log
		out    bool // readers see it
	}{
		{"nothing is done", func() {}, false, false},
		{"the lists are in the repository", func() { done("repository", "targets") }, false, false},
		{"the leaf is written down", func() { from(half, "staging", loggedName) }, true, false},
		{"its number is written down", func() { from(half, "state.json") }, true, false},
		{"the log has its leaf", func() { done("repository", "log", "tile"); done("repository", "log", ".state") }, true, false},
		{"the log's checkpoint is signed", func() { done("repository", "log", "checkpoint") }, true, false},
		{"how far the log is, is written down", func() {
			var st state
			w.must(readJSON(filepath.Join(half, "state.json"), &st))
			st.LogSize, st.LogRoot = is.LogSize, is.LogRoot
			w.must(writeJSON(w.path("hotline", "state.json"), st, 0o600))
		}, true, false},
		{"its proof is written", func() { done("repository", "log", "proof") }, true, false},
		{"metadata is written", func() {
			kept := w.bytesOf(w.path("hotline"), "repository", filepath.FromSlash(trust.TimestampName))
			done("repository", "metadata")
			w.must(os.WriteFile(w.path("hotline", "repository", filepath.FromSlash(trust.TimestampName)), kept, 0o644))
		}, true, false},
		{"readers see it", func() { done("repository", "metadata") }, true, true},
		{"its record is kept", func() {
			s := session{dir: w.path("hotline")}
			w.must(os.Rename(s.path("staging", "entries.jsonl"), s.recordPath(2)))
		}, true, true},
		{"its manifest is written", func() { done("versions") }, true, true},
		{"all is written down", func() { done("state.json") }, true, true},
	}
	for i, step := range steps {
		for _, anew := range []bool{false, true} {
			if step.out && !anew {
				continue // there is nothing left to publish
			}
			w.must(os.RemoveAll(w.path("hotline")))
			w.must(copyDir(w.path("hotline"), before))
			for _, s := range steps[:i+1] {
				s.do()
			}
			want := uint64(2)
			if anew {
				if step.logged {
					want = 3
				}
				w.importRows("z.test,domain")
				_, err := w.h.SignWith(SignOptions{Officer: w.officers[0], Again: true})
				if err == nil {
					_, err = w.h.Sign(w.officers[1])
				}
				if err != nil {
					t.Errorf("%s: sign: %v", step.name, err)
					continue
				}
			}
			p, err := w.h.Publish("")
			if err != nil || p.Seq != want {
				t.Errorf("%s, signed anew %t: published %+v, %v; want version %d", step.name, anew, p, err, want)
				continue
			}
			if why := w.dishonest(); why != "" {
				t.Errorf("%s, signed anew %t: %s", step.name, anew, why)
			}
			w.fetchAll(first.High)
		}
	}
}

// dishonest says what an auditor would find wrong in the public log; nothing when all is well.
func (w *world) dishonest() string {
	w.t.Helper()
	issued, err := w.h.Issued()
	w.must(err)
	seqs, prevs := w.numbers()
	if !slices.IsSorted(seqs) || len(slices.Compact(slices.Clone(seqs))) != len(seqs) {
		return fmt.Sprintf("numbers %v", seqs)
	}
	last := uint64(0)
	for i, seq := range seqs {
		if prevs[i] != last {
			return fmt.Sprintf("version %d follows %d, published before it is %d", seq, prevs[i], last)
		}
		if _, ok := issued.Edge[seq]; ok {
			last = seq
		}
	}
	if all := slices.Sorted(maps.Keys(issued.Edge)); last != issued.Seq || all[len(all)-1] != last {
		return fmt.Sprintf("published are %v, in the log is %d", all, last)
	}
	return ""
}
