package serve

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordon-project/cordon/resolver/wire"
)

// fakeHandler answers queries by their third byte: 'f' at once, 's' after release, 'n' with nothing. An answer is the
// query with its third byte in upper case, 'B' when busy.
type fakeHandler struct {
	release chan struct{}
	slow    atomic.Int64
}

func answerWith(dst, query []byte, b byte) []byte {
	at := len(dst) + 2
	dst = append(dst, query...)
	dst[at] = b
	return dst
}

func (h *fakeHandler) Fast(dst, query []byte, _ wire.Client) ([]byte, bool) {
	switch {
	case len(query) < 3 || query[2] == 'n':
		return dst, true
	case query[2] == 's':
		return dst, false
	}
	return answerWith(dst, query, 'F'), true
}

func (h *fakeHandler) Slow(ctx context.Context, query []byte, _ wire.Client, answer func([]byte)) {
	h.slow.Add(1)
	go func() {
		select {
		case <-h.release:
			answer(answerWith(nil, query, 'S'))
		case <-ctx.Done():
			answer(answerWith(nil, query, 'X'))
		}
	}()
}

func (h *fakeHandler) Busy(dst, query []byte, _ wire.Client) []byte {
	return answerWith(dst, query, 'B')
}

// patience is for what must come, with everything else that a busy machine does meanwhile, and longer than any test.
const patience = time.Minute

// start runs a server on loopback until the test ends or stop is called; stop returns what Run did. Clients have all the time that the test does
// not say they have.
func start(t testing.TB, c Config) (s *Server, stop func() error) {
	t.Helper()
	if c.UDPAddrs == nil {
		c.UDPAddrs = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
		c.TCPAddrs = c.UDPAddrs
	}
	c.Idle, c.IdleEncrypted, c.Handshake = orDefault(c.Idle, patience), orDefault(c.IdleEncrypted, patience), orDefault(c.Handshake, patience)
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = stop() })
	return s, stop
}

func dial(t testing.TB, network string, to netip.AddrPort) net.Conn {
	t.Helper()
	c, err := net.Dial(network, to.String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func send(t *testing.T, c net.Conn, msgs ...string) {
	t.Helper()
	for _, m := range msgs {
		b := []byte(m)
		if c.LocalAddr().Network() == "tcp" {
			b = append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...)
		}
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
	}
}

func receive(t *testing.T, c net.Conn) string {
	t.Helper()
	buf := make([]byte, 70000)
	if c.LocalAddr().Network() == "tcp" {
		if _, err := io.ReadFull(c, buf[:2]); err != nil {
			return err.Error()
		}
		n := binary.BigEndian.Uint16(buf)
		if _, err := io.ReadFull(c, buf[:n]); err != nil {
			return err.Error()
		}
		return string(buf[:n])
	}
	n, err := c.Read(buf)
	if err != nil {
		return err.Error()
	}
	return string(buf[:n])
}

func TestBothTransportsAnswerOnThePortChosen(t *testing.T) {
	s, stop := start(t, Config{Handler: &fakeHandler{}, Workers: 2})
	if len(s.UDPAddrs()) != 1 || len(s.TCPAddrs()) != 1 || s.UDPAddrs()[0] != s.TCPAddrs()[0] || s.UDPAddrs()[0].Port() == 0 {
		t.Fatalf("bound %v and %v", s.UDPAddrs(), s.TCPAddrs())
	}
	for i := range 20 { // both workers
		c := dial(t, "udp", s.UDPAddrs()[0])
		send(t, c, fmt.Sprintf("idn%d", i), fmt.Sprintf("idf%d", i))
		if got, want := receive(t, c), fmt.Sprintf("idF%d", i); got != want {
			t.Errorf("udp: got %q, want %q", got, want)
		}
	}
	c := dial(t, "tcp", s.TCPAddrs()[0])
	long := "idf" + strings.Repeat("x", 4000)
	send(t, c, "idf1", "idn2", long, "idf3")
	for _, want := range []string{"idF1", "idF" + long[3:], "idF3"} {
		if got := receive(t, c); got != want {
			t.Errorf("tcp: got %q, want %q", got, want)
		}
	}
	if got := s.Counts(); got.By[wire.UDP].Questions != 40 || got.By[wire.TCP] != (Traffic{Questions: 4, Conns: 1, Open: 1}) {
		t.Errorf("counts are %+v", got)
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestAnswersOnAConnectionComeAsTheyAreReady(t *testing.T) {
	h := &fakeHandler{release: make(chan struct{})}
	s, _ := start(t, Config{Handler: h})
	c := dial(t, "tcp", s.TCPAddrs()[0])
	send(t, c, "ids1", "idf2", "ids3")
	if got := receive(t, c); got != "idF2" {
		t.Errorf("first is %q, want the fast one", got)
	}
	close(h.release)
	got := map[string]bool{receive(t, c): true, receive(t, c): true}
	if !got["idS1"] || !got["idS3"] {
		t.Errorf("then %v", got)
	}
}

func TestWithoutASlotTheAnswerIsBusyAndNotSilence(t *testing.T) {
	h := &fakeHandler{release: make(chan struct{})}
	s, _ := start(t, Config{Handler: h, Slots: 1, Workers: 1})
	c := dial(t, "udp", s.UDPAddrs()[0])
	send(t, c, "ids1", "ids2")
	if got := receive(t, c); got != "idB2" {
		t.Errorf("got %q, want the busy answer", got)
	}
	d := dial(t, "tcp", s.TCPAddrs()[0])
	send(t, d, "ids3", "idf4")
	if got := receive(t, d); got != "idB3" {
		t.Errorf("got %q, want the busy answer", got)
	}
	if got := receive(t, d); got != "idF4" {
		t.Errorf("got %q, want the fast answer while no slot is free", got)
	}
	close(h.release)
	if got := receive(t, c); got != "idS1" {
		t.Errorf("got %q, want the slow answer", got)
	}
	if got := s.Counts().Busy; got != 2 {
		t.Errorf("busy %d times, want 2", got)
	}
}

func TestDrainingAnswersWhatWasRead(t *testing.T) {
	h := &fakeHandler{release: make(chan struct{})}
	s, stop := start(t, Config{Handler: h, DrainTimeout: patience})
	u, c := dial(t, "udp", s.UDPAddrs()[0]), dial(t, "tcp", s.TCPAddrs()[0])
	idle := dial(t, "tcp", s.TCPAddrs()[0])
	send(t, u, "ids1")
	send(t, c, "ids2")
	for h.slow.Load() != 2 {
		<-time.After(time.Millisecond)
	}
	ended := make(chan error)
	go func() { ended <- stop() }()
	if got := receive(t, idle); got != "EOF" {
		t.Errorf("idle connection: %q, want it closed", got)
	}
	close(h.release)
	if got := receive(t, u); got != "idS1" {
		t.Errorf("udp: %q", got)
	}
	if got := receive(t, c); got != "idS2" {
		t.Errorf("tcp: %q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestDrainingAnswersWhatWaitsInTheSocket(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::]:0"} {
		a := netip.MustParseAddrPort(address)
		h := &fakeHandler{}
		s, err := Open(Config{Handler: h, UDPAddrs: []netip.AddrPort{a}, Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.UDPAddrs()[0].Port())
		if a.Addr().Is6() {
			to = netip.AddrPortFrom(netip.MustParseAddr("::1"), to.Port())
		}
		var conns []net.Conn
		for range 30 {
			c := dial(t, "udp", to)
			send(t, c, "idf")
			conns = append(conns, c)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // before the first read
		if err := s.Run(ctx); err != nil {
			t.Errorf("%s: Run: %v", address, err)
		}
		for i, c := range conns {
			if got := receive(t, c); got != "idF" {
				t.Errorf("%s: question %d: %q", address, i, got)
			}
		}
	}
}

func TestDrainingEndsWhenUpstreamsDoNotAnswer(t *testing.T) {
	h := &fakeHandler{}
	s, stop := start(t, Config{Handler: h, DrainTimeout: 20 * time.Millisecond})
	c := dial(t, "udp", s.UDPAddrs()[0])
	send(t, c, "ids")
	for h.slow.Load() == 0 {
		<-time.After(time.Millisecond)
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if got := receive(t, c); got != "idX" {
		t.Errorf("got %q, want the answer of an ended context", got)
	}
}

func TestAnAnswerComesFromTheAddressThatWasAsked(t *testing.T) {
	s, _ := start(t, Config{Handler: &fakeHandler{}, UDPAddrs: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:0")}})
	for _, ip := range []string{"127.0.0.1", "127.3.2.1"} {
		c := dial(t, "udp", netip.AddrPortFrom(netip.MustParseAddr(ip), s.UDPAddrs()[0].Port()))
		send(t, c, "idf") // connected: an answer from elsewhere would not arrive
		if got := receive(t, c); got != "idF" {
			t.Errorf("%s: %q", ip, got)
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	h := &fakeHandler{release: make(chan struct{})}
	defer close(h.release)
	s, _ := start(t, Config{Handler: h, Conns: 1})
	first := dial(t, "tcp", s.TCPAddrs()[0])
	send(t, first, "ids", "idf") // in use: it does not give way
	receive(t, first)
	second := dial(t, "tcp", s.TCPAddrs()[0])
	if got := receive(t, second); !strings.Contains(got, "EOF") && !strings.Contains(got, "reset") {
		t.Errorf("a connection too many got %q", got)
	}
	send(t, first, "idf")
	if got := receive(t, first); got != "idF" {
		t.Errorf("the first connection got %q", got)
	}
}

func TestConnectionsThatBreakTheRulesAreClosed(t *testing.T) {
	s, _ := start(t, Config{Handler: &fakeHandler{}, Idle: 50 * time.Millisecond, MaxQuery: 100})
	for name, bytes := range map[string]string{
		"idle":                       "",
		"a length and nothing":       "\x00\x10",
		"half a question":            "\x00\x10idf",
		"a question longer than may": "\x00\x65" + strings.Repeat("f", 101),
	} {
		c := dial(t, "tcp", s.TCPAddrs()[0])
		if _, err := io.WriteString(c, bytes); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, c); !strings.Contains(got, "EOF") && !strings.Contains(got, "reset") {
			t.Errorf("%s: got %q, want the connection closed", name, got)
		}
	}
}

func TestAnAddressInUseIsExplained(t *testing.T) {
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []Config{
		{UDPAddrs: []netip.AddrPort{u.LocalAddr().(*net.UDPAddr).AddrPort()}},
		{TCPAddrs: []netip.AddrPort{l.Addr().(*net.TCPAddr).AddrPort()}},
	} {
		c.Handler = &fakeHandler{}
		_, err := Open(c)
		want := fmt.Sprint(append(c.UDPAddrs, c.TCPAddrs...)[0])
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "stop it or choose another") {
			t.Errorf("got %v, want an error that names %s and says what to do", err, want)
		}
	}
	_, err = Open(Config{Handler: &fakeHandler{}, UDPAddrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53535")}})
	if err == nil || !strings.Contains(err.Error(), "does not have the address") {
		t.Errorf("a foreign address: %v", err)
	}
	if _, err := Open(Config{}); err == nil {
		t.Error("an empty configuration is accepted")
	}
}

// One household's idle connections must not shut out the others (found by a hostile tester).
func TestOneHouseholdCannotTakeAllTCPConnections(t *testing.T) {
	s, _ := start(t, Config{Handler: &fakeHandler{}, Conns: 100, PerHousehold: 10})
	at := s.TCPAddrs()[0].String()
	from := func(local string) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}, Timeout: patience}
		c, err := d.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	var all []net.Conn
	for range 20 {
		all = append(all, from("127.0.0.9"))
	}
	for i, c := range all[:10] { // gave way to the others of the household
		c.SetDeadline(time.Now().Add(patience))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	if n := s.plain.Taken(); n != 10 {
		t.Errorf("a household has %d places, want 10", n)
	}
	c := from("127.0.0.10")
	c.SetDeadline(time.Now().Add(patience))
	query := []byte{0, 12, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	if _, err := c.Write(query); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 2)); err != nil {
		t.Errorf("a neighbour: %v", err)
	}
}
