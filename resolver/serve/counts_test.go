package serve

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/cordon-project/cordon/resolver/wire"
)

// TestConnectionsAreCounted: each that comes, those that are open, and why others are not.
func TestConnectionsAreCounted(t *testing.T) {
	h := &fakeHandler{release: make(chan struct{})}
	s := startSecured(t, Config{
		Handler: h, TCPAddrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, PerHousehold: 2,
		Serves: func(who netip.Addr) bool { return who != netip.MustParseAddr("127.0.0.7") },
	})
	until := func(what string, via wire.Transport, want Traffic) {
		t.Helper()
		var got Traffic
		for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(time.Millisecond) {
			if got = s.Counts().By[via]; got == want {
				return
			}
		}
		t.Fatalf("%s: got  %+v\nwant %+v", what, got, want)
	}
	connect := func(from string, to netip.AddrPort) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", to.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}

	plain := connect("127.0.0.1", s.TCPAddrs()[0])
	send(t, plain, "idf1", "idf2")
	until("a connection with two questions", wire.TCP, Traffic{Questions: 2, Conns: 1, Open: 1})
	_ = plain.Close()
	until("which is closed", wire.TCP, Traffic{Questions: 2, Conns: 1})

	dot := s.dialTLS(t)
	send(t, dot, "idf1")
	until("TLS", wire.TLS, Traffic{Questions: 1, Conns: 1, Open: 1})
	_, _ = io.WriteString(connect("127.0.0.1", s.TLSAddrs()[0]), "this is no TLS at all\r\n\r\n")
	until("a handshake that fails", wire.TLS, Traffic{Questions: 1, Conns: 2, Open: 1, Handshakes: 1})
	other := s.dialTLS(t)
	until("another one", wire.TLS, Traffic{Questions: 1, Conns: 3, Open: 2, Handshakes: 1})
	send(t, dot, "ids2")
	send(t, other, "ids1")
	until("both in use", wire.TLS, Traffic{Questions: 3, Conns: 3, Open: 2, Handshakes: 1})
	connect("127.0.0.1", s.TLSAddrs()[0])
	until("one too many of a household", wire.TLS, Traffic{Questions: 3, Conns: 4, Open: 2, Handshakes: 1, Crowded: 1})
	connect("127.0.0.7", s.TLSAddrs()[0])
	until("a stranger", wire.TLS, Traffic{Questions: 3, Conns: 5, Open: 2, Handshakes: 1, Crowded: 1, Strangers: 1})
	close(h.release)
	for receive(t, dot) != "idS2" {
	}
	receive(t, other)
	s.atRest()
	third := connect("127.0.0.1", s.TLSAddrs()[0])
	until("one that gives way", wire.TLS, Traffic{Questions: 3, Conns: 6, Open: 2, Handshakes: 1, Crowded: 1, Strangers: 1, Yielded: 1})
	_ = third.Close()
	until("one is closed", wire.TLS, Traffic{Questions: 3, Conns: 6, Open: 1, Handshakes: 2, Crowded: 1, Strangers: 1, Yielded: 1})

	conn := s.dialQUIC(t)
	if got, err := doq(conn, framed(question('f'))); err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	until("QUIC", wire.QUIC, Traffic{Questions: 1, Conns: 1, Open: 1})
	_ = conn.CloseWithError(0, "")
	until("which is closed", wire.QUIC, Traffic{Questions: 1, Conns: 1})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := quic.DialAddr(ctx, s.QUICAddrs()[0].String(), s.client("gopher"), nil); err == nil {
		t.Fatal("a protocol that is not spoken was taken")
	}
	until("a handshake that fails", wire.QUIC, Traffic{Questions: 1, Conns: 2, Handshakes: 1})
	if c := s.Counts(); c.Draining || c.Sum() != (Traffic{Questions: 6, Conns: 9, Open: 1, Handshakes: 3, Crowded: 1, Strangers: 1, Yielded: 1}) {
		t.Errorf("in all: %+v", c)
	}
	_ = s.stop()
	if c := s.Counts(); !c.Draining || c.Sum().Open != 0 {
		t.Errorf("at the end: %+v", c)
	}
}
