package serve

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/cordon-project/cordon/resolver/wire"
)

const resolverName = "dns.isp.test"

// certificate makes a self-signed certificate for the loopback address and a name, and the pool that trusts it.
func certificate(t testing.TB, name string) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// secured is a server with every transport, and what its clients need.
type secured struct {
	*Server
	stop  func() error
	roots *x509.CertPool
}

func startSecured(t testing.TB, c Config) *secured {
	t.Helper()
	var roots *x509.CertPool
	c.Certificate, roots = certificate(t, resolverName)
	any := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	if c.UDPAddrs == nil {
		c.UDPAddrs = any
	}
	c.TLSAddrs, c.HTTPSAddrs, c.QUICAddrs = any, any, any
	s, stop := start(t, c)
	return &secured{s, stop, roots}
}

func (s *secured) client(protocols ...string) *tls.Config {
	return &tls.Config{RootCAs: s.roots, ServerName: resolverName, NextProtos: protocols}
}

func (s *secured) dialTLS(t testing.TB) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", s.TLSAddrs()[0].String(), s.client("dot"))
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (s *secured) h2(t testing.TB) *http.Client {
	r := &http.Transport{TLSClientConfig: s.client(), ForceAttemptHTTP2: true}
	t.Cleanup(r.CloseIdleConnections)
	return &http.Client{Transport: r, Timeout: patience}
}

func (s *secured) h3(t testing.TB) *http.Client {
	r := &http3.Transport{TLSClientConfig: s.client()}
	t.Cleanup(func() { _ = r.Close() })
	return &http.Client{Transport: r, Timeout: patience}
}

func (s *secured) url() string { return fmt.Sprintf("https://%s/dns-query", s.HTTPSAddrs()[0]) }

func (s *secured) dialQUIC(t testing.TB) *quic.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := quic.DialAddr(ctx, s.QUICAddrs()[0].String(), s.client("doq"), &quic.Config{HandshakeIdleTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseWithError(0, "") })
	return c
}

// doq asks one question on a stream of its own and returns the bytes that came back.
func doq(c *quic.Conn, message string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	str, err := c.OpenStreamSync(ctx)
	if err != nil {
		return "", err
	}
	_ = str.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(str, message); err != nil {
		return "", err
	}
	if err := str.Close(); err != nil {
		return "", err
	}
	b, err := io.ReadAll(str)
	return string(b), err
}

func framed(message string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(len(message)))) + message
}

// question is one that the fake handler answers: byte 2 says how.
func question(how byte) string { return "\x00\x00" + string(how) + strings.Repeat("q", 20) }

func answered(how byte) string { return "\x00\x00" + string(how) + strings.Repeat("q", 20) }

func TestEveryTransportAnswers(t *testing.T) {
	h := &fakeHandler{release: make(chan struct{})}
	close(h.release)
	s := startSecured(t, Config{Handler: h})
	dot, conn := s.dialTLS(t), s.dialQUIC(t)
	for _, tt := range []struct{ ask, want byte }{{'f', 'F'}, {'s', 'S'}} {
		send(t, dot, question(tt.ask))
		if got := receive(t, dot); got != answered(tt.want) {
			t.Errorf("DoT: got %q", got)
		}
		if got, err := doq(conn, framed(question(tt.ask))); err != nil || got != framed(answered(tt.want)) {
			t.Errorf("DoQ: got %q, %v", got, err)
		}
		for name, client := range map[string]*http.Client{"h2": s.h2(t), "h3": s.h3(t)} {
			for _, method := range []string{"GET", "POST"} {
				resp, err := client.Do(dohRequest(t, method, s.url(), question(tt.ask)))
				if err != nil {
					t.Errorf("%s %s: %v", name, method, err)
					continue
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/dns-message" || string(body) != answered(tt.want) {
					t.Errorf("%s %s: %v %q %v", name, method, resp, body, err)
				}
				if want := map[string]int{"h2": 2, "h3": 3}[name]; resp.ProtoMajor != want {
					t.Errorf("%s: HTTP/%d", name, resp.ProtoMajor)
				}
			}
		}
	}
	c := s.Counts()
	if c.By[wire.TLS].Questions != 2 || c.By[wire.HTTPS].Questions != 8 || c.By[wire.QUIC].Questions != 2 || c.Sum().Conns != 6 || c.Sum().Refused() != 0 {
		t.Errorf("counts: %+v", c)
	}
}

// TestDrainingAnswersOnEveryTransport: what was asked is answered, then connections end.
func TestDrainingAnswersOnEveryTransport(t *testing.T) {
	h := &fakeHandler{release: make(chan struct{})}
	s := startSecured(t, Config{Handler: h, DrainTimeout: patience})
	dot, conn := s.dialTLS(t), s.dialQUIC(t)
	send(t, dot, question('s'))
	type result struct{ name, got string }
	results := make(chan result, 3)
	go func() {
		got, err := doq(conn, framed(question('s')))
		results <- result{"DoQ", fmt.Sprint(got, err)}
	}()
	for name, client := range map[string]*http.Client{"h2": s.h2(t), "h3": s.h3(t)} {
		go func() {
			resp, err := client.Do(dohRequest(t, "POST", s.url(), question('s')))
			if err != nil {
				results <- result{name, err.Error()}
				return
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			results <- result{name, framed(string(body)) + fmt.Sprint(err)}
		}()
	}
	for h.slow.Load() != 4 {
		<-time.After(time.Millisecond)
	}
	ended := make(chan error)
	go func() { ended <- s.stop() }()
	for !s.draining.Load() {
		<-time.After(time.Millisecond)
	}
	close(h.release)
	if got := receive(t, dot); got != answered('S') {
		t.Errorf("DoT: %q", got)
	}
	for range 3 {
		if r := <-results; r.got != framed(answered('S'))+"<nil>" {
			t.Errorf("%s: %q", r.name, r.got)
		}
	}
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	<-conn.Context().Done()
	var closed *quic.ApplicationError
	if err := context.Cause(conn.Context()); !errors.As(err, &closed) || closed.ErrorCode != doqNoError {
		t.Errorf("DoQ connection: %v", err)
	}
	if got := receive(t, dot); got != "EOF" { // with close_notify, else it was unexpected
		t.Errorf("DoT connection: %q", got)
	}
}

func TestACertificateIsChangedWithoutDroppingConnections(t *testing.T) {
	s := startSecured(t, Config{Handler: &fakeHandler{}})
	first := s.secure.certificate.Load()
	s.SetCertificate(nil)
	if c, err := tls.Dial("tcp", s.TLSAddrs()[0].String(), s.client("dot")); err == nil {
		_ = c.Close()
		t.Error("a handshake without a certificate")
	}
	s.SetCertificate(first)
	dot, conn, web := s.dialTLS(t), s.dialQUIC(t), s.h2(t)
	ask := func(when string) {
		t.Helper()
		send(t, dot, question('f'))
		if got := receive(t, dot); got != answered('F') {
			t.Errorf("%s, DoT: %q", when, got)
		}
		if got, err := doq(conn, framed(question('f'))); err != nil || got != framed(answered('F')) {
			t.Errorf("%s, DoQ: %q, %v", when, got, err)
		}
		resp, err := web.Do(dohRequest(t, "POST", s.url(), question('f')))
		if err != nil {
			t.Fatalf("%s, DoH: %v", when, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	ask("before")
	fresh, roots := certificate(t, resolverName)
	s.SetCertificate(fresh)
	ask("after")
	if n := s.Counts().Sum().Conns; n != 4 {
		t.Errorf("%d connections, want the first four", n)
	}
	s.roots = roots // a new client sees the new one, everywhere
	if got := s.dialTLS(t).ConnectionState().PeerCertificates[0]; !bytes.Equal(got.Raw, fresh.Certificate[0]) {
		t.Error("DoT: a new connection has the old certificate")
	}
	if got := s.dialQUIC(t).ConnectionState().TLS.PeerCertificates[0]; !bytes.Equal(got.Raw, fresh.Certificate[0]) {
		t.Error("DoQ: a new connection has the old certificate")
	}
	for name, client := range map[string]*http.Client{"h2": s.h2(t), "h3": s.h3(t)} {
		if resp, err := client.Do(dohRequest(t, "POST", s.url(), question('f'))); err != nil {
			t.Errorf("%s: %v", name, err)
		} else {
			_ = resp.Body.Close()
		}
	}
}

// TestATicketIsGoodForTwoTurnsOfItsKey: sessions are resumed, but not those of yesterday.
func TestATicketIsGoodForTwoTurnsOfItsKey(t *testing.T) {
	s := startSecured(t, Config{Handler: &fakeHandler{}})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		conf := s.client("dot")
		conf.MaxVersion, conf.ClientSessionCache = version, tls.NewLRUClientSessionCache(1)
		resumed := func() bool {
			c, err := tls.Dial("tcp", s.TLSAddrs()[0].String(), conf)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			send(t, c, question('f')) // the ticket comes behind the handshake
			receive(t, c)
			return c.ConnectionState().DidResume
		}
		resumed()
		if !resumed() {
			t.Errorf("version %x: a session is not resumed", version)
		}
		old, _ := conf.ClientSessionCache.Get(resolverName)
		s.secure.nextTickets()
		if !resumed() {
			t.Errorf("version %x: a session is not resumed after one turn", version)
		}
		s.secure.nextTickets()
		conf.ClientSessionCache.Put(resolverName, old)
		if resumed() {
			t.Errorf("version %x: a session is resumed after two turns", version)
		}
	}
	conf := s.client("dot")
	conf.MaxVersion = tls.VersionTLS11
	if c, err := tls.Dial("tcp", s.TLSAddrs()[0].String(), conf); err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 is accepted")
	}
	if c, err := tls.Dial("tcp", s.TLSAddrs()[0].String(), s.client("h2")); err == nil {
		_ = c.Close()
		t.Error("DoT takes a client that wants HTTP")
	}
}

func TestHandshakesAreBounded(t *testing.T) {
	s := startSecured(t, Config{Handler: &fakeHandler{}, Handshake: 100 * time.Millisecond})
	closed := func(name string, c net.Conn) {
		if got := receive(t, c); !strings.Contains(got, "EOF") && !strings.Contains(got, "reset") {
			t.Errorf("%s: %q", name, got)
		}
	}
	closed("a silent client", dial(t, "tcp", s.TLSAddrs()[0])) // it had its time
	s = startSecured(t, Config{Handler: &fakeHandler{}, Handshakes: 2})
	for _, house := range []string{"192.0.2.1", "192.0.2.2"} {
		s.quicHandshakes.Enter(netip.MustParseAddr(house)) // two are under way
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := quic.DialAddr(ctx, s.QUICAddrs()[0].String(), s.client("doq"), nil)
	var refused *quic.TransportError
	if err == nil {
		_ = c.CloseWithError(0, "")
	}
	if !errors.As(err, &refused) || refused.ErrorCode != quic.ConnectionRefused {
		t.Errorf("DoQ while handshakes are many: %v", err)
	}
}

func TestEncryptedConnectionsAreBounded(t *testing.T) {
	h := &fakeHandler{release: make(chan struct{})}
	s := startSecured(t, Config{Handler: h, Encrypted: 4, PerHousehold: 4})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	defer close(h.release)
	send(t, s.dialTLS(t), question('s'))
	send(t, s.dialTLS(t), question('s'))
	var fourth *quic.Conn
	for range 2 {
		fourth = s.dialQUIC(t)
		str, err := fourth.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(str, framed(question('s')))
		_ = str.Close()
	}
	for h.slow.Load() != 4 { // all are in use: none gives way
		<-time.After(time.Millisecond)
	}
	for name, dial := range map[string]func() error{
		"DoT": func() error {
			c, err := tls.Dial("tcp", s.TLSAddrs()[0].String(), s.client("dot"))
			if err == nil {
				_ = c.Close()
			}
			return err
		},
		"DoQ": func() error {
			c, err := quic.DialAddr(ctx, s.QUICAddrs()[0].String(), s.client("doq"), nil)
			if err == nil {
				_ = c.CloseWithError(0, "")
			}
			return err
		},
	} {
		if dial() == nil {
			t.Errorf("%s: a fifth connection is accepted", name)
		}
	}
	_ = fourth.CloseWithError(0, "")
	for {
		c, err := tls.Dial("tcp", s.TLSAddrs()[0].String(), s.client("dot")) // once the place is free
		if err == nil {
			_ = c.Close()
			break
		}
		if t.Context().Err() != nil {
			t.Fatal("the place of a closed connection is not given back")
		}
	}
	u := dial(t, "udp", s.UDPAddrs()[0])
	send(t, u, "idf")
	if got := receive(t, u); got != "idF" {
		t.Errorf("UDP meanwhile: %q", got)
	}
}
