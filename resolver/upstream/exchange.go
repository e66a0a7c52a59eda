package upstream

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/cordon-project/cordon/resolver/wire"
)

// maxStrays is how many datagrams that do not answer the question one attempt steps over. A forger's guesses beyond
// it move the question to TCP, where guessing does not work.
const maxStrays = 16

// udpBuffers hold a datagram each; a server that sends more than MaxUDP although our OPT record forbids it is still read
// whole, so that its reply parses.
var udpBuffers = sync.Pool{New: func() any { return new([4096]byte) }}

var (
	errTruncated = errors.New("reply truncated")
	errForged    = errors.New("too many stray replies")
	errUnusable  = errors.New("unusable reply")
)

// attempt asks one server, over UDP and when that is not enough over TCP. Errors wrap ErrNoAnswer or ErrNetwork
// and hold no address.
func (p *Pool) attempt(ctx context.Context, s *server, q wire.Question) ([]byte, error) {
	p.counts.attempts.Add(1)
	id := randomID()
	reply, err := p.udp(ctx, s, q, id)
	if errors.Is(err, errTruncated) || errors.Is(err, errForged) {
		p.counts.tcp.Add(1)
		reply, err = p.tcp(ctx, s, q, id)
	}
	if err == nil {
		var sum wire.Summary
		if wire.Scan(reply, &sum) != nil || sum.Rcode > 0xf {
			err = errUnusable // try the next server rather than hand rubbish to a client
		}
	}
	switch {
	case err == nil:
		return reply, nil
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, errUnusable):
		return nil, ErrNoAnswer
	}
	return nil, ErrNetwork
}

func (p *Pool) deadline(ctx context.Context) time.Time {
	t := time.Now().Add(p.config.Attempt) // the kernel's clock, not the configured one
	if end, ok := ctx.Deadline(); ok && end.Before(t) {
		return end
	}
	return t
}

// udp sends the query from a socket of its own: the kernel picks a random port, and being connected it hands over only
// what comes from the server's address. What does not answer the question is stepped over until the time is up: closing
// at the first stray would let a forger win by losing.
func (p *Pool) udp(ctx context.Context, s *server, q wire.Question, id uint16) ([]byte, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", s.addr.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })() // Close of the pool ends the wait
	if err := conn.SetDeadline(p.deadline(ctx)); err != nil {
		return nil, err
	}
	buf := udpBuffers.Get().(*[4096]byte)
	defer udpBuffers.Put(buf)
	if _, err := conn.Write(q.AppendQuery(buf[:0], id, wire.MaxUDP)); err != nil {
		return nil, err
	}
	for range maxStrays {
		n, err := conn.Read(buf[:])
		if err != nil {
			return nil, err
		}
		if !q.Answers(buf[:n], id) {
			p.counts.strays.Add(1)
			continue
		}
		if wire.Truncated(buf[:n]) {
			return nil, errTruncated
		}
		return append([]byte(nil), buf[:n]...), nil
	}
	return nil, errForged
}

func (p *Pool) tcp(ctx context.Context, s *server, q wire.Question, id uint16) ([]byte, error) {
	ctx, cancel := context.WithDeadline(ctx, p.deadline(ctx))
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.addr.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	msg := q.AppendQuery(make([]byte, 2, 512), id, wire.MaxUDP)
	binary.BigEndian.PutUint16(msg, uint16(len(msg)-2))
	if _, err := conn.Write(msg); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(conn, msg[:2]); err != nil {
		return nil, err
	}
	reply := make([]byte, binary.BigEndian.Uint16(msg)) // at most 64 KiB, and only after a server we chose said so
	if _, err := io.ReadFull(conn, reply); err != nil {
		return nil, err
	}
	if !q.Answers(reply, id) || wire.Truncated(reply) {
		return nil, errUnusable
	}
	return reply, nil
}

func randomID() uint16 {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return binary.BigEndian.Uint16(b[:])
}
