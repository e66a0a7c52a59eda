// Package serve listens for DNS questions over UDP and TCP and sends what a Handler answers.
//
// In come datagrams and connections of strangers, out go the Handler's bytes. It promises: each question that was read is
// answered (with SERVFAIL when there is no room to ask an upstream), also while the server drains; memory is bounded by
// workers, slots and connections of Config, whoever sends; nothing about clients or questions is logged or kept.
package serve

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cordon-project/cordon/resolver/limit"
	"github.com/cordon-project/cordon/resolver/wire"
)

// Handler answers whole messages; *resolver.Resolver is one. All methods may be called concurrently.
type Handler interface {
	// Fast appends the answer to dst, without blocking: true when it did (unchanged dst: nothing is to be sent), false
	// when Slow must. It does not keep query.
	Fast(dst, query []byte, from wire.Client) (resp []byte, done bool)
	// Slow does not block. It calls answer once, from any goroutine, soon after ctx ends at the latest; nil: nothing is to
	// be sent. query stays unchanged until then; resp is the callback's until it returns.
	Slow(ctx context.Context, query []byte, from wire.Client, answer func(resp []byte))
	// Busy appends the answer that says there is no room for Slow.
	Busy(dst, query []byte) []byte
}

// Config of a Server. Handler and at least one address are required; zero values mean the defaults.
type Config struct {
	Handler Handler

	// UDPAddrs and TCPAddrs are listened on. Port 0 lets the kernel choose; a TCP address with port 0 takes the port of
	// the UDP listener of the same IP, when there is one.
	UDPAddrs, TCPAddrs []netip.AddrPort

	Workers      int           // sockets and goroutines for each UDP address; default one a core
	Slots        int           // questions waiting for an upstream at once; beyond it they get Busy; default 8192
	Conns        int           // TCP connections at once; beyond it new ones are closed; default 1024
	PerHousehold int           // of them from one IPv4 address or IPv6 /56; default 128
	PerConn      int           // unanswered questions of one connection; beyond it it is not read; default 64
	Idle         time.Duration // to send one whole question, or take one answer, on a connection; default 10 s
	DrainTimeout time.Duration // how long Run waits for upstreams after its context ended; default 5 s
	MaxQuery     int           // longest question over TCP; longer ones end the connection; default 4096
}

// Server holds open sockets. Run may be called once.
type Server struct {
	config Config
	udp    []*udpSocket
	tcp    []net.Listener

	slots    chan struct{} // full: Busy
	conns    chan struct{} // full: close
	draining atomic.Bool
	work     sync.WaitGroup
	counts   counters

	mu   sync.Mutex // guards open
	open map[net.Conn]struct{}

	failure atomic.Pointer[error]
	stop    context.CancelFunc // of Run
}

type counters struct{ tcp, busy, conns, refused atomic.Uint64 }

// Counts is a snapshot of what a Server did.
type Counts struct {
	UDP     uint64 // datagrams read
	TCP     uint64 // questions read from connections
	Busy    uint64 // questions answered with Busy
	Conns   uint64 // connections accepted
	Refused uint64 // connections closed because there were too many
}

// Open binds all sockets, or none. Its errors say which address could not be had and what to do.
func Open(c Config) (*Server, error) {
	if c.Handler == nil || len(c.UDPAddrs)+len(c.TCPAddrs) == 0 {
		return nil, errors.New("open dns server: a handler and at least one address are needed")
	}
	c.Workers = orDefault(c.Workers, runtime.GOMAXPROCS(0))
	c.Slots = orDefault(c.Slots, 8192)
	c.Conns = orDefault(c.Conns, 1024)
	c.PerHousehold = orDefault(c.PerHousehold, 128)
	c.PerConn = orDefault(c.PerConn, 64)
	c.Idle = orDefault(c.Idle, 10*time.Second)
	c.DrainTimeout = orDefault(c.DrainTimeout, 5*time.Second)
	c.MaxQuery = orDefault(c.MaxQuery, 4096)
	s := &Server{
		config: c, slots: make(chan struct{}, c.Slots), conns: make(chan struct{}, c.Conns),
		open: make(map[net.Conn]struct{}),
	}
	// With port 0 the UDP port chosen may be taken for TCP: then both are given back and chosen again.
	for try := 0; ; try++ {
		err := s.bind()
		if err == nil {
			return s, nil
		}
		s.Close()
		if try == 9 || !errors.Is(err, errChosenPort) {
			return nil, err
		}
	}
}

func orDefault[T int | time.Duration](v, def T) T {
	if v > 0 {
		return v
	}
	return def
}

// errChosenPort: the port the kernel chose for UDP is in use for TCP.
var errChosenPort = errors.New("chosen port is in use")

func (s *Server) bind() error {
	s.udp, s.tcp = nil, nil
	guests := limit.New(math.MaxInt, s.config.PerHousehold) // Conns is counted where a refusal is, too
	for _, a := range s.config.UDPAddrs {
		for range s.config.Workers {
			u, err := listenUDP(a, s.config.Workers > 1)
			if err != nil {
				return explain("udp", a, err)
			}
			s.udp = append(s.udp, u)
			a = u.addr // the other workers share the port the first one got
		}
	}
	for _, a := range s.config.TCPAddrs {
		chosen := false
		for _, u := range s.udp {
			if a.Port() == 0 && u.addr.Addr() == a.Addr() {
				a, chosen = u.addr, true
			}
		}
		l, err := listenTCP(a)
		if err != nil {
			err = explain("tcp", a, err)
			if chosen {
				err = fmt.Errorf("%w: %w", errChosenPort, err)
			}
			return err
		}
		s.tcp = append(s.tcp, guests.Listener(l))
	}
	return nil
}

// UDPAddrs are the addresses bound, one for each of Config.UDPAddrs.
func (s *Server) UDPAddrs() (out []netip.AddrPort) {
	for i := 0; i < len(s.udp); i += s.config.Workers {
		out = append(out, s.udp[i].addr)
	}
	return out
}

// TCPAddrs are the addresses bound, one for each of Config.TCPAddrs.
func (s *Server) TCPAddrs() (out []netip.AddrPort) {
	for _, l := range s.tcp {
		out = append(out, l.Addr().(*net.TCPAddr).AddrPort())
	}
	return out
}

// Counts adds up what happened so far.
func (s *Server) Counts() Counts {
	c := &s.counts
	sum := Counts{TCP: c.tcp.Load(), Busy: c.busy.Load(), Conns: c.conns.Load(), Refused: c.refused.Load()}
	for _, u := range s.udp {
		sum.UDP += u.read.Load()
	}
	return sum
}

// Close frees the sockets of a server that is not run. After Run there is nothing left to close.
func (s *Server) Close() {
	for _, u := range s.udp {
		_ = u.conn.Close()
	}
	for _, l := range s.tcp {
		_ = l.Close()
	}
}

// Run serves until ctx ends, then drains: it reads no more than what already waits in the sockets, answers what was
// read (for at most DrainTimeout where an upstream is needed), closes everything and returns nil. It returns an error
// when a socket stopped working; then it has drained as well.
func (s *Server) Run(ctx context.Context) error {
	asking, cancelAsking := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelAsking()
	ctx, s.stop = context.WithCancel(ctx)
	defer s.stop()
	for _, u := range s.udp {
		s.work.Go(func() { s.serveUDP(asking, u) })
	}
	for _, l := range s.tcp {
		s.work.Go(func() { s.accept(ctx, asking, l) })
	}
	<-ctx.Done()
	s.draining.Store(true)
	for _, l := range s.tcp {
		_ = l.Close()
	}
	past := time.Unix(1, 0)
	for _, u := range s.udp {
		_ = u.conn.SetReadDeadline(past)
	}
	s.mu.Lock()
	for c := range s.open {
		_ = c.SetReadDeadline(past)
	}
	s.mu.Unlock()
	limit := time.AfterFunc(s.config.DrainTimeout, cancelAsking)
	defer limit.Stop()
	s.work.Wait()
	s.Close()
	if err := s.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// fail ends Run with err.
func (s *Server) fail(err error) {
	s.failure.CompareAndSwap(nil, &err)
	s.stop()
}

// slow asks the Handler when there is room for one more question that waits for an upstream; answer is called once if so.
func (s *Server) slow(asking context.Context, query []byte, from wire.Client, answer func(resp []byte)) bool {
	select {
	case s.slots <- struct{}{}:
	default:
		s.counts.busy.Add(1)
		return false
	}
	s.work.Add(1)
	s.config.Handler.Slow(asking, query, from, func(resp []byte) {
		defer func() { <-s.slots; s.work.Done() }()
		answer(resp)
	})
	return true
}
