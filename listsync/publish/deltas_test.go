package publish

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// version imports and publishes n rows more.
func (w *world) version(from, n int) fetched {
	w.t.Helper()
	var rows []string
	for i := from; i < from+n; i++ {
		rows = append(rows, fmt.Sprintf("n%d.example.test,domain", i))
	}
	w.importRows(rows...)
	w.publishAll()
	got, _ := w.fetchAll(trust.HighWater{})
	return got
}

// TestAnOperatorGoesFromVersionToVersionByDeltas publishes five versions and walks the chain that the last one names: each delta,
// fetched over HTTP, leads on, and all of them merged lead from the first to the last. New keys end the chain.
func TestAnOperatorGoesFromVersionToVersionByDeltas(t *testing.T) {
	w := newWorld(t)
	w.addOperator("op")
	first := w.version(0, 400)
	if n := len(first.Lists[0].Deltas); n != 0 {
		t.Fatalf("version 1 names %d deltas", n)
	}
	var last fetched
	for i := range 4 {
		last = w.version(400+3*i, 3)
	}
	target := last.Lists[0]
	if len(target.Deltas) != 4 || target.EdgeHead != last.edge.Hash() || len(target.Chain(2)) != 3 || target.Chain(9) != nil {
		t.Fatalf("version 5 names %d deltas, %d of them from version 2 on", len(target.Deltas), len(target.Chain(2)))
	}
	_, repo := w.fetchAll(trust.HighWater{})
	var merged *list.Delta
	for _, f := range target.Chain(1) {
		var b bytes.Buffer
		w.must(repo.File(t.Context(), f.File, &b))
		d, err := list.OpenDelta(b.Bytes())
		w.must(err)
		if d.FromSeq != f.From || d.Version.Seq != f.To {
			t.Errorf("delta from %d to %d is called %d to %d", d.FromSeq, d.Version.Seq, f.From, f.To)
		}
		if merged == nil {
			merged = d
		} else {
			merged, err = list.Merge(merged, d)
			w.must(err)
		}
	}
	to, err := merged.Apply(first.edge, match.Memory{})
	w.must(err)
	if !bytes.Equal(to.Bytes(), last.edge.Bytes()) {
		t.Error("the deltas lead to another list")
	}

	_, err = w.h.NewEpoch()
	w.must(err)
	if after := w.version(500, 1).Lists[0]; len(after.Deltas) != 0 {
		t.Errorf("a version under new keys names %d deltas", len(after.Deltas))
	}
	if after := w.version(501, 1).Lists[0]; len(after.Deltas) != 1 {
		t.Errorf("the version after that names %d deltas, want 1", len(after.Deltas))
	}
}

// TestAChangedDeltaIsNotSigned: the second officer's tool makes the delta again and compares.
func TestAChangedDeltaIsNotSigned(t *testing.T) {
	w := newWorld(t)
	w.version(0, 400)
	w.importRows("one-more.example.test,domain")
	_, err := w.h.Sign(w.officers[0])
	w.must(err)
	path := filepath.Join(w.path("hotline"), "staging", "delta")
	b, err := os.ReadFile(path)
	w.must(err)
	b[len(b)-1] ^= 1
	w.must(os.WriteFile(path, b, 0o600))
	if _, err := w.h.Sign(w.officers[1]); err == nil {
		t.Error("signed")
	}
}
