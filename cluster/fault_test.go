package cluster_test

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/clustertest"
	"github.com/cordon-project/cordon/cluster/transport"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

func TestANewLeaderGoesOnPublishing(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	old := c.Leader()
	if err := old.Node().Publish(c.Context(), c.Publication(old, 1, 40, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	old.Stop()
	leader := c.Leader()
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 2, 41, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	t.Logf("publishing again %s after the leader's end", time.Since(start))
	c.WaitAll("version 2 in force and cosigned", inForce(2))
	leader.Wait("the dead member in the status", func(n *cluster.Node) bool {
		for _, m := range n.Status().Members {
			if m.Name == old.Name {
				return m.Problem != "" && !m.FailingSince.IsZero()
			}
		}
		return false
	})
	old.Start()
	old.Wait("version 2 on the member that was away", inForce(2))
	equal(c)
	if missing := old.Node().Missing(); len(missing) != 3 {
		t.Errorf("%d files missing on the member that was away, want the edge list, the auditor list and the keys of version 2", len(missing))
	}
}

// A delta that no place has holds up nothing: edges that want it fetch the whole list.
func TestADeltaThatNobodyHasHoldsUpNoVersion(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	leader := c.Leader()
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 1, 40, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	next := c.Publication(leader, 2, 41, func(l *trusttest.List) {
		l.Deltas = []trusttest.Delta{{From: 1, To: 2, File: []byte("a delta from 1 to 2")}}
	})
	if err := leader.Node().Publish(c.Context(), next, clustertest.List); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("version 2 in force and cosigned", inForce(2))
}

func TestARestartOfAllKeepsEverything(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	leader := c.Leader()
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 1, 40, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("version 1 in force and cosigned", inForce(1))
	sizes := map[string]uint64{}
	for _, m := range c.Members {
		n := m.Node()
		m.Stop()
		sizes[m.Name] = n.Status().CheckpointSize // the last it had: until its end the log goes on
	}
	// One alone: no quorum, and yet all that was agreed.
	first := c.Members[0]
	first.Start()
	n := first.Node()
	if l, ok := n.View().InForce.List(clustertest.List); !ok || l.Seq != 1 {
		t.Errorf("alone after the restart: in force %+v, want version 1", n.View().InForce.Lists)
	}
	man, err := n.Manifest(0)
	if err != nil {
		t.Fatalf("alone after the restart: %v", err)
	}
	if _, err := c.Desc.Quorum().OpenManifest(man, c.Desc.Anchors()); err != nil {
		t.Errorf("alone after the restart: an edge refuses the manifest: %v", err)
	}
	if got := n.Status().CheckpointSize; got != sizes[first.Name] {
		t.Errorf("alone after the restart: checkpoint of size %d, want %d", got, sizes[first.Name])
	}
	if k, err := n.EpochKeys(clustertest.List, 1); err != nil || k.Keys.Gate != listtest.Keys(1).Gate {
		t.Errorf("alone after the restart: epoch keys: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := n.Publish(ctx, c.Publication(first, 2, 41, nil), clustertest.List); !errors.Is(err, cluster.ErrNoQuorum) && !errors.Is(err, cluster.ErrNoLeader) {
		t.Errorf("publish alone: %v, want ErrNoQuorum or ErrNoLeader", err)
	}
	for _, m := range c.Members[1:] {
		m.Start()
	}
	leader = c.Leader()
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 3, 42, func(l *trusttest.List) { l.Target.Prev = 1 }), clustertest.List); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("version 3 in force and cosigned", inForce(3))
	equal(c)
}

func TestAFollowerCatchesUpBySnapshot(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{Timeouts: cluster.Timeouts{
		Snapshot: 50 * time.Millisecond, SnapshotThreshold: 4, TrailingLogs: 1,
	}})
	leader := c.Leader()
	away := c.Followers()[0]
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 1, 40, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	away.Wait("version 1", inForce(1))
	away.Stop()
	leader = c.Leader()
	for seq := uint64(2); seq <= 12; seq++ {
		if err := leader.Node().Publish(c.Context(), c.Publication(leader, seq, 40+int(seq), nil), clustertest.List); err != nil {
			t.Fatal(err)
		}
	}
	leader.Wait("a snapshot", func(n *cluster.Node) bool { return clustertest.Snapshots(t, leader.Dir) > 0 })
	away.Start()
	away.Wait("version 12", inForce(12))
	equal(c)
	for _, m := range c.Members {
		m.Stop()
	}
	for _, m := range c.Members {
		m.Start()
	}
	c.WaitAll("version 12 after a restart from snapshots", inForce(12))
	equal(c)
}

func TestAFollowerWithAWrongClockDoesNotCosign(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	leader := c.Leader()
	asks := c.Followers()[0].Name
	leader.Wait("a checkpoint", func(n *cluster.Node) bool { return n.Checkpoint() != nil })
	v := leader.Node().View()
	if _, err := leader.Node().Cosign(c.Context(), asks, v.Size, v.Root); err != nil {
		t.Fatalf("cosign with the right clock: %v", err)
	}
	c.Advance(-2 * time.Minute)
	if _, err := leader.Node().Cosign(c.Context(), asks, v.Size, v.Root); !errors.Is(err, cluster.ErrSkew) {
		t.Errorf("cosign with the clock 2 minutes behind: %v, want ErrSkew", err)
	}
	root := v.Root
	root[0] ^= 1
	if _, err := leader.Node().Cosign(c.Context(), asks, v.Size, root); !errors.Is(err, cluster.ErrFork) {
		t.Errorf("cosign of another root: %v, want ErrFork", err)
	}
	alarms := map[string]bool{}
	for _, a := range leader.Node().Status().Alarms {
		alarms[a.What] = true
	}
	if !alarms[cluster.AlarmClock] || !alarms[cluster.AlarmFork] {
		t.Errorf("alarms %v, want clock and fork", alarms)
	}
}

// TestOnlyMembersTalkToTheRaftPort is fault 24.
func TestOnlyMembersTalkToTheRaftPort(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	target := c.Leader()
	before := target.Node().Status().ConnsRefused
	stranger := clustertest.NewCA(t, c.Now())
	good := func(ca *clustertest.CA, cluster string, role transport.Role, name string) *tls.Config {
		conf, err := ca.TLS(cluster, role, name)
		if err != nil {
			t.Fatal(err)
		}
		conf.InsecureSkipVerify, conf.NextProtos = true, []string{"cordon-raft/1"}
		return conf
	}
	other := c.Followers()[0].Name
	for i, tc := range []struct {
		name string
		conf *tls.Config
	}{
		{"an edge", good(c.CA, c.ID, transport.RoleEdge, other)},
		{"an operator", good(c.CA, c.ID, transport.RoleOperator, other)},
		{"a control node that is no member", good(c.CA, c.ID, transport.RoleControl, "control-9")},
		{"the node itself", good(c.CA, c.ID, transport.RoleControl, target.Name)},
		{"another cluster", good(c.CA, "00112233445566778899aabbccddeeff", transport.RoleControl, other)},
		{"another CA", good(stranger, c.ID, transport.RoleControl, other)},
		{"nobody", &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"cordon-raft/1"}}},
	} {
		conn, err := tls.Dial("tcp", target.Addr, tc.conf)
		if err == nil {
			// TLS 1.3 tells a client after its handshake that it is refused.
			_ = conn.SetDeadline(time.Now().Add(clustertest.Patience))
			_, err = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
		if err == nil || errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
			t.Errorf("%s: %v, want refused", tc.name, err)
		}
		target.Wait("the refusal counted", func(n *cluster.Node) bool { return n.Status().ConnsRefused >= before+uint64(i)+1 })
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// TestAnUnknownCommandStopsApplyingAndNotServing is fault 21.
func TestAnUnknownCommandStopsApplyingAndNotServing(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	leader := c.Leader()
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 1, 40, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("version 1 in force and cosigned", inForce(1))
	inject := func() error {
		leader = c.Leader() // who leads may have changed since; nobody else can put anything into the log
		return leader.Node().Inject([]byte("\xa4\x61b\xa0\x61k\x67feature\x61t\x01\x61v\x01"))
	}
	err := inject()
	for try := 1; err != nil && try < 10; try++ {
		err = inject()
	}
	if err != nil {
		t.Fatal(err)
	}
	halted := func(n *cluster.Node) bool {
		s := n.Status()
		return s.Halted != "" && !s.HaltedAt.IsZero() && slices.ContainsFunc(s.Alarms, func(a cluster.Alarm) bool { return a.What == cluster.AlarmHalted })
	}
	c.WaitAll("the halt", halted)
	for _, m := range c.Members {
		n := m.Node()
		if man, err := n.Manifest(0); err != nil || len(man.Lists) != 1 {
			t.Errorf("%s: manifest: %v, want version 1 still served", m.Name, err)
		}
		if err := n.Withdraw(c.Context(), c.Withdrawal(1, 0, listtest.ID(1, 1))); !errors.Is(err, cluster.ErrHalted) {
			t.Errorf("%s: withdraw: %v, want ErrHalted", m.Name, err)
		}
		v := n.View()
		if _, err := n.Cosign(c.Context(), leader.Name, v.Size, v.Root); !errors.Is(err, cluster.ErrHalted) {
			t.Errorf("%s: cosign: %v, want ErrHalted", m.Name, err)
		}
	}
	// A restart of the same build stops at the same place and still serves.
	first := c.Members[0]
	first.Stop()
	first.Start()
	if _, err := first.Node().Manifest(0); err != nil {
		t.Errorf("manifest after a restart: %v", err)
	}
	first.Wait("the halt after a restart", halted)
}

// TestAStalledLeaderIsReplaced is fault 6: the watchdog has fenced the leader.
func TestAStalledLeaderIsReplaced(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	old := c.Leader()
	if err := old.Node().Publish(c.Context(), c.Publication(old, 1, 40, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("version 1 in force and cosigned", inForce(1))
	start := time.Now()
	old.Node().Stall(true)
	var next *clustertest.Member
	for _, m := range c.Members {
		if m == old {
			continue
		}
		m.Wait("another leader", func(n *cluster.Node) bool {
			i := slices.IndexFunc(c.Members, func(o *clustertest.Member) bool { return o != old && o.Name == n.Status().Leader && o.Node().Leading() })
			if i >= 0 {
				next = c.Members[i]
			}
			return i >= 0
		})
	}
	t.Logf("another leader %s after the fence", time.Since(start))
	if s := old.Node().Status(); !s.Fenced || !slices.ContainsFunc(s.Alarms, func(a cluster.Alarm) bool { return a.What == cluster.AlarmFenced }) {
		t.Errorf("status of the fenced node %+v, want its alarm", s)
	}
	if err := next.Node().Publish(c.Context(), c.Publication(next, 2, 41, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	old.Node().Stall(false)
	old.Wait("version 2 on the released node", inForce(2))
	equal(c)
}

// TestAMemberThatCannotBeReachedIsNamed: publishing goes on with two of three,
// and stops with one.
func TestAMemberThatCannotBeReachedIsNamed(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	leader, followers := c.Leader(), c.Followers()
	c.Cut(leader.Name, followers[0].Name, true)
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 1, 40, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	c.Cut(leader.Name, followers[1].Name, true)
	err := leader.Node().Publish(c.Context(), c.Publication(leader, 2, 41, nil), clustertest.List)
	if !errors.Is(err, cluster.ErrNoQuorum) || errors.Is(err, cluster.ErrRefused) {
		t.Errorf("publish with one member: %v, want ErrNoQuorum and no refusal", err)
	}
	leader.Wait("both named", func(n *cluster.Node) bool {
		down := 0
		for _, m := range n.Status().Members {
			if m.Problem != "" {
				down++
			}
		}
		return down == 2
	})
	c.Cut(leader.Name, followers[0].Name, false)
	c.Cut(leader.Name, followers[1].Name, false)
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 3, 42, func(l *trusttest.List) { l.Target.Prev = 1 }), clustertest.List); err != nil {
		t.Fatal(err)
	}
	leader.Wait("nobody named", func(n *cluster.Node) bool {
		for _, m := range n.Status().Members {
			if m.Problem != "" {
				return false
			}
		}
		return true
	})
}
