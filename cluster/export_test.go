package cluster

import (
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/resolver/match"
)

// Inject puts bytes into the Raft log as a leader of another version could.
func (n *Node) Inject(b []byte) error { return n.raft.Apply(b, 5*time.Second).Error() }

// Stall is what the log's watchdog does when its disk stalls, or answers again.
func (n *Node) Stall(on bool) { n.fence(on) }

// StatusOf is Status as if the replica had this state.
func (n *Node) StatusOf(v *state.View) Status { return n.status(v) }

// HeldEpochs are the epochs whose keys this node has in memory.
func (n *Node) HeldEpochs() []uint32 {
	n.keyMu.Lock()
	defer n.keyMu.Unlock()
	var out []uint32
	for e := range n.keys {
		out = append(out, e.n)
	}
	slices.Sort(out)
	return out
}

// LastJudgement is the last judgement of a list on this node.
func (n *Node) LastJudgement(list match.ListID) Judgement {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.judged[list]
}
