package cluster_test

import (
	"errors"
	"testing"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/clustertest"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/publiclog"
)

func TestAVersionNeedsTheProofOfItsPublicLog(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	log := c.Hotline.KeepLog()
	leader := c.Leader()
	n := leader.Node()
	m := c.Publication(leader, 1, 40, nil)
	var r *state.Refusal
	if err := n.Publish(c.Context(), m, clustertest.List); !errors.Is(err, cluster.ErrRefused) || !errors.As(err, &r) || r.Reason != "public_log" {
		t.Fatalf("without a proof: %v", err)
	}
	if err := n.PublishLogged(c.Context(), m, clustertest.List, c.Hotline.PublicProof(m, clustertest.List, publiclog.Head{})); err != nil {
		t.Fatal(err)
	}
	m = c.Publication(leader, 2, 41, nil)
	if err := n.PublishLogged(c.Context(), m, clustertest.List, c.Hotline.PublicProof(m, clustertest.List, publiclog.Head{})); !errors.Is(err, publiclog.ErrStale) || errors.Is(err, cluster.ErrRefused) {
		t.Fatalf("a proof that goes on from an older head: %v", err)
	}
	h, _ := n.View().Hotline(c.Hotline.ID)
	if err := n.PublishLogged(c.Context(), m, clustertest.List, c.Hotline.PublicProof(m, clustertest.List, h.PublicLog)); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("version 2 in the public log", func(n *cluster.Node) bool {
		s := n.Status()
		return len(s.Lists) == 1 && s.Lists[0].Seq == 2 && s.Lists[0].Logged == log.Size()
	})
}
