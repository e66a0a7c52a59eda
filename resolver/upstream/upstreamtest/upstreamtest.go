// Package upstreamtest is an upstream resolver that behaves as badly as a test wants: slow, silent, truncating, lying.
package upstreamtest

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream/devupstream"
)

// Query is one question that reached the server.
type Query struct {
	*dns.Msg
	From netip.AddrPort
	TCP  bool
}

// Reply says what to send back: after Delay each of Packets, nothing when there are none.
type Reply struct {
	Delay   time.Duration
	Packets [][]byte
}

// Server calls one function for each query and remembers the queries.
type Server struct {
	handle func(q Query) Reply
	udp    *net.UDPConn
	tcp    net.Listener
	done   chan struct{}
	work   sync.WaitGroup

	mu   sync.Mutex // guards seen
	seen []Query
}

// Start listens on a loopback port and stops with the test. handle may be called concurrently.
func Start(t testing.TB, handle func(q Query) Reply) *Server {
	t.Helper()
	s := &Server{handle: handle, done: make(chan struct{})}
	s.udp, s.tcp = Listen(t)
	s.work.Go(s.serveUDP)
	s.work.Go(s.serveTCP)
	t.Cleanup(func() {
		close(s.done)
		_ = s.udp.Close()
		_ = s.tcp.Close()
		s.work.Wait()
	})
	return s
}

// Listen takes one loopback port for UDP and TCP both, for the caller to close.
func Listen(t testing.TB) (*net.UDPConn, net.Listener) {
	t.Helper()
	for range 100 { // somebody else may have the number that is free for one of them
		udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatalf("listen: %v", err)
		}
		if tcp, err := net.Listen("tcp4", udp.LocalAddr().String()); err == nil {
			return udp, tcp
		}
		_ = udp.Close()
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

// Closed is an address of loopback where nobody listens over UDP, nor can while the test lasts: a socket has it that hears another address alone, so
// to all others the kernel says that nobody is there.
func Closed(t testing.TB) netip.AddrPort {
	t.Helper()
	local := net.IPv4(127, 0, 0, 1)
	c, err := net.DialUDP("udp4", &net.UDPAddr{IP: local}, &net.UDPAddr{IP: local, Port: 9})
	if err != nil {
		t.Fatalf("take a port: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Addr is where it listens.
func (s *Server) Addr() netip.AddrPort { return s.udp.LocalAddr().(*net.UDPAddr).AddrPort() }

// Seen are the queries so far.
func (s *Server) Seen() []Query {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Query(nil), s.seen...)
}

// Plain is the honest reply of devupstream.
func Plain(q Query) Reply { return Send(devupstream.Answer(q.Msg)) }

// Send packs messages.
func Send(msgs ...*dns.Msg) (r Reply) {
	for _, m := range msgs {
		b, err := m.Pack()
		if err != nil {
			panic("upstreamtest: " + err.Error())
		}
		r.Packets = append(r.Packets, b)
	}
	return r
}

// Change is the honest reply with one thing changed.
func Change(q Query, f func(m *dns.Msg)) Reply {
	m := devupstream.Answer(q.Msg)
	f(m)
	return Send(m)
}

func (s *Server) take(b []byte, from net.Addr, tcp bool, send func([]byte)) {
	m := new(dns.Msg)
	if m.Unpack(b) != nil {
		return
	}
	q := Query{Msg: m, TCP: tcp}
	q.From, _ = netip.ParseAddrPort(from.String())
	s.mu.Lock()
	s.seen = append(s.seen, q)
	s.mu.Unlock()
	r := s.handle(q)
	if r.Delay > 0 {
		select {
		case <-time.After(r.Delay):
		case <-s.done:
			return
		}
	}
	for _, p := range r.Packets {
		send(p)
	}
}

func (s *Server) serveUDP() {
	for {
		buf := make([]byte, 4096)
		n, from, err := s.udp.ReadFromUDP(buf)
		if err != nil {
			return
		}
		s.work.Go(func() {
			s.take(buf[:n], from, false, func(p []byte) { _, _ = s.udp.WriteToUDP(p, from) })
		})
	}
}

func (s *Server) serveTCP() {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.work.Go(func() {
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			for { // several questions may have come: closing the connection on them would take the answer with it
				var n [2]byte
				if _, err := io.ReadFull(c, n[:]); err != nil {
					return
				}
				buf := make([]byte, binary.BigEndian.Uint16(n[:]))
				if _, err := io.ReadFull(c, buf); err != nil {
					return
				}
				s.take(buf, c.RemoteAddr(), true, func(p []byte) {
					_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(p))), p...))
				})
			}
		})
	}
}
