package cluster_test

import (
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/clustertest"
)

// TestStrangersOnTheRaftPortsStopNoElection: a stranger without a certificate
// holds every Raft port with idle connections from the members' own address
// and opens each again as it is closed.
func TestStrangersOnTheRaftPortsStopNoElection(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	first := c.Leader()
	if err := first.Node().Publish(c.Context(), c.Publication(first, 1, 40, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("version 1 in force and cosigned", inForce(1))
	for _, m := range c.Members {
		clustertest.Idle(t, m.Addr, 500)
	}
	start := time.Now()
	first.Stop()
	second := c.Leader()
	t.Logf("another leader %s after the end of the first", time.Since(start))
	if err := second.Node().Publish(c.Context(), c.Publication(second, 2, 41, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	first.Start()
	c.WaitAll("version 2 in force and cosigned", inForce(2))
	for _, m := range c.Members {
		m.Stop()
	}
	for _, m := range c.Members {
		m.Start()
	}
	third := c.Leader()
	if err := third.Node().Publish(c.Context(), c.Publication(third, 3, 42, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("version 3 in force and cosigned", inForce(3))
	equal(c)
}
