package serve

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/cordon-project/cordon/resolver/wire"
)

// acceptPause is the wait after a failed accept (out of file descriptors, usually) before the next.
const acceptPause = 50 * time.Millisecond

// accept takes connections until the server drains.
func (s *Server) accept(ctx, asking context.Context, l net.Listener) {
	for failed := 0; ; {
		c, err := l.Accept()
		if err != nil {
			if s.draining.Load() || errors.Is(err, net.ErrClosed) {
				return
			}
			if failed++; failed > maxErrors {
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
		select {
		case s.conns <- struct{}{}:
		default:
			s.counts.refused.Add(1)
			_ = c.Close()
			continue
		}
		s.counts.conns.Add(1)
		s.mu.Lock()
		s.open[c] = struct{}{}
		s.mu.Unlock()
		s.work.Go(func() {
			defer func() {
				_ = c.Close()
				s.mu.Lock()
				delete(s.open, c)
				s.mu.Unlock()
				<-s.conns
			}()
			(&stream{server: s, conn: c, turns: make(chan struct{}, s.config.PerConn)}).serve(asking)
		})
	}
}

// stream is one connection: questions are read in order, answers written as they come (RFC 7766 6.2.1.1).
type stream struct {
	server *Server
	conn   net.Conn
	turns  chan struct{} // full: the connection is not read until an answer is out
	mu     sync.Mutex    // guards writes
	broken bool          // guarded by mu: a write failed
}

// serve reads until the client closes, breaks a rule, is idle for too long or the server drains; then waits for the answers
// still due.
func (t *stream) serve(asking context.Context) {
	s := t.server
	var due sync.WaitGroup
	defer due.Wait()
	client := wire.Client{Via: wire.TCP}
	if a, ok := t.conn.RemoteAddr().(*net.TCPAddr); ok {
		client.Addr = a.AddrPort().Addr().Unmap().WithZone("")
	}
	in, out := make([]byte, 0, 512), make([]byte, 0, 1024)
	for {
		var err error
		if in, err = t.next(in); err != nil {
			return
		}
		s.counts.tcp.Add(1)
		resp, done := s.config.Handler.Fast(append(out[:0], 0, 0), in, client)
		if !done {
			query := append([]byte(nil), in...)
			t.turns <- struct{}{} // each holder ends: Slow is bounded, and so is the write
			due.Add(1)
			if s.slow(asking, query, client, func(resp []byte) {
				defer func() { <-t.turns; due.Done() }()
				if len(resp) > 0 {
					t.write(append(make([]byte, 2, 2+len(resp)), resp...))
				}
			}) {
				continue
			}
			<-t.turns
			due.Done()
			resp = s.config.Handler.Busy(append(out[:0], 0, 0), in)
		}
		if len(resp) > 2 && !t.write(resp) {
			return
		}
		if cap(resp) <= maxDatagram {
			out = resp
		}
	}
}

// next reads one question into in. The deadline is for the whole of it: a client that trickles bytes gains nothing.
func (t *stream) next(in []byte) ([]byte, error) {
	if err := t.conn.SetReadDeadline(time.Now().Add(t.server.config.Idle)); err != nil {
		return in, err
	}
	if t.server.draining.Load() { // after the deadline was set: Run may have set its own in between
		return in, net.ErrClosed
	}
	in = in[:2]
	if _, err := io.ReadFull(t.conn, in); err != nil {
		return in, err
	}
	n := int(binary.BigEndian.Uint16(in))
	if n > t.server.config.MaxQuery {
		return in, errors.New("question too long")
	}
	if cap(in) < n {
		in = make([]byte, n)
	}
	in = in[:n]
	_, err := io.ReadFull(t.conn, in)
	return in, err
}

// write sends a message that has two bytes of room for its length in front.
func (t *stream) write(msg []byte) bool {
	binary.BigEndian.PutUint16(msg, uint16(len(msg)-2))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken {
		return false
	}
	_ = t.conn.SetWriteDeadline(time.Now().Add(t.server.config.Idle))
	if _, err := t.conn.Write(msg); err != nil {
		t.broken = true
		_ = t.conn.Close()
	}
	return !t.broken
}
