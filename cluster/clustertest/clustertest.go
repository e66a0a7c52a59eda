// Package clustertest is a cluster in one process, for tests: control nodes
// with real Raft over real loopback TLS sockets and real files, a hotline in
// memory, and the calls between members as function calls that a test can cut.
package clustertest

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/transport"
	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

// List is the list that Publication publishes.
const List = listtest.List

// Officers are the operator's people who may sign orders.
var Officers = []string{"ada", "grace"}

// Patience is how long a test waits for what must happen: a bound for what hangs, on the slowest of machines.
const Patience = 2 * time.Minute

// Options change what New makes; the zero value is three members.
type Options struct {
	Members  int
	Timeouts cluster.Timeouts
	// Configure, when set, may change a member's configuration before it opens.
	Configure func(c *cluster.Config)
	Log       *slog.Logger
}

// Cluster is a running cluster. Its methods are for the test's goroutine; the
// nodes' own methods may be called from any.
type Cluster struct {
	T       testing.TB
	Desc    audit.Cluster
	ID      string
	Hotline *trusttest.Hotline
	Members []*Member
	CA      *CA
	Epoch   uint32 // of the next versions' keys, which are listtest.Keys of its number

	o        Options
	identity *age.X25519Identity
	skew     atomic.Int64 // nanoseconds that all clocks are ahead
	held     atomic.Int64 // when all clocks were stopped, in nanoseconds since 1970; 0: they go

	mu  sync.Mutex // guards cut and the members' Node fields
	cut map[[2]string]bool
}

// Member is one member's place: it outlives its node.
type Member struct {
	Name  string
	Dir   string
	Addr  string
	Files *fetch.Store

	c      *Cluster
	ahead  atomic.Int64  // nanoseconds that its clock is ahead of the cluster's
	node   *cluster.Node // nil while stopped; guarded by c.mu
	cancel context.CancelFunc
	ended  chan error
}

// fast lets elections take half a second and everything else less. A leader waits for its quorum as long as followers wait for it: a machine that stands
// still for less than that elects nobody else.
func fast(t cluster.Timeouts) cluster.Timeouts {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&t.Heartbeat, 600*time.Millisecond)
	def(&t.Lease, t.Heartbeat)
	def(&t.Checkpoint, time.Second)
	def(&t.CheckpointGrace, 100*time.Millisecond)
	def(&t.Cosign, 3*time.Second)
	def(&t.Tick, 2*time.Second)
	def(&t.Receipts, 50*time.Millisecond)
	def(&t.Commit, 10*time.Millisecond)
	def(&t.Apply, Patience/2) // what nobody decides for that long hangs
	return t
}

// New makes and starts a cluster; it ends with the test.
func New(t testing.TB, o Options) *Cluster {
	t.Helper()
	if o.Members == 0 {
		o.Members = 3
	}
	o.Timeouts = fast(o.Timeouts)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Cluster{T: t, o: o, Epoch: 1, cut: map[[2]string]bool{}}
	now := c.Now()
	c.Hotline = trusttest.New("clustertest", trust.HotlineID(List.Hotline()), now)
	c.Hotline.Charter.Jurisdictions = []string{"AA", "ZZ"}
	identity, err := age.GenerateX25519Identity()
	c.must(err)
	c.identity = identity
	c.Desc = audit.Cluster{
		V: 1, Name: "isp.example", Origin: "isp.example/cordon", Created: now.Unix(), Recipient: identity.Recipient().String(),
		Hotlines: []audit.HotlineAnchor{{ID: c.Hotline.ID, Root: c.Hotline.Pinned}},
		Edges:    []audit.EdgeKey{{Name: "edge-1", Key: Public("edge-1")}},
	}
	for _, name := range Officers {
		c.Desc.Officers = append(c.Desc.Officers, order.Officer{Name: name, Key: Public(name)})
	}
	base := t.TempDir()
	for i := range o.Members {
		m := &Member{Name: fmt.Sprintf("control-%d", i+1), c: c}
		m.Dir = filepath.Join(base, m.Name)
		c.Members = append(c.Members, m)
		c.Desc.Members = append(c.Desc.Members, audit.MemberKey{Name: m.Name, Key: Public(m.Name), MLDSA: audittest.MLDSAPublic(audittest.MLDSAKey(m.Name))})
	}
	c.must(c.Desc.Check())
	c.ID = c.Desc.ID()
	c.CA = NewCA(t, now)
	var bound []net.Listener
	for _, m := range c.Members {
		m.Addr = place(t)
		l, err := net.Listen("tcp", m.Addr)
		c.must(err)
		bound = append(bound, l)
		m.Files, err = fetch.OpenStore(filepath.Join(m.Dir, "files"))
		c.must(err)
	}
	t.Cleanup(func() {
		for _, m := range c.Members {
			m.Stop()
		}
	})
	for i, m := range c.Members {
		m.start(bound[i])
	}
	return c
}

// Key is the node key of a name.
func Key(name string) ed25519.PrivateKey { return trusttest.Key("clustertest", name) }

// Public is its public half.
func Public(name string) ed25519.PublicKey { return Key(name).Public().(ed25519.PublicKey) }

// Identity is the key that hotlines seal keys to.
func (c *Cluster) Identity() age.Identity { return c.identity }

// Now is the time on all clocks of the cluster.
func (c *Cluster) Now() time.Time {
	now := time.Now()
	if held := c.held.Load(); held != 0 {
		now = time.Unix(0, held)
	}
	return now.Add(time.Duration(c.skew.Load()))
}

// Hold stops all clocks: from now on only Advance moves them, however long the test takes.
func (c *Cluster) Hold() { c.held.Store(time.Now().UnixNano()) }

// Now is the time on this member's clock.
func (m *Member) Now() time.Time { return m.c.Now().Add(time.Duration(m.ahead.Load())) }

// Ahead sets this member's clock so much ahead of the others.
func (m *Member) Ahead(d time.Duration) { m.ahead.Store(int64(d)) }

// Advance sets all clocks ahead.
func (c *Cluster) Advance(d time.Duration) { c.skew.Add(int64(d)) }

func (c *Cluster) must(err error) {
	c.T.Helper()
	if err != nil {
		c.T.Fatalf("clustertest: %v", err)
	}
}

// Context ends with Patience.
func (c *Cluster) Context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	c.T.Cleanup(cancel)
	return ctx
}

// Start starts a stopped member on the address it had.
func (m *Member) Start() {
	m.c.T.Helper()
	l, err := net.Listen("tcp", m.Addr)
	m.c.must(err)
	m.start(l)
}

func (m *Member) start(l net.Listener) {
	m.c.T.Helper()
	m.c.must(m.open(l, nil))
}

// TryStart is Start with a configuration that change may alter; when the node
// does not open it returns why, and the member stays stopped.
func (m *Member) TryStart(change func(c *cluster.Config)) error {
	m.c.T.Helper()
	l, err := net.Listen("tcp", m.Addr)
	m.c.must(err)
	return m.open(l, change)
}

func (m *Member) open(l net.Listener, change func(c *cluster.Config)) error {
	m.c.T.Helper()
	c, err := m.config(l)
	m.c.must(err)
	if change != nil {
		change(&c)
	}
	n, err := cluster.Open(context.Background(), c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel, m.ended = cancel, make(chan error, 1)
	m.c.mu.Lock()
	m.node = n
	m.c.mu.Unlock()
	go func() { m.ended <- n.Run(ctx) }()
	return nil
}

// Config is the configuration a member starts with, on a given listener.
func (m *Member) config(l net.Listener) (cluster.Config, error) {
	addrs := map[string]string{}
	for _, o := range m.c.Members {
		addrs[o.Name] = o.Addr
	}
	conf, err := m.c.CA.TLS(m.c.ID, transport.RoleControl, m.Name)
	if err != nil {
		return cluster.Config{}, err
	}
	c := cluster.Config{
		Cluster: m.c.Desc, Name: m.Name, Dir: m.Dir, Key: Key(m.Name), MLDSA: audittest.MLDSAKey(m.Name), RaftListener: l, PeerAddrs: addrs, TLS: conf,
		Files: m.Files, Identity: m.c.identity, NeverBlock: []string{"never-block.example"}, Peers: peers{m.c, m.Name},
		Clock: m.Now, Log: m.c.o.Log, Timeouts: m.c.o.Timeouts,
	}
	if m.c.o.Configure != nil {
		m.c.o.Configure(&c)
	}
	return c, nil
}

// Stop stops the member's node and waits for its end.
func (m *Member) Stop() {
	m.c.T.Helper()
	m.c.mu.Lock()
	n := m.node
	m.node = nil
	m.c.mu.Unlock()
	if n == nil {
		return
	}
	m.cancel()
	select {
	case err := <-m.ended:
		if err != nil {
			m.c.T.Errorf("%s ended: %v", m.Name, err)
		}
	case <-time.After(Patience):
		m.c.T.Errorf("%s does not end", m.Name)
	}
}

// Node is the member's running node; the test fails while it is stopped.
func (m *Member) Node() *cluster.Node {
	m.c.T.Helper()
	n := m.running()
	if n == nil {
		m.c.T.Fatalf("%s is stopped", m.Name)
	}
	return n
}

func (m *Member) running() *cluster.Node {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	return m.node
}

// Cut stops, or lets through again, the calls between two members (Raft's own
// connections stay).
func (c *Cluster) Cut(a, b string, cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut[[2]string{a, b}], c.cut[[2]string{b, a}] = cut, cut
}

// Wait waits until ok is true of a member, looking whenever it applies a
// command, renews its checkpoint or sees another leader.
func (m *Member) Wait(what string, ok func(n *cluster.Node) bool) {
	m.c.T.Helper()
	n := m.Node()
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	look := time.NewTicker(50 * time.Millisecond) // for what has no event of its own
	defer look.Stop()
	for {
		applied, renewed, leader := n.Applied(), n.Renewed(), n.LeaderChanged()
		if ok(n) {
			return
		}
		select {
		case <-applied:
		case <-renewed:
		case <-leader:
		case <-look.C:
		case <-deadline.C:
			s := n.Status()
			m.c.T.Fatalf("%s: %s does not come true in %s; status %+v", m.Name, what, Patience, s)
		}
	}
}

// WaitAll waits until ok is true of every running member.
func (c *Cluster) WaitAll(what string, ok func(n *cluster.Node) bool) {
	c.T.Helper()
	for _, m := range c.Members {
		if m.running() != nil {
			m.Wait(what, ok)
		}
	}
}

// Leader waits until the running members agree on a leader and returns it.
func (c *Cluster) Leader() *Member {
	c.T.Helper()
	var leader *Member
	for _, m := range c.Members {
		if m.running() == nil {
			continue
		}
		m.Wait("a running leader", func(n *cluster.Node) bool {
			name := n.Status().Leader
			for _, o := range c.Members {
				if o.Name == name && o.running() != nil && o.Node().Leading() {
					leader = o
					return true
				}
			}
			return false
		})
	}
	return leader
}

// Followers are the running members that do not lead.
func (c *Cluster) Followers() []*Member {
	leader := c.Leader()
	var out []*Member
	for _, m := range c.Members {
		if m != leader && m.running() != nil {
			out = append(out, m)
		}
	}
	return out
}
