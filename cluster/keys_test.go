package cluster_test

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/clustertest"
	"github.com/cordon-project/cordon/listsync/list/listtest"
)

type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func keysAlarm(n *cluster.Node) string {
	for _, a := range n.Status().Alarms {
		if a.What == cluster.AlarmKeys {
			return a.Text
		}
	}
	return ""
}

func TestAMemberWithAnotherClusterKeyIsNamedUntilItHasTheRightOne(t *testing.T) {
	wrong, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	log := &lines{}
	c := clustertest.New(t, clustertest.Options{
		Log: slog.New(slog.NewTextHandler(log, nil)),
		Configure: func(c *cluster.Config) {
			if c.Name == "control-2" {
				c.Identity = wrong
			}
		},
	})
	odd, at := c.Members[1], c.Members[0]
	if got := keysAlarm(odd.Node()); !strings.HasPrefix(got, "control-2 cannot open the keys of any list") || !strings.Contains(got, "cluster.agekey") {
		t.Errorf("its own alarm at once: %q, want what to check", got)
	}
	c.Leader()
	if err := at.Node().Publish(c.Context(), c.Publication(at, 1, 40, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*clustertest.Member{at, odd} {
		m.Wait("the alarm", func(n *cluster.Node) bool {
			got := keysAlarm(n)
			return strings.HasPrefix(got, "control-2 cannot open the keys of list "+string(clustertest.List)+" version 1") && strings.Contains(got, "cluster.agekey")
		})
	}
	if !strings.Contains(log.String(), "control-2 cannot open the keys of list") {
		t.Error("the log does not name the member")
	}
	odd.Stop()
	if err := odd.TryStart(func(conf *cluster.Config) { conf.Identity = c.Identity() }); err != nil {
		t.Fatal(err)
	}
	if got := keysAlarm(odd.Node()); got != "" {
		t.Errorf("alarm with the right key: %q, want none", got)
	}
	odd.Wait("a leader", func(n *cluster.Node) bool { return n.Status().Leader != "" })
	if err := at.Node().Publish(c.Context(), c.Publication(at, 2, 41, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	at.Wait("no alarm", func(n *cluster.Node) bool { return keysAlarm(n) == "" })
}

// Keys are in memory as long as their epoch is in force, and not longer: an edge that asks gets the new epoch's alone, also after a restart.
func TestKeysLeaveMemoryWithTheirEpoch(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	c.Leader()
	at := c.Members[0]
	publish := func(seq uint64) {
		t.Helper()
		if err := at.Node().Publish(c.Context(), c.Publication(at, seq, 40, nil), clustertest.List); err != nil {
			t.Fatal(err)
		}
		c.WaitAll("the version in force and cosigned", inForce(seq))
	}
	publish(1)
	old, err := at.Node().EpochKeys(clustertest.List, 1)
	if err != nil {
		t.Fatal(err)
	}
	c.Epoch = 2
	publish(2)
	for _, m := range c.Members {
		m.Wait("keys of epoch 2 alone", func(n *cluster.Node) bool { return slices.Equal(n.HeldEpochs(), []uint32{2}) })
	}
	if *old.Keys != *listtest.Keys(1) {
		t.Error("keys that somebody still owns were overwritten")
	}
	old.Close()
	c.Members[1].Stop()
	c.Members[1].Start()
	for _, m := range c.Members {
		n := m.Node()
		if _, err := n.EpochKeys(clustertest.List, 1); !errors.Is(err, cluster.ErrKeys) {
			t.Errorf("%s: keys of the epoch before: %v, want ErrKeys", m.Name, err)
		}
		k, err := n.EpochKeys(clustertest.List, 2)
		if err != nil || *k.Keys != *listtest.Keys(2) {
			t.Fatalf("%s: keys of the epoch in force: %v", m.Name, err)
		}
		k.Close()
	}
	n := c.Members[2].Node()
	c.Members[2].Stop()
	if held := n.HeldEpochs(); len(held) > 0 {
		t.Errorf("a node that has stopped holds keys of epochs %v", held)
	}
}
