package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/transport"
)

func TestWhatAnEdgeSaysOfItsTrafficIsBounded(t *testing.T) {
	now := time.Unix(1790000000, 0).UTC()
	const most = 1<<64 - 1
	full := Traffic{Missed: most, Prefetched: most, Stale: most, ServFail: most, Busy: most, Crowded: most, Draining: true}
	for _, name := range Transports {
		full.Transports = append(full.Transports, Transport{name, most, most, most, most, most, most, most, most})
	}
	upstream := Upstream{
		Server: netip.MustParseAddrPort("[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535"), Failing: now, RTT: 1<<63 - 1, Cookies: true, Asked: most, Answers: most, Refusals: most,
		Failures: most, Timeouts: most, Hedged: most, TCP: most, BadCookies: most, Connections: most, Resumed: most, Unproven: most,
	}
	for i := range 200 {
		one := upstream
		one.Zone = fmt.Sprintf("zone-%d.%s.example", i, strings.Repeat("a", 63))
		full.Upstreams = append(full.Upstreams, one)
	}
	var c traffics
	note := func(role transport.Role, header string) *Traffic {
		c.note(caller{role, "e1"}, http.Header{trafficHeader: {header}}, now)
		return c.get("e1")
	}
	got := note(transport.RoleEdge, full.header())
	if got == nil {
		t.Fatalf("a header of %d bytes is not taken", len(full.header()))
	}
	n := len(got.Upstreams)
	if n < 8 || n+got.More != 200 || got.At != now {
		t.Errorf("%d upstreams came, %d were left out", n, got.More)
	}
	want := full
	want.Upstreams, want.More, want.At = full.Upstreams[:n], got.More, now
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
	if got := note(transport.RoleOperator, `{}`); got == nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("somebody else speaks for the edge: %+v", got)
	}
	good := Traffic{Transports: []Transport{{Name: "udp"}}, Upstreams: []Upstream{{Server: upstream.Server, Zone: "corp.example"}}}
	for _, header := range []string{
		"", "1", "{}", good.header() + "{}", `{"transports":[{"name":"udp","questions":-1}]}`, `{"x":"` + strings.Repeat("x", maxTraffic) + `"}`,
		strings.Replace(good.header(), "udp", "carrier pigeon", 1), strings.Replace(good.header(), "corp.example", `\u001b[2J`, 1), strings.Replace(good.header(), ":65535", "", 1),
	} {
		if note(transport.RoleEdge, good.header()) == nil {
			t.Fatal("what is good is not taken")
		}
		if got := note(transport.RoleEdge, header); got != nil {
			t.Errorf("%.60q is taken for %+v", header, got)
		}
	}
}
