package cluster_test

import (
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/clustertest"
)

func TestANodeWithAnotherSecondKeyThanTheClusterFileSaysDoesNotStart(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	m := c.Followers()[0]
	m.Stop()
	for name, change := range map[string]func(*cluster.Config){
		"is not the one in the cluster file": func(c *cluster.Config) { c.MLDSA = audittest.MLDSAKey("another") },
		"was loaded without one":             func(c *cluster.Config) { c.MLDSA = nil },
	} {
		if err := m.TryStart(change); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want that its key %s", err, name)
		}
	}
	m.Start()
	c.WaitAll("a checkpoint of all three", func(n *cluster.Node) bool { return len(n.Status().CosignedBy) == 3 })
}
