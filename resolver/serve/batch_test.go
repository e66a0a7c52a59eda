package serve

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/resolver/wire"
)

// Questions for an upstream stand between others, in more than one batch, and none of either kind is lost.
func TestQuestionsForAnUpstreamDoNotHoldTheirBatch(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"} {
		a := netip.MustParseAddrPort(address)
		h := &fakeHandler{release: make(chan struct{})}
		s, err := Open(Config{Handler: h, UDPAddrs: []netip.AddrPort{a}, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		to := s.UDPAddrs()[0]
		switch address {
		case "0.0.0.0:0":
			to = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.7"), to.Port())
		case "[::]:0":
			to = netip.AddrPortFrom(netip.MustParseAddr("::1"), to.Port())
		}
		const n = 2*batchSize + 1
		c, d := dial(t, "udp", to), dial(t, "udp", to)
		for i := range n { // before the first read: they wait together
			send(t, c, fmt.Sprintf("idf%d", i), fmt.Sprintf("idn%d", i))
			send(t, d, fmt.Sprintf("ids%d", i))
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		for i := range n {
			if got, want := receive(t, c), fmt.Sprintf("idF%d", i); got != want {
				t.Fatalf("%s: got %q, want %q", address, got, want)
			}
		}
		close(h.release)
		missing := map[string]bool{}
		for i := range n {
			missing[fmt.Sprintf("idS%d", i)] = true
		}
		for range n {
			got := receive(t, d)
			if !missing[got] {
				t.Fatalf("%s: got %q a second time or unasked", address, got)
			}
			delete(missing, got)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: Run: %v", address, err)
		}
		if got := s.Counts().By[wire.UDP].Questions; got != 3*n {
			t.Errorf("%s: %d datagrams read, want %d", address, got, 3*n)
		}
	}
}

// worker is a server's only UDP worker, without its loop, and a client.
func worker(t testing.TB, address string, h Handler) (w *udpWorker, ask func([]byte)) {
	s, err := Open(Config{Handler: h, UDPAddrs: []netip.AddrPort{netip.MustParseAddrPort(address)}, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if w, err = s.newUDPWorker(context.Background(), s.udp[0]); err != nil {
		t.Fatal(err)
	}
	to := s.UDPAddrs()[0]
	if to.Addr().IsUnspecified() {
		to = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to.Port())
	}
	c := dial(t, "udp", to)
	buf := make([]byte, 2000)
	return w, func(q []byte) {
		if _, err := c.Write(q); err != nil {
			t.Fatal(err)
		}
		if err := w.raw.Read(w.in.take); err != nil || w.in.errno != 0 {
			t.Fatal(err, w.in.errno)
		}
		w.answer()
		if err := w.raw.Write(w.out.put); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(buf); err != nil || buf[2] != 'F' || string(buf[3:n]) != string(q[3:]) {
			t.Fatalf("got %q, %v", buf[:n], err)
		}
	}
}

func TestAnsweringDoesNotAllocate(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0"} {
		_, ask := worker(t, address, &fakeHandler{})
		q := []byte("idf12345")
		if n := testing.AllocsPerRun(200, func() { ask(q) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", address, n)
		}
	}
}

// A datagram may say that it comes from port 0, where nothing can be sent: the others of its batch are answered all the same.
func TestAnAnswerThatCannotBeSentDoesNotHoldItsBatch(t *testing.T) {
	w, _ := worker(t, "127.0.0.1:0", &fakeHandler{})
	c := dial(t, "udp", w.socket.addr)
	for together := 0; together != 5; { // again where a busy kernel hands them over in parts
		for range 5 {
			send(t, c, "idf")
		}
		for n := 0; n < 5; n += together {
			if err := w.raw.Read(w.in.take); err != nil || w.in.errno != 0 {
				t.Fatal(err, w.in.errno)
			}
			together = w.in.n
		}
	}
	for _, i := range []int{0, 2, 4} {
		w.in.names[i].Port = 0
	}
	w.answer()
	if err := w.raw.Write(w.out.put); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := receive(t, c); got != "idF" {
			t.Errorf("got %q", got)
		}
	}
	if w.out.n != 0 || w.out.sent != 0 {
		t.Errorf("%d answers are left, %d of them sent", w.out.n, w.out.sent)
	}
}

// The interface a question came in by says nothing about the way back (found by reading: with several ways, or a router in between, answers took
// the wrong one).
func TestTheWayBackIsTheRoutingTables(t *testing.T) {
	w, ask := worker(t, "0.0.0.0:0", &fakeHandler{})
	ask([]byte("idf"))
	control := w.in.control(0)
	if len(control) < 28 || control[20] != 127 {
		t.Fatalf("control is %x, want IP_PKTINFO of 127.0.0.1", control)
	}
	if control[16] != 0 {
		t.Errorf("interface %d is left in what is sent", control[16])
	}
}

func TestTheReceiveBufferIsWhatTheKernelAllows(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/core/rmem_max")
	if err != nil {
		t.Fatal(err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	s, _ := start(t, Config{Handler: &fakeHandler{}, Workers: 2})
	if got := s.Buffer(); got != ReceiveBuffer && got != min(ReceiveBuffer, most) {
		t.Errorf("the buffer has %d bytes, want %d or what net.core.rmem_max allows, %d", got, ReceiveBuffer, most)
	}
	s, _ = start(t, Config{Handler: &fakeHandler{}, UDPAddrs: []netip.AddrPort{}, TCPAddrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	if got := s.Buffer(); got != 0 {
		t.Errorf("without UDP the buffer has %d bytes", got)
	}
}

// One question, its answer and everything between, over loopback: the sockets' share of a question that comes alone.
func BenchmarkOneQuestion(b *testing.B) {
	_, ask := worker(b, "127.0.0.1:0", &fakeHandler{})
	q := []byte("idf12345")
	b.ReportAllocs()
	for b.Loop() {
		ask(q)
	}
}
