package monitor_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/monitor"
	"github.com/cordon-project/cordon/listsync/witness"
)

// nodes are control nodes, each with a log of its own; nil is one that does not answer.
type nodes map[string]*audittest.Log

var errDown = errors.New("connection refused")

func (n nodes) Checkpoint(_ context.Context, node string) ([]byte, error) {
	if n[node] == nil {
		return nil, errDown
	}
	return n[node].Checkpoint(), nil
}

func (n nodes) Bundle(_ context.Context, node string, part audit.Part) (io.ReadCloser, error) {
	if n[node] == nil {
		return nil, errDown
	}
	return io.NopCloser(bytes.NewReader(n[node].Part(part))), nil
}

// watched is a monitor of these nodes and what it has said.
type watched struct {
	*monitor.Monitor
	c    monitor.Config
	said []string
}

func watch(t *testing.T, l *audittest.Log, n nodes, names ...string) *watched {
	t.Helper()
	w := &watched{}
	w.c = monitor.Config{
		Trust: l.TrustFile(), Dir: t.TempDir(), Nodes: names, Source: n, Every: time.Minute, MaxAge: time.Hour,
		Clock: func() time.Time { return l.Now.Add(time.Second) },
		Tell: func(e monitor.Event) {
			if e.Text != audit.Escape(e.Text) {
				t.Errorf("%q is not fit for a terminal", e.Text)
			}
			w.said = append(w.said, e.Kind+" "+e.Node+" "+e.Text)
		},
	}
	w.restart(t)
	return w
}

func (w *watched) restart(t *testing.T) {
	t.Helper()
	m, err := monitor.Open(w.c)
	if err != nil {
		t.Fatal(err)
	}
	w.Monitor = m
}

// round asks all nodes once and gives what was said.
func (w *watched) round(t *testing.T) []string {
	t.Helper()
	w.said = nil
	if _, err := w.Round(t.Context()); err != nil {
		t.Fatalf("round: %v, said %q", err, w.said)
	}
	return w.said
}

func has(said []string, words string) bool {
	return slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, words) })
}

func TestAMonitorSaysWhatIsNewOnce(t *testing.T) {
	l := audittest.Honest("monitor")
	w := watch(t, l, nodes{"a": l, "b": l}, "a", "b")
	if said := w.round(t); len(said) != 1 || !has(said, "verified a 15 new leaves, 15 in all") {
		t.Errorf("first round: %q", said)
	}
	if said := w.round(t); len(said) != 0 {
		t.Errorf("nothing is new: %q", said)
	}
	l.Publish(50)
	l.Receipts(audittest.E1)
	w.restart(t)
	if said := w.round(t); len(said) != 2 || !has(said, "verified a 2 new leaves, 17 in all") || !has(said, "leaf a leaf 15, publish: list hotline-one/main sequence 3") {
		t.Errorf("after a restart: %q", said)
	}
}

func TestAProblemIsSaidWhenItBeginsAndWhenItEnds(t *testing.T) {
	l := audittest.Honest("monitor")
	n := nodes{"a": l}
	w := watch(t, l, n, "a", "b")
	if said := w.round(t); !has(said, "problem b unreachable: connection refused") {
		t.Errorf("one node is down: %q", said)
	}
	w.restart(t)
	if said := w.round(t); len(said) != 0 {
		t.Errorf("it is still down, after a restart: %q", said)
	}
	n["b"] = l
	if said := w.round(t); len(said) != 1 || !has(said, "ended b unreachable no more") {
		t.Errorf("it is there again: %q", said)
	}
	note := l.Checkpoint()
	old := nodes{"a": l, "b": l}
	l.Now = l.Now.Add(2 * time.Hour)
	w.c.Source = frozen{old, note}
	w.restart(t)
	if said := w.round(t); !has(said, "problem a stale: a quorum signed its checkpoint of 15 leaves last at") {
		t.Errorf("the checkpoint is old: %q", said)
	}
	w.c.Source = garbage{old}
	w.restart(t)
	if said := w.round(t); !has(said, "problem a unsigned") || !has(said, "ended a stale no more") {
		t.Errorf("the checkpoint is nonsense: %q", said)
	}
}

// frozen shows an old checkpoint.
type frozen struct {
	nodes
	note []byte
}

func (f frozen) Checkpoint(context.Context, string) ([]byte, error) { return f.note, nil }

// garbage shows no checkpoint at all.
type garbage struct{ nodes }

func (garbage) Checkpoint(context.Context, string) ([]byte, error) {
	return []byte("\x1b[2Jhello\n\n"), nil
}

func TestTwoHistoriesAreALie(t *testing.T) {
	l, other := audittest.Honest("monitor"), audittest.New("monitor")
	other.Publish(31)
	for len(other.Leaves) < 12 {
		other.Receipts(audittest.E1)
	}
	for name, more := range map[string]int{"as long as what was verified": 0, "longer": 9} {
		for range more {
			other.Receipts(audittest.E1)
		}
		w := watch(t, l, nodes{"a": l, "b": other}, "a", "b")
		if other.Now.After(l.Now) {
			l.Now = other.Now
		}
		_, err := w.Round(t.Context())
		if !errors.Is(err, monitor.ErrLie) || !has(w.said, "lie b ") || !has(w.said, "fork: ") {
			t.Errorf("%s: %v, %q", name, err, w.said)
			continue
		}
		files, err := filepath.Glob(filepath.Join(w.c.Dir, "evidence", "*", "*"))
		if err != nil || len(files) != 3 {
			t.Errorf("%s: evidence %q, want both checkpoints and a report", name, files)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil || len(b) == 0 {
				t.Errorf("%s: %v", f, err)
			}
			if strings.HasSuffix(f, ".checkpoint") {
				if _, _, _, err := l.Desc.Quorum().Open(b); err != nil {
					t.Errorf("%s is no evidence: %v", f, err)
				}
			}
		}
	}
}

func TestALieInNewLeavesEndsTheWatch(t *testing.T) {
	l := audittest.Honest("monitor")
	w := watch(t, l, nodes{"a": l}, "a")
	w.round(t)
	l.PublishWith(50, func(p audit.Publish) audit.Publish { p.Verdicts = p.Verdicts[:1]; return p })
	if _, err := w.Round(t.Context()); !errors.Is(err, monitor.ErrLie) || !has(w.said, "lie a verdicts: leaf 15") {
		t.Errorf("%v, %q", err, w.said)
	}
	for range 3 {
		w.restart(t)
		if _, err := w.Round(t.Context()); !errors.Is(err, monitor.ErrLie) {
			t.Errorf("after a restart: %v, want %v: the lie is still there", err, monitor.ErrLie)
		}
	}
	if kept, err := filepath.Glob(filepath.Join(w.c.Dir, "evidence", "*")); err != nil || len(kept) != 1 || !has(w.said, kept[0]) {
		t.Errorf("%d directories of evidence of one lie: %v; said %q", len(kept), err, w.said)
	}
}

// A disk that takes no evidence does not keep the lie from being said.
func TestALieIsSaidWithoutRoomForItsEvidence(t *testing.T) {
	l := audittest.Honest("monitor")
	w := watch(t, l, nodes{"a": l}, "a")
	w.round(t)
	if err := os.WriteFile(filepath.Join(w.c.Dir, "evidence"), nil, 0o600); err != nil { // no directory can be made there
		t.Fatal(err)
	}
	l.PublishWith(50, func(p audit.Publish) audit.Publish { p.Verdicts = p.Verdicts[:1]; return p })
	if _, err := w.Round(t.Context()); !errors.Is(err, monitor.ErrLie) || !has(w.said, "lie a verdicts: leaf 15") || !has(w.said, "its evidence could not be written") {
		t.Errorf("%v, %q", err, w.said)
	}
}

// stalled is a node that takes a question and says nothing.
type stalled struct {
	nodes
	node string
}

func (s stalled) Checkpoint(ctx context.Context, node string) ([]byte, error) {
	if node == s.node {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.nodes.Checkpoint(ctx, node)
}

func TestANodeThatStallsKeepsNobodyFromTheOthers(t *testing.T) {
	l := audittest.Honest("monitor")
	n := nodes{"b": l}
	w := watch(t, l, n, "a", "b")
	w.c.Patience = 10 * time.Millisecond
	w.restart(t)
	w.round(t) // a is down
	w.c.Source = stalled{n, "a"}
	w.restart(t)
	l.Publish(50)
	if said := w.round(t); !has(said, "verified b 1 new leaves") {
		t.Errorf("beside a node that stalls: %q", said)
	}
}

// garrulous nodes do not answer, and say why at length.
type garrulous struct{ nodes }

func (garrulous) Checkpoint(context.Context, string) ([]byte, error) {
	return nil, errors.New(strings.Repeat("certificate is valid for other.example \x1b[2J ", 20000))
}

func TestLongProblemsAreStillReadAfterARestart(t *testing.T) {
	l := audittest.Honest("monitor")
	w := watch(t, l, nodes{"a": l, "b": l}, "a", "b")
	w.c.Source = garrulous{nodes{"a": l, "b": l}}
	w.restart(t)
	w.round(t)
	w.restart(t)
	if said := w.round(t); len(said) != 0 {
		t.Errorf("nothing has changed: %q", said)
	}
}

func TestAVisitThatIsGoneIsMissed(t *testing.T) {
	l := audittest.Honest("monitor")
	w := watch(t, l, nodes{"a": l}, "a")
	w.round(t)
	visit, checkpoint := filepath.Join(w.c.Dir, "visit"), filepath.Join(w.c.Dir, "checkpoint")
	if err := os.Remove(checkpoint); err != nil { // a crash between the two
		t.Fatal(err)
	}
	w.restart(t)
	w.round(t)
	if _, err := os.Stat(checkpoint); err != nil {
		t.Errorf("the checkpoint is not written again: %v", err)
	}
	if err := os.Remove(visit); err != nil {
		t.Fatal(err)
	}
	if _, err := monitor.Open(w.c); err == nil || !strings.Contains(err.Error(), visit+" is gone") {
		t.Errorf("%v, want an error that says that %s is gone", err, visit)
	}
}

func TestADamagedDirectoryIsNamed(t *testing.T) {
	l := audittest.Honest("monitor")
	w := watch(t, l, nodes{"a": l}, "a")
	w.round(t)
	path := filepath.Join(w.c.Dir, "visit")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := monitor.Open(w.c); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v, want an error that names %s", err, path)
	}
}

func TestAMonitorCosignsOnlyWhatItHasVerified(t *testing.T) {
	l := audittest.Honest("monitor")
	w := watch(t, l, nodes{"a": l}, "a")
	signer, err := witness.NewSigner("auditor.example/watch", ed25519.NewKeyFromSeed(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	log, err := w.Log()
	if err != nil {
		t.Fatal(err)
	}
	keeper, err := witness.OpenKeeper(witness.KeeperConfig{Dir: t.TempDir(), Hand: w.Hand(signer), Clock: func() time.Time { return l.Now }})
	if err != nil {
		t.Fatal(err)
	}
	if err := keeper.SetLogs([]witness.Log{log}); err != nil {
		t.Fatal(err)
	}
	first := l.Checkpoint()
	if _, err := keeper.Add(witness.Request{Note: first}); !errors.Is(err, witness.ErrNotYet) {
		t.Errorf("before the first round: %v, want %v", err, witness.ErrNotYet)
	}
	w.round(t)
	size := uint64(len(l.Leaves))
	if lines, err := keeper.Add(witness.Request{Note: first}); err != nil || !bytes.Contains(lines, []byte("auditor.example/watch")) {
		t.Errorf("what was verified: %v", err)
	}
	l.Receipts(audittest.E1)
	proof, err := l.Tree().ProveTree(size, size+1)
	if err != nil {
		t.Fatal(err)
	}
	next := witness.Request{Old: size, Proof: proof, Note: l.Checkpoint()}
	if _, err := keeper.Add(next); !errors.Is(err, witness.ErrNotYet) {
		t.Errorf("what was not verified yet: %v, want %v", err, witness.ErrNotYet)
	}
	w.round(t)
	if _, err := keeper.Add(next); err != nil {
		t.Errorf("after the next round: %v", err)
	}
	lied := audit.Checkpoint{Origin: l.Desc.Origin, Size: size, Root: [32]byte{1}}
	if _, err := w.Hand(signer).Cosign(lied.Text(), l.Now); !errors.Is(err, witness.ErrProof) {
		t.Errorf("another root: %v, want %v", err, witness.ErrProof)
	}
}
