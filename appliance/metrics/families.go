package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/guard"
	"github.com/cordon-project/cordon/resolver/serve"
	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/upstream/unbound"
	"github.com/cordon-project/cordon/resolver/wire"
)

// Snapshot is what an edge counts, read at one time.
type Snapshot struct {
	Ready      bool      // a verified list is in force
	Fresh      time.Time // of the newest checkpoint of its cluster that it has accepted; zero: none yet
	Answers    resolver.Counts
	CacheBytes int64
	CacheLen   int
	Guard      guard.Counts
	Serve      serve.Counts
	Transports []wire.Transport      // that the edge has
	Upstreams  []upstream.ZoneCounts // the zone "." is all that no other zone has
	Unbound    *unbound.State        // nil unless upstream: recursive
	Ends       time.Time             // of the certificate of encrypted transports; zero: there is none
}

// family is one metric. write gives its values, with those of its labels.
type family struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
	write      func(s *Snapshot, put func(v float64, labels ...string))
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

var families = []family{
	{"cordon_ready", "1 when a verified list is in force; 0 when everything gets SERVFAIL because there is none yet.", gauge, nil, one(func(s *Snapshot) float64 { return truth(s.Ready) })},
	{"cordon_checkpoint_timestamp_seconds", "Time of the newest checkpoint of its cluster that the edge has accepted; left out before the first.", gauge, nil, moment(func(s *Snapshot) time.Time { return s.Fresh })},

	{"cordon_dns_questions_total", "Questions read.", counter, []string{"transport"}, each(func(t serve.Traffic) uint64 { return t.Questions })},
	{"cordon_dns_connections_total", "Connections that came, those closed at once too.", counter, []string{"transport"}, conns(func(t serve.Traffic) uint64 { return t.Conns })},
	{"cordon_dns_connections_open", "Connections open now.", gauge, []string{"transport"}, conns(func(t serve.Traffic) uint64 { return t.Open })},
	{"cordon_dns_connections_refused_total", "Connections closed at once: crowded (too many, or too many of one household), stranger (not served), unproxied (past a balancer, or without a PROXY header that can be read).", counter, []string{"transport", "reason"}, refused},
	{"cordon_dns_connections_yielded_total", "Connections that asked nothing, or had not ended their handshake, and were closed to make room for new ones.", counter, []string{"transport"}, conns(func(t serve.Traffic) uint64 { return t.Yielded })},
	{"cordon_dns_handshakes_failed_total", "Handshakes of TLS and QUIC that failed or took too long.", counter, []string{"transport"}, handshakes},
	{"cordon_dns_draining", "1 while the edge is being stopped: it answers what was asked and takes nothing new.", gauge, nil, one(func(s *Snapshot) float64 { return truth(s.Serve.Draining) })},
	{"cordon_dns_missed_total", "Questions that neither the lists nor the cache could answer.", counter, nil, sum(func(s *Snapshot) uint64 { return s.Answers.Misses })},
	{"cordon_dns_prefetched_total", "Questions asked upstream before the time of a popular answer was over.", counter, nil, sum(func(s *Snapshot) uint64 { return s.Answers.Prefetch })},
	{"cordon_dns_stale_answers_total", "Answers whose time was over, for want of better ones (RFC 8767).", counter, nil, sum(func(s *Snapshot) uint64 { return s.Answers.Stale })},
	{"cordon_dns_servfail_total", "Answers SERVFAIL: no list yet, upstreams failed, or one of the next two.", counter, nil, sum(func(s *Snapshot) uint64 { return s.Answers.ServFail })},
	{"cordon_dns_busy_total", "Questions that got SERVFAIL because there was no room for one more that waits for an upstream.", counter, nil, sum(func(s *Snapshot) uint64 { return s.Serve.Busy })},
	{"cordon_dns_unsent_total", "Answers over UDP that were dropped because the network took none for too long.", counter, nil, sum(func(s *Snapshot) uint64 { return s.Serve.Unsent })},
	{"cordon_dns_crowded_total", "Questions that got SERVFAIL because their client had too many waiting for an upstream.", counter, nil, sum(func(s *Snapshot) uint64 { return s.Answers.Crowded })},
	{"cordon_dns_refused_total", "Questions that were malformed, not supported, or of who is not served.", counter, nil, sum(func(s *Snapshot) uint64 { return s.Answers.Refused })},
	{"cordon_dns_ignored_total", "Packets that are no questions, and get no answer.", counter, nil, sum(func(s *Snapshot) uint64 { return s.Answers.Ignored })},
	{"cordon_cache_bytes", "Memory of cached answers.", gauge, nil, one(func(s *Snapshot) float64 { return float64(s.CacheBytes) })},
	{"cordon_cache_answers", "Cached answers.", gauge, nil, one(func(s *Snapshot) float64 { return float64(s.CacheLen) })},

	{"cordon_guard_strangers_total", "Questions from prefixes that are not served.", counter, nil, sum(func(s *Snapshot) uint64 { return s.Guard.Strangers })},
	{"cordon_guard_limited_total", "Questions above their client's rate.", counter, nil, sum(func(s *Snapshot) uint64 { return s.Guard.Limited })},
	{"cordon_guard_slowed_total", "Of those: of clients that met too many listed entries.", counter, nil, sum(func(s *Snapshot) uint64 { return s.Guard.Slowed })},
	{"cordon_guard_budgets_total", "Times that a client used up a budget of listed entries.", counter, nil, sum(func(s *Snapshot) uint64 { return s.Guard.Sources })},
	{"cordon_guard_answers_dropped_total", "Answers over UDP above their rate that were not sent.", counter, nil, sum(func(s *Snapshot) uint64 { return s.Guard.Dropped })},
	{"cordon_guard_answers_truncated_total", "Answers over UDP above their rate that were sent as \"ask again over TCP\".", counter, nil, sum(func(s *Snapshot) uint64 { return s.Guard.Slipped })},

	{"cordon_upstream_questions_total", "Different questions asked upstream; the same one at the same time counts once.", counter, zone, zones(func(c *upstream.Counts) uint64 { return c.Questions })},
	{"cordon_upstream_busy_total", "Questions not asked because too many were under way.", counter, zone, zones(func(c *upstream.Counts) uint64 { return c.Busy })},
	{"cordon_upstream_strays_total", "Datagrams that answered no question: late, or forged.", counter, zone, zones(func(c *upstream.Counts) uint64 { return c.Strays })},
	{"cordon_upstream_up", "0 when the upstream has failed so often in a row that others are asked first.", gauge, server, servers(func(c *upstream.ServerCounts) float64 { return truth(c.Failing.IsZero()) })},
	{"cordon_upstream_rtt_seconds", "Smoothed time to its answers; 0 when it is not known.", gauge, server, servers(func(c *upstream.ServerCounts) float64 { return c.RTT.Seconds() })},
	{"cordon_upstream_cookies", "1 when it gives DNS cookies (RFC 7873).", gauge, server, servers(func(c *upstream.ServerCounts) float64 { return truth(c.Cookies) })},
	{"cordon_upstream_asked_total", "Queries sent to it.", counter, server, counts(func(c *upstream.ServerCounts) uint64 { return c.Asked })},
	{"cordon_upstream_answers_total", "Usable answers.", counter, server, counts(func(c *upstream.ServerCounts) uint64 { return c.Answers })},
	{"cordon_upstream_refusals_total", "Of the answers: neither NOERROR nor NXDOMAIN.", counter, server, counts(func(c *upstream.ServerCounts) uint64 { return c.Refusals })},
	{"cordon_upstream_failures_total", "Queries without a usable answer.", counter, server, counts(func(c *upstream.ServerCounts) uint64 { return c.Failures })},
	{"cordon_upstream_timeouts_total", "Of the failures: nothing came in time.", counter, server, counts(func(c *upstream.ServerCounts) uint64 { return c.Timeouts })},
	{"cordon_upstream_hedged_total", "Times that another upstream was asked as well, because this one was slower than it usually is.", counter, server, counts(func(c *upstream.ServerCounts) uint64 { return c.Hedged })},
	{"cordon_upstream_tcp_total", "Queries that went over TCP after all: truncated, or something was wrong with a datagram.", counter, server, counts(func(c *upstream.ServerCounts) uint64 { return c.TCP })},
	{"cordon_upstream_bad_cookies_total", "Answers whose cookie was not that of the query, or missing.", counter, server, counts(func(c *upstream.ServerCounts) uint64 { return c.BadCookies })},
	{"cordon_upstream_connections_total", "Connections opened to it, over TCP or TLS.", counter, server, counts(func(c *upstream.ServerCounts) uint64 { return c.Connections })},
	{"cordon_upstream_tls_resumed_total", "Of those: TLS sessions that went on.", counter, server, counts(func(c *upstream.ServerCounts) uint64 { return c.Resumed })},
	{"cordon_upstream_tls_failed_total", "TLS handshakes that failed: it did not prove who it is, or does not speak TLS.", counter, server, counts(func(c *upstream.ServerCounts) uint64 { return c.Unproven })},

	{"cordon_unbound_up", "1 when the Unbound of the edge answers and finds something (upstream: recursive, as all of these).", gauge, nil, own(func(u *unbound.State) float64 { return truth(u.Answering && u.Err == nil) })},
	{"cordon_unbound_starts_total", "Processes started since the edge was.", counter, nil, own(func(u *unbound.State) float64 { return float64(u.Starts) })},
	{"cordon_unbound_questions_total", "Questions that the edge asked it.", counter, nil, own(func(u *unbound.State) float64 { return float64(u.Counts.Queries) })},
	{"cordon_unbound_cache_hits_total", "Of those: answered from its cache.", counter, nil, own(func(u *unbound.State) float64 { return float64(u.Counts.Hits) })},
	{"cordon_unbound_found_total", "Of those: answered with what there is, or that there is nothing.", counter, nil, own(func(u *unbound.State) float64 { return float64(u.Counts.Found) })},
	{"cordon_unbound_servfail_total", "Of those: nobody could find an answer, or it failed validation.", counter, nil, own(func(u *unbound.State) float64 { return float64(u.Counts.ServFail) })},
	{"cordon_unbound_bogus_total", "Of those: the answer failed DNSSEC validation.", counter, nil, own(func(u *unbound.State) float64 { return float64(u.Counts.Bogus) })},
	{"cordon_unbound_secure_total", "Of those: the answer is signed and valid.", counter, nil, own(func(u *unbound.State) float64 { return float64(u.Counts.Secure) })},
	{"cordon_unbound_asked_total", "Queries that it sent to other servers.", counter, nil, own(func(u *unbound.State) float64 { return float64(u.Counts.Asked) })},
	{"cordon_unbound_unwanted_total", "Replies to queries that it never sent: forgeries, or stragglers.", counter, nil, own(func(u *unbound.State) float64 { return float64(u.Counts.Unwanted) })},

	{"cordon_certificate_end_timestamp_seconds", "End of the certificate of TLS, HTTPS and QUIC; left out without one.", gauge, nil, moment(func(s *Snapshot) time.Time { return s.Ends })},
}

var (
	zone   = []string{"zone"}
	server = []string{"server", "zone"}
)

// words of transports and of upstream servers in labels.
var words = [...]string{wire.UDP: "udp", wire.TCP: "tcp", wire.TLS: "tls", wire.HTTPS: "https", wire.QUIC: "quic"}

type writer = func(s *Snapshot, put func(v float64, labels ...string))

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func one(f func(s *Snapshot) float64) writer {
	return func(s *Snapshot, put func(float64, ...string)) { put(f(s)) }
}

func sum(f func(s *Snapshot) uint64) writer {
	return one(func(s *Snapshot) float64 { return float64(f(s)) })
}

func moment(f func(s *Snapshot) time.Time) writer {
	return func(s *Snapshot, put func(float64, ...string)) {
		if t := f(s); !t.IsZero() {
			put(float64(t.UnixMilli()) / 1000)
		}
	}
}

func each(f func(t serve.Traffic) uint64) writer {
	return func(s *Snapshot, put func(float64, ...string)) {
		for _, via := range s.Transports {
			put(float64(f(s.Serve.By[via])), words[via])
		}
	}
}

// conns is each, for what UDP has not.
func conns(f func(t serve.Traffic) uint64) writer {
	return func(s *Snapshot, put func(float64, ...string)) {
		for _, via := range s.Transports {
			if via.Stream() {
				put(float64(f(s.Serve.By[via])), words[via])
			}
		}
	}
}

func refused(s *Snapshot, put func(float64, ...string)) {
	for _, via := range s.Transports {
		if t := s.Serve.By[via]; via.Stream() {
			put(float64(t.Crowded), words[via], "crowded")
			put(float64(t.Strangers), words[via], "stranger")
			put(float64(t.Unproxied), words[via], "unproxied")
		}
	}
}

func handshakes(s *Snapshot, put func(float64, ...string)) {
	for _, via := range s.Transports {
		if via.Encrypted() {
			put(float64(s.Serve.By[via].Handshakes), words[via])
		}
	}
}

func zones(f func(c *upstream.Counts) uint64) writer {
	return func(s *Snapshot, put func(float64, ...string)) {
		for i := range s.Upstreams {
			put(float64(f(&s.Upstreams[i].Counts)), s.Upstreams[i].Zone)
		}
	}
}

// servers gives one value a server: one that the file names twice in a zone counts where it stands first.
func servers(f func(c *upstream.ServerCounts) float64) writer {
	return func(s *Snapshot, put func(float64, ...string)) {
		for _, z := range s.Upstreams {
			for i := range z.Servers {
				if slices.IndexFunc(z.Servers, func(o upstream.ServerCounts) bool { return o.Server == z.Servers[i].Server }) < i {
					continue
				}
				put(f(&z.Servers[i]), z.Servers[i].Server.String(), z.Zone)
			}
		}
	}
}

func counts(f func(c *upstream.ServerCounts) uint64) writer {
	return servers(func(c *upstream.ServerCounts) float64 { return float64(f(c)) })
}

func own(f func(u *unbound.State) float64) writer {
	return func(s *Snapshot, put func(float64, ...string)) {
		if s.Unbound != nil {
			put(f(s.Unbound))
		}
	}
}
