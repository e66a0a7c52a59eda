// Package serve listens for DNS questions over UDP, TCP, TLS, HTTPS and QUIC and sends what a Handler answers.
//
// In come datagrams and connections of strangers, out go the Handler's bytes. It promises: each question that was read is
// answered (with SERVFAIL when there is no room to ask an upstream), also while the server drains; memory is bounded by
// workers, slots and connections of Config, whoever sends; nothing about clients or questions is logged or kept.
package serve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go/http3"

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
	// Busy appends the answer that says there is no room for Slow; unchanged dst: nothing is to be sent.
	Busy(dst, query []byte, from wire.Client) []byte
}

// Worker answers batches as Handler.Fast does, for one goroutine; *resolver.Worker is one.
type Worker interface {
	// Answer answers each question: what it appends to Resp and sets Done to is what Fast returns.
	Answer(batch []wire.Ask)
	// Slow is Handler.Slow for those questions of the same batch that are not Done and have a Later.
	Slow(ctx context.Context, batch []wire.Ask)
}

// oneByOne is the Worker of a Handler without any.
type oneByOne struct{ Handler }

func (h oneByOne) Slow(ctx context.Context, batch []wire.Ask) {
	for _, a := range batch {
		if !a.Done && a.Later != nil {
			h.Handler.Slow(ctx, a.Query, a.From, func(resp []byte) { a.Later.Answer(resp); a.Later.Flush() })
		}
	}
}

func (h oneByOne) Answer(batch []wire.Ask) {
	for i := range batch {
		a := &batch[i]
		a.Resp, a.Done = h.Fast(a.Resp, a.Query, a.From)
	}
}

// Server holds open sockets. Run may be called once.
type Server struct {
	config Config
	udp    []*udpSocket
	tcp    []*listener     // TCP, TLS and HTTPS
	quic   []*quicListener // QUIC and HTTPS

	taken            atomic.Int64  // of Config.Slots; all: Busy
	plain, encrypted *limit.Places // of connections; full: one that rests gives way; none does: close
	handshakes       handshakes    // of TLS over TCP
	quicHandshakes   *limit.Limit  // full: refuse
	proxied          chan struct{} // PROXY headers being read; full: close
	requests         *limit.Limit  // of HTTPS and QUIC being read, asked about and written; full: refuse
	draining         atomic.Bool
	goodbye          time.Time       // until then what comes over open TCP and TLS connections is answered; set before draining
	conns            sync.WaitGroup  // all about connections
	work             sync.WaitGroup  // questions that wait for an upstream, and who sends the answers of UDP
	asking           context.Context // of Run; ends when draining has lasted too long
	counts           counters

	secure *secure // nil without encrypted addresses
	web    *web
	h3     *http3.Server

	mu   sync.Mutex // guards open
	open map[*guest]struct{}

	failure atomic.Pointer[error]
	stop    context.CancelFunc // of Run
}

// Open binds all sockets, or none. Its errors say which address could not be had and what to do.
func Open(c Config) (*Server, error) {
	secured := len(c.TLSAddrs)+len(c.HTTPSAddrs)+len(c.QUICAddrs) > 0
	if c.Handler == nil || len(c.UDPAddrs)+len(c.TCPAddrs) == 0 && !secured {
		return nil, errors.New("open dns server: a handler and at least one address are needed")
	}
	for a, from := range c.Proxies {
		if len(from) == 0 {
			return nil, fmt.Errorf("open dns server: no prefix may send PROXY headers to %s; name the proxies", a)
		}
	}
	c.defaults()
	s := &Server{
		config: c,
		plain:  limit.NewPlaces(c.Conns, c.PerHousehold), encrypted: limit.NewPlaces(c.Encrypted, c.PerHousehold),
		handshakes: newHandshakes(c.Handshakes, c.PerHousehold), quicHandshakes: limit.Fair(c.Handshakes),
		requests: limit.Fair(c.Slots), proxied: make(chan struct{}, c.Conns),
		open: make(map[*guest]struct{}),
	}
	if secured {
		s.secure = newSecure(c.Certificate)
		s.web = s.newWeb()
		s.h3 = s.newH3()
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

// errChosenPort: the port the kernel chose for UDP is in use for TCP.
var errChosenPort = errors.New("chosen port is in use")

func (s *Server) bind() error {
	s.udp, s.tcp, s.quic = nil, nil, nil
	for _, a := range s.config.UDPAddrs {
		for range s.config.Workers {
			u, err := listenUDP(a, s.config.Workers > 1, s.config.Freebind)
			if err != nil {
				return explain("udp", a, err)
			}
			s.udp = append(s.udp, u)
			a = u.addr // the other workers share the port the first one got
		}
	}
	for _, a := range s.config.TCPAddrs {
		own := a
		for _, u := range s.udp {
			if a.Port() == 0 && u.addr.Addr() == a.Addr() {
				own = u.addr
			}
		}
		if err := s.bindTCP(a, own, wire.TCP); err != nil {
			return err
		}
	}
	for _, a := range s.config.TLSAddrs {
		if err := s.bindTCP(a, a, wire.TLS); err != nil {
			return err
		}
	}
	for _, a := range s.config.QUICAddrs {
		if _, err := s.bindQUIC(a, wire.QUIC); err != nil {
			return err
		}
	}
	for _, a := range s.config.HTTPSAddrs {
		own := a
		if s.config.Proxies[a] == nil {
			var err error
			if own, err = s.bindQUIC(a, wire.HTTPS); err != nil {
				return err
			}
		}
		if err := s.bindTCP(a, own, wire.HTTPS); err != nil {
			return err
		}
	}
	return nil
}

// bindTCP listens on own, which stands for the configured address a, and has its port where a has one.
func (s *Server) bindTCP(a, own netip.AddrPort, via wire.Transport) error {
	t, err := listenTCP(own, s.config.Freebind)
	if err != nil {
		err = explain("tcp", own, err)
		if own != a {
			err = fmt.Errorf("%w: %w", errChosenPort, err)
		}
		return err
	}
	l := &listener{TCPListener: t, via: via, guests: s.encrypted, proxies: s.config.Proxies[a]}
	switch {
	case via == wire.TCP:
		l.guests = s.plain
	case via == wire.HTTPS && l.proxies == nil:
		l.altSvc = fmt.Sprintf(`h3=":%d"; ma=86400`, own.Port())
	}
	s.tcp = append(s.tcp, l)
	return nil
}

func (s *Server) bindQUIC(a netip.AddrPort, via wire.Transport) (netip.AddrPort, error) {
	l, err := s.listenQUIC(a, via)
	if err != nil {
		return a, explain("udp", a, err)
	}
	s.quic = append(s.quic, l)
	return l.addr(), nil
}

// UDPAddrs are the addresses bound, one for each of Config.UDPAddrs.
func (s *Server) UDPAddrs() (out []netip.AddrPort) {
	for i := 0; i < len(s.udp); i += s.config.Workers {
		out = append(out, s.udp[i].addr)
	}
	return out
}

// Buffer is the room that the kernel keeps for questions of each UDP socket, at the least; 0 without any. Less than ReceiveBuffer loses questions
// when a worker is held up.
func (s *Server) Buffer() (least int) {
	for i, u := range s.udp {
		if i == 0 || u.buffer < least {
			least = u.buffer
		}
	}
	return least
}

// TCPAddrs are the addresses bound, one for each of Config.TCPAddrs.
func (s *Server) TCPAddrs() []netip.AddrPort { return s.bound(wire.TCP) }

// TLSAddrs are the addresses bound, one for each of Config.TLSAddrs.
func (s *Server) TLSAddrs() []netip.AddrPort { return s.bound(wire.TLS) }

// HTTPSAddrs are the addresses bound, one for each of Config.HTTPSAddrs.
func (s *Server) HTTPSAddrs() []netip.AddrPort { return s.bound(wire.HTTPS) }

// QUICAddrs are the addresses bound, one for each of Config.QUICAddrs.
func (s *Server) QUICAddrs() (out []netip.AddrPort) {
	for _, l := range s.quic {
		if l.via == wire.QUIC {
			out = append(out, l.addr())
		}
	}
	return out
}

func (s *Server) bound(via wire.Transport) (out []netip.AddrPort) {
	for _, l := range s.tcp {
		if l.via == via {
			out = append(out, l.addr())
		}
	}
	return out
}

// Close frees the sockets of a server that is not run. After Run there is nothing left to close.
func (s *Server) Close() {
	for _, u := range s.udp {
		_ = u.conn.Close()
	}
	for _, l := range s.tcp {
		_ = l.Close()
	}
	for _, l := range s.quic {
		l.close()
	}
}

// settle is left to clients of open connections when the server drains: for what they have sent already, and for the last answers to come
// through, which a closed connection would forget.
const settle = 200 * time.Millisecond

// Run serves until ctx ends, then drains and returns nil: connections take no more than what is under way, their questions are answered (for at most
// DrainTimeout where an upstream is needed) and they are closed; over UDP all is answered meanwhile, in the end what waits in the sockets. It
// returns an error when a socket stopped working; then it has drained as well.
func (s *Server) Run(ctx context.Context) error {
	asking, cancelAsking := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelAsking()
	s.asking = asking
	ctx, s.stop = context.WithCancel(ctx)
	defer s.stop()
	var readers sync.WaitGroup
	for _, u := range s.udp {
		readers.Go(func() { s.serveUDP(asking, u) })
	}
	for _, l := range s.tcp {
		s.conns.Go(func() { s.accept(ctx, asking, l) })
	}
	for _, l := range s.quic {
		s.conns.Go(func() { s.acceptQUIC(ctx, l) })
	}
	if s.secure != nil {
		s.conns.Go(func() { s.secure.turnTickets(ctx) })
		s.conns.Go(s.runWeb)
	}
	<-ctx.Done()
	limit := time.AfterFunc(s.config.DrainTimeout, cancelAsking)
	defer limit.Stop()
	s.goodbye = time.Now().Add(settle)
	s.draining.Store(true)
	for _, l := range s.tcp {
		_ = l.SetDeadline(s.goodbye) // connections that wait to be taken have questions, too
	}
	for _, u := range s.udp {
		_ = u.conn.SetWriteDeadline(s.goodbye.Add(s.config.DrainTimeout + 2*time.Second)) // behind drainWeb's; nobody waits for ever for a stuck network
	}
	s.mu.Lock()
	for c := range s.open {
		_ = c.SetReadDeadline(s.goodbye)
	}
	s.mu.Unlock()
	if s.secure != nil {
		s.conns.Go(s.drainWeb)
	}
	s.conns.Wait()
	for _, u := range s.udp {
		_ = u.conn.SetReadDeadline(past)
	}
	readers.Wait()
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
