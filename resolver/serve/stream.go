package serve

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/cordon-project/cordon/resolver/limit"
	"github.com/cordon-project/cordon/resolver/wire"
)

const (
	streamBuffer = 1024     // read at once from a connection: about a dozen questions
	flushAt      = 16 << 10 // answers are written when this much has come together: a TLS record
	lengthSize   = 2        // before each message (RFC 1035 4.2.2)
	tenth        = time.Second / 10
)

// stream is one connection of TCP or DoT: questions are read in order, answers written as they come (RFC 7766 6.2.1.1).
//
// Who reads also writes what is answered at once, several answers together when several questions came together. What
// waits for an upstream is written by a second goroutine, so that who brings its answer never waits for this client.
type stream struct {
	server  *Server
	conn    net.Conn
	client  wire.Client
	place   *limit.Place
	awake   bool // place has been told that who reads has a question
	idle    time.Duration
	turns   chan struct{}  // full: the connection is not read until an answer is out
	answers chan []byte    // of upstreams, as long as turns: sending to it never blocks
	due     sync.WaitGroup // answers still to be written
	out     []byte         // answers not written yet, of the goroutine that reads
	mu      sync.Mutex     // guards writes
	broken  bool           // guarded by mu: a write failed
}

// stream serves until the client closes, breaks a rule, is idle for too long or the server drains; then it waits for the
// answers still due.
func (s *Server) stream(asking context.Context, c net.Conn, g *guest, via wire.Transport) {
	t := &stream{server: s, conn: c, client: wire.Client{Addr: g.client, Via: via}, place: g.place, idle: s.config.Idle}
	if via.Encrypted() {
		t.idle = s.config.IdleEncrypted
	}
	t.serve(asking)
	t.due.Wait()
	if t.answers != nil {
		close(t.answers)
	}
}

func (t *stream) serve(asking context.Context) {
	defer t.flush()
	in := bufio.NewReaderSize(t.conn, streamBuffer)
	var query []byte
	for {
		if (len(t.out) >= flushAt || !whole(in)) && !t.flush() {
			return
		}
		var err error
		if query, err = t.next(in, query); err != nil {
			return
		}
		t.server.counts.by[t.client.Via].questions.Add(1)
		t.answer(asking, query)
	}
}

// whole reports whether the next question has been read from the connection already.
func whole(in *bufio.Reader) bool {
	if in.Buffered() < lengthSize {
		return false
	}
	head, _ := in.Peek(lengthSize)
	return in.Buffered() >= lengthSize+int(binary.BigEndian.Uint16(head))
}

// next reads one question into query. The deadline is for the whole of it: a client that trickles bytes gains nothing.
func (t *stream) next(in *bufio.Reader, query []byte) ([]byte, error) {
	if !whole(in) {
		now := time.Now()
		if t.awake {
			t.place.End(now)
			t.awake = false
		}
		if err := t.conn.SetReadDeadline(now.Add(t.idle)); err != nil {
			return query, err
		}
		if t.server.draining.Load() { // Run may have set it in between, and it counts
			_ = t.conn.SetReadDeadline(t.server.goodbye)
		}
	}
	var head [lengthSize]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return query, err
	}
	n := int(binary.BigEndian.Uint16(head[:]))
	if n > t.server.config.MaxQuery {
		return query, errors.New("question too long")
	}
	if cap(query) < n {
		query = make([]byte, max(n, 512))
	}
	query = query[:n]
	_, err := io.ReadFull(in, query)
	if err == nil && !t.awake {
		t.place.Begin()
		t.awake = true
	}
	return query, err
}

// answer appends to out what is known at once; else the answer is written later.
func (t *stream) answer(asking context.Context, query []byte) {
	asked := wire.AskedBy(query)
	h, base := t.server.config.Handler, len(t.out)+lengthSize
	resp, done := h.Fast(append(t.out, 0, 0), query, t.client)
	if !done {
		if t.later(asking, append([]byte(nil), query...), asked) {
			return
		}
		base = len(t.out) + lengthSize
		resp = h.Busy(append(t.out, 0, 0), query, t.client)
	}
	if len(resp) > base {
		t.out = t.finish(resp, base, asked)
	}
}

// finish adds to the answer at base what concerns the connection, and puts its length in front.
func (t *stream) finish(msg []byte, base int, asked wire.Asked) []byte {
	if asked.Keepalive {
		open := t.idle
		if t.server.draining.Load() {
			open = 0 // RFC 7828 3.4: the client is to close
		}
		msg = wire.AppendKeepalive(msg, base, uint16(min(open/tenth, 1<<16-1)))
	}
	msg = pad(msg, base, asked, t.client.Via)
	binary.BigEndian.PutUint16(msg[base-lengthSize:], uint16(len(msg)-base))
	return msg
}

// pad hides the size of an answer from who watches the line, when the query did so (RFC 8467 4).
func pad(msg []byte, base int, asked wire.Asked, via wire.Transport) []byte {
	if asked.Padding && via.Encrypted() {
		return wire.AppendPadding(msg, base)
	}
	return msg
}

// later asks an upstream. It waits for a turn first: each holder ends, because Slow is bounded, and so is the write.
func (t *stream) later(asking context.Context, query []byte, asked wire.Asked) bool {
	if t.answers == nil {
		t.turns = make(chan struct{}, t.server.config.PerConn)
		t.answers = make(chan []byte, t.server.config.PerConn)
		t.server.conns.Go(t.writeLater)
	}
	select {
	case t.turns <- struct{}{}:
	default:
		t.flush()
		t.turns <- struct{}{}
	}
	t.due.Add(1)
	t.place.Begin()
	if t.server.slow(asking, query, t.client, func(resp []byte) {
		if len(resp) == 0 {
			t.turn()
			return
		}
		t.answers <- t.finish(append(make([]byte, lengthSize, lengthSize+len(resp)+wire.PaddingBlock), resp...), lengthSize, asked)
	}) {
		return true
	}
	t.turn()
	return false
}

// turn ends one that later began.
func (t *stream) turn() {
	<-t.turns
	t.place.End(time.Now())
	t.due.Done()
}

// writeLater writes the answers of upstreams, those that are there together in one go.
func (t *stream) writeLater() {
	for msg := range t.answers {
		n := 1
		for ; len(msg) < flushAt && len(t.answers) > 0; n++ {
			msg = append(msg, <-t.answers...)
		}
		t.write(msg)
		for range n {
			t.turn()
		}
	}
}

// flush writes what the reading goroutine has answered.
func (t *stream) flush() bool {
	if len(t.out) == 0 {
		return true
	}
	ok := t.write(t.out)
	if t.out = t.out[:0]; cap(t.out) > 4*flushAt {
		t.out = nil
	}
	return ok
}

// write sends whole messages.
func (t *stream) write(msgs []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken {
		return false
	}
	_ = t.conn.SetWriteDeadline(time.Now().Add(t.server.config.Idle))
	if _, err := t.conn.Write(msgs); err != nil {
		t.broken = true
		_ = t.conn.Close()
	}
	return !t.broken
}
