package report

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
)

func TestStatusShowsTheTrafficAndTheUpstreamsOfEdges(t *testing.T) {
	now := time.Unix(1790000000, 0).UTC()
	report := func(traffic ...*api.Traffic) string {
		var edges []api.EdgeStatus
		for _, x := range traffic {
			edges = append(edges, api.EdgeStatus{Name: "e1", Since: now, Current: true, Counter: 1, Traffic: x})
		}
		return statusOf(now, edges...)
	}
	says := func(upstreams ...api.Upstream) *api.Traffic {
		return &api.Traffic{
			Transports: []api.Transport{{Name: "udp", Questions: 100}, {Name: "tls", Questions: 7, Connections: 5, Open: 1, Crowded: 2, Strangers: 3, Unproxied: 4, Handshakes: 6, Yielded: 8}},
			Missed:     50, Prefetched: 1, Stale: 2, ServFail: 9, Busy: 3, Crowded: 4, Upstreams: upstreams, At: now,
		}
	}
	first := api.Upstream{
		Server: netip.MustParseAddrPort("192.0.2.1:853"), RTT: 12_345_678, Asked: 50, Answers: 45, Refusals: 5, Failures: 4, Timeouts: 3, Hedged: 2, TCP: 1, BadCookies: 6, Connections: 8,
		Resumed: 7, Unproven: 9,
	}
	second := api.Upstream{Server: netip.MustParseAddrPort("[2001:db8::1]:53"), Failing: now.Add(-time.Minute)}
	corp := api.Upstream{Server: netip.MustParseAddrPort("192.0.2.5:53"), Zone: "corp.example"}

	old := says()
	old.At, old.Missed = now.Add(-time.Hour), 1
	text := report(old, says(first, second, corp), nil)
	for _, want := range []string{
		"All is well.",
		"    UDP 100 questions, TLS 7 questions (connections: 1 open of 5); connections closed at once: too many 2, of strangers 3, past a balancer or without its header 4; gave way to new ones 8; handshakes failed 6\n",
		"    50 questions needed an upstream, and 1 were asked ahead of time; 2 answers were stale; 9 failed, of them 3 for want of room, 4 of clients with too many waiting\n",
		"    upstream 192.0.2.1:853: well, 12.35ms; asked 50, answered 45 (5 of them failures), no usable answer 4 (3 not in time); slower than usual 2; over TCP 1; wrong cookies 6; 8 connections (7 went on with a session), 9 handshakes failed\n",
		"    upstream [2001:db8::1]:53: failing since 2026-09-21 14:12:20Z; asked 0,",
		"    upstream 192.0.2.5:53 (corp.example): well; asked 0,",
	} {
		if strings.Count(text, want) != 1 {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}

	// A person is told when nobody answers, of each zone by itself.
	first.Failing = now.Add(-time.Hour)
	if text := report(says(first, second, corp)); !strings.Contains(text, "  - edge e1 finds no answers for names that are not listed, since 2026-09-21 14:12:20Z: none of its upstreams answers\n") || strings.Contains(text, "names below") {
		t.Errorf("no upstream answers:\n%s", text)
	}
	first.Failing, corp.Failing = time.Time{}, now
	if text := report(says(first, second, corp)); !strings.Contains(text, "  - edge e1 finds no answers for names below corp.example, since 2026-09-21 14:13:20Z: none of its upstreams answers\n") || strings.Contains(text, "not listed") {
		t.Errorf("no server of the zone answers:\n%s", text)
	}
	cut := says(second)
	cut.More = 3
	if text := report(cut); !strings.HasPrefix(text, "All is well.") || !strings.Contains(text, "and 3 upstreams more") {
		t.Errorf("not all upstreams are known:\n%s", text)
	}
}
