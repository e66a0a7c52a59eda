package cluster_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/clustertest"
)

// receiptsIn counts the receipts in a node's log.
func receiptsIn(t *testing.T, n *cluster.Node) int {
	t.Helper()
	count := 0
	v := n.View()
	for i := range v.Size {
		b, err := v.Tree().Leaf(i)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := audit.DecodeLeaf(b)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := leaf.Body(); err != nil {
			t.Fatal(err)
		} else if r, ok := body.(audit.Receipts); ok {
			count += len(r.Items)
		}
	}
	return count
}

func counter(n uint64) func(*cluster.Node) bool {
	return func(node *cluster.Node) bool {
		e, _ := node.View().Edge("edge-1")
		return e.Counter == n
	}
}

func TestOneEdgeDoesNotFillTheLog(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	leader := c.Leader()
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 1, 40, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("version 1 in force and cosigned", inForce(1))
	n := leader.Node()
	at := c.Receipt(n, "edge-1", 0)
	old, err := at.Receipt()
	if err != nil {
		t.Fatal(err)
	}
	number := uint64(0)
	add := func() error {
		number++
		r := old
		r.Counter = number
		return n.AddReceipt(audit.SignReceipt(r, clustertest.Key("edge-1")))
	}
	c.Hold() // what is said of ten seconds is said by the clock, whatever this test takes
	// As fast as it can, until one is in the log and then for as long as a dozen batches take.
	var end <-chan time.Time
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	for flooding := true; flooding; {
		if err := add(); err != nil {
			t.Fatal(err)
		}
		if q := n.Status().Receipts.Queued; q > 1 {
			t.Fatalf("%d receipts of one edge wait, want one", q)
		}
		if e, _ := n.View().Edge("edge-1"); end == nil && e.Counter > 0 {
			end = time.After(600 * time.Millisecond)
		}
		select {
		case <-end:
			flooding = false
		case <-pace.C:
		}
	}
	if got := receiptsIn(t, n); got != 1 {
		t.Errorf("%d of %d receipts logged, want 1", got, number)
	}
	c.Advance(11 * time.Second)
	leader.Wait("the newest receipt, which has waited", counter(number))
	if got := receiptsIn(t, n); got != 2 {
		t.Errorf("%d of %d receipts logged, want 2", got, number)
	}
	leader.Wait("an empty queue", func(n *cluster.Node) bool { return n.Status().Receipts.Queued == 0 })
	if err := add(); !errors.Is(err, cluster.ErrBusy) {
		t.Errorf("one more at once: %v, want ErrBusy", err)
	}
	// What is in force changes: a receipt of it enters at once, one of what was in force before does not.
	if err := n.Publish(c.Context(), c.Publication(leader, 2, 41, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("version 2 in force and cosigned", inForce(2))
	if err := add(); !errors.Is(err, cluster.ErrBusy) {
		t.Errorf("a receipt of an older state: %v, want ErrBusy", err)
	}
	number++
	if err := n.AddReceipt(c.Receipt(n, "edge-1", number)); err != nil {
		t.Errorf("a receipt of what is newly in force: %v, want it taken", err)
	}
	leader.Wait("the receipt of version 2", counter(number))
}

// TestReceiptsOutliveAnOutage: what nobody could decide is still there when somebody can.
func TestReceiptsOutliveAnOutage(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{Timeouts: cluster.Timeouts{Apply: 300 * time.Millisecond}})
	leader := c.Leader()
	leader.Wait("a checkpoint", func(n *cluster.Node) bool { return n.Checkpoint() != nil })
	n := leader.Node()
	for i, m := range c.Members {
		m.Ahead(time.Duration(i+1) * time.Hour) // nobody's clock is confirmed
	}
	for number := uint64(1); number <= 3; number++ {
		if err := n.AddReceipt(c.Receipt(n, "edge-1", number)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(c.Context(), time.Second)
	defer cancel()
	<-ctx.Done() // several batches have failed
	if s := n.Status().Receipts; s.Queued != 1 || s.Dropped != 0 || s.Accepted != 0 {
		t.Errorf("receipts %+v, want the newest queued and none dropped", s)
	}
	for _, m := range c.Members {
		m.Ahead(0)
	}
	leader.Wait("the newest receipt", counter(3))
	leader.Wait("an empty queue", func(n *cluster.Node) bool { return n.Status().Receipts.Queued == 0 })
	for _, m := range c.Members {
		if m != leader {
			m.Stop()
		}
	}
	c.Advance(time.Minute)
	if err := n.AddReceipt(c.Receipt(n, "edge-1", 9)); err != nil {
		t.Fatal(err)
	}
	leader.Wait("no leader", func(n *cluster.Node) bool { return n.Status().Leader == "" })
	for _, m := range c.Members {
		if m != leader {
			m.Start()
		}
	}
	leader.Wait("the receipt of the time without a leader", counter(9))
}
