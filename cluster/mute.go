package cluster

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/hashicorp/raft"
)

// mute is the Raft transport of a node that has lost its log. What it had
// voted and acknowledged is lost too: until a leader, elected without it, has
// given it all that is agreed, it neither votes nor asks for a vote.
type mute struct {
	raft.Transport
	raft.WithPreVote
	n    *Node
	kept *published    // what was agreed for certain when the log was lost; nil when that is not known
	done chan struct{} // closed when the node has its log again
	in   chan raft.RPC
}

var errMute = errors.New("this node has lost its log and has no vote until it has it again")

func (n *Node) newMute(t *raft.NetworkTransport) *mute {
	return &mute{Transport: t, WithPreVote: t, n: n, kept: n.published(), done: make(chan struct{}), in: make(chan raft.RPC)}
}

func (m *mute) over() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

func (m *mute) Consumer() <-chan raft.RPC { return m.in }

func (m *mute) RequestVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	if !m.over() {
		return errMute
	}
	return m.Transport.RequestVote(id, to, req, resp)
}

func (m *mute) RequestPreVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	if !m.over() {
		return errMute
	}
	return m.WithPreVote.RequestPreVote(id, to, req, resp)
}

// pass hands the other members' requests to Raft, but those about votes.
func (m *mute) pass(ctx context.Context) {
	var committed uint64 // as a leader says
	for {
		grown := m.n.fsm.grown()
		if !m.over() && committed > 0 {
			m.look(committed)
		}
		var rpc raft.RPC
		select {
		case <-ctx.Done():
			return
		case <-grown:
			continue
		case rpc = <-m.Transport.Consumer():
		}
		if !m.over() {
			switch req := rpc.Command.(type) {
			case *raft.RequestVoteRequest:
				rpc.Respond(&raft.RequestVoteResponse{RPCHeader: m.header(), Term: req.Term}, nil)
				continue
			case *raft.RequestPreVoteRequest:
				rpc.Respond(&raft.RequestPreVoteResponse{RPCHeader: m.header(), Term: req.Term}, nil)
				continue
			case *raft.TimeoutNowRequest:
				rpc.Respond(&raft.TimeoutNowResponse{RPCHeader: m.header()}, errMute)
				continue
			case *raft.AppendEntriesRequest:
				committed = max(committed, req.LeaderCommitIndex)
			}
		}
		select {
		case m.in <- rpc:
		case <-ctx.Done():
			return
		}
	}
}

func (m *mute) header() raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(m.n.c.Name), Addr: []byte(m.n.c.Name)}
}

// look gives the vote back when all that a leader called agreed is applied
// here and the kept checkpoint is part of it.
func (m *mute) look(committed uint64) {
	n := m.n
	view := n.fsm.view()
	if n.raft.AppliedIndex() < committed || view.Halted != nil || m.kept != nil && view.Size < m.kept.size {
		return
	}
	if n.sameHistory(view, m.kept) != nil {
		return // the alarm is up
	}
	if err := os.Remove(n.path(rejoinFile)); err != nil {
		n.alarm(AlarmDisk, "this node has its log again and cannot note it: "+err.Error())
		return
	}
	n.clear(AlarmRejoin)
	n.log.Info("rejoin: this node has its log again and votes", slog.Uint64("size", view.Size))
	close(m.done)
}
