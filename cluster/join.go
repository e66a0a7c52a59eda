package cluster

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/hashicorp/raft"

	"github.com/cordon-project/cordon/cluster/store"
	"github.com/cordon-project/cordon/cluster/transport"
)

// prepare checks the configuration and fills in defaults.
func (c *Config) prepare() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, args...))
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Timeouts = c.Timeouts.withDefaults()
	if err := c.Cluster.Check(); err != nil {
		return bad("cluster file: %v", err)
	}
	own, ok := c.Cluster.Quorum().Member(c.Name)
	if !ok {
		return bad("%q is not a member of the cluster file", c.Name)
	}
	if c.Key == nil {
		return bad("no node key")
	}
	if key, ok := c.Key.Public().(ed25519.PublicKey); !ok || !key.Equal(own) {
		return bad("node key is not the one the cluster file names for %s", c.Name)
	}
	for _, m := range c.Cluster.Members {
		if !transport.ValidName(m.Name) {
			return bad("member name %q", m.Name)
		}
		if _, ok := c.PeerAddrs[m.Name]; !ok && m.Name != c.Name {
			return bad("no raft address of member %s", m.Name)
		}
	}
	switch {
	case c.Dir == "":
		return bad("no directory")
	case c.TLS == nil:
		return bad("no TLS configuration")
	case c.Files == nil:
		return bad("no file store")
	case c.Identity == nil:
		return bad("no cluster key")
	case c.Peers == nil && len(c.Cluster.Members) > 1:
		return bad("no way to reach the other members")
	case c.Rejoin && len(c.Cluster.Members) == 1:
		return bad("rejoin: there is no other member to take the log from")
	case c.RaftListener == nil && c.RaftAddr == "":
		return bad("no raft address of this node")
	}
	return nil
}

func (t Timeouts) withDefaults() Timeouts {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	// Two and a half times raft's own: on a link with 300 ms of delay and losses
	// the defaults change leaders for nothing. A dead leader is noticed after 2.5
	// to 5 s, and one split vote later a new one is there within 10. With 3 s
	// five kills were made good after 4.4 to 8.5 s.
	def(&t.Heartbeat, 2500*time.Millisecond)
	def(&t.Election, t.Heartbeat)
	def(&t.Lease, t.Heartbeat/2)
	def(&t.Commit, 50*time.Millisecond)
	def(&t.Checkpoint, 20*time.Second)
	def(&t.CheckpointGrace, 250*time.Millisecond)
	def(&t.Cosign, 5*time.Second)
	def(&t.Stage, 10*time.Minute)
	def(&t.Tick, time.Minute)
	def(&t.Receipts, time.Second)
	def(&t.Apply, 10*time.Second)
	def(&t.Disk, store.DefaultLimit)
	def(&t.Snapshot, 2*time.Minute)
	if t.SnapshotThreshold == 0 {
		t.SnapshotThreshold = 8192
	}
	if t.TrailingLogs == 0 {
		t.TrailingLogs = 10240 // a follower away for hours needs no snapshot
	}
	return t
}

// join binds the Raft port and starts Raft. Every member bootstraps an empty
// store with the same configuration, made of the cluster file's names: who
// comes first does not matter, and there is no first node to be special.
func (n *Node) join(snaps raft.SnapshotStore) error {
	if n.c.RaftListener == nil {
		var lc net.ListenConfig
		l, err := lc.Listen(context.Background(), "tcp", n.c.RaftAddr)
		if err != nil {
			return fmt.Errorf("bind raft port: %w", err)
		}
		n.c.RaftListener = l
	}
	var names []string
	var config raft.Configuration
	for _, m := range n.c.Cluster.Members {
		names = append(names, m.Name)
		config.Servers = append(config.Servers, raft.Server{
			Suffrage: raft.Voter, ID: raft.ServerID(m.Name), Address: raft.ServerAddress(m.Name),
		})
	}
	trans, stream, err := transport.New(transport.Config{
		Cluster: n.id, Name: n.c.Name, Members: names, Addrs: n.c.PeerAddrs,
		Listener: n.c.RaftListener, TLS: n.c.TLS, Log: n.log,
	}, ioTime, raftLogger(n.log))
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.trans, n.stream = trans, stream // fence may look already
	n.mu.Unlock()
	if n.rejoining {
		m := n.newMute(n.trans)
		if n.raft, err = raft.NewRaft(n.raftConfig(), n.fsm, n.store, n.store, snaps, m); err != nil {
			return fmt.Errorf("start raft: %w", err)
		}
		n.spawn(m.pass)
		return nil // no bootstrap: the configuration comes with the log
	}
	if n.raft, err = raft.NewRaft(n.raftConfig(), n.fsm, n.store, n.store, snaps, n.trans); err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	err = n.raft.BootstrapCluster(config).Error()
	if err != nil && !errors.Is(err, raft.ErrCantBootstrap) {
		return fmt.Errorf("bootstrap raft: %w", err)
	}
	return nil
}

// ioTime bounds one exchange of two members; a snapshot gets more by its size.
const ioTime = 10 * time.Second

func (n *Node) raftConfig() *raft.Config {
	t := n.c.Timeouts
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(n.c.Name)
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout, c.CommitTimeout = t.Heartbeat, t.Election, t.Lease, t.Commit
	c.SnapshotInterval, c.SnapshotThreshold, c.TrailingLogs = t.Snapshot, t.SnapshotThreshold, t.TrailingLogs
	// A megabyte at most: it passes a 5 Mbit/s link within one exchange.
	c.MaxAppendEntries = 16
	c.ShutdownOnRemove = false
	// fsm.replay has restored it, and more; see there.
	c.NoSnapshotRestoreOnStart = true
	c.NoLegacyTelemetry = true
	c.Logger = raftLogger(n.log)
	return c
}
