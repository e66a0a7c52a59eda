package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/resolver/guard"
	"github.com/cordon-project/cordon/resolver/serve"
	"github.com/cordon-project/cordon/resolver/wire"
)

func TestAnEdgeOnAPublicAddressWithoutClientsSaysSo(t *testing.T) {
	for _, tt := range []struct {
		listen string
		allow  []netip.Prefix
		warns  bool
	}{
		{"127.0.0.1:53", nil, false}, {"100.64.0.53:53", nil, false}, {"[fd00::53]:53", nil, false}, {"0.0.0.0:53", nil, false},
		{"192.0.2.53:53", nil, true}, {"[2001:db8::53]:53", nil, true},
		{"192.0.2.53:53", []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, false},
	} {
		var log bytes.Buffer
		c := &config.Edge{DNSListen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53"), netip.MustParseAddrPort(tt.listen)}, Clients: config.DefaultClients()}
		c.Clients.Allow = tt.allow
		g, err := openGuard(t.Context(), c, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(log.String(), "clients.allow is empty"); got != tt.warns {
			t.Errorf("%s, allow %v: warns is %v, want %v", tt.listen, tt.allow, got, tt.warns)
		}
		if _, v := g.Admit(wire.Client{Addr: netip.MustParseAddr("192.0.2.1")}, 0); (v == guard.Pass) != (tt.allow != nil) {
			t.Errorf("%s, allow %v: a public client got %d", tt.listen, tt.allow, v)
		}
	}
}

// TestZeroInTheFileIsNoLimit: 0 in the file is no limit, where 0 in the guard's own Config is the default.
func TestZeroInTheFileIsNoLimit(t *testing.T) {
	c := config.DefaultClients()
	c.Questions, c.Answers, c.LargeAnswers, c.Errors, c.ListedADay = 0, 0, 0, 0, 0
	g, err := guard.New(guardConfig(&c))
	if err != nil {
		t.Fatal(err)
	}
	resp := make([]byte, 600)
	for i := range 100_000 {
		ticket, v := g.Admit(wire.Client{Addr: netip.MustParseAddr("10.0.0.1")}, time.Second)
		g.Met(ticket, uint64(i))
		if w := g.Answer(ticket, resp[:100+i%2*500]); v != guard.Pass || w != guard.Pass {
			t.Fatalf("question %d got %d and %d", i, v, w)
		}
	}
}

// parrot is a handler that sends back what it was sent.
type parrot struct{}

func (parrot) Fast(dst, query []byte, _ wire.Client) ([]byte, bool) {
	return append(dst, query...), true
}
func (parrot) Slow(_ context.Context, q []byte, _ wire.Client, answer func([]byte)) { answer(q) }
func (parrot) Busy(dst, query []byte, _ wire.Client) []byte                         { return append(dst, query...) }

// TestConnectionsOfAClientAreBoundedWithoutEncryption: an edge with plain DNS alone has the key too.
func TestConnectionsOfAClientAreBoundedWithoutEncryption(t *testing.T) {
	c := &config.Edge{DNSListen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Clients: config.DefaultClients()}
	c.Clients.Connections = 2
	s, err := serve.Open(serveConfig(c, parrot{}, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	message := append([]byte{0, 12}, "twelve bytes"...)
	ask := func(conn net.Conn) error {
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		_, _ = conn.Write(message)
		got := make([]byte, len(message))
		_, err := io.ReadFull(conn, got)
		if err == nil && !bytes.Equal(got, message) {
			err = fmt.Errorf("got %q", got)
		}
		return err
	}
	var conns []net.Conn
	for i := range 3 {
		conn, err := net.Dial("tcp", s.TCPAddrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := ask(conn); err != nil {
			t.Errorf("connection %d: %v", i+1, err)
		}
		conns = append(conns, conn)
	}
	// The third took the place of the first, which had rested longest.
	if n, err := conns[0].Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("connection 1 goes on beside two of its client: %d bytes, %v", n, err)
	}
	if err := ask(conns[1]); err != nil {
		t.Errorf("connection 2, later: %v", err)
	}
}
