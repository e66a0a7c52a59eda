package upstream_test

import (
	"cmp"
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
	z, err := upstream.OpenZones(upstream.Config{Servers: at[0], Attempt: patience, Total: patience}, []upstream.Zone{{"Corp.Example", at[1]}, {"lab.corp.example.", at[2]}})
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	want := [3]int{}
	for _, tt := range []struct {
		name string
		at   int
		typ  uint16 // 0: A
	}{
		{name: "www.test"}, {name: "example"}, {name: "notcorp.example"}, {name: "corp.example.test"},
		{name: "corp.example", at: 1}, {name: "a.b.corp.example", at: 1}, {name: "xlab.corp.example", at: 1},
		{name: "lab.corp.example", at: 2}, {name: "a.lab.corp.example", at: 2},
		{name: "corp.example", at: 0, typ: dns.TypeDS}, {name: "lab.corp.example", at: 1, typ: dns.TypeDS}, // the parent's records
		{name: "a.corp.example", at: 1, typ: dns.TypeDS}, {name: "a.lab.corp.example", at: 2, typ: dns.TypeDS}, {name: "corp.example", at: 1, typ: dns.TypeDNSKEY},
	} {
		if _, err := z.Exchange(context.Background(), wire.Question{Name: name(tt.name), Type: cmp.Or(tt.typ, dns.TypeA), Class: 1}); err != nil {
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
