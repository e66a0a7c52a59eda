package cluster_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/clustertest"
)

func forkAlarms(n *cluster.Node) []string {
	var out []string
	for _, a := range n.Status().Alarms {
		if a.What == cluster.AlarmFork {
			out = append(out, a.Text)
		}
	}
	return out
}

func TestAForkAlarmNamesWhoAskedAndEndsWhenItAgreesAgain(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	at := c.Followers()[0]
	other := c.Leader()
	at.Wait("some leaves", func(n *cluster.Node) bool { return n.View().Size >= 3 })
	n := at.Node()
	size := n.View().Size
	for _, bad := range []struct {
		name, from string
		size       uint64
	}{{"size 0", other.Name, 0}, {"somebody who is no member", "control-9", size}, {"nobody", "", size}} {
		if _, err := n.Cosign(c.Context(), bad.from, bad.size, [32]byte{1}); !errors.Is(err, cluster.ErrRequest) {
			t.Errorf("%s: %v, want ErrRequest", bad.name, err)
		}
	}
	if got := forkAlarms(n); len(got) != 0 {
		t.Errorf("alarms %q after requests that mean nothing, want none", got)
	}
	// The others must not agree meanwhile: both logs are stopped where they are.
	third := c.Followers()[1]
	other.Stop()
	third.Stop()
	size = n.View().Size
	if _, err := n.Cosign(c.Context(), other.Name, size, [32]byte{1}); !errors.Is(err, cluster.ErrFork) {
		t.Fatalf("another root: %v, want ErrFork", err)
	}
	if got := forkAlarms(n); len(got) != 1 || !strings.HasPrefix(got[0], other.Name+" ") {
		t.Errorf("alarms %q, want one that names %s", got, other.Name)
	}
	ask := func(from string, size uint64) {
		t.Helper()
		root, err := n.View().Tree().RootAt(size)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Cosign(c.Context(), from, size, root); err != nil {
			t.Errorf("%s asks for size %d: %v", from, size, err)
		}
	}
	ask(other.Name, size-1)
	ask(third.Name, size)
	if got := forkAlarms(n); len(got) != 1 {
		t.Errorf("alarms %q after what says nothing about it, want one", got)
	}
	ask(other.Name, size)
	if got := forkAlarms(n); len(got) != 0 {
		t.Errorf("alarms %q after %s asked for this log, want none", got, other.Name)
	}
	// And when it cosigns for this node.
	if _, err := n.Cosign(c.Context(), other.Name, size, [32]byte{1}); !errors.Is(err, cluster.ErrFork) {
		t.Fatalf("another root: %v, want ErrFork", err)
	}
	other.Start()
	third.Start()
	at.Wait("no alarm", func(n *cluster.Node) bool { return len(forkAlarms(n)) == 0 })
}
