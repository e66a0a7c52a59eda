package cluster_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/clustertest"
	"github.com/cordon-project/cordon/cluster/store"
)

func rejoin(c *cluster.Config) { c.Rejoin = true }

// publishedOnce is a cluster with version 1 in force, and who led it.
func publishedOnce(t *testing.T) (*clustertest.Cluster, *clustertest.Member) {
	t.Helper()
	c := clustertest.New(t, clustertest.Options{})
	leader := c.Leader()
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 1, 40, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("version 1 in force and cosigned", inForce(1))
	return c, leader
}

func there(t *testing.T, m *clustertest.Member, name string) bool {
	t.Helper()
	_, err := os.Lstat(filepath.Join(m.Dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

func remove(t *testing.T, m *clustertest.Member, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(m.Dir, name)); err != nil {
		t.Fatal(err)
	}
}

func move(t *testing.T, m *clustertest.Member, from, to string) {
	t.Helper()
	if err := os.Rename(filepath.Join(m.Dir, from), filepath.Join(m.Dir, to)); err != nil {
		t.Fatal(err)
	}
}

// lost wants the refusal to start, in words a person can act on.
func lost(t *testing.T, m *clustertest.Member, words ...string) {
	t.Helper()
	err := m.TryStart(nil)
	if !errors.Is(err, cluster.ErrLogLost) {
		t.Fatalf("%s: start: %v, want ErrLogLost", m.Name, err)
	}
	for _, w := range append(words, filepath.Join(m.Dir, "raft.db"), "starting would rewrite history", "restore it", "--rejoin") {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: start: %q lacks %q", m.Name, err, w)
		}
	}
}

func mute(n *cluster.Node) bool {
	return slices.ContainsFunc(n.Status().Alarms, func(a cluster.Alarm) bool { return a.What == cluster.AlarmRejoin })
}

// TestAMajorityThatLostItsLogBeginsNoOtherHistory: not as ever, and not when
// its operator ignores what the refusal says either.
func TestAMajorityThatLostItsLogBeginsNoOtherHistory(t *testing.T) {
	c, _ := publishedOnce(t)
	size := c.Members[2].Node().View().Size
	for _, m := range c.Members {
		m.Stop()
	}
	for _, m := range c.Members[:2] {
		move(t, m, "raft.db", "elsewhere.db")
		for range 2 { // the first refusal leaves nothing behind that the second would take for a log
			lost(t, m, "raft.db is missing", "leaves were agreed")
		}
		if there(t, m, "raft.db") {
			t.Errorf("%s: a refused start made an empty log", m.Name)
		}
	}
	for _, m := range c.Members[:2] {
		if err := m.TryStart(rejoin); err != nil {
			t.Fatal(err)
		}
	}
	c.Members[2].Start()
	quiet := time.NewTimer(4 * time.Second) // several elections
	defer quiet.Stop()
	for looking := true; looking; {
		changed := c.Members[2].Node().LeaderChanged()
		if l := c.Members[2].Node().Status().Leader; l != "" {
			t.Fatalf("%s leads with the votes of members that have forgotten theirs", l)
		}
		select {
		case <-changed:
		case <-quiet.C:
			looking = false
		}
	}
	for _, m := range c.Members[:2] {
		n := m.Node()
		if n.View().Size >= size || !mute(n) {
			t.Errorf("%s: %d leaves, mute %t; want fewer than %d, and mute", m.Name, n.View().Size, mute(n), size)
		}
		if man, err := n.Manifest(0); err != nil || len(man.Lists) != 1 {
			t.Errorf("%s: manifest: %v, want version 1 still served", m.Name, err)
		}
		m.Stop()
	}
	// One log is found again: as its alarm says.
	found := c.Members[0]
	remove(t, found, "raft.db")
	remove(t, found, "rejoin")
	move(t, found, "elsewhere.db", "raft.db")
	found.Start()
	if err := c.Members[1].TryStart(nil); err != nil {
		t.Fatalf("a start that goes on rejoining: %v", err)
	}
	leader := c.Leader()
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 2, 41, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("version 2 in force and cosigned, everybody with a vote", func(n *cluster.Node) bool { return inForce(2)(n) && !mute(n) })
	equal(c)
}

func TestOneMemberTakesItsLogFromTheOthers(t *testing.T) {
	for _, tc := range []struct {
		name   string
		damage func(t *testing.T, m *clustertest.Member)
		check  func(t *testing.T, m *clustertest.Member)
	}{
		{"the log is gone", func(t *testing.T, m *clustertest.Member) { remove(t, m, "raft.db") },
			func(t *testing.T, m *clustertest.Member) { lost(t, m, "raft.db is missing") }},
		{"the log and the manifest are gone, a snapshot is left", func(t *testing.T, m *clustertest.Member) {
			remove(t, m, "raft.db")
			remove(t, m, "manifest.cbor")
			if err := os.MkdirAll(filepath.Join(m.Dir, "snapshots", "1-1-1"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, func(t *testing.T, m *clustertest.Member) { lost(t, m, "raft.db is missing", "snapshots is not") }},
		{"a bit of every page of the log has flipped", func(t *testing.T, m *clustertest.Member) {
			path := filepath.Join(m.Dir, "raft.db")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i := 200; i < len(b); i += 512 {
				b[i] ^= 1
			}
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}, func(t *testing.T, m *clustertest.Member) {
			lost(t, m, "log file is corrupt")
			if err := m.TryStart(nil); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("start: %v, want store.ErrCorrupt too", err)
			}
		}},
		{"all is gone", func(t *testing.T, m *clustertest.Member) {
			for _, name := range []string{"raft.db", "manifest.cbor", "snapshots"} {
				remove(t, m, name)
			}
		}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, leader := publishedOnce(t)
			m := c.Followers()[0]
			m.Stop()
			tc.damage(t, m)
			if tc.check != nil {
				tc.check(t, m)
			}
			if err := leader.Node().Publish(c.Context(), c.Publication(leader, 2, 41, nil), clustertest.List); err != nil {
				t.Fatal(err)
			}
			if err := m.TryStart(rejoin); err != nil {
				t.Fatal(err)
			}
			m.Wait("version 2 and a vote", func(n *cluster.Node) bool { return inForce(2)(n) && !mute(n) })
			if there(t, m, "rejoin") {
				t.Error("the mark of a node without a vote is left")
			}
			equal(c)
			// Its vote counts again.
			leader.Stop()
			next := c.Leader()
			if err := next.Node().Publish(c.Context(), c.Publication(next, 3, 42, nil), clustertest.List); err != nil {
				t.Fatal(err)
			}
			m.Stop()
			if err := m.TryStart(rejoin); err != nil {
				t.Fatalf("rejoin with a whole log: %v", err)
			}
			m.Wait("version 3", inForce(3))
			if mute(m.Node()) {
				t.Error("a node with a whole log gave up its vote")
			}
		})
	}
}

func TestAnOlderLogOrAnotherOneIsRefused(t *testing.T) {
	c, leader := publishedOnce(t)
	m := c.Followers()[0]
	m.Stop()
	b, err := os.ReadFile(filepath.Join(m.Dir, "raft.db"))
	if err != nil {
		t.Fatal(err)
	}
	m.Start()
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 2, 41, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("version 2 in force and cosigned", inForce(2))
	m.Stop()
	if err := os.WriteFile(filepath.Join(m.Dir, "raft.db"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	lost(t, m, "leaves, the checkpoint kept in")

	// All others begin anew, which nothing can keep them from once nothing is left.
	move(t, m, "manifest.cbor", "kept")
	kept := leader.Node().Status().CheckpointSize
	for _, o := range c.Members {
		o.Stop()
		for _, name := range []string{"raft.db", "manifest.cbor", "snapshots"} {
			remove(t, o, name)
		}
	}
	for _, o := range c.Members {
		o.Start()
	}
	leader = c.Leader()
	for seq := uint64(1); leader.Node().View().Size < kept; seq++ {
		if err := leader.Node().Publish(c.Context(), c.Publication(leader, seq, 50, nil), clustertest.List); err != nil {
			t.Fatal(err)
		}
	}
	m.Wait("as many leaves as before", func(n *cluster.Node) bool { return n.Status().CheckpointSize >= kept })
	m.Stop()
	remove(t, m, "manifest.cbor")
	move(t, m, "kept", "manifest.cbor")
	lost(t, m, "another history")
	if err := m.TryStart(rejoin); err != nil {
		t.Fatal(err)
	}
	m.Wait("the alarm about two histories", func(n *cluster.Node) bool {
		v := n.View()
		if v.Size < kept {
			return false
		}
		_, err := n.Cosign(c.Context(), leader.Name, v.Size, v.Root)
		return errors.Is(err, cluster.ErrFork) && mute(n) && slices.ContainsFunc(n.Status().Alarms, func(a cluster.Alarm) bool { return a.What == cluster.AlarmFork })
	})
}
