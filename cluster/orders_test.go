package cluster_test

import (
	"errors"
	"testing"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/clustertest"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
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

func TestAReturnIsComparedByAQuorumAndPutsNothingBack(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	leader, follower := c.Leader(), c.Followers()[0]
	for seq := uint64(1); seq <= 2; seq++ {
		if err := leader.Node().Publish(c.Context(), c.Publication(leader, seq, 50-10*int(seq), nil), clustertest.List); err != nil {
			t.Fatal(err)
		}
	}
	c.WaitAll("version 2 in force and cosigned", inForce(2))
	if _, err := follower.Node().WayBack(c.Context(), clustertest.List, 7); !errors.Is(err, cluster.ErrRequest) {
		t.Errorf("back to a version that never was: %v, want ErrRequest", err)
	}
	b, err := follower.Node().WayBack(c.Context(), clustertest.List, 1)
	if err != nil || len(b.Entries) != 10 {
		t.Fatalf("way back: %d entries, %v; want the 10 that version 2 left out", len(b.Entries), err)
	}
	less := b
	less.Entries = b.Entries[1:]
	if _, _, err := follower.Node().Order(c.Context(), c.Order(1, less)); !errors.Is(err, cluster.ErrNoQuorum) {
		t.Errorf("an order that names less than was left out: %v, want ErrNoQuorum", err)
	}
	if _, _, err := follower.Node().Order(c.Context(), c.Order(1, b)); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("version 1 back in force", func(n *cluster.Node) bool {
		l, ok := n.View().InForce.List(clustertest.List)
		return ok && l.Seq == 1 && l.High() == 2 && len(n.View().InForce.Overlay()) == 10 && alarmed(n, cluster.AlarmReturned)
	})
	// The hotline still offers version 2: that is no news.
	if err := leader.Node().Publish(c.Context(), c.Hotline.Publish(c.Now()), clustertest.List); err != nil {
		t.Errorf("a renewal of version 2: %v", err)
	}
	if l, _ := leader.Node().View().InForce.List(clustertest.List); l.Seq != 1 {
		t.Errorf("version %d in force, want 1 still", l.Seq)
	}
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 3, 41, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("version 3 in force and cosigned", inForce(3))
	equal(c)
}

func TestAnOperatorLearnsWhichEntryStopsAName(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	leader := c.Leader()
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 1, 40, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("version 1 in force and cosigned", inForce(1))
	n := c.Followers()[0].Node()
	name := listtest.Name(3)
	found, err := n.Which(c.Context(), name+".")
	if err != nil || len(found) != 1 || found[0].Entry != listtest.ID(3, 1) || found[0].Removed || !found[0].Suppressed.IsZero() {
		t.Fatalf("which: %+v, %v; want entry 3 in force", found, err)
	}
	if _, _, err := n.Order(c.Context(), c.Order(1, order.Suppress{List: found[0].List, Epoch: found[0].Epoch, Entries: []match.EntryID{found[0].Entry}})); err != nil {
		t.Fatal(err)
	}
	c.WaitAll("the suppression", func(n *cluster.Node) bool { return len(n.Status().Orders.Suppressed) == 1 })
	if found, err = n.Which(c.Context(), name); err != nil || len(found) != 1 || found[0].Suppressed.IsZero() {
		t.Errorf("which: %+v, %v; want it suppressed", found, err)
	}
	if found, err = n.Which(c.Context(), "nothing.example"); err != nil || len(found) != 0 {
		t.Errorf("which: %+v, %v; want nothing", found, err)
	}
	if _, err = n.Which(c.Context(), "not a name"); !errors.Is(err, cluster.ErrRequest) {
		t.Errorf("which: %v, want ErrRequest", err)
	}
}
