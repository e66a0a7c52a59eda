package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

var (
	// ErrFenced: this node has cut itself off; see Stream.Fence.
	ErrFenced = errors.New("node is fenced")
	// ErrPeer: whoever is on the other side is not the member it must be.
	ErrPeer = errors.New("peer is not this cluster's member")
	// ErrClosed: the stream has been closed.
	ErrClosed = errors.New("transport is closed")
)

const (
	protocol = "cordon-raft/1" // ALPN: nothing else is ever spoken on this port

	// conns bounds all connections with members: five of them hold a handful each.
	conns = 256
	// A stranger can be refused as often as it likes: so many lines in a minute
	// say so, and the next minute's first line counts the rest.
	refusalLines = 20
)

// Config is what a Stream is made of.
type Config struct {
	Cluster  string            // cluster id
	Name     string            // this member
	Members  []string          // names of all members
	Addrs    map[string]string // network address of each other member
	Listener net.Listener      // bound port; owned by the Stream from now on
	TLS      *tls.Config       // certificate, RootCAs, ClientCAs; cloned
	Log      *slog.Logger      // nil: discards
}

// Stream is a raft.StreamLayer over TLS 1.3 in which both sides are members
// of the cluster. It is safe for concurrent use.
type Stream struct {
	c      Config
	server *tls.Config
	ready  chan net.Conn
	gate   *gate
	done   chan struct{}
	wg     sync.WaitGroup

	mu       sync.Mutex // guards all below
	open     map[*conn]struct{}
	fenced   bool
	closed   bool
	refused  uint64
	minute   time.Time // that lines counts
	lines    int       // about refusals, logged and not
	unlogged int       // of the last minute
}

var _ raft.StreamLayer = (*Stream)(nil)

// NewStream starts to accept on the listener. Close ends it.
func NewStream(c Config) (*Stream, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.TLS == nil || c.TLS.RootCAs == nil || c.TLS.ClientCAs == nil {
		return nil, errors.New("raft transport needs the cluster CA in RootCAs and ClientCAs")
	}
	if !validCluster(c.Cluster) || !slices.Contains(c.Members, c.Name) {
		return nil, fmt.Errorf("raft transport of cluster %q: %q is not a member", c.Cluster, c.Name)
	}
	s := &Stream{
		c: c, ready: make(chan net.Conn), gate: newGate(c.Addrs), done: make(chan struct{}), open: map[*conn]struct{}{},
	}
	s.server = s.base()
	s.server.ClientAuth = tls.RequireAndVerifyClientCert
	s.server.VerifyConnection = func(cs tls.ConnectionState) error {
		_, err := s.member(cs.PeerCertificates)
		return err
	}
	s.wg.Add(1)
	go s.listen()
	return s, nil
}

// New is Raft's transport over a Stream. Each request on a connection waits
// for its answer (MaxRPCsInFlight 1): with batches this small pipelining only
// adds latency, and a stalled peer holds at most one batch.
func New(c Config, timeout time.Duration, log hclog.Logger) (*raft.NetworkTransport, *Stream, error) {
	s, err := NewStream(c)
	if err != nil {
		return nil, nil, err
	}
	t := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: s, MaxPool: 3, MaxRPCsInFlight: 1, Timeout: timeout, Logger: log, MsgpackUseNewTimeFormat: true,
	})
	return t, s, nil
}

func (s *Stream) listen() {
	defer s.wg.Done()
	for {
		raw, err := s.c.Listener.Accept()
		if err != nil {
			if !s.pause(100 * time.Millisecond) { // out of descriptors: no spinning
				return
			}
			continue
		}
		g := s.enter(raw)
		if g == nil {
			_ = raw.Close()
			continue
		}
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			s.handshake(g)
		}()
	}
}

// enter brings a connection through the gate; nil when this node is closed or
// fenced. While it waits the others wait in the system's queue, in order.
func (s *Stream) enter(raw net.Conn) *guest {
	for {
		s.mu.Lock()
		if s.closed || s.fenced {
			s.mu.Unlock()
			return nil
		}
		g, wait := s.gate.admit(raw, time.Now()) // under mu: a fence closes all that are in
		s.mu.Unlock()
		if g != nil {
			return g
		}
		if !s.pause(wait) {
			return nil
		}
	}
}

// pause waits; false when the stream is closed meanwhile.
func (s *Stream) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.done:
		return false
	case <-t.C:
		return true
	}
}

func (s *Stream) handshake(g *guest) {
	defer s.gate.leave(g)
	ctx, cancel := context.WithTimeout(context.Background(), g.patience())
	defer cancel()
	t := tls.Server(g, s.server)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = g.Close()
		if !g.spoke.Load() {
			err = errSilent
		}
		s.refuse(err)
		return
	}
	if !s.gate.leave(g) {
		s.refuse(errSlow) // it was closed to make room as it finished
		return
	}
	c, err := s.track(t)
	if err != nil {
		_ = g.Close()
		return
	}
	if name, err := s.member(t.ConnectionState().PeerCertificates); err == nil {
		s.gate.met(name, "from ", g)
	}
	select {
	case s.ready <- c:
	case <-s.done:
		_ = c.Close()
	}
}

var (
	errSilent = errors.New("not a word was said")
	errSlow   = errors.New("handshake took too long")
	errFull   = errors.New("too many connections with members")
)

// refuse counts and logs a peer that got no connection. The address stays out
// of the log: on a public port it may be anyone's.
func (s *Stream) refuse(err error) {
	s.mu.Lock()
	s.refused++
	if now := time.Now(); now.Sub(s.minute) >= time.Minute {
		s.unlogged, s.lines, s.minute = max(s.lines-refusalLines, 0), 0, now
	}
	s.lines++
	unlogged := s.unlogged
	silent := s.closed || s.fenced || s.lines > refusalLines
	if !silent {
		s.unlogged = 0
	}
	s.mu.Unlock()
	if !silent {
		s.c.Log.Warn("raft connection refused", slog.String("reason", err.Error()), slog.Int("unlogged", unlogged))
	}
}

// Refused counts the connections that failed their handshake.
func (s *Stream) Refused() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// Accept waits for the next connection from a member.
func (s *Stream) Accept() (net.Conn, error) {
	select {
	case c := <-s.ready:
		return c, nil
	case <-s.done:
		return nil, ErrClosed
	}
}

// Dial connects to a member by name; ErrPeer when another one answers there.
func (s *Stream) Dial(name raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	addr, ok := s.c.Addrs[string(name)]
	if !ok {
		return nil, fmt.Errorf("dial %s: no address: %w", name, ErrPeer)
	}
	s.mu.Lock()
	fenced, closed := s.fenced, s.closed
	s.mu.Unlock()
	if fenced || closed {
		return nil, fmt.Errorf("dial %s: %w", name, ErrFenced)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", name, err)
	}
	t := tls.Client(raw, s.client(string(name)))
	if err := t.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("dial %s: %w", name, err)
	}
	c, err := s.track(t)
	if err != nil {
		_ = t.Close()
		return nil, fmt.Errorf("dial %s: %w", name, err)
	}
	s.gate.met(string(name), "to ", raw)
	return c, nil
}

// Fence cuts this node off: all connections are closed and none is accepted
// or dialled until it is released. A leader whose disk stalls is thereby seen
// as dead by its followers.
func (s *Stream) Fence(on bool) {
	s.mu.Lock()
	s.fenced = on
	var drop []net.Conn
	if on {
		drop = s.all()
		s.gate.closeAll()
	}
	s.mu.Unlock()
	for _, c := range drop {
		_ = c.Close()
	}
}

// Fenced reports whether the node is cut off now.
func (s *Stream) Fenced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fenced
}

// all lists the connections with members; mu is held.
func (s *Stream) all() []net.Conn {
	var list []net.Conn
	for c := range s.open {
		list = append(list, c)
	}
	return list
}

// Close stops accepting, closes every connection and waits for the stream's goroutines.
func (s *Stream) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.done)
	drop := s.all()
	s.gate.closeAll()
	s.mu.Unlock()
	err := s.c.Listener.Close()
	for _, c := range drop {
		_ = c.Close()
	}
	s.wg.Wait()
	if err != nil {
		return fmt.Errorf("close raft port: %w", err)
	}
	return nil
}

// Addr is this member's name: what the other members dial.
func (s *Stream) Addr() net.Addr { return nameAddr(s.c.Name) }

type nameAddr string

func (nameAddr) Network() string  { return "cordon" }
func (a nameAddr) String() string { return string(a) }

// conn is a connection that the stream can close when it is fenced.
type conn struct {
	*tls.Conn
	s *Stream
}

func (s *Stream) track(t *tls.Conn) (*conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fenced {
		return nil, ErrFenced
	}
	if s.closed {
		return nil, ErrClosed
	}
	if len(s.open) >= conns {
		return nil, errFull
	}
	c := &conn{Conn: t, s: s}
	s.open[c] = struct{}{}
	return c, nil
}

// Close closes the socket first: the peer may be stuck, and a fence must not
// wait for it to take a close_notify.
func (c *conn) Close() error {
	c.s.mu.Lock()
	delete(c.s.open, c)
	c.s.mu.Unlock()
	return c.NetConn().Close()
}
