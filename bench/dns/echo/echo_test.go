package echo

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The bench's servers are asked for a listed name and for another before they are measured, and so is the echo.
func TestEveryQuestionGetsOneOfTwoAddresses(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{Conn: conn, Stop: netip.MustParseAddr("192.0.2.1"), Others: netip.MustParseAddr("198.51.100.7"), Batch: 4})
	}()
	for name, want := range map[string]string{"h1.test.": "192.0.2.1", "www.hot.test.": "198.51.100.7"} {
		got, _, err := (&dns.Client{Timeout: time.Minute}).Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), conn.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Answer) != 1 || got.Answer[0].(*dns.A).A.String() != want {
			t.Errorf("%s: got %v, want %s", name, got, want)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
