package cluster_test

import (
	"errors"
	"testing"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/clustertest"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

// alarmed says whether a node has an alarm.
func alarmed(n *cluster.Node, what string) bool {
	for _, a := range n.Status().Alarms {
		if a.What == what {
			return true
		}
	}
	return false
}

func TestAListThatMoreThanDoublesWaitsForTwoOfficers(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	leader, follower := c.Leader(), c.Followers()[0]
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 1, 1000, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	m := c.Publication(follower, 2, 2001, nil)
	for range 2 { // the second time nothing is checked and nothing logged
		if err := follower.Node().Publish(c.Context(), m, clustertest.List); !errors.Is(err, cluster.ErrHeld) {
			t.Fatalf("publish: %v, want held", err)
		}
	}
	c.WaitAll("the hold", func(n *cluster.Node) bool { return len(n.Status().Held) == 1 && alarmed(n, cluster.AlarmHeld) })
	if l, _ := leader.Node().View().InForce.List(clustertest.List); l.Seq != 1 {
		t.Fatalf("in force is version %d, want 1", l.Seq)
	}
	held := follower.Node().View().Orders.Held[0]
	verdict, err := held.Verdicts[0].Verdict()
	if err != nil {
		t.Fatal(err)
	}
	approve := order.Approve{List: held.List, Seq: held.Seq, Edge: held.Edge, Brakes: []string{held.Brake}, NeverBlock: verdict.NeverBlock}
	leaf, again, err := follower.Node().Order(c.Context(), c.Order(1, approve))
	if err != nil || again || leaf == 0 {
		t.Fatalf("approve: leaf %d, %t, %v", leaf, again, err)
	}
	c.WaitAll("the approval", func(n *cluster.Node) bool {
		_, ok := n.View().Approved(held.List, held.Seq, held.Edge)
		return ok && !alarmed(n, cluster.AlarmHeld)
	})
	if err := follower.Node().Publish(c.Context(), m, clustertest.List); err != nil {
		t.Fatalf("publish once approved: %v", err)
	}
	c.WaitAll("version 2 in force and cosigned", inForce(2))
	if s := leader.Node().Status(); len(s.Held) != 0 || s.Orders.Numbers["approve"] != 1 {
		t.Errorf("status: held %+v, orders %+v", s.Held, s.Orders)
	}
	equal(c)
}

func TestAnOrderThatDoesNotStandIsARefusal(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	n := c.Leader().Node()
	var r *state.Refusal
	if _, _, err := n.Order(c.Context(), []byte("not an order")); !errors.Is(err, cluster.ErrRequest) {
		t.Errorf("nonsense: %v, want ErrRequest", err)
	}
	l := trusttest.Files(clustertest.List, 2)
	raw := c.Order(1, order.Approve{List: clustertest.List, Seq: 2, Edge: l.Target.Edge.SHA256, Brakes: []string{"growth"}})
	if _, _, err := n.Order(c.Context(), raw); !errors.As(err, &r) || r.Reason != state.ReasonOrder {
		t.Errorf("an approval of what is not held: %v, want reason order", err)
	}
	c.WaitAll("the refusal", func(n *cluster.Node) bool { return len(n.View().Refusals) == 1 })
}
