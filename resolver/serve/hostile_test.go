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
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/resolver/wire"
)

// TestNoClientHoldsUpTheEnd: over HTTP/3 and QUIC, clients that keep the line warm, and take no answer or finish no question, keep nobody's
// server from ending.
func TestNoClientHoldsUpTheEnd(t *testing.T) {
	s := startSecured(t, Config{Handler: &fakeHandler{}, Idle: time.Hour, IdleEncrypted: time.Hour, DrainTimeout: 10 * time.Millisecond, MaxQuery: 8000})
	little := &quic.Config{InitialStreamReceiveWindow: 1200, MaxStreamReceiveWindow: 1200, KeepAlivePeriod: 50 * time.Millisecond}
	web := &http3.Transport{TLSClientConfig: s.client(), QUICConfig: little}
	defer web.Close()
	long := "\x00\x00f" + strings.Repeat("q", 7000)
	resp, err := (&http.Client{Transport: web, Timeout: patience}).Do(dohRequest(t, "POST", s.url(), long))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() // and not read
	slow, more := io.Pipe()
	defer more.Close()
	half := dohRequest(t, "POST", s.url(), long)
	half.Body, half.ContentLength = slow, -1
	go func() { _, _ = web.RoundTrip(half) }()
	if _, err := io.WriteString(more, "half"); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	doq, err := quic.DialAddr(ctx, s.QUICAddrs()[0].String(), s.client("doq"), little)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = doq.CloseWithError(0, "") }()
	for _, whole := range []bool{true, false} {
		str, err := doq.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(str, framed(long)); err != nil {
			t.Fatal(err)
		}
		if whole {
			_ = str.Close()
			if _, err := io.ReadFull(str, make([]byte, 1)); err != nil { // it is being answered
				t.Fatal(err)
			}
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- s.stop() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the server does not end")
	}
}

// TestHalfARequestOverHTTP3LosesItsStream, and the connection goes on.
func TestHalfARequestOverHTTP3LosesItsStream(t *testing.T) {
	s := startSecured(t, Config{Handler: &fakeHandler{}, Idle: time.Second})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := quic.DialAddr(ctx, s.HTTPSAddrs()[0].String(), s.client("h3"), &quic.Config{KeepAlivePeriod: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	str, err := c.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(str, "\x01\x40"); err != nil { // HEADERS of a length
		t.Fatal(err)
	}
	_ = str.SetReadDeadline(time.Now().Add(patience))
	_, err = str.Read(make([]byte, 1))
	var reset *quic.StreamError
	if !errors.As(err, &reset) || uint64(reset.ErrorCode) != uint64(http3.ErrCodeRequestIncomplete) {
		t.Errorf("half a request: %v", err)
	}
	web := new(http3.Transport).NewClientConn(c)
	resp, err := web.RoundTrip(dohRequest(t, "POST", s.url(), question('f')))
	if err != nil {
		t.Fatalf("after it: %v", err)
	}
	_ = resp.Body.Close()
}

// TestQuestionsTakenBackCountUntilTheyAreOver: who asks and takes back, again and again, has no more questions under way than others
// (as in "rapid reset", CVE-2023-44487).
func TestQuestionsTakenBackCountUntilTheyAreOver(t *testing.T) {
	for _, over := range []string{"h2", "h3", "doq"} {
		h, released := &fakeHandler{release: make(chan struct{})}, new(atomic.Bool)
		s := startSecured(t, Config{Handler: h, PerConn: 3})
		web := map[string]*http.Client{"h2": s.h2(t), "h3": s.h3(t)}[over]
		var conn *quic.Conn
		switch over {
		case "doq":
			conn = s.dialQUIC(t)
		case "h2":
			// One connection, whatever the client thinks of it once it has taken so much back.
			tr, dialed := web.Transport.(*http.Transport), new(atomic.Bool)
			tr.MaxConnsPerHost = 1
			d := &tls.Dialer{Config: s.client("h2")}
			tr.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if dialed.Swap(true) && !released.Load() {
					return nil, errors.New("a second connection")
				}
				return d.DialContext(ctx, network, addr)
			}
		}
		ask := func(ctx context.Context) error {
			if web != nil {
				resp, err := web.Do(dohRequest(t, "POST", s.url(), question('s')).WithContext(ctx))
				if err == nil {
					_ = resp.Body.Close()
				}
				return err
			}
			str, err := conn.OpenStreamSync(ctx)
			if err != nil {
				return err
			}
			defer context.AfterFunc(ctx, func() { str.CancelRead(doqRequestCancelled) })()
			if _, err := io.WriteString(str, framed(question('s'))); err != nil {
				return err
			}
			_ = str.Close()
			_, err = io.ReadAll(str)
			return err
		}
		ctx, back := context.WithCancel(context.Background())
		ended := make(chan error)
		for range 3 {
			go func() { ended <- ask(ctx) }()
		}
		for h.slow.Load() != 3 {
			<-time.After(time.Millisecond)
		}
		back()
		for range 3 {
			if err := <-ended; err == nil {
				t.Errorf("%s: a question that was taken back is answered", over)
			}
		}
		short, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		_ = ask(short)
		cancel()
		if n := h.slow.Load(); n != 3 {
			t.Errorf("%s: %d questions under way, want 3", over, n)
		}
		released.Store(true)
		close(h.release)
		long, cancel := context.WithTimeout(context.Background(), patience)
		if err := ask(long); err != nil {
			t.Errorf("%s: once they are over: %v", over, err)
		}
		cancel()
	}
}

// TestHandshakesWithoutEndShutNobodyOut: many who begin them and never end them, from many addresses, make way for one who does.
func TestHandshakesWithoutEndShutNobodyOut(t *testing.T) {
	s := startSecured(t, Config{Handler: &fakeHandler{}, Handshakes: 32, Handshake: time.Minute})
	for i := range 96 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 8, byte(i/2))}}
		c, err := d.Dial("tcp", s.TLSAddrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	for s.Counts().Sum().Yielded < 64 {
		<-time.After(time.Millisecond)
	}
	dot, conn := s.dialTLS(t), s.dialQUIC(t)
	send(t, dot, question('f'))
	if got := receive(t, dot); got != answered('F') {
		t.Errorf("DoT: %q", got)
	}
	if got, err := doq(conn, framed(question('f'))); err != nil || got != framed(answered('F')) {
		t.Errorf("DoQ: %q, %v", got, err)
	}
	if n := s.handshakes.places.Taken(); n != 31 { // a 32nd has made way, and its successor is done
		t.Errorf("%d handshakes are under way, want 31", n)
	}
}

// TestHandshakesThatGaveWayWaitForNothing: they do not queue for a turn to compute, however long the others take.
func TestHandshakesThatGaveWayWaitForNothing(t *testing.T) {
	s := startSecured(t, Config{Handler: &fakeHandler{}, Handshakes: 32, Handshake: time.Minute})
	for range cap(s.handshakes.turns) {
		s.handshakes.turns <- struct{}{}
	}
	client, server := net.Pipe()
	go func() { _ = tls.Client(client, s.client("dot")).Handshake() }()
	hello := make([]byte, 16<<10)
	n, err := server.Read(hello)
	if err != nil {
		t.Fatal(err)
	}
	_ = server.Close()
	for i := range 96 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 8, byte(i/2))}}
		c, err := d.Dial("tcp", s.TLSAddrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := c.Write(hello[:n]); err != nil {
			t.Fatal(err)
		}
	}
	for s.Counts().Sum().Yielded < 64 || s.Counts().Sum().Open > 32 {
		<-time.After(time.Millisecond)
	}
	for range cap(s.handshakes.turns) {
		<-s.handshakes.turns
	}
	dot := s.dialTLS(t)
	send(t, dot, question('f'))
	if got := receive(t, dot); got != answered('F') {
		t.Errorf("once there are turns again: %q", got)
	}
}

// TestStrangersTakeNoPlaceThatClientsNeed: over TCP they are told REFUSED while half of the places are free, and then nothing.
func TestStrangersTakeNoPlaceThatClientsNeed(t *testing.T) {
	stranger := net.ParseIP("127.0.0.66")
	s, _ := start(t, Config{Handler: &fakeHandler{}, Conns: 8, Serves: func(client netip.Addr) bool { return client.String() != stranger.String() }})
	ask := func(local net.IP) string {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: local}}
		c, err := d.Dial("tcp", s.TCPAddrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(c, framed("idf")); err != nil {
			return err.Error()
		}
		return receive(t, c)
	}
	refused := 0
	for range 12 {
		if got := ask(stranger); got != "idF" {
			refused++
		}
	}
	if refused != 7 {
		t.Errorf("%d strangers of 12 found no place, want 7", refused)
	}
	if got := ask(net.ParseIP("127.0.0.67")); got != "idF" {
		t.Errorf("a client got %q", got)
	}
}

// gateHandler is a fakeHandler that takes its time over the first question.
type gateHandler struct {
	fakeHandler
	begun, gate chan struct{}
	once        sync.Once
}

func (h *gateHandler) Fast(dst, query []byte, from wire.Client) ([]byte, bool) {
	h.once.Do(func() {
		close(h.begun)
		<-h.gate
	})
	return h.fakeHandler.Fast(dst, query, from)
}

// TestDrainingAnswersWhatWaitsOnAConnection: in its socket, or read already behind another question. Where this machine stands still for as long as
// the server waits for that, it says nothing, and is done again.
func TestDrainingAnswersWhatWaitsOnAConnection(t *testing.T) {
	for _, over := range []string{"tcp", "tls"} {
		for try := 1; ; try++ {
			wrong, took := drainWaiting(t, over)
			if wrong == "" {
				break
			}
			if took < settle || try == 10 {
				t.Errorf("%s: after %v: %s", over, took, wrong)
				break
			}
		}
	}
}

// drainWaiting says which question was not answered, if any, and how long the answers took from when the server was told to end.
func drainWaiting(t *testing.T, over string) (wrong string, took time.Duration) {
	t.Helper()
	h := &gateHandler{begun: make(chan struct{}), gate: make(chan struct{})}
	s := startSecured(t, Config{Handler: h, TCPAddrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	var c net.Conn
	if over == "tcp" {
		c = dial(t, "tcp", s.TCPAddrs()[0])
	} else {
		c = s.dialTLS(t)
	}
	send(t, c, question('f'))
	<-h.begun
	send(t, c, question('f')+"second")
	send(t, c, question('f')+"third")
	began, ended := time.Now(), make(chan error, 1)
	go func() { ended <- s.stop() }()
	for !s.draining.Load() {
		<-time.After(time.Millisecond)
	}
	close(h.gate)
	for _, want := range []string{"", "second", "third"} {
		if got := receive(t, c); got != answered('F')+want && wrong == "" {
			wrong = fmt.Sprintf("got %q, want the answer to %q", got, want)
		}
	}
	took = time.Since(began)
	if err := <-ended; err != nil {
		t.Errorf("%s: Run: %v", over, err)
	}
	return wrong, took
}

// TestOverUDPAllIsAnsweredWhileConnectionsEnd: who asks over UDP need not know that somebody else's question still waits for an upstream.
func TestOverUDPAllIsAnsweredWhileConnectionsEnd(t *testing.T) {
	h := &fakeHandler{release: make(chan struct{})}
	s, stop := start(t, Config{Handler: h, DrainTimeout: time.Minute})
	c, u := dial(t, "tcp", s.TCPAddrs()[0]), dial(t, "udp", s.UDPAddrs()[0])
	send(t, c, "ids1")
	for h.slow.Load() != 1 {
		<-time.After(time.Millisecond)
	}
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	for !s.draining.Load() {
		<-time.After(time.Millisecond)
	}
	for range 3 {
		send(t, u, "idf")
		if got := receive(t, u); got != "idF" {
			t.Errorf("over UDP: %q", got)
		}
	}
	send(t, u, "ids2")
	for h.slow.Load() != 2 {
		<-time.After(time.Millisecond)
	}
	close(h.release)
	if got := receive(t, u); got != "idS2" {
		t.Errorf("over UDP, of an upstream: %q", got)
	}
	if got := receive(t, c); got != "idS1" {
		t.Errorf("over TCP: %q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestAProxyThatSaysNothingDoesNotHoldUpTheEnd of its server.
func TestAProxyThatSaysNothingDoesNotHoldUpTheEnd(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:0")
	s, stop := start(t, Config{
		Handler: &fakeHandler{}, TCPAddrs: []netip.AddrPort{at}, Handshake: time.Hour,
		Proxies: map[netip.AddrPort][]netip.Prefix{at: {netip.MustParsePrefix("127.0.0.1/32")}},
	})
	dial(t, "tcp", s.TCPAddrs()[0])
	for len(s.proxied) != 1 {
		<-time.After(time.Millisecond)
	}
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	select {
	case err := <-ended:
		if err != nil || len(s.open) != 0 {
			t.Errorf("Run: %v, %d connections known", err, len(s.open))
		}
	case <-time.After(patience):
		t.Fatal("the server does not end")
	}
}

func TestAFullTableOfFilesIsNoReasonToEnd(t *testing.T) {
	for err, want := range map[error]bool{unix.EMFILE: true, unix.ENFILE: true, unix.ENOBUFS: true, unix.ENOMEM: true, unix.EINVAL: false, net.ErrClosed: false} {
		if got := passing(&net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", err)}); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}
