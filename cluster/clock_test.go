package cluster_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/clustertest"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

const year = 365 * 24 * time.Hour

// rightTime fails the test when a command's time other than the clocks' has entered.
func rightTime(c *clustertest.Cluster) {
	c.T.Helper()
	for _, m := range c.Members {
		if ahead := time.Unix(m.Node().View().Time, 0).Sub(c.Now()); ahead > time.Minute {
			c.T.Errorf("%s: cluster time is %s ahead of the clocks, want at most a minute", m.Name, ahead)
		}
	}
}

func hasAlarm(n *cluster.Node, what string) bool {
	return slices.ContainsFunc(n.Status().Alarms, func(a cluster.Alarm) bool { return a.What == what })
}

func TestALeaderWithAWrongClockGivesWay(t *testing.T) {
	for _, tc := range []struct {
		name  string
		ahead time.Duration
	}{{"a year ahead", year}, {"a year behind", -year}, {"two minutes ahead", 2 * time.Minute}} {
		t.Run(tc.name, func(t *testing.T) {
			c := clustertest.New(t, clustertest.Options{})
			wrong := c.Leader()
			if err := wrong.Node().Publish(c.Context(), c.Publication(wrong, 1, 40, nil), clustertest.List); err != nil {
				t.Fatal(err)
			}
			c.WaitAll("version 1 in force and cosigned", inForce(1))
			wrong.Ahead(tc.ahead)
			// Handed to the leader itself: the next one carries it in.
			if err := wrong.Node().Withdraw(c.Context(), c.Withdrawal(1, 0, listtest.ID(3, 1))); err != nil {
				t.Fatal(err)
			}
			wrong.Wait("the alarm", func(n *cluster.Node) bool { return hasAlarm(n, cluster.AlarmClock) })
			wrong.Wait("another leader", func(n *cluster.Node) bool { l := n.Status().Leader; return l != "" && l != wrong.Name })
			next := c.Leader()
			rightTime(c)
			if err := next.Node().Publish(c.Context(), c.Publication(next, 2, 41, nil), clustertest.List); err != nil {
				t.Fatalf("publish after it: %v", err)
			}
			for _, m := range c.Members {
				if m != wrong || tc.ahead > 0 { // behind, it refuses to cosign
					m.Wait("version 2 in force and cosigned", inForce(2))
				}
			}
			// Its own commands carry the leader's time, and its own publications none of its refusals.
			refused := next.Node().View().Refused
			if _, err := wrong.Node().Propose(c.Context(), command.Command{Time: wrong.Now().Unix(), Body: command.Tick{}}); err != nil {
				t.Errorf("tick through the leader: %v", err)
			}
			if tc.ahead == year {
				err := wrong.Node().Publish(c.Context(), c.Publication(wrong, 3, 42, nil), clustertest.List)
				if !errors.Is(err, cluster.ErrSkew) || errors.Is(err, cluster.ErrRefused) {
					t.Errorf("publish by the node with the wrong clock: %v, want ErrSkew and no refusal", err)
				}
			}
			if got := next.Node().View().Refused; got != refused {
				t.Errorf("%d refusals, want %d: a wrong clock refuses nothing for all", got, refused)
			}
			rightTime(c)

			wrong.Ahead(0)
			wrong.Wait("the alarm's end", func(n *cluster.Node) bool { return !hasAlarm(n, cluster.AlarmClock) })
			if err := wrong.Node().Publish(c.Context(), c.Publication(wrong, 4, 43, func(l *trusttest.List) { l.Target.Prev = 2 }), clustertest.List); err != nil {
				t.Fatalf("publish with the clock mended: %v", err)
			}
			c.WaitAll("version 4 in force and cosigned", inForce(4))
			rightTime(c)
			equal(c)
		})
	}
}

// TestNobodyProposesWhileAllClocksDiffer: there is no telling who is right, and
// no taking turns at leading; the first two that agree go on.
func TestNobodyProposesWhileAllClocksDiffer(t *testing.T) {
	log := &lines{}
	c := clustertest.New(t, clustertest.Options{Timeouts: cluster.Timeouts{Apply: time.Second}, Log: slog.New(slog.NewTextHandler(log, nil))})
	leader := c.Leader()
	leader.Wait("a checkpoint", func(n *cluster.Node) bool { return n.Checkpoint() != nil })
	for i, m := range c.Members {
		m.Ahead(time.Duration(i+1) * 10 * time.Minute)
	}
	before := leader.Node().View()
	tick := func() error {
		_, err := leader.Node().Propose(c.Context(), command.Command{Body: command.Tick{}})
		return err
	}
	if err := led(c, tick); !errors.Is(err, cluster.ErrSkew) {
		t.Errorf("propose: %v, want ErrSkew", err)
	}
	if got := leader.Node().View().Time; got != before.Time {
		t.Errorf("cluster time %d, want %d as before", got, before.Time)
	}
	for _, m := range c.Members {
		m.Ahead(0)
	}
	mended := c.Publication(leader, 1, 40, nil)
	if err := led(c, func() error { return leader.Node().Publish(c.Context(), mended, clustertest.List) }); err != nil {
		t.Fatalf("publish with the clocks mended: %v", err)
	}
	for _, m := range c.Members {
		m.Stop() // what was begun has ended then, and is in the log
	}
	if strings.Contains(log.String(), "gives way") {
		t.Errorf("a leader gave way, and nobody's clock was better:\n%s", log.String())
	}
}

// led does again what nothing was decided about because nobody led: a second is soon over on a busy machine.
func led(c *clustertest.Cluster, do func() error) error {
	for ctx := c.Context(); ; {
		err := do()
		if !errors.Is(err, cluster.ErrNoLeader) || errors.Is(err, cluster.ErrSkew) || ctx.Err() != nil {
			return err
		}
	}
}

func TestTheFirstCommandAfterAWeeksOutageIsStamped(t *testing.T) {
	for _, members := range []int{1, 3} {
		c := clustertest.New(t, clustertest.Options{Members: members})
		leader := c.Leader()
		if err := leader.Node().Publish(c.Context(), c.Publication(leader, 1, 40, nil), clustertest.List); err != nil {
			t.Fatal(err)
		}
		c.WaitAll("version 1 in force and cosigned", inForce(1))
		for _, m := range c.Members {
			m.Stop()
		}
		c.Advance(7 * 24 * time.Hour)
		for _, m := range c.Members {
			m.Start()
		}
		leader = c.Leader()
		if err := leader.Node().Publish(c.Context(), c.Publication(leader, 2, 41, nil), clustertest.List); err != nil {
			t.Fatalf("%d members: %v", members, err)
		}
		c.WaitAll("version 2 in force and cosigned", inForce(2))
		if late := c.Now().Sub(time.Unix(leader.Node().View().Time, 0)); late.Abs() > time.Minute {
			t.Errorf("%d members: cluster time is %s behind, want now", members, late)
		}
	}
}
