package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/operator"
)

// traffics are what edges last said went through them, to any control node.
func traffics(nodes []operator.NodeStatus) map[string]*api.Traffic {
	return lastSaid(nodes, func(e api.EdgeStatus) *api.Traffic { return e.Traffic }, func(says *api.Traffic) time.Time { return says.At })
}

// writeTraffic prints what went through an edge, if it said anything: a line, and one for each upstream.
func writeTraffic(w io.Writer, t *api.Traffic) {
	if t == nil {
		return
	}
	var parts []string
	var sum api.Transport
	for _, x := range t.Transports {
		text := fmt.Sprintf("%s %d questions", strings.ToUpper(x.Name), x.Questions)
		if x.Name != "udp" {
			text += fmt.Sprintf(" (connections: %d open of %d)", x.Open, x.Connections)
		}
		parts = append(parts, text)
		sum.Crowded += x.Crowded
		sum.Strangers += x.Strangers
		sum.Unproxied += x.Unproxied
		sum.Handshakes += x.Handshakes
		sum.Yielded += x.Yielded
	}
	fmt.Fprintf(w, "    %s; connections closed at once: too many %d, of strangers %d, past a balancer or without its header %d; gave way to new ones %d; handshakes failed %d\n",
		strings.Join(parts, ", "), sum.Crowded, sum.Strangers, sum.Unproxied, sum.Yielded, sum.Handshakes)
	fmt.Fprintf(w, "    %d questions needed an upstream, and %d were asked ahead of time; %d answers were stale; %d failed, of them %d for want of room, %d of clients with too many waiting\n",
		t.Missed, t.Prefetched, t.Stale, t.ServFail, t.Busy, t.Crowded)
	for _, u := range t.Upstreams {
		state, zone := "well", ""
		if !u.Failing.IsZero() {
			state = "failing since " + clock(u.Failing)
		}
		if u.RTT > 0 {
			state += ", " + u.RTT.Round(10*time.Microsecond).String()
		}
		if u.Zone != "" {
			zone = " (" + u.Zone + ")"
		}
		fmt.Fprintf(w, "    upstream %s%s: %s; asked %d, answered %d (%d of them failures), no usable answer %d (%d not in time); slower than usual %d; over TCP %d; wrong cookies %d; %s\n",
			u.Server, zone, state, u.Asked, u.Answers, u.Refusals, u.Failures, u.Timeouts, u.Hedged, u.TCP, u.BadCookies, connectionsOf(&u))
	}
	if t.More > 0 {
		fmt.Fprintf(w, "    and %d upstreams more, which its metrics show\n", t.More)
	}
}

func connectionsOf(u *api.Upstream) string {
	out := fmt.Sprintf("%d connections", u.Connections)
	if u.Resumed > 0 {
		out += fmt.Sprintf(" (%d went on with a session)", u.Resumed)
	}
	if u.Unproven > 0 {
		out += fmt.Sprintf(", %d handshakes failed", u.Unproven)
	}
	return out
}

// upstreamTrouble names zones of an edge for which no upstream answers, each with since when; the empty one is all other names.
func upstreamTrouble(t *api.Traffic) (out []string) {
	if t == nil || t.More > 0 {
		return nil // some are not known
	}
	since, well := map[string]time.Time{}, map[string]bool{}
	for _, u := range t.Upstreams {
		if u.Failing.IsZero() {
			well[u.Zone] = true
		} else if u.Failing.After(since[u.Zone]) {
			since[u.Zone] = u.Failing
		}
	}
	zones := make([]string, 0, len(since))
	for z := range since {
		if !well[z] {
			zones = append(zones, z)
		}
	}
	slices.SortFunc(zones, cmp.Compare[string])
	for _, z := range zones {
		what := "names that are not listed"
		if z != "" {
			what = "names below " + z
		}
		out = append(out, fmt.Sprintf("finds no answers for %s, since %s: none of its upstreams answers", what, clock(since[z])))
	}
	return out
}
