// Package cluster is one control node: a Raft member that agrees with the
// others on which signed list is in force. In go a hotline's signed metadata,
// officers' withdrawals and edges' receipts; out come a log of leaves that is
// the same on every member, checkpoints of it that a quorum of members has
// cosigned, and manifests that an edge can verify without trusting the node
// that hands them over.
//
// A node promises: nothing enters the log that it did not verify itself; a
// leader that lies is refused by every honest member; with the quorum gone
// for a month it goes on serving the last agreed checkpoint and manifest.
package cluster

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"filippo.io/age"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/program"
	"github.com/cordon-project/cordon/listsync/brake"
	"github.com/cordon-project/cordon/listsync/fetch"
)

// Errors a caller chooses by.
var (
	// ErrNoLeader: nothing can be agreed now; the same call may work later.
	ErrNoLeader = errors.New("no leader")
	// ErrNoQuorum: too few members answered; nothing was decided.
	ErrNoQuorum = errors.New("no quorum of members answered")
	// ErrRefused: the cluster decided against it. errors.As with
	// *state.Refusal gives the stable reason. Repeating is useless.
	ErrRefused = errors.New("refused")
	// ErrHalted: this replica has stopped applying; see Status.
	ErrHalted = errors.New("replica has stopped applying")
	// ErrFork: two members hold different logs.
	ErrFork = errors.New("log differs from this node's own")
	// ErrBusy: a bounded queue is full; repeat with a delay.
	ErrBusy = errors.New("queue is full")
	// ErrNotYet: asked for something that no checkpoint covers yet.
	ErrNotYet = errors.New("no quorum-cosigned checkpoint yet")
	// ErrKeys: no epoch key for this list can be had here.
	ErrKeys = errors.New("no key for this list and epoch")
	// ErrSkew: the cluster's time is too far ahead of this node's clock, or
	// no quorum of members confirms this node's clock. It passes when the
	// clock is put right, or when another member leads.
	ErrSkew = errors.New("this node's clock and the others' differ")
	// ErrLogLost: this node's log is damaged, or lacks what it knows to have
	// been agreed; the text says what to do.
	ErrLogLost = errors.New("the agreed log is lost")
	// ErrRequest: another node asked what cannot be asked; nothing of it was done.
	ErrRequest = errors.New("malformed request")
	// ErrConfig: Open was given a configuration that cannot work.
	ErrConfig = errors.New("invalid configuration")
)

// Config is all that a Node is made of. Files, Peers, TLS and the two keys
// are shared with the caller and must stay usable until Run has returned.
type Config struct {
	Cluster audit.Cluster // public description; equal on all members
	Name    string        // this member's name in Cluster
	Dir     string        // owned by the node alone
	Key     crypto.Signer // node key, Ed25519; its public half is in Cluster
	MLDSA   crypto.Signer // its ML-DSA-44 half (audit.Signer.WithMLDSA); needed when Cluster has one for this member, else left alone

	// RaftListener, when set, is the bound Raft port; otherwise RaftAddr is
	// bound by Open.
	RaftListener net.Listener
	RaftAddr     string
	// PeerAddrs gives the Raft address of every other member by name.
	PeerAddrs map[string]string
	// TLS carries this node's certificate (Certificates or GetCertificate) and
	// the cluster CA as RootCAs and ClientCAs. It is cloned, never altered.
	TLS *tls.Config

	// Rejoin, when the log is lost (ErrLogLost, or a directory that is empty
	// though this member has worked before), takes it from the other members
	// and puts what is left of it aside. Until a leader has brought this node
	// all that is agreed it has no vote, also after a restart without Rejoin. With
	// a log that is whole it changes nothing.
	Rejoin bool

	// Program is what this node runs, for the log; zero says nothing.
	Program program.Program

	Files      *fetch.Store // content-addressed list files
	Identity   age.Identity // cluster key: unwraps epoch keys
	NeverBlock []string     // names that no list may block, canonical
	// Popularity are further such names: many people use them, or they carry many others; nil for none.
	Popularity *brake.Popularity
	Limits     brake.Limits // of what a version may change; zero fields: brake.Default
	Peers      Peers
	Clock      func() time.Time // nil: time.Now
	Log        *slog.Logger     // nil: discards
	Timeouts   Timeouts
}

// Timeouts are the node's intervals; a zero field takes its default.
type Timeouts struct {
	Heartbeat       time.Duration // follower's patience with its leader; default 2.5 s
	Election        time.Duration // default Heartbeat
	Lease           time.Duration // leader's patience without a quorum; default half of Heartbeat
	Commit          time.Duration // default 50 ms
	Checkpoint      time.Duration // a new checkpoint at least this often; default 20 s
	CheckpointGrace time.Duration // waited for the last cosignatures once a quorum is there; default 250 ms
	Cosign          time.Duration // longest wait for one member's cosignature; default 5 s
	Stage           time.Duration // longest wait for one member's verdict; default 10 min
	Tick            time.Duration // leader's heartbeat into the log; default 1 min
	Receipts        time.Duration // receipts are batched this long; default 1 s
	Apply           time.Duration // longest wait for a command to commit; default 10 s
	Disk            time.Duration // a log write slower than this fences the node; default 3 s
	Snapshot        time.Duration // raft's check whether a snapshot is due; default 2 min

	SnapshotThreshold uint64 // log entries between snapshots; default 8192
	TrailingLogs      uint64 // entries kept for followers after one; default 10240
}

// Peers reaches the other control nodes, by member name. appliance/api implements
// it over mutual TLS; every call must honour its context, may be made
// concurrently, and is repeated by the node when it matters, so an
// implementation does not retry. A member that cannot be reached is any error.
type Peers interface {
	// Stage asks a member to fetch and check a list; answered by Node.Stage.
	Stage(ctx context.Context, member string, req StageRequest) (audit.SignedVerdict, error)
	// Cosign asks a member to cosign the checkpoint of this size and root;
	// answered by Node.Cosign.
	Cosign(ctx context.Context, member string, size uint64, root [32]byte) ([]byte, error)
	// Return asks a member whether an order to go back to an earlier version of a list names all that was left out since; answered by
	// Node.Return.
	Return(ctx context.Context, member string, statement []byte) (audit.SignedReturnVerdict, error)
	// Forward hands the leader an encoded command and brings back its encoded
	// result; answered by Node.Forwarded.
	Forward(ctx context.Context, member string, command []byte) ([]byte, error)
}
