package cluster_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/audit/program"
	"github.com/cordon-project/cordon/cluster/clustertest"
	"github.com/cordon-project/cordon/cluster/state"
)

func TestANodeCertifiesOnlyWhatItsLogYields(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{Members: 1})
	n := c.Leader().Node()
	if err := n.Publish(c.Context(), c.Publication(c.Leader(), 1, 10, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	to := time.Unix(n.View().Time+1, 0)
	c.Advance(2 * time.Second) // no command comes, and the time before the end is over all the same
	from := to.Add(-time.Hour)
	if _, err := n.Certificate(c.Context(), from, to.Add(time.Hour)); !errors.Is(err, cluster.ErrRequest) {
		t.Errorf("a time that is not over: %v, want ErrRequest", err)
	}
	d, err := n.Certificate(c.Context(), from, to)
	if err != nil {
		t.Fatal(err)
	}
	good := order.Certificate{From: from.Unix(), To: to.Unix(), Size: d.End.Size, Hash: d.Hash()}
	bad := good
	bad.Hash[0] ^= 1
	var r *state.Refusal
	if _, _, err := n.Order(c.Context(), c.Order(1, bad)); !errors.As(err, &r) || r.Reason != "certificate" {
		t.Errorf("a certificate of another document: %v, want a refusal", err)
	}
	if _, _, err := n.Order(c.Context(), c.Order(1, good)); err != nil {
		t.Errorf("what the log yields: %v", err)
	}
}

func TestNodesSayOnceWhichProgramTheyRun(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{Configure: func(c *cluster.Config) {
		c.Program = program.Program{Name: "cordon", Version: "v1", Digest: [32]byte{7}}
	}})
	edge := audit.Build{Cluster: c.ID, Role: audit.RoleEdge, Name: "edge-1", Program: "cordon", Digest: [32]byte{8}, Time: c.Now().Unix()}
	follower := c.Followers()[0].Node()
	if err := follower.AddBuild(audit.SignBuild(edge, clustertest.Key("edge-1"))); err != nil {
		t.Fatal(err)
	}
	if err := follower.AddBuild(audit.SignBuild(edge, clustertest.Key("edge-2"))); !errors.Is(err, cluster.ErrRefused) {
		t.Errorf("an edge's build with another's key: %v, want ErrRefused", err)
	}
	c.WaitAll("four builds", func(n *cluster.Node) bool { return len(n.View().Register.Builds) == 4 })
	edge.Time++
	if err := follower.AddBuild(audit.SignBuild(edge, clustertest.Key("edge-1"))); err != nil {
		t.Errorf("the same program again: %v, want nothing", err)
	}
	leaves := 0
	v := c.Leader().Node().View()
	for i := range v.Size {
		b, err := v.Tree().Leaf(i)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := audit.DecodeLeaf(b)
		if err != nil {
			t.Fatal(err)
		}
		body, err := leaf.Body()
		if err != nil {
			t.Fatal(err)
		}
		if a, ok := body.(audit.Admin); ok {
			leaves += len(a.Said.(audit.Builds).Items)
		}
	}
	if leaves != 4 {
		t.Errorf("%d builds in the log, want one of each of four nodes", leaves)
	}
}
