package cluster

import (
	"context"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Node is one open control node. All methods may be called concurrently from
// the return of Open until Run has returned; Run is called once.
type Node struct{}

// Open opens the node's directory and its Raft port and joins the cluster.
// Nothing is served and no goroutine of the node runs before Run, except
// Raft's own, which Run ends; a Node that is never Run is ended by Close.
func Open(ctx context.Context, c Config) (*Node, error) { return nil, ErrConfig }

// Run works until ctx ends or the node can no longer promise what it must (a
// failed disk: the error says which), then stops Raft, waits for all of the
// node's goroutines and closes its files.
func (n *Node) Run(ctx context.Context) error { return nil }

// Close ends a node whose Run was never called.
func (n *Node) Close() error { return nil }

// Publish brings one list of a hotline's metadata into force, or a renewal of
// its metadata. The list's files must already be in Config.Files. It returns
// nil when the cluster has it in force (also when it had it before), an error
// wrapping ErrRefused and *state.Refusal when it was refused and the refusal
// is in the log, ErrNoQuorum or ErrNoLeader when nothing was decided.
func (n *Node) Publish(ctx context.Context, m trust.Metadata, list match.ListID) error { return nil }

// Propose has a command agreed and applied. The command's time is set by the
// leader. It returns ErrNoLeader when nothing could be decided in time (the
// command may still be applied later); the Result says what was decided.
func (n *Node) Propose(ctx context.Context, c command.Command) (state.Result, error) {
	return state.Result{}, nil
}

// Forwarded answers Peers.Forward: the encoded command of another member, on
// the leader. Only a caller proved to be a control node may reach it.
func (n *Node) Forwarded(ctx context.Context, cmd []byte) ([]byte, error) { return nil, nil }

// Withdraw proposes an officer's signed withdrawal statement.
func (n *Node) Withdraw(ctx context.Context, statement []byte) (state.Result, error) {
	return state.Result{}, nil
}

// Stage answers Peers.Stage: fetches what this node lacks through from, checks
// everything and signs a verdict. A list that must not come into force is a
// verdict too; an error means that nothing could be said.
func (n *Node) Stage(ctx context.Context, req StageRequest, from FetchFrom) (audit.SignedVerdict, error) {
	return audit.SignedVerdict{}, nil
}

// Cosign answers Peers.Cosign: waits until this replica's tree has reached
// size (bounded by ctx and Timeouts.Cosign), and returns its cosignature line
// when the root it computed itself is the same. ErrFork otherwise.
func (n *Node) Cosign(ctx context.Context, size uint64, root [32]byte) ([]byte, error) {
	return nil, nil
}

// AddReceipt queues an edge's signed receipt for the log. A receipt that this
// replica can already see is not acceptable is refused at once (ErrRefused);
// ErrBusy when the queue is full. Accepted means queued, not yet logged.
func (n *Node) AddReceipt(r audit.SignedReceipt) error { return nil }

// View is this replica's own state, immutable.
func (n *Node) View() *state.View { return nil }

// Checkpoint is the newest checkpoint that a quorum of members has cosigned,
// as a C2SP signed note, or nil when there has never been one. Not to be altered.
func (n *Node) Checkpoint() []byte { return nil }

// Changed returns a channel that is closed once the quorum-cosigned checkpoint
// covers more than after leaves; at once when it already does.
func (n *Node) Changed(after uint64) <-chan struct{} { return nil }

// Renewed returns a channel that is closed at the next quorum-cosigned
// checkpoint, whatever its size.
func (n *Node) Renewed() <-chan struct{} { return nil }

// Manifest is all that an edge needs to know what is in force, proved by the
// checkpoint that Checkpoint returns. ErrNotYet before the first one.
func (n *Node) Manifest() (audit.Manifest, error) { return audit.Manifest{}, nil }

// EpochKeys are the unwrapped keys of a list in force (or of its staged
// successor), held in memory only; ErrKeys when they cannot be had.
func (n *Node) EpochKeys(list match.ListID, epoch uint32) (*match.Keys, error) { return nil, nil }

// Status is a snapshot for people.
func (n *Node) Status() Status { return Status{} }
