package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// dial opens connection number i, or prepares to.
func dial(ctx context.Context, c *Config, i int) (conn, error) {
	host, _, err := net.SplitHostPort(c.Server)
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.CA == ""}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate", c.CA)
		}
	}
	var from netip.Addr
	if c.Households > 0 {
		i %= c.Households
		from = netip.AddrFrom4([4]byte{127, 1, byte(i / 250), byte(1 + i%250)})
	}
	d := net.Dialer{}
	if from.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: from.AsSlice()}
	}
	switch c.Over {
	case "udp", "tcp":
		if c.Over == "udp" && from.IsValid() {
			d.LocalAddr = &net.UDPAddr{IP: from.AsSlice()}
		}
		n, err := d.DialContext(ctx, c.Over, c.Server)
		if err != nil {
			return nil, err
		}
		if u, ok := n.(*net.UDPConn); ok {
			_ = u.SetReadBuffer(4 << 20) // the default holds what a busy server sends in a few milliseconds
		}
		return newMatched(n, c.Over == "tcp"), nil
	case "tls":
		conf.NextProtos = []string{"dot"}
		n, err := (&tls.Dialer{NetDialer: &d, Config: conf}).DialContext(ctx, "tcp", c.Server)
		if err != nil {
			return nil, err
		}
		return newMatched(n, true), nil
	case "https":
		return newPosts(&http.Client{Transport: &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true, MaxConnsPerHost: 1, DialContext: d.DialContext}}, c.Server), nil
	case "h3":
		return newPosts(&http.Client{Transport: &http3.Transport{TLSClientConfig: conf, Dial: func(ctx context.Context, at string, conf *tls.Config, q *quic.Config) (*quic.Conn, error) {
			return dialQUIC(ctx, from, at, conf, q)
		}}}, c.Server), nil
	case "quic":
		return newStreams(ctx, from, c.Server, conf)
	}
	return nil, fmt.Errorf("no such transport: one of %v", Transports)
}

// matched is a socket or a stream with questions in flight, matched to answers by their ids.
type matched struct {
	net    net.Conn
	stream bool // two bytes of length in front of each message
	next   uint16
	out    []byte

	mu   sync.Mutex // guards open
	open map[uint16]func(answer []byte)
}

func newMatched(n net.Conn, stream bool) *matched {
	m := &matched{net: n, stream: stream, open: map[uint16]func([]byte){}}
	go m.read()
	return m
}

func (m *matched) Close() error { return m.net.Close() }

func (m *matched) ask(message []byte, done func([]byte)) error {
	m.mu.Lock()
	m.next++
	id := m.next
	lost := m.open[id] // 65,536 questions ago
	m.open[id] = done
	m.mu.Unlock()
	if lost != nil {
		lost(nil)
	}
	m.out = m.out[:0]
	if m.stream {
		m.out = binary.BigEndian.AppendUint16(m.out, uint16(len(message)))
	}
	at := len(m.out)
	m.out = append(m.out, message...)
	binary.BigEndian.PutUint16(m.out[at:], id)
	_, err := m.net.Write(m.out)
	if err != nil {
		m.take(id)
	}
	return err
}

func (m *matched) take(id uint16) func([]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	done := m.open[id]
	delete(m.open, id)
	return done
}

func (m *matched) read() {
	in := make([]byte, 65536)
	for {
		n, err := m.message(in)
		if err != nil {
			return
		}
		if n < 12 {
			continue
		}
		if done := m.take(binary.BigEndian.Uint16(in)); done != nil {
			done(in[:n])
		}
	}
}

func (m *matched) message(in []byte) (int, error) {
	if !m.stream {
		return m.net.Read(in)
	}
	if _, err := io.ReadFull(m.net, in[:2]); err != nil {
		return 0, err
	}
	return io.ReadFull(m.net, in[:binary.BigEndian.Uint16(in)])
}
