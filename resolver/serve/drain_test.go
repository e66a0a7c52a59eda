package serve

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/wire"
)

// heldResolver keeps back what needs an upstream.
type heldResolver struct {
	*resolver.Resolver
	release chan struct{}
	waiting atomic.Int64
}

func (h *heldResolver) Slow(ctx context.Context, query []byte, from wire.Client, answer func([]byte)) {
	h.waiting.Add(1)
	go func() {
		<-h.release
		h.Resolver.Slow(ctx, query, from, answer)
	}()
}

// TestOtherPeoplesClientsAreAnsweredWhileTheServerEnds: each has a question under way when the server is told to end, is answered, and finds nothing
// wrong with the end of its connection.
func TestOtherPeoplesClientsAreAnsweredWhileTheServerEnds(t *testing.T) {
	dig, kdig, curl, gtlsclient := program(t, "dig", "bind9-dnsutils"), program(t, "kdig", "knot-dnsutils"), program(t, "curl", "curl"), program(t, "gtlsclient", "ngtcp2-client")
	h := &heldResolver{Resolver: startResolver(t, resolver.Own{}), release: make(chan struct{})}
	h.Swap(setOf(t, "bad.test"))
	s := startSecured(t, Config{Handler: h, TCPAddrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, DrainTimeout: time.Minute})
	dir := t.TempDir()
	ca := s.writeCA(t, dir)
	at := func(a []netip.AddrPort) string { return fmt.Sprintf("@127.0.0.1 -p %d ", a[0].Port()) }
	known := " +tls-ca=" + ca + " +tls-hostname=" + resolverName
	port := fmt.Sprint(s.HTTPSAddrs()[0].Port())
	url := func(name string) string {
		query, err := new(dns.Msg).SetQuestion(name, dns.TypeA).Pack()
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("https://%s:%s/dns-query?dns=%s", resolverName, port, base64.RawURLEncoding.EncodeToString(query))
	}
	type client struct{ name, program, args, file string } // file: where the answer is, when it is not printed
	h3 := url("h3.good.test.")
	clients := []client{
		{"UDP", dig, at(s.UDPAddrs()) + "+timeout=60 udp.good.test", ""},
		{"TCP", dig, at(s.TCPAddrs()) + "+tcp +keepopen +timeout=60 bad.test tcp.good.test", ""},
		{"TCP of Knot", kdig, at(s.TCPAddrs()) + "+tcp +keepopen +timeout=60 bad.test A tcp2.good.test A", ""},
		{"TLS", kdig, at(s.TLSAddrs()) + "+tls +keepopen +timeout=60" + known + " bad.test A tls.good.test A", ""},
		{"TLS of BIND", dig, at(s.TLSAddrs()) + "+tls +keepopen +timeout=60" + known + " tls2.good.test", ""},
		{"HTTP/2", kdig, at(s.HTTPSAddrs()) + "+https +timeout=60" + known + " https.good.test", ""},
		{"HTTP/2 of BIND", dig, at(s.HTTPSAddrs()) + "+https +timeout=60" + known + " https2.good.test", ""},
		{"HTTP/2 of curl", curl, "-sS --http2 --cacert " + ca + " --resolve " + resolverName + ":" + port + ":127.0.0.1 -o " + dir + "/h2 " + url("h2.good.test."), dir + "/h2"},
		{"HTTP/3", gtlsclient, "--exit-on-all-streams-close --no-quic-dump --no-http-dump -q --sni " + resolverName + " --download " + dir + " 127.0.0.1 " + port + " " + h3,
			filepath.Join(dir, h3[strings.Index(h3, "dns-query"):])},
	}
	printed := make([]chan string, len(clients))
	for i, c := range clients {
		printed[i] = make(chan string, 1)
		go func() { printed[i] <- run(t, c.program, strings.Fields(c.args)...) }()
	}
	quic, answered := s.dialQUIC(t), make(chan string, 1)
	go func() {
		query := padded(t, "quic.good.test.", dns.TypeA)
		got, err := doq(quic, framed(string(query)))
		answered <- fmt.Sprint(len(got), err)
	}()
	end := time.After(2 * patience)
	for want := int64(len(clients) + 1); h.waiting.Load() < want; {
		select {
		case <-time.After(time.Millisecond):
		case <-end:
			t.Fatalf("%d questions are under way, want %d", h.waiting.Load(), want)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- s.stop() }()
	for !s.draining.Load() {
		<-time.After(time.Millisecond)
	}
	close(h.release)
	for i, c := range clients {
		out := <-printed[i]
		if c.file != "" {
			b, err := os.ReadFile(c.file)
			var m dns.Msg
			if err == nil {
				err = m.Unpack(b)
			}
			out += fmt.Sprint(&m, err)
		}
		if !strings.Contains(out, "192.0.2.") {
			t.Errorf("%s has no answer: %s", c.name, out)
		}
		for _, wrong := range []string{";; WARNING", ";; ERROR", "communications error", "connection refused", "retry"} {
			if strings.Contains(out, wrong) {
				t.Errorf("%s: %s in %s", c.name, wrong, out)
			}
		}
	}
	if got := <-answered; got != fmt.Sprint(468+lengthSize, nil) {
		t.Errorf("QUIC: %s bytes", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if sum := s.Counts().Sum(); sum.Open != 0 || h.waiting.Load() != int64(len(clients)+1) {
		t.Errorf("%d connections are open, %d questions waited", sum.Open, h.waiting.Load())
	}
}
