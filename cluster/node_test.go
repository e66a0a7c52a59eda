package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/clustertest"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

// inForce is true of a node whose own replica and newest checkpoint have this version.
func inForce(seq uint64) func(n *cluster.Node) bool {
	return func(n *cluster.Node) bool {
		l, ok := n.View().InForce.List(clustertest.List)
		return ok && l.Seq == seq && n.Status().CheckpointSize > l.Leaf
	}
}

// equal fails the test unless all running replicas hold the same log.
func equal(c *clustertest.Cluster) {
	c.T.Helper()
	v := c.Leader().Node().View()
	c.WaitAll("the leader's size", func(n *cluster.Node) bool { return n.View().Size >= v.Size })
	for _, m := range c.Members {
		n := m.Node()
		root, err := n.View().Tree().RootAt(v.Size)
		if err != nil || root != v.Root {
			c.T.Errorf("%s: root at %d is %x (%v), the leader's %x", m.Name, v.Size, root[:4], err, v.Root[:4])
		}
		if got := n.View().InForce.Hash(); got != v.InForce.Hash() {
			c.T.Errorf("%s: in force %x, the leader's %x", m.Name, got[:4], v.InForce.Hash())
		}
	}
}

func TestAPublicationReachesAllThree(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	leader := c.Leader()
	m := c.Publication(leader, 1, 40, nil)
	if err := leader.Node().Publish(c.Context(), m, clustertest.List); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("version 1 in force and cosigned", inForce(1))
	equal(c)
	q := c.Desc.Quorum()
	for _, member := range c.Members {
		n := member.Node()
		man, err := n.Manifest(0)
		if err != nil {
			t.Fatalf("%s: %v", member.Name, err)
		}
		o, err := q.OpenManifest(man, c.Desc.Anchors())
		if err != nil {
			t.Fatalf("%s: an edge refuses its manifest: %v", member.Name, err)
		}
		if l, ok := o.InForce.List(clustertest.List); !ok || l.Seq != 1 {
			t.Errorf("%s: manifest has %+v, want version 1", member.Name, o.InForce.Lists)
		}
		if n.Checkpoint() == nil {
			t.Errorf("%s: no checkpoint", member.Name)
		}
		k, err := n.EpochKeys(clustertest.List, 1)
		if err != nil || k.Keys.Match != listtest.Keys(1).Match {
			t.Errorf("%s: epoch keys: %v", member.Name, err)
		}
		if _, err := n.EpochKeys(clustertest.List, 2); !errors.Is(err, cluster.ErrKeys) {
			t.Errorf("%s: keys of an epoch not in force: %v, want ErrKeys", member.Name, err)
		}
	}
	// Once more, and through a follower: nothing new.
	size := leader.Node().View().Size
	if err := c.Followers()[0].Node().Publish(c.Context(), m, clustertest.List); err != nil {
		t.Errorf("publish again: %v", err)
	}
	if got := leader.Node().View().Size; got != size {
		t.Errorf("publish again: %d leaves, want %d", got, size)
	}
	if err := c.Followers()[0].Node().Publish(c.Context(), c.Publication(c.Followers()[0], 2, 41, nil), clustertest.List); err != nil {
		t.Fatalf("publish through a follower: %v", err)
	}
	c.WaitAll("version 2 in force and cosigned", inForce(2))
	equal(c)
	n := leader.Node()
	man, err := n.Manifest(size)
	if err != nil {
		t.Fatal(err)
	}
	o, err := q.OpenManifest(man, c.Desc.Anchors())
	if err != nil {
		t.Fatal(err)
	}
	root, err := n.View().Tree().RootAt(size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Advance(audit.Seen{Size: size, Root: root}); err != nil {
		t.Errorf("an edge that saw size %d: %v", size, err)
	}
	s := n.Status()
	if len(s.Lists) != 1 || s.Lists[0].Entries != 41 || s.Lists[0].Missing != 0 || s.Leader != leader.Name || s.Role != "leader" || len(s.Alarms) != 0 {
		t.Errorf("status %+v, want version 2 with 41 entries and no alarm", s)
	}
}

func TestWhatMustNotComeIntoForceIsARefusalOnEveryMember(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	leader := c.Leader()
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 1, 1000, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	seq := uint64(1)
	for _, tc := range []struct {
		name, reason string
		n            int
		fault        trusttest.Fault
		change       func(l *trusttest.List)
	}{
		{name: "signed by one officer of two", reason: "threshold", n: 900, fault: trusttest.ListSigners(0)},
		{name: "another scope", reason: "scope", n: 900, fault: trusttest.Scope("copyright")},
		{name: "no entry but the canary", reason: cluster.BrakeEmpty, n: 1},
		{name: "a canary that does not hit", reason: cluster.BrakeCanary, n: 900, change: func(l *trusttest.List) {
			l.Target.Canaries = []string{"other.hotline-one.test"}
		}},
		{name: "made for other canonicalisation rules", reason: cluster.BrakeCanon, n: 900, change: func(l *trusttest.List) {
			l.Target.CanonID = [32]byte{1}
		}},
		{name: "no key for this cluster", reason: cluster.BrakeKeys, n: 900, change: func(l *trusttest.List) { l.Keys = nil }},
		{name: "files of another epoch", reason: cluster.BrakeVersion, n: 900, change: func(l *trusttest.List) {
			l.Target.Epoch = 2
		}},
		{name: "keys sealed for somebody else", reason: cluster.BrakeKeys, n: 900, change: func(l *trusttest.List) {
			l.Keys[c.ID] = []byte("not age")
		}},
		{name: "counts that are not the file's", reason: cluster.BrakeCounts, n: 900, change: func(l *trusttest.List) { l.Target.Counts[0].N++ }},
		{name: "an auditor list of other entries", reason: cluster.BrakeRoot, n: 900, change: func(l *trusttest.List) { l.Target.EntriesRoot[0] ^= 1 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			seq++
			c.Hotline.Mend()
			if tc.fault != nil {
				c.Hotline.Break(tc.fault)
			}
			at := c.Followers()[0]
			m := c.Publication(at, seq, tc.n, func(l *trusttest.List) {
				l.Target.Prev = 1
				if tc.change != nil {
					tc.change(l)
				}
			})
			before := leader.Node().View()
			err := at.Node().Publish(c.Context(), m, clustertest.List)
			var r *state.Refusal
			if !errors.Is(err, cluster.ErrRefused) || !errors.As(err, &r) || r.Reason != tc.reason {
				t.Fatalf("publish: %v, want refused with reason %q", err, tc.reason)
			}
			c.WaitAll("the refusal", func(n *cluster.Node) bool {
				v := n.View()
				return len(v.Refusals) > 0 && v.Refusals[0].Reason == tc.reason && v.Size > before.Size
			})
			if got := leader.Node().View().InForce.Hash(); got != before.InForce.Hash() {
				t.Errorf("the refusal changed what is in force")
			}
		})
	}
	equal(c)
}

func TestAListedNameThatNothingMayBlockIsHeldBack(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{Configure: func(c *cluster.Config) {
		c.NeverBlock = []string{"deep." + listtest.Name(1)}
	}})
	leader := c.Leader()
	err := leader.Node().Publish(c.Context(), c.Publication(leader, 1, 40, nil), clustertest.List)
	if !errors.Is(err, cluster.ErrHeld) {
		t.Fatalf("publish: %v, want held", err)
	}
	if h := leader.Node().View().Orders.Held; len(h) != 1 || h[0].Brake != cluster.BrakeNeverBlock {
		t.Fatalf("held: %+v, want never_block", h)
	}
	if n := len(leader.Node().View().InForce.Lists); n != 0 {
		t.Errorf("%d lists in force, want none", n)
	}
}

func TestReceiptsEndUpInTheLog(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	leader, follower := c.Leader(), c.Followers()[0]
	r := c.Receipt(follower.Node(), "edge-1", 7)
	if err := follower.Node().AddReceipt(r); err != nil {
		t.Fatal(err)
	}
	leader.Wait("the receipt", func(n *cluster.Node) bool {
		e, _ := n.View().Edge("edge-1")
		return e.Counter == 7
	})
	follower.Wait("the receipt", func(n *cluster.Node) bool {
		e, _ := n.View().Edge("edge-1")
		return e.Counter == 7
	})
	if err := follower.Node().AddReceipt(r); err != nil {
		t.Errorf("the same again: %v, want nil", err)
	}
	if err := follower.Node().AddReceipt(c.Receipt(follower.Node(), "edge-1", 6)); !errors.Is(err, cluster.ErrRefused) {
		t.Errorf("a lower counter: %v, want ErrRefused", err)
	}
	if err := follower.Node().AddReceipt(c.Receipt(follower.Node(), "edge-2", 1)); !errors.Is(err, cluster.ErrRefused) {
		t.Errorf("an unknown edge: %v, want ErrRefused", err)
	}
}

func TestAWithdrawalIsInForceAndCosignedAtOnce(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	leader := c.Leader()
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 1, 40, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("version 1 in force and cosigned", inForce(1))
	raw := c.Withdrawal(1, 0, listtest.ID(3, 1))
	start := time.Now()
	if err := c.Followers()[0].Node().Withdraw(c.Context(), raw); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("the removal in every manifest", func(n *cluster.Node) bool {
		man, err := n.Manifest(0)
		if err != nil {
			return false
		}
		f, err := audit.DecodeInForce(man.InForce)
		return err == nil && len(f.Overlay()) == 1
	})
	t.Logf("withdrawal cosigned on all members after %s", time.Since(start))
}

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	if _, err := cluster.Open(context.Background(), cluster.Config{}); !errors.Is(err, cluster.ErrConfig) {
		t.Errorf("open: %v, want ErrConfig", err)
	}
}

func FuzzDecodeStageRequest(f *testing.F) {
	b, err := cluster.StageRequest{From: "control-1", List: clustertest.List, Metadata: []byte{1}}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := cluster.DecodeStageRequest(b)
		if err != nil {
			return
		}
		if again, err := r.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("decode %x, encode %x (%v)", b, again, err)
		}
	})
}
