package resolver

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/cache"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/dns64"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

// reused is an upstream that answers from a goroutine of its own, in memory that it uses again, as upstream.Pool does. The address says for which
// subnet it was asked; names below alias.example lead to the list.
type reused struct {
	fakeUpstream
	asked chan inFlight
	open  sync.WaitGroup // questions that have no answer yet
}

type inFlight struct {
	q wire.Question
	w upstream.Waiter
}

func (u *reused) Ask(_ context.Context, q wire.Question, done func([]byte, error)) {
	q.Name = append([]byte(nil), q.Name...)
	u.open.Add(1)
	u.asked <- inFlight{q, toldOnly(done)}
}
func (u *reused) Queue(_ context.Context, q wire.Question, w upstream.Waiter) {
	q.Name = append([]byte(nil), q.Name...)
	u.open.Add(1)
	u.asked <- inFlight{q, w}
}
func (u *reused) Flush() {}

type toldOnly func([]byte, error)

func (f toldOnly) Told(reply []byte, _ *wire.Summary, err error) { f(reply, err) }
func (toldOnly) Flush()                                          {}

// run answers what has come, all that wait together, until asked is closed.
func (u *reused) run() {
	const most = 16
	var memory [most][512]byte
	var sums [most]wire.Summary
	for one := range u.asked {
		all := []inFlight{one}
	waiting:
		for len(all) < most {
			select { // another run may take what waits: nothing of all may wait for it
			case next, ok := <-u.asked:
				if !ok {
					break waiting
				}
				all = append(all, next)
			default:
				break waiting
			}
		}
		for i, x := range all {
			name, _, _ := dns.UnpackDomainName(x.q.Name, 0)
			last := 1
			if x.q.Subnet.Is() {
				sent := x.q.AppendSubnet(x.q.AppendQuery(nil, 0, 1232), 0)
				last = int(sent[len(sent)-1])
			}
			records := []string{fmt.Sprintf("%s 20 IN A 192.0.2.%d", name, last)}
			if dns.IsSubDomain("alias.example.", name) {
				records = []string{name + " 20 IN CNAME www.always.test.", fmt.Sprintf("www.always.test. 20 IN A 192.0.2.%d", last)}
			}
			if x.q.Type == dns.TypeAAAA {
				records[len(records)-1] = "authority test. 20 IN SOA ns.test. mail.test. 1 2 3 4 20"
			}
			b, err := reply(x.q, nil, records...)
			if err != nil {
				panic(err)
			}
			n := copy(memory[i][:], b)
			if err := wire.Scan(memory[i][:n], &sums[i]); err != nil {
				panic(err)
			}
			x.w.Told(memory[i][:n], &sums[i], nil)
		}
		for _, x := range all {
			x.w.Flush()
			u.open.Done()
		}
		clear(memory[:])
	}
}

// client waits for the answer to one question, whose memory is used again as soon as there is one.
type client struct {
	query   []byte
	got     []byte
	answers atomic.Int32
	flushed chan struct{}
}

func (c *client) Answer(resp []byte) {
	c.answers.Add(1)
	c.got = append([]byte(nil), resp...)
}

func (c *client) Flush() {
	clear(c.query)
	close(c.flushed)
}

// TestEachClientGetsWhatIsItsOwn: subscribers, analysts who are exempt, a resolver that sends subnets and clients behind a NAT64 ask the same names at
// once, in batches, while sets and exemptions come and go, answers grow stale, and memory of questions and replies is used again.
func TestEachClientGetsWhatIsItsOwn(t *testing.T) {
	const subscriber, analyst, forwarder, mobile = "10.0.0.9", "10.0.1.9", "10.0.2.9", "10.0.4.9"
	u, clock := &reused{asked: make(chan inFlight, 1024)}, newClock()
	translator, err := dns64.New(u, dns64.WellKnown)
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(Config{
		Stop: testStop, Upstream: translator, NAT64: []netip.Prefix{netip.MustParsePrefix(mobile + "/32")}, Cache: cache.New(cache.Config{Bytes: 1 << 20, MaxStale: 3600}), Clock: clock.now, Prefetch: true,
		Patience: time.Microsecond, Subnets: []netip.Prefix{netip.MustParsePrefix(forwarder + "/32")},
	})
	if err != nil {
		t.Fatal(err)
	}
	sets := []*match.Set{
		makeSet(t, law(canon.KindDomain, "always.test")),
		makeSet(t, voluntary(canon.KindHost, "turns.test"), law(canon.KindDomain, "always.test")),
	}
	exemptions := []*Exemption{
		{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24")}, Until: 1<<32 - 1},
		{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.3.0/24"), netip.MustParsePrefix(analyst + "/32")}, Until: 1<<32 - 1},
	}
	r.Swap(sets[0])
	r.Exempt(exemptions[0])
	var answering, swapping, asking sync.WaitGroup
	for range 2 {
		answering.Go(u.run)
	}
	ctx, end := context.WithCancel(context.Background())
	swapping.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			r.Swap(sets[i%2])
			r.Exempt(exemptions[i/2%2])
			clock.step(700 * time.Millisecond)
			<-time.After(50 * time.Microsecond) // no more swaps than questions
		}
	})
	var wrong atomic.Int32
	for k := range 3 {
		asking.Go(func() {
			w := r.Worker()
			for round := 0; round < 400 && wrong.Load() < 5; round++ {
				var batch []wire.Ask
				var clients []*client
				var want []string
				for i := range 8 {
					name := []string{"www.always.test", fmt.Sprintf("a%d.alias.example", round%7), fmt.Sprintf("n%d.test", round%11), fmt.Sprintf("new%d-%d-%d.test", k, round, i)}[(i+round)%4]
					who := []string{subscriber, analyst, forwarder, mobile}[(i+k)%4]
					change, typ, address, stop := edns, dns.TypeA, "192.0.2.1", testStop.LawIPv4
					if who == forwarder {
						third := 10 + (i+round)%20
						change, address = with(fmt.Sprintf("198.51.%d.0/24", third)), fmt.Sprintf("192.0.2.%d", third)
					}
					if who == mobile {
						typ, address, stop = dns.TypeAAAA, "64:ff9b::c000:201", testStop.LawIPv6
					}
					if who != analyst && (name == "www.always.test" || dns.IsSubDomain("alias.example", name)) {
						address = stop.String()
					}
					c := &client{query: question(t, name, typ, change), flushed: make(chan struct{})}
					binary.BigEndian.PutUint16(c.query, uint16(1000*k+round))
					clients, want = append(clients, c), append(want, who+" "+name+" "+address)
					batch = append(batch, wire.Ask{Query: c.query, From: wire.Client{Addr: netip.MustParseAddr(who)}, Later: c})
				}
				w.Answer(batch)
				w.Slow(context.Background(), batch)
				for i, c := range clients {
					if batch[i].Done {
						c.got = batch[i].Resp
						c.answers.Add(1)
					} else {
						<-c.flushed
					}
					var m dns.Msg
					err := m.Unpack(c.got)
					got := fmt.Sprint(err, &m)
					if n := len(m.Answer); err == nil && n > 0 && m.Id == uint16(1000*k+round) {
						got = fmt.Sprintf("%v %s %s", batch[i].From.Addr, strings.TrimSuffix(m.Question[0].Name, "."), dns.Field(m.Answer[n-1], 1))
					}
					if n := c.answers.Load(); got != want[i] || n != 1 {
						wrong.Add(1)
						t.Errorf("got %s, %d times; want %s", got, n, want[i])
					}
				}
			}
		})
	}
	asking.Wait()
	end()
	swapping.Wait()
	u.open.Wait() // those that a stale answer was quicker than
	close(u.asked)
	answering.Wait()
	if c := r.Counts(); c.Stale == 0 || c.Prefetch == 0 || c.Listed() == 0 || c.Misses == 0 {
		t.Errorf("counts are %+v: not everything happened", c)
	}
}
