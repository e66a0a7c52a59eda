package cluster_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/clustertest"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

// faulty lets members answer as one would that compiles another index.
type faulty struct {
	cluster.Peers
	members *sync.Map // by name
}

func (f faulty) Stage(ctx context.Context, member string, req cluster.StageRequest) (audit.SignedVerdict, error) {
	s, err := f.Peers.Stage(ctx, member, req)
	flip, is := f.members.Load(member)
	if !is || err != nil {
		return s, err
	}
	v, err := s.Verdict()
	if err != nil {
		return s, err
	}
	v.Index[0] ^= flip.(byte)
	return audit.SignVerdict(v, clustertest.Key(member)), nil
}

func TestAnIndexThatNoQuorumCompilesIsRefused(t *testing.T) {
	var broken sync.Map
	c := clustertest.New(t, clustertest.Options{Configure: func(c *cluster.Config) { c.Peers = faulty{c.Peers, &broken} }})
	leader, followers := c.Leader(), c.Followers()
	broken.Store(followers[0].Name, byte(1))
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 1, 40, nil), clustertest.List); err != nil {
		t.Fatalf("one of three compiles another index: %v", err)
	}
	cur, _ := leader.Node().View().InForce.List(clustertest.List)
	p, _, ok := leader.Node().View().Publish(clustertest.List)
	if !ok || p.Index == ([32]byte{}) || len(p.Verdicts) != 2 || len(p.Bases) == 0 {
		t.Errorf("publish leaf of version %d: index %x, %d verdicts, bases %v; want an index that two say, and bases", cur.Seq, p.Index, len(p.Verdicts), p.Bases)
	}

	broken.Store(followers[1].Name, byte(1))
	// Both followers say the same wrong index: they are the quorum, and it is what the log says. An auditor who has the list sees it.
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 2, 41, nil), clustertest.List); err != nil {
		t.Fatalf("two of three compile the same index: %v", err)
	}

	m := c.Publication(leader, 3, 42, nil)
	broken.Store(followers[1].Name, byte(2))
	c.Cut(leader.Name, followers[0].Name, true)
	if err := leader.Node().Publish(c.Context(), m, clustertest.List); !errors.Is(err, cluster.ErrNoQuorum) {
		t.Fatalf("publish: %v, want no quorum: the third member may still agree with one of two", err)
	}
	c.Cut(leader.Name, followers[0].Name, false)
	err := leader.Node().Publish(c.Context(), m, clustertest.List)
	var r *state.Refusal
	if !errors.As(err, &r) || r.Reason != state.ReasonIndex || !strings.Contains(r.Detail, followers[0].Name+" compiled") {
		t.Fatalf("publish: %v, want refused with reason %q, and who compiled what", err, state.ReasonIndex)
	}
	if cur, _ := leader.Node().View().InForce.List(clustertest.List); cur.Seq != 2 {
		t.Errorf("version %d is in force, want 2", cur.Seq)
	}
}

func TestCountsByLegalBasisThatAreNotTheFilesAreRefused(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	leader := c.Leader()
	m := c.Publication(leader, 1, 40, func(l *trusttest.List) { l.Target.Bases[0].N++ })
	var r *state.Refusal
	if err := leader.Node().Publish(c.Context(), m, clustertest.List); !errors.As(err, &r) || r.Reason != cluster.BrakeBases {
		t.Fatalf("publish: %v, want refused with reason %q", err, cluster.BrakeBases)
	}
}
