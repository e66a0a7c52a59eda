package upstream

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"github.com/cordon-project/cordon/resolver/wire"
)

var errUnusable = errors.New("unusable reply")

// tcp asks over a connection of its own.
func (p *Pool) tcp(s *server, q wire.Question, bare bool, end time.Time) ([]byte, error) {
	ctx, cancel := context.WithDeadline(p.life, end)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.addr.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(end)
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })() // Close of the pool ends the wait
	id := randomID()
	msg := q.AppendQuery(make([]byte, 2, 512), id, wire.MaxUDP)
	if bare {
		msg = msg[:len(msg)-wire.OPTLen]
		msg[2+11] = 0
	}
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
	q.Name = wire.AppendLower(nil, q.Name)
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
