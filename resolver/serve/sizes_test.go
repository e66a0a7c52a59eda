package serve

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/wire"
)

// meter counts the bytes that come over a line, as who watches it can.
type meter struct {
	net.Conn
	came *atomic.Int64
}

func (m meter) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.came.Add(int64(n))
	return n, err
}

func padded(t testing.TB, name string, typ uint16) []byte {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, typ).SetEdns0(1232, false)
	m.Id = 0
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, 40)}}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTheSizeOfAnAnswerTellsNothing (attack 22): over TLS and HTTP/2 the whole of what comes over the line for a listed name is as long as for
// others, whatever their records live and say; over QUIC the message is.
func TestTheSizeOfAnAnswerTellsNothing(t *testing.T) {
	r := startResolver(t, resolver.Own{})
	r.Swap(setOf(t, "bad.test"))
	s := startSecured(t, Config{Handler: r})
	var came atomic.Int64
	dot := tls.Client(meter{dial(t, "tcp", s.TLSAddrs()[0]), &came}, s.client("dot"))
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: s.client(), DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		return meter{c, &came}, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	h2, h3, quic := &http.Client{Transport: transport, Timeout: patience}, s.h3(t), s.dialQUIC(t)

	over := map[string]func(query []byte) (int64, []byte){
		"DoT": func(query []byte) (int64, []byte) {
			before := came.Load()
			if _, err := dot.Write([]byte(framed(string(query)))); err != nil {
				t.Fatal(err)
			}
			head := make([]byte, 2)
			if _, err := io.ReadFull(dot, head); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, binary.BigEndian.Uint16(head))
			if _, err := io.ReadFull(dot, b); err != nil {
				t.Fatal(err)
			}
			return came.Load() - before, b
		},
		"DoQ": func(query []byte) (int64, []byte) {
			b, err := doq(quic, framed(string(query)))
			if err != nil {
				t.Fatal(err)
			}
			return int64(len(b)), []byte(b[2:])
		},
	}
	for name, client := range map[string]*http.Client{"DoH, HTTP/2": h2, "DoH, HTTP/3": h3} {
		over[name] = func(query []byte) (int64, []byte) {
			before := came.Load()
			resp, err := client.Do(dohRequest(t, "GET", s.url(), string(query)))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			if client == h2 {
				return came.Load() - before, b
			}
			return int64(len(b) + len(resp.Header.Get("Cache-Control"))), b
		}
	}
	for name, ask := range over {
		sizes := map[int64][]string{}
		ask(padded(t, "warm.test.", dns.TypeA)) // opens the connection
		for range 2 {
			for _, q := range []struct {
				name string
				typ  uint16
			}{
				{"bad.test.", dns.TypeA}, {"god.test.", dns.TypeA}, {"bad.test.", dns.TypeAAAA}, {"www.bad.test.", dns.TypeHTTPS}, {"bad.test.", dns.TypeMX},
				{"cname-to--bad.test.", dns.TypeA}, {"cname-to--god.test.", dns.TypeA}, {"nothing.invalid.", dns.TypeA}, {"bogus--god.test.", dns.TypeA},
			} {
				size, b := ask(padded(t, q.name, q.typ))
				if q.name == "bad.test." && q.typ == dns.TypeA {
					var m dns.Msg
					if err := m.Unpack(b); err != nil || len(m.Answer) != 1 || !strings.HasSuffix(m.Answer[0].String(), "127.0.0.16") ||
						!strings.Contains(m.IsEdns0().String(), "EDE: 16 (Censored)") {
						t.Errorf("%s: a listed name gets %v, %v", name, &m, err)
					}
				}
				if len(b)%wire.PaddingBlock != 0 {
					t.Errorf("%s, %s: %d bytes", name, q.name, len(b))
				}
				sizes[size] = append(sizes[size], q.name)
			}
		}
		if len(sizes) != 1 {
			t.Errorf("%s: sizes differ: %v", name, sizes)
		}
	}
}

// TestWhoDoesNotPadIsNotPadded, and nobody over TCP is.
func TestWhoDoesNotPadIsNotPadded(t *testing.T) {
	r := startResolver(t, resolver.Own{})
	r.Swap(setOf(t, "bad.test"))
	s := startSecured(t, Config{Handler: r})
	plain := startWholeTCP(t, r)
	query := new(dns.Msg).SetQuestion("bad.test.", dns.TypeA).SetEdns0(1232, false)
	unpadded, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	dot := s.dialTLS(t)
	send(t, dot, string(unpadded))
	if got := receive(t, dot); len(got) >= wire.PaddingBlock {
		t.Errorf("DoT: %d bytes for a query without padding", len(got))
	}
	send(t, plain, string(padded(t, "bad.test.", dns.TypeA)))
	if got := receive(t, plain); len(got) >= wire.PaddingBlock {
		t.Errorf("TCP: %d bytes", len(got))
	}
}

func startWholeTCP(t *testing.T, r *resolver.Resolver) net.Conn {
	t.Helper()
	s, _ := start(t, Config{Handler: r})
	return dial(t, "tcp", s.TCPAddrs()[0])
}

// TestPipelinedQuestionsAreAnsweredTogether: what was known at once comes in one piece, what was not comes as it is ready, and a client that
// asks how long its connection lives is told, 0 when the server is about to go.
func TestPipelinedQuestionsAreAnsweredTogether(t *testing.T) {
	h := &fakeHandler{release: make(chan struct{})}
	s, stop := start(t, Config{Handler: h, PerConn: 4})
	c := dial(t, "tcp", s.TCPAddrs()[0])
	var all strings.Builder
	for i := range 40 {
		all.WriteString(framed(fmt.Sprintf("\x00%cf", i)))
		if i%10 == 9 {
			all.WriteString(framed(fmt.Sprintf("\x01%cs", i)))
		}
	}
	all.WriteString(framed("\x02\x02s")) // one more than PerConn: it waits, and what is behind it
	all.WriteString(framed("\x03\x03f"))
	if _, err := io.WriteString(c, all.String()); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		if got := receive(t, c); got != fmt.Sprintf("\x00%cF", i) {
			t.Fatalf("answer %d is %q", i, got)
		}
	}
	if n := h.slow.Load(); n != 4 {
		t.Errorf("%d questions of one connection wait for upstreams, want 4", n)
	}
	close(h.release)
	late := map[string]bool{}
	for range 6 {
		late[receive(t, c)] = true
	}
	for _, want := range []string{"\x01\x09S", "\x01\x13S", "\x01\x1dS", "\x01\x27S", "\x02\x02S", "\x03\x03F"} {
		if !late[want] {
			t.Errorf("no answer %q among %v", want, late)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestAClientThatDoesNotReadHoldsNobodyUp: who brings a late answer goes on at once.
func TestAClientThatDoesNotReadHoldsNobodyUp(t *testing.T) {
	h := &callbackHandler{}
	s, _ := start(t, Config{Handler: h, PerConn: 256})
	c := dial(t, "tcp", s.TCPAddrs()[0])
	_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
	for range 256 {
		send(t, c, question('s'))
	}
	for h.asked.Load() != 256 {
		<-time.After(time.Millisecond)
	}
	done := make(chan struct{})
	go func() { // 15 MB for one who reads nothing
		defer close(done)
		h.answerAll(make([]byte, 60000))
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("a callback waits for its client")
	}
}

// callbackHandler keeps every callback until answerAll.
type callbackHandler struct {
	fakeHandler
	asked   atomic.Int64
	mu      sync.Mutex // guards waiting
	waiting []func([]byte)
}

func (h *callbackHandler) Slow(_ context.Context, _ []byte, _ wire.Client, answer func([]byte)) {
	h.mu.Lock()
	h.waiting = append(h.waiting, answer)
	h.mu.Unlock()
	h.asked.Add(1)
}

func (h *callbackHandler) answerAll(resp []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, answer := range h.waiting {
		answer(resp)
	}
}
