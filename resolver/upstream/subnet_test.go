package upstream_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/upstream/upstreamtest"
	"github.com/cordon-project/cordon/resolver/wire"
)

// TestQuestionsForTwoSubnetsAreTwo: at the same time, over UDP and then TCP, each with its own subnet and the reply to it.
func TestQuestionsForTwoSubnetsAreTwo(t *testing.T) {
	const subnets = 4
	var asked sync.WaitGroup // over UDP: none is answered before all are there
	asked.Add(subnets)
	s := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		if !q.TCP {
			asked.Done()
			asked.Wait()
			return upstreamtest.Change(q, func(m *dns.Msg) { m.Truncated = true })
		}
		return upstreamtest.Change(q, func(m *dns.Msg) {
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = q.IsEdns0().Option
		})
	})
	p := pool(t, upstream.Config{}, s)
	var work sync.WaitGroup
	for i := range subnets {
		work.Go(func() {
			q := wire.Question{Name: name("a.test"), Type: dns.TypeA, Class: 1}
			q.Subnet, _ = wire.ParseSubnet([]byte{0, 1, 24, 0, 198, 51, byte(i)})
			reply, err := p.Exchange(t.Context(), q)
			var sum wire.Summary
			if err != nil || wire.Scan(reply, &sum) != nil {
				t.Errorf("subnet %d: %x, %v", i, reply, err)
				return
			}
			if got, ok := wire.ParseSubnet(sum.Subnet); !ok || got != q.Subnet {
				t.Errorf("subnet %d: the reply is for %x", i, sum.Subnet)
			}
		})
	}
	work.Wait()
	seen := map[string]int{}
	for _, q := range s.Seen() {
		for _, o := range q.IsEdns0().Option {
			if o.Option() == dns.EDNS0SUBNET {
				seen[fmt.Sprint(o, q.TCP)]++
			}
		}
	}
	if len(seen) != 2*subnets {
		t.Errorf("the server was asked for %v", seen)
	}
}
