package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
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

// rest opens a connection of a household over a transport, which then asks nothing, and reports its end.
func (s *secured) rest(t *testing.T, house, over string) (ended <-chan error) {
	t.Helper()
	done := make(chan error, 1)
	ip := net.ParseIP(house)
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: ip}, Timeout: patience}
	switch over {
	case "tcp", "tls", "h2":
		var c net.Conn
		var err error
		switch over {
		case "tcp":
			c, err = d.Dial("tcp", s.TCPAddrs()[0].String())
		case "tls":
			c, err = tls.DialWithDialer(d, "tcp", s.TLSAddrs()[0].String(), s.client("dot"))
		default:
			if c, err = tls.DialWithDialer(d, "tcp", s.HTTPSAddrs()[0].String(), s.client("h2")); err == nil {
				_, err = io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
			}
		}
		if err != nil {
			t.Fatalf("%s: %v", over, err)
		}
		t.Cleanup(func() { _ = c.Close() })
		go func() {
			_, err := io.Copy(io.Discard, c)
			done <- err
		}()
	default:
		at, protocol := s.QUICAddrs()[0], "doq"
		if over == "h3" {
			at, protocol = s.HTTPSAddrs()[0], "h3"
		}
		u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: ip})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = u.Close() })
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		c, err := quic.Dial(ctx, u, net.UDPAddrFromAddrPort(at), s.client(protocol), &quic.Config{KeepAlivePeriod: time.Second})
		if err != nil {
			t.Fatalf("%s: %v", over, err)
		}
		if over == "h3" {
			new(http3.Transport).NewClientConn(c)
		}
		go func() {
			<-c.Context().Done()
			err := context.Cause(c.Context())
			var closed *quic.ApplicationError
			if errors.As(err, &closed) && (closed.ErrorCode == doqNoError || uint64(closed.ErrorCode) == uint64(http3.ErrCodeNoError)) {
				err = nil
			}
			done <- err
		}()
	}
	return done
}

// atRest waits until all connections rest: one whose client has its answer may still be about to.
func (s *Server) atRest() {
	for busy := true; busy; <-time.After(time.Millisecond) {
		busy = s.requests.Taken() > 0
		s.mu.Lock()
		for g := range s.open {
			busy = busy || g.place != nil && !g.place.Rests()
		}
		s.mu.Unlock()
	}
}

// TestANewcomerIsServedWhateverRests: households that fill all places with connections that ask nothing shut out nobody, over no transport; who has
// one connection keeps it, and those that give way end in order.
func TestANewcomerIsServedWhateverRests(t *testing.T) {
	s := startSecured(t, Config{
		Handler: &fakeHandler{}, TCPAddrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
		Encrypted: 33, Conns: 17, PerHousehold: 8,
	})
	ended := map[string][]<-chan error{}
	small, smallTCP := s.rest(t, "127.0.0.40", "tls"), s.rest(t, "127.0.0.40", "tcp") // they have rested longest
	for _, over := range []string{"tls", "h2", "h3", "quic"} {
		for i := range 8 {
			ended[over] = append(ended[over], s.rest(t, fmt.Sprintf("127.0.0.%d", 10+i%4), over)) // four households, two of each
		}
	}
	for i := range 16 {
		ended["tcp"] = append(ended["tcp"], s.rest(t, fmt.Sprintf("127.0.0.%d", 10+i%2), "tcp"))
	}
	for s.encrypted.Taken() < 33 || s.plain.Taken() < 17 {
		<-time.After(time.Millisecond)
	}
	// Of the household with the address of the server, which has none yet.
	for i := range 4 {
		c := dial(t, "tcp", s.TCPAddrs()[0])
		send(t, c, question('f'))
		if got := receive(t, c); got != answered('F') {
			t.Errorf("newcomer %d over TCP: %q", i, got)
		}
	}
	dot := s.dialTLS(t)
	send(t, dot, question('f'))
	if got := receive(t, dot); got != answered('F') {
		t.Errorf("a newcomer over TLS: %q", got)
	}
	if got, err := doq(s.dialQUIC(t), framed(question('f'))); err != nil || got != framed(answered('F')) {
		t.Errorf("a newcomer over QUIC: %q, %v", got, err)
	}
	for over, web := range map[string]*http.Client{"HTTP/2": s.h2(t), "HTTP/3": s.h3(t)} {
		resp, err := web.Do(dohRequest(t, "POST", s.url(), question('f')))
		if err != nil {
			t.Errorf("a newcomer over %s: %v", over, err)
			continue
		}
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != answered('F') {
			t.Errorf("a newcomer over %s: %q, %v", over, b, err)
		}
		_ = resp.Body.Close()
	}
	sum := s.Counts().Sum()
	if sum.Crowded != 0 || sum.Yielded != 8 || s.Counts().By[wire.TCP].Yielded != 4 {
		t.Errorf("%d turned away and %d gave way, want 0 and 8: %+v", sum.Crowded, sum.Yielded, s.Counts())
	}
	gone := 0
	for end := time.After(time.Minute); gone < 8; {
		for over, all := range ended {
			for i, c := range all {
				select {
				case err := <-c:
					if gone++; err != nil {
						t.Errorf("one over %s that gave way ended with %v", over, err)
					}
					all[i] = nil
				default:
				}
			}
		}
		select {
		case <-end:
			t.Fatalf("%d have ended, want 8: %+v", gone, s.Counts())
		case <-time.After(time.Millisecond):
		}
	}
	select {
	case err := <-small:
		t.Errorf("a household's only encrypted connection has ended: %v", err)
	case err := <-smallTCP:
		t.Errorf("a household's only connection over TCP has ended: %v", err)
	default:
	}
}

// TestAConnectionInUseDoesNotGiveWay: one that waits for an upstream, over any transport; half a question is no use.
func TestAConnectionInUseDoesNotGiveWay(t *testing.T) {
	h := &fakeHandler{release: make(chan struct{})}
	s := startSecured(t, Config{Handler: h, Encrypted: 4, PerHousehold: 4})
	dot, conn := s.dialTLS(t), s.dialQUIC(t)
	_ = dot.SetDeadline(time.Now().Add(time.Minute))
	results := make(chan string, 3)
	send(t, dot, question('s'))
	go func() {
		got, err := doq(conn, framed(question('s')))
		results <- fmt.Sprintf("quic %q %v", got, err)
	}()
	for over, web := range map[string]*http.Client{"h2": s.h2(t), "h3": s.h3(t)} {
		go func() {
			resp, err := web.Do(dohRequest(t, "POST", s.url(), question('s')))
			if err != nil {
				results <- over + " " + err.Error()
				return
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			results <- fmt.Sprintf("%s %q %v", over, framed(string(b)), err)
		}()
	}
	for h.slow.Load() != 4 {
		<-time.After(time.Millisecond)
	}
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.9")}, Timeout: patience}
	if c, err := tls.DialWithDialer(d, "tcp", s.TLSAddrs()[0].String(), s.client("dot")); err == nil {
		_ = c.Close()
		t.Error("a newcomer has the place of one in use")
	}
	close(h.release)
	if got := receive(t, dot); got != answered('S') {
		t.Errorf("tls: %q", got)
	}
	for range 3 {
		if got := <-results; !strings.Contains(got, fmt.Sprintf("%q <nil>", framed(answered('S')))) {
			t.Error(got)
		}
	}
	s.atRest()
	if _, err := io.WriteString(dot, "\x00\x20half"); err != nil { // and no more
		t.Fatal(err)
	}
	for i := range 4 { // of a household each, so that all four of the first give way
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(9+i))}
		c, err := tls.DialWithDialer(d, "tcp", s.TLSAddrs()[0].String(), s.client("dot"))
		if err != nil {
			t.Fatalf("newcomer %d: %v", i, err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		send(t, c, question('f'))
		if got := receive(t, c); got != answered('F') {
			t.Errorf("newcomer %d: %q", i, got)
		}
	}
	if got := receive(t, dot); !strings.Contains(got, "EOF") {
		t.Errorf("half a question kept its place: %q", got)
	}
}
