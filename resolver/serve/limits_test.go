package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/cordon-project/cordon/resolver/wire"
)

// TestStrangersGetNoHandshake: who is not answered cannot take the places of who is. Over TCP the Handler says REFUSED.
func TestStrangersGetNoHandshake(t *testing.T) {
	s := startSecured(t, Config{
		Handler: &fakeHandler{}, TCPAddrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
		Serves: func(client netip.Addr) bool { return client != netip.MustParseAddr("127.0.0.66") },
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, local := range []string{"127.0.0.66", "127.0.0.67"} {
		stranger := local == "127.0.0.66"
		d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}, Timeout: patience}
		for protocol, at := range map[string]netip.AddrPort{"dot": s.TLSAddrs()[0], "h2": s.HTTPSAddrs()[0]} {
			c, err := tls.DialWithDialer(d, "tcp", at.String(), s.client(protocol))
			if err == nil {
				_ = c.Close()
			}
			if (err != nil) != stranger {
				t.Errorf("%s from %s: %v", protocol, local, err)
			}
		}
		udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(local)})
		if err != nil {
			t.Fatal(err)
		}
		defer udp.Close()
		c, err := quic.Dial(ctx, udp, net.UDPAddrFromAddrPort(s.QUICAddrs()[0]), s.client("doq"), nil)
		if err == nil {
			_ = c.CloseWithError(0, "")
		}
		var refused *quic.TransportError
		if got := errors.As(err, &refused) && refused.ErrorCode == quic.ConnectionRefused; got != stranger || !stranger && err != nil {
			t.Errorf("doq from %s: %v", local, err)
		}
		plain, err := d.Dial("tcp", s.TCPAddrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		defer plain.Close()
		send(t, plain, question('f'))
		if got := receive(t, plain); got != answered('F') {
			t.Errorf("TCP from %s: %q", local, got)
		}
	}
}

// TestIdleEncryptedConnectionsAreClosed, also those of clients that keep the line warm and ask nothing; and no client opens more streams at
// once than it may.
func TestIdleEncryptedConnectionsAreClosed(t *testing.T) {
	h := &fakeHandler{release: make(chan struct{})}
	s := startSecured(t, Config{Handler: h, IdleEncrypted: time.Second, PerConn: 3})
	dot := s.dialTLS(t)
	web, err := tls.Dial("tcp", s.HTTPSAddrs()[0].String(), s.client("h2"))
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	_, _ = io.WriteString(web, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	if got := receive(t, dot); !strings.Contains(got, "EOF") {
		t.Errorf("DoT: %q", got)
	}
	_ = web.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, web); err != nil { // until the end of the connection
		t.Errorf("DoH: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	warm, err := quic.DialAddr(ctx, s.QUICAddrs()[0].String(), s.client("doq"), &quic.Config{KeepAlivePeriod: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		str, err := warm.OpenStream()
		if (err != nil) != (i == 3) {
			t.Errorf("stream %d: %v", i, err)
		}
		if err == nil {
			_, _ = io.WriteString(str, framed(question('s')))
			_ = str.Close()
		}
	}
	close(h.release)
	<-warm.Context().Done()
	for errors.As(context.Cause(warm.Context()), new(*quic.IdleTimeoutError)) { // this machine stood still for as long as a line may be silent
		if warm, err = quic.DialAddr(t.Context(), s.QUICAddrs()[0].String(), s.client("doq"), &quic.Config{KeepAlivePeriod: 50 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		<-warm.Context().Done()
	}
	var closed *quic.ApplicationError
	if err := context.Cause(warm.Context()); !errors.As(err, &closed) || closed.ErrorCode != doqNoError {
		t.Errorf("DoQ: %v", err)
	}
}

// TestAStreamDoesNotAllocate: a question whose answer is known costs a connection no memory, whatever it asks of the transport.
func TestAStreamDoesNotAllocate(t *testing.T) {
	s := &Server{config: Config{Handler: &fakeHandler{}, Idle: time.Second}}
	st := &stream{server: s, client: wire.Client{Via: wire.TLS}, out: make([]byte, 0, 4096)}
	query := padded(t, "f.test.", 1) // byte 2 is no 's' and no 'n'
	if n := testing.AllocsPerRun(100, func() {
		st.out = st.out[:0]
		st.answer(context.Background(), query)
	}); n != 0 || len(st.out) == 0 {
		t.Errorf("%v allocations for an answer of %d bytes", n, len(st.out))
	}
}
