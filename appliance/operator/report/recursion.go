package report

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/operator"
)

// whyNoRecursion says what the words of api.Recursion mean that are a problem, and what to do.
var whyNoRecursion = map[string]string{
	"missing": "unbound is not installed there: install Debian's package unbound, or name resolvers under upstreams instead",
	"anchor":  "it has no DNSSEC trust anchor: install Debian's package dns-root-data, or name a file as recursion.trust_anchor",
	"refused": "its unbound does not start; the edge's log says why",
	"silent":  "its unbound does not answer and is being started again; the edge's log says more",
	"blind":   "its unbound gets no answers from other servers: open the way to the Internet for UDP and TCP port 53, and look at that machine's clock and trust anchor",
	"ended":   "its unbound ended by itself and is being started again; the edge's log says more",
}

// recursions are what edges last said of their resolvers, to any control node.
func recursions(nodes []operator.NodeStatus) map[string]*api.Recursion {
	return lastSaid(nodes, func(e api.EdgeStatus) *api.Recursion { return e.Recursion }, func(says *api.Recursion) time.Time { return says.At })
}

// writeRecursion prints a line about an edge's Unbound, if it has one.
func writeRecursion(w io.Writer, r *api.Recursion) {
	if r == nil {
		return
	}
	fmt.Fprintf(w, "    its unbound: %s since %s, started %s; %d questions, %d of them from its cache, %d to other servers; %d failed, %d of them bogus; %d signed and valid\n",
		r.State, clock(r.Since), times(r.Starts), r.Queries, r.Hits, r.Asked, r.ServFail, r.Bogus, r.Secure)
}

func times(n uint64) string {
	return cmp.Or(map[uint64]string{0: "never", 1: "once", 2: "twice"}[n], fmt.Sprintf("%d times", n))
}
