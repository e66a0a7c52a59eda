package publish

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/listsync/trust"
)

// numbers are those of the leaves of the public log, and of the versions that they follow.
func (w *world) numbers() (seq, prev []uint64) {
	w.t.Helper()
	_, leaves := w.publicLog()
	for _, l := range leaves {
		seq, prev = append(seq, l.Seq), append(prev, l.Prev)
	}
	return seq, prev
}

// drop signs a version, has it put into the public log, and drops it before anybody can fetch it.
func (w *world) drop(row string) {
	w.t.Helper()
	w.signed(row)
	s, err := w.h.begin()
	w.must(err)
	c, _, meta, err := s.loadCandidate()
	w.must(err)
	m, err := s.online(meta, true)
	w.must(err)
	v, err := s.verify(m)
	w.must(err)
	_, err = s.logVersion(w.t.Context(), c, m, v, true)
	w.must(err)
	s.release() // the machine goes down
	w.importRows("more." + row)
	g, err := w.h.SignWith(SignOptions{Officer: w.officers[0], Again: true})
	w.must(err)
	if g.Dropped == "" || g.Seq != c.Seq+1 {
		w.t.Fatalf("after version %d was dropped: %+v", c.Seq, g)
	}
}

func TestAVersionThatIsDroppedFromThePublicLogUsesItsNumberUp(t *testing.T) {
	w := newWorld(t)
	var rows []string // enough for deltas to be worth while
	for i := range 300 {
		rows = append(rows, fmt.Sprintf("x%d.test,domain", i))
	}
	w.importRows(rows...)
	w.publishAll()
	first, _ := w.fetchAll(trust.HighWater{})
	w.drop("y.test,domain")
	w.drop("z.test,domain")
	if p := w.publishAll(); p.Seq != 4 || p.Added != 4 {
		t.Fatalf("got version %d, %d entries added", p.Seq, p.Added)
	}
	w.importRows("last.test,domain")
	w.publishAll()
	if seq, prev := w.numbers(); !slices.Equal(seq, []uint64{1, 2, 3, 4, 5}) || !slices.Equal(prev, []uint64{0, 1, 1, 1, 4}) {
		t.Errorf("the public log has versions %v, which follow %v", seq, prev)
	}
	w.fetchAll(first.High) // whoever had version 1 follows

	issued, err := w.h.Issued()
	w.must(err)
	if len(issued.Edge) != 3 || issued.Seq != 5 {
		t.Errorf("issued: %+v", issued)
	}
	s, err := w.h.begin()
	w.must(err)
	defer s.release()
	recent, err := s.recent()
	w.must(err)
	if len(recent) != 3 {
		t.Errorf("%d versions in the brakes' window, want 3", len(recent))
	}
	if files, err := s.publicFiles(); err != nil || len(files) < 6 {
		t.Errorf("%d files of three versions, %v", len(files), err)
	}
	for seq, want := range map[uint64]bool{0: false, 1: true, 2: false, 3: false, 4: true, 5: true, 6: false} {
		if got := s.hasPublished(seq); got != want {
			t.Errorf("version %d published: %v", seq, got)
		}
	}
	if d, err := s.manifest(5); err != nil || d.Delta == nil || !strings.Contains(d.Delta.Path, ".4.5.") {
		t.Errorf("delta of version 5: %+v, %v", d, err)
	}
	if d, err := s.manifest(4); err != nil || d.Delta == nil || !strings.Contains(d.Delta.Path, ".1.4.") {
		t.Errorf("delta of version 4: %+v, %v", d, err)
	}
}

// A directory that was put back from a backup does not know what the log has.
func TestANumberThatTheLogHasIsNotUsedAgainAfterARestore(t *testing.T) {
	w := newWorld(t)
	w.importRows("x.test,domain")
	w.publishAll()
	w.drop("y.test,domain")
	var st state
	w.must(readJSON(w.path("hotline", "state.json"), &st))
	st.LogSeq = 0
	w.must(writeJSON(w.path("hotline", "state.json"), st, 0o600))
	w.must(os.RemoveAll(w.path("hotline", "staging")))
	w.must(os.Mkdir(w.path("hotline", "staging"), 0o700))
	for _, o := range w.officers[:2] {
		_, err := w.h.Sign(o)
		w.must(err)
	}
	_, err := w.h.Publish("")
	if !errors.Is(err, ErrUnsigned) || !strings.Contains(err.Error(), "number 3") {
		t.Fatalf("a second content of version 2: got %v", err)
	}
	if p := w.publishAll(); p.Seq != 3 {
		t.Errorf("got version %d", p.Seq)
	}
	if seq, prev := w.numbers(); !slices.Equal(seq, []uint64{1, 2, 3}) || !slices.Equal(prev, []uint64{0, 1, 1}) {
		t.Errorf("the public log has versions %v, which follow %v", seq, prev)
	}
}
