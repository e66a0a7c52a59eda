package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Traffic is what went through an edge since it started, in its own words: sums, for people. Nothing is decided by it, and nothing of a client
// or a question can be in it. How many names were stopped is not in it either, nor can it be computed from it: that is in the figures, with noise.
type Traffic struct {
	Transports []Transport `json:"transports"`           // those that it has
	Missed     uint64      `json:"missed"`               // questions that neither the lists nor the cache could answer
	Prefetched uint64      `json:"prefetched"`           // asked upstream before an answer's time was over
	Stale      uint64      `json:"stale"`                // answers whose time was over, for want of better ones
	ServFail   uint64      `json:"servfail"`             // answers that say it failed
	Busy       uint64      `json:"busy"`                 // of them: no room for one more question that waits
	Crowded    uint64      `json:"crowded"`              // of them: one client had too many waiting
	Upstreams  []Upstream  `json:"upstreams,omitempty"`  // none with upstream: recursive
	More       int         `json:"left_out,omitempty"`   // upstreams that did not fit in here
	Draining   bool        `json:"draining,omitempty"`   // it is being stopped
	At         time.Time   `json:"reported_at,omitzero"` // when it last said so
}

// Transport is the part of one transport. UDP has questions alone.
type Transport struct {
	Name        string `json:"name"` // udp, tcp, tls, https or quic
	Questions   uint64 `json:"questions"`
	Connections uint64 `json:"connections"` // that came
	Open        uint64 `json:"open"`        // now
	Crowded     uint64 `json:"crowded"`     // closed at once, because there were too many
	Strangers   uint64 `json:"strangers"`   // closed at once: of who is not served
	Unproxied   uint64 `json:"unproxied"`   // closed: past a balancer, or without a PROXY header that can be read
	Handshakes  uint64 `json:"handshakes_failed"`
	Yielded     uint64 `json:"gave_way"` // closed while they asked nothing, to make room for new ones
}

// Upstream is how one of an edge's upstreams is doing.
type Upstream struct {
	Server      netip.AddrPort `json:"server"`
	Zone        string         `json:"zone,omitempty"`         // that it is asked about; empty: all others
	Failing     time.Time      `json:"failing_since,omitzero"` // zero: it is well
	RTT         time.Duration  `json:"rtt_ns"`                 // smoothed; 0: not known
	Cookies     bool           `json:"cookies"`                // it gives them (RFC 7873)
	Asked       uint64         `json:"asked"`
	Answers     uint64         `json:"answers"`
	Refusals    uint64         `json:"refusals"`    // of the answers: neither NOERROR nor NXDOMAIN
	Failures    uint64         `json:"failures"`    // without a usable answer
	Timeouts    uint64         `json:"timeouts"`    // of them: nothing came in time
	Hedged      uint64         `json:"hedged"`      // slower than usual, so that another was asked as well
	TCP         uint64         `json:"tcp"`         // asked over TCP after all
	BadCookies  uint64         `json:"bad_cookies"` // answers with a wrong cookie
	Connections uint64         `json:"connections"` // opened, over TCP or TLS
	Resumed     uint64         `json:"resumed"`     // of them: TLS sessions that went on
	Unproven    uint64         `json:"unproven"`    // TLS handshakes in which it did not prove who it is
}

// Transports are the words of Transport.Name.
var Transports = []string{"udp", "tcp", "tls", "https", "quic"}

// trafficHeader carries a Traffic with an edge's requests for the manifest, as JSON.
const trafficHeader = "Cordon-Traffic"

// maxTraffic bounds the header: about a dozen upstreams, half of what a node reads of a request in all.
const maxTraffic = 8 << 10

// header leaves the last upstreams out that do not fit.
func (t Traffic) header() string {
	for {
		if text := asHeader(t); len(text) <= maxTraffic || len(t.Upstreams) == 0 {
			return text
		}
		t.Upstreams, t.More = t.Upstreams[:len(t.Upstreams)-1], t.More+1
	}
}

// known reports whether there is nothing in it but what this version knows.
func (t *Traffic) known() bool {
	for _, x := range t.Transports {
		if !slices.Contains(Transports, x.Name) {
			return false
		}
	}
	for _, u := range t.Upstreams {
		if !u.Server.IsValid() || u.Server.Addr().Zone() != "" || strings.ContainsFunc(u.Zone, notOfAName) {
			return false
		}
	}
	return len(t.Transports) > 0
}

// notOfAName tells what cannot be in a domain name of a configuration: it will be shown on a terminal.
func notOfAName(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_')
}

// traffics are what edges last said went through them.
type traffics struct{ told[Traffic] }

func (c *traffics) note(who caller, h http.Header, now time.Time) {
	c.hear(who, h.Get(trafficHeader), maxTraffic, func(t *Traffic) bool {
		t.At = now.UTC()
		return t.known()
	})
}

// Counting has the client tell each node that it asks for the manifest what went through the asking edge. Call it before the client is used.
func (c *Client) Counting(says func() Traffic) *Client {
	return c.tell(trafficHeader, func() string { return says().header() })
}
