package serve

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/guard"
	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

// stuckUpstream never answers for names below flood.test.
type stuckUpstream struct{ waiting atomic.Int64 }

func (u *stuckUpstream) Exchange(ctx context.Context, q wire.Question) ([]byte, error) {
	if bytes.Contains(q.Name, []byte("\x05flood")) {
		u.waiting.Add(1)
		<-ctx.Done()
		return nil, upstream.ErrNoAnswer
	}
	name, _, err := dns.UnpackDomainName(q.Name, 0)
	if err != nil {
		return nil, err
	}
	m := new(dns.Msg).SetQuestion(name, q.Type)
	m.Response = true
	m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, A: net.IPv4(192, 0, 2, 1)}}
	return m.Pack()
}

// TestBlockedAndCachedNamesAreAnsweredThroughAFloodOfRandomSubdomains: attack 20. The flood takes all the room there is for asking upstream;
// what needs no upstream goes on, and each question of the flood that was read is answered too.
func TestBlockedAndCachedNamesAreAnsweredThroughAFloodOfRandomSubdomains(t *testing.T) {
	up := new(stuckUpstream)
	gate, err := guard.New(guard.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := resolver.New(resolver.Config{Stop: resolver.Stop{LawIPv4: netip.MustParseAddr("127.0.0.16")}, Upstream: up, Guard: gate})
	if err != nil {
		t.Fatal(err)
	}
	r.Swap(setOf(t, "bad.test"))
	const slots = 50
	s, _ := start(t, Config{Handler: r, Slots: slots, DrainTimeout: time.Millisecond})

	client := dns.Client{Net: "tcp", Timeout: patience}
	conn, err := client.Dial(s.TCPAddrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask := func(name, want string) {
		t.Helper()
		m, _, err := client.ExchangeWithConn(new(dns.Msg).SetQuestion(name, dns.TypeA), conn)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != want {
			t.Fatalf("%s: got %v, want %s", name, m, want)
		}
	}
	ask("good.test.", "192.0.2.1")

	var over atomic.Bool
	var work sync.WaitGroup
	work.Go(func() {
		flood, err := net.Dial("udp", s.UDPAddrs()[0].String())
		if err != nil {
			t.Error(err)
			return
		}
		defer flood.Close()
		for i := 0; !over.Load(); i++ {
			q, _ := new(dns.Msg).SetQuestion(fmt.Sprintf("r%d.flood.test.", i), dns.TypeA).Pack()
			_, _ = flood.Write(q)
		}
	})
	defer work.Wait()
	defer over.Store(true)
	for s.Counts().Busy < 1000 || up.waiting.Load() < slots {
		ask("www.bad.test.", "127.0.0.16") // while it begins, too
	}
	for range 200 {
		ask("good.test.", "192.0.2.1")
		ask("www.bad.test.", "127.0.0.16")
	}
	if n := up.waiting.Load(); n > slots+1 { // the first question is over
		t.Errorf("%d questions of the flood waited for the upstream at once, want at most %d", n, slots)
	}
}
