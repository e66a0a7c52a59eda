package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/resolver/limit"
	"github.com/cordon-project/cordon/resolver/wire"
)

// acceptPause is the wait after a failed accept (out of file descriptors, usually) before the next.
const acceptPause = 50 * time.Millisecond

// listener is a TCP socket and what its connections speak.
type listener struct {
	*net.TCPListener
	via     wire.Transport
	guests  *limit.Places
	altSvc  string         // of HTTPS: where the same is over HTTP/3
	proxies []netip.Prefix // not nil: every connection is of one of these and begins with a PROXY header
}

func (l *listener) addr() netip.AddrPort { return l.Addr().(*net.TCPAddr).AddrPort() }

// accept takes connections until the server drains.
func (s *Server) accept(ctx, asking context.Context, l *listener) {
	for failed := 0; ; {
		c, err := l.Accept()
		if err != nil {
			if s.draining.Load() || errors.Is(err, net.ErrClosed) {
				_ = l.Close()
				return
			}
			if failed++; failed > maxErrors && !passing(err) {
				s.fail(fmt.Errorf("accept tcp %s: %w", l.Addr(), err))
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
			continue
		}
		failed = 0
		s.counts.by[l.via].conns.Add(1)
		g := &guest{Conn: c, client: addrOf(c.RemoteAddr()), altSvc: l.altSvc}
		if l.proxies != nil {
			s.acceptProxied(asking, l, g)
			continue
		}
		if !s.enter(l, g) {
			continue
		}
		s.conns.Go(func() { s.welcome(asking, l, g) })
	}
}

// passing reports errors of accept that are over when others give something back, however long that takes.
func passing(err error) bool {
	for _, e := range []error{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// enter finds a place for a connection, or closes it. Over TCP who is not served is told so, but has no place that others may need.
func (s *Server) enter(l *listener, g *guest) bool {
	counts := &s.counts.by[l.via]
	if !(l.via == wire.TCP && !l.guests.Crowded() || s.served(g.client)) {
		counts.strangers.Add(1)
		s.forget(g)
		_ = g.Conn.Close()
		return false
	}
	place, ok := l.guests.Enter(g.client, func() {
		counts.yielded.Add(1)
		g.giveWay()
	})
	if !ok {
		counts.crowded.Add(1)
		s.forget(g)
		_ = g.Conn.Close()
		return false
	}
	counts.open.Add(1)
	g.place = place
	g.leave = func() {
		counts.open.Add(-1)
		place.Leave()
		s.forget(g)
	}
	s.remember(g)
	return true
}

// remember: draining ends this connection's reads.
func (s *Server) remember(g *guest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[g] = struct{}{}
}

func (s *Server) served(client netip.Addr) bool {
	return s.config.Serves == nil || s.config.Serves(client)
}

// forget: draining does not end this connection's reads any more.
func (s *Server) forget(g *guest) {
	s.mu.Lock()
	delete(s.open, g)
	s.mu.Unlock()
}

// welcome speaks with one client until the end of its connection; connections of HTTP are handed on.
func (s *Server) welcome(asking context.Context, l *listener, g *guest) {
	if l.via == wire.TCP {
		s.stream(asking, g, g, wire.TCP)
		_ = g.Close()
		return
	}
	c := s.handshake(l, g)
	switch {
	case c == nil:
		_ = g.Close()
	case l.via == wire.TLS:
		s.stream(asking, c, g, wire.TLS)
		_ = c.Close()
	default:
		s.forget(g) // the HTTP server drains its own
		if !s.web.take(c) {
			_ = c.Close()
		}
	}
}

// guest is a connection that has a place until it is closed.
type guest struct {
	net.Conn
	client netip.Addr // who asks: the other end, or who a proxy says
	altSvc string     // of its listener
	ahead  []byte     // read behind a PROXY header already
	place  *limit.Place
	leave  func()
	once   sync.Once
	gone   atomic.Bool // it has given way: it is not read any more
}

// giveWay ends a connection that rested, as if its client had closed it. The last answer may still be on its way through HTTP/2's writers, and what
// its client has sent meanwhile is answered: so not at once.
func (g *guest) giveWay() {
	time.AfterFunc(settle, func() {
		g.gone.Store(true)
		_ = g.Conn.SetReadDeadline(past)
	})
}

// past is before all deadlines.
var past = time.Unix(1, 0)

// SetReadDeadline is the connection's, unless that has given way.
func (g *guest) SetReadDeadline(t time.Time) error {
	err := g.Conn.SetReadDeadline(t)
	if g.gone.Load() { // perhaps in between
		return g.Conn.SetReadDeadline(past)
	}
	return err
}

// SetDeadline is the connection's, unless that has given way.
func (g *guest) SetDeadline(t time.Time) error {
	err := g.Conn.SetDeadline(t)
	if g.gone.Load() {
		return g.Conn.SetReadDeadline(past)
	}
	return err
}

func (g *guest) Read(b []byte) (int, error) {
	if len(g.ahead) > 0 {
		n := copy(b, g.ahead)
		g.ahead = g.ahead[n:]
		return n, nil
	}
	n, err := g.Conn.Read(b)
	if err != nil && g.gone.Load() {
		err = io.EOF
	}
	return n, err
}

// RemoteAddr is of the client, also behind a proxy.
func (g *guest) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: g.client.AsSlice()}
}

func (g *guest) Close() error {
	g.once.Do(g.leave)
	return g.Conn.Close()
}

// addrOf is a client's address as wire.Client has it.
func addrOf(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
