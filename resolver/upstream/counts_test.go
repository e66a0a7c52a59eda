package upstream_test

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/upstream/upstreamtest"
)

// TestEachServerIsCounted: what an operator reads of a server is what that server did.
func TestEachServerIsCounted(t *testing.T) {
	mute := new(silence)
	silent := upstreamtest.Start(t, mute.handle)
	failing := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		return upstreamtest.Change(q, func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure })
	})
	cut := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		return upstreamtest.Change(q, func(m *dns.Msg) { m.Truncated = !q.TCP })
	})
	now := time.Unix(1790000000, 0)
	p := pool(t, upstream.Config{Clock: func() time.Time { return now }}, silent, failing, cut)
	mute.pool.Store(p)
	for i := range 5 {
		if m, err := exchange(p, fmt.Sprintf("n%d.test", i), dns.TypeA); err != nil || m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
			t.Fatalf("got %v, %v", m, err)
		}
	}
	c := p.Counts()
	for i := range c.Servers {
		if i > 0 && c.Servers[i].RTT <= 0 {
			t.Errorf("server %d: its speed is not known", i+1)
		}
		c.Servers[i].RTT = 0
	}
	want := []upstream.ServerCounts{
		{Server: silent.Addr(), Asked: 3, Failures: 3, Timeouts: 3, Failing: now}, // three times, and then it is tried last
		{Server: failing.Addr(), Asked: 5, Answers: 5, Refusals: 5},
		{Server: cut.Addr(), Asked: 5, Answers: 5, TCP: 5, Connections: c.Servers[2].Connections},
	}
	for i := range want {
		if c.Servers[i] != want[i] {
			t.Errorf("server %d: got  %+v\nwant %+v", i+1, c.Servers[i], want[i])
		}
	}
	if n := c.Servers[2].Connections; n < 1 || n > 5 {
		t.Errorf("%d connections for five questions over TCP", n)
	}
	if c.Questions != 5 || c.Attempts != 13 || c.Failures != 3 || c.TCP != 5 {
		t.Errorf("in all: %+v", c)
	}
}

func TestHandshakesAreCounted(t *testing.T) {
	at, _, leaf := secureServer(t, "dns.example")
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	for _, tt := range []struct {
		name string
		want upstream.ServerCounts
	}{
		{"dns.example", upstream.ServerCounts{Server: at, Asked: 2, Answers: 2, Connections: 1}},
		{"other.example", upstream.ServerCounts{Server: at, Asked: 4, Failures: 4, Unproven: 4, Trouble: "tls: failed to verify certificate: x509: certificate is valid for dns.example, not other.example"}},
	} {
		p := pool(t, upstream.Config{Servers: []netip.AddrPort{at}, TLS: &upstream.Identity{Name: tt.name, Roots: roots}})
		for i := range 2 {
			if _, err := exchange(p, fmt.Sprintf("n%d.test", i), dns.TypeA); (err == nil) != (tt.want.Answers > 0) {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		got := p.Counts().Servers[0]
		got.RTT, got.Failing = 0, time.Time{}
		if got != tt.want {
			t.Errorf("%s: got  %+v\nwant %+v", tt.name, got, tt.want)
		}
	}
}

func TestQuestionsOverTLSArePadded(t *testing.T) {
	sizes := make(chan int, 64)
	at, _, leaf := secureServer(t, "dns.example", func(q *dns.Msg) {
		q.Compress = false
		b, _ := q.Pack()
		sizes <- len(b)
	})
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	p := pool(t, upstream.Config{Servers: []netip.AddrPort{at}, TLS: &upstream.Identity{Name: "dns.example", Roots: roots}})
	for _, n := range []string{"a.test", "a-name-of-another-length.test", "and-one-that-is-so-long-that-it-does-not-fit-into-a-hundred-and.twenty-eight-bytes-with-what-is-around-it.and-so-is-in-two-of-them.test"} {
		if _, err := exchange(p, n, dns.TypeA); err != nil {
			t.Fatal(err)
		}
		want := 128
		if len(n) > 100 {
			want = 256
		}
		if got := <-sizes; got != want {
			t.Errorf("%s: the query has %d bytes, want %d", n, got, want)
		}
	}
}
