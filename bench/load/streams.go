package load

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"

	"github.com/quic-go/quic-go"
)

// streams is one connection of DNS over QUIC (RFC 9250): each question has a stream of its own.
type streams struct{ conn *quic.Conn }

func newStreams(ctx context.Context, from netip.Addr, server string, conf *tls.Config) (*streams, error) {
	conf.NextProtos, conf.MinVersion = []string{"doq"}, tls.VersionTLS13
	c, err := dialQUIC(ctx, from, server, conf, nil)
	if err != nil {
		return nil, err
	}
	return &streams{c}, nil
}

// dialQUIC connects from an address, any without one. Each connection has a socket of its own, which ends with it.
func dialQUIC(ctx context.Context, from netip.Addr, server string, conf *tls.Config, q *quic.Config) (*quic.Conn, error) {
	to, err := net.ResolveUDPAddr("udp", server)
	if err != nil {
		return nil, err
	}
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)))
	if err != nil {
		return nil, err
	}
	_ = socket.SetReadBuffer(4 << 20)
	c, err := quic.Dial(ctx, socket, to, conf, q)
	if err != nil {
		_ = socket.Close()
		return nil, err
	}
	context.AfterFunc(c.Context(), func() { _ = socket.Close() })
	return c, nil
}

func (s *streams) Close() error { return s.conn.CloseWithError(0, "") }

// ask does not wait for the server to let it open one stream more: the question's goroutine does.
func (s *streams) ask(message []byte, done func([]byte)) error {
	if err := s.conn.Context().Err(); err != nil {
		return err
	}
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
	framed[2], framed[3] = 0, 0 // RFC 9250 4.2.1
	go func() {
		if answer, err := s.exchange(framed); err == nil {
			done(answer)
		}
	}()
	return nil
}

func (s *streams) exchange(framed []byte) ([]byte, error) {
	str, err := s.conn.OpenStreamSync(s.conn.Context())
	if err != nil {
		return nil, err
	}
	if _, err := str.Write(framed); err != nil {
		return nil, err
	}
	if err := str.Close(); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(str, 65537))
	switch {
	case err != nil:
		return nil, err
	case len(b) < 14 || len(b) != 2+int(binary.BigEndian.Uint16(b)):
		return nil, errors.New("no whole answer")
	}
	return b[2:], nil
}
