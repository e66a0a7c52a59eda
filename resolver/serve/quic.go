package serve

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/cordon-project/cordon/resolver/limit"
	"github.com/cordon-project/cordon/resolver/wire"
)

const (
	// Streams that HTTP/3 opens beside requests: control, two of QPACK, and one that means nothing (RFC 9114 6.2).
	uniStreams = 4

	streamWindow, connWindow = 8 << 10, 64 << 10 // bytes a client may have on the way to us
)

// quicListener is one UDP socket that speaks DoQ or HTTP/3.
type quicListener struct {
	via       wire.Transport
	socket    *net.UDPConn
	transport *quic.Transport
	listener  *quic.Listener
}

func (l *quicListener) addr() netip.AddrPort { return l.socket.LocalAddr().(*net.UDPAddr).AddrPort() }

func (l *quicListener) close() {
	_ = l.transport.Close()
	_ = l.socket.Close()
}

// listenQUIC binds a socket. 0-RTT is refused on it: a question in it could be sent again by who recorded it, and what
// it would save is one round trip of each new connection (RFC 9250 4.5 leaves the choice).
func (s *Server) listenQUIC(a netip.AddrPort, via wire.Transport) (*quicListener, error) {
	bind := binding(s.config.Freebind, nil)
	c, err := bind.ListenPacket(context.Background(), family("udp", a), a.String())
	if err != nil {
		return nil, err
	}
	l := &quicListener{via: via, socket: c.(*net.UDPConn)}
	_ = l.socket.SetReadBuffer(ReceiveBuffer)
	l.transport = &quic.Transport{
		Conn: l.socket,
		ConnContext: func(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
			return s.enterQUIC(ctx, info, via)
		},
		MaxTokenAge: ticketKeys * ticketTurn, // what proves an address is no older than what resumes a session
		// While few handshakes are under way nobody is asked to prove the address; when more are, everybody is.
		VerifySourceAddress: func(net.Addr) bool { return s.quicHandshakes.Taken() >= s.config.Handshakes/8 },
	}
	conf := &quic.Config{
		HandshakeIdleTimeout:           s.config.Handshake,
		MaxIdleTimeout:                 s.config.IdleEncrypted,
		InitialStreamReceiveWindow:     streamWindow,
		MaxStreamReceiveWindow:         streamWindow,
		InitialConnectionReceiveWindow: connWindow,
		MaxConnectionReceiveWindow:     connWindow,
		MaxIncomingStreams:             int64(s.config.PerConn),
		MaxIncomingUniStreams:          -1,
		RequireStreamCreditRelease:     true, // a stream that its client takes back counts until we are done with it
	}
	own := s.secure.doq
	if via == wire.HTTPS {
		own, conf.MaxIncomingUniStreams = s.secure.h3, uniStreams
	}
	if l.listener, err = l.transport.Listen(quicConfig(own), conf); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// quicGuest is a connection of QUIC that has a place.
type quicGuest struct {
	place  *limit.Place
	shaken func()          // its handshake is done
	gone   context.Context // ends when the place is somebody else's
}

// enterQUIC finds places for a connection: one of those whose handshake is under way, and one of its household.
func (s *Server) enterQUIC(ctx context.Context, info *quic.ClientInfo, via wire.Transport) (context.Context, error) {
	counts := &s.counts.by[via]
	counts.conns.Add(1)
	if !s.served(addrOf(info.RemoteAddr)) {
		counts.strangers.Add(1)
		return nil, errNotServed
	}
	shaken, ok := s.quicHandshakes.Enter(addrOf(info.RemoteAddr))
	if !ok {
		counts.crowded.Add(1)
		return nil, errFull
	}
	gone, end := context.WithCancel(context.Background())
	place, ok := s.encrypted.Enter(addrOf(info.RemoteAddr), func() {
		counts.yielded.Add(1)
		end()
	})
	if !ok {
		end()
		shaken()
		counts.crowded.Add(1)
		return nil, errFull
	}
	place.Begin() // a handshake does not give way, it has its own bounds
	counts.open.Add(1)
	var done atomic.Bool
	context.AfterFunc(ctx, func() {
		if !done.Load() {
			counts.handshakes.Add(1)
		}
		counts.open.Add(-1)
		shaken()
		place.Leave()
		end()
	})
	return context.WithValue(ctx, guestKey{}, &quicGuest{place: place, gone: gone, shaken: func() {
		done.Store(true)
		shaken()
		place.End(time.Now())
	}}), nil
}

var (
	errFull      = errors.New("too many connections")
	errNotServed = errors.New("not a client")
)

// acceptQUIC takes connections until the server drains; those that are open then go on.
func (s *Server) acceptQUIC(ctx context.Context, l *quicListener) {
	defer l.listener.Close()
	for {
		c, err := l.listener.Accept(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.fail(fmt.Errorf("accept quic %s: %w", l.addr(), err))
			}
			return
		}
		g := c.Context().Value(guestKey{}).(*quicGuest)
		g.shaken()
		if l.via == wire.QUIC {
			s.conns.Go(func() { s.serveDoQ(ctx, c, g) })
		} else {
			s.conns.Go(func() { s.serveH3(ctx, c, g) })
		}
	}
}

// serveH3 answers the requests of one connection.
func (s *Server) serveH3(ctx context.Context, c *quic.Conn, g *quicGuest) {
	h, err := s.h3.NewRawServerConn(c)
	if err != nil { // the client allows no control stream
		_ = c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeStreamCreationError), "")
		return
	}
	s.conns.Go(func() {
		for {
			str, err := c.AcceptUniStream(context.Background()) // until the connection is closed
			if err != nil {
				return
			}
			s.conns.Go(func() { h.HandleUnidirectionalStream(str) })
		}
	})
	s.eachStream(ctx, c, g, h.HandleRequestStream, uint64(http3.ErrCodeNoError), uint64(http3.ErrCodeRequestRejected))
}

// eachStream has the streams of a connection answered, no more at once than may be, until the client has closed it, asked nothing for a while, it has
// to give way or the server drains. Then it refuses those that still come, lets what was asked be answered, and closes.
//
// The library would have the client open a stream more for each that it takes back, whoever still works for that one: so the turns.
func (s *Server) eachStream(ctx context.Context, c *quic.Conn, g *quicGuest, answer func(*quic.Stream), closed, refused uint64) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(g.gone, cancel)()
	client, turns := addrOf(c.RemoteAddr()), make(chan struct{}, s.config.PerConn)
	var due sync.WaitGroup
	for ctx.Err() == nil {
		select {
		case turns <- struct{}{}: // one is given back: to read, to ask and to write have their times
		case <-ctx.Done():
			continue
		}
		wait, cancel := context.WithTimeout(ctx, s.config.IdleEncrypted)
		str, err := c.AcceptStream(wait)
		cancel()
		if err != nil {
			break
		}
		leave, ok := s.requests.Enter(client)
		if !ok {
			s.counts.busy.Add(1)
			refuse(str, refused)
			<-turns
			continue
		}
		_ = str.SetReadDeadline(time.Now().Add(s.config.Idle))
		due.Go(func() {
			answer(str)
			leave()
			<-turns
		})
	}
	s.conns.Go(func() {
		for {
			str, err := c.AcceptStream(context.Background()) // until the connection is closed
			if err != nil {
				return
			}
			refuse(str, refused)
		}
	})
	patience := s.config.DrainTimeout + settle
	if g.place.Gone() { // it rested: there is no whole question
		patience = settle
	}
	answered := make(chan struct{})
	go func() {
		due.Wait()
		close(answered)
	}()
	select {
	case <-answered:
	case <-time.After(patience): // who sends half a question, or takes no answer
	}
	select {
	case <-c.Context().Done():
	case <-time.After(settle):
		_ = c.CloseWithError(quic.ApplicationErrorCode(closed), "")
	}
	<-answered
}

func refuse(str *quic.Stream, code uint64) {
	str.ReleaseStreamCredit()
	str.CancelRead(quic.StreamErrorCode(code))
	str.CancelWrite(quic.StreamErrorCode(code))
}

// DoQ's error codes (RFC 9250 8.4).
const (
	doqNoError          = 0x0
	doqProtocolError    = 0x2
	doqRequestCancelled = 0x3
	doqExcessiveLoad    = 0x4
)

// serveDoQ answers the questions of one connection.
func (s *Server) serveDoQ(ctx context.Context, c *quic.Conn, g *quicGuest) {
	client := wire.Client{Addr: addrOf(c.RemoteAddr()), Via: wire.QUIC}
	s.eachStream(ctx, c, g, func(str *quic.Stream) {
		s.answerDoQ(c, str, client, g.place)
		str.ReleaseStreamCredit()
	}, doqNoError, doqExcessiveLoad)
}

// answerDoQ reads the one question of a stream and answers it.
func (s *Server) answerDoQ(c *quic.Conn, str *quic.Stream, client wire.Client, place *limit.Place) {
	query, code := readDoQ(str, s.config.MaxQuery)
	switch code {
	case doqNoError:
	case doqProtocolError:
		_ = c.CloseWithError(doqProtocolError, "")
		return
	default:
		str.CancelRead(quic.StreamErrorCode(code))
		str.CancelWrite(quic.StreamErrorCode(code))
		return
	}
	s.counts.by[wire.QUIC].questions.Add(1)
	place.Begin()
	defer func() { place.End(time.Now()) }()
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	resp := s.ask(append((*buffer)[:0], 0, 0), query, client)
	if len(resp) == lengthSize {
		if str.Context().Err() == nil { // not a query at all
			_ = c.CloseWithError(doqProtocolError, "")
		} else {
			str.CancelWrite(doqRequestCancelled)
		}
		return
	}
	_ = str.SetWriteDeadline(time.Now().Add(s.config.Idle))
	binary.BigEndian.PutUint16(resp, uint16(len(resp)-lengthSize))
	if _, err := str.Write(resp); err != nil { // it has copied what it does not send at once
		str.CancelWrite(doqRequestCancelled)
		return
	}
	_ = str.Close()
}

// readDoQ reads a stream to its end: a length, a message of that length, and nothing more. code is what is wrong.
func readDoQ(r io.Reader, most int) (query []byte, code uint64) {
	b, err := io.ReadAll(io.LimitReader(r, int64(lengthSize+most+1)))
	var reset *quic.StreamError
	switch {
	case errors.As(err, &reset):
		return nil, doqRequestCancelled
	case err != nil, len(b) > lengthSize+most:
		return nil, doqExcessiveLoad
	case len(b) < lengthSize+wire.HeaderLen, len(b) != lengthSize+int(binary.BigEndian.Uint16(b)):
		return nil, doqProtocolError
	}
	query = b[lengthSize:]
	if query[0] != 0 || query[1] != 0 { // RFC 9250 4.2.1: the id is 0
		return nil, doqProtocolError
	}
	if wire.AskedBy(query).Keepalive { // RFC 9250 5.5.2
		return nil, doqProtocolError
	}
	return query, doqNoError
}
