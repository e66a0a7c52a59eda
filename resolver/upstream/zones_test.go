package upstream_test

import (
	"context"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/upstream/upstreamtest"
	"github.com/cordon-project/cordon/resolver/wire"
)

func TestTheLongestZoneDecidesWhoIsAsked(t *testing.T) {
	var servers [3]*upstreamtest.Server
	var at [3][]netip.AddrPort
	for i := range servers {
		servers[i] = upstreamtest.Start(t, upstreamtest.Plain)
		at[i] = []netip.AddrPort{servers[i].Addr()}
	}
	z, err := upstream.OpenZones(upstream.Config{Servers: at[0]}, []upstream.Zone{{"Corp.Example", at[1]}, {"lab.corp.example.", at[2]}})
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	want := [3]int{}
	for _, tt := range []struct {
		name string
		at   int
	}{
		{"www.test", 0}, {"example", 0}, {"notcorp.example", 0}, {"corp.example.test", 0},
		{"corp.example", 1}, {"a.b.corp.example", 1}, {"xlab.corp.example", 1},
		{"lab.corp.example", 2}, {"a.lab.corp.example", 2},
	} {
		if _, err := z.Exchange(context.Background(), wire.Question{Name: name(tt.name), Type: dns.TypeA, Class: 1}); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		want[tt.at]++
		for i, s := range servers {
			if got := len(s.Seen()); got != want[i] {
				t.Errorf("after %s server %d has been asked %d times, want %d", tt.name, i, got, want[i])
			}
		}
	}
	for _, wrong := range [][]upstream.Zone{{{".", at[1]}}, {{"a.test", nil}}, {{"a.test", at[1]}, {"A.test", at[2]}}, {{"a..test", at[1]}}} {
		if z, err := upstream.OpenZones(upstream.Config{Servers: at[0]}, wrong); err == nil {
			_ = z.Close()
			t.Errorf("%v is accepted", wrong)
		}
	}
}
