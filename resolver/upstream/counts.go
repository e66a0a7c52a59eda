package upstream

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"
)

// counters of a pool, beside those of its servers. They are aggregates: nothing in them names a question or a client.
type counters struct{ questions, strays, busy, hedges atomic.Uint64 }

// serverCounters are those of one server.
type serverCounters struct {
	asked, answers, refusals, failures, timeouts, hedged, tcp, badCookies, connections, resumed, unproven atomic.Uint64

	trouble atomic.Pointer[string] // nil: none
}

// maxTrouble bounds what is kept of an error, in which names of the server's certificate may stand.
const maxTrouble = 300

// opened notes how the last attempt to open a connection ended; one that was given up says nothing.
func (c *serverCounters) opened(ctx context.Context, err error) {
	switch {
	case err == nil:
		c.trouble.Store(nil)
	case !errors.Is(ctx.Err(), context.Canceled):
		text := err.Error()
		text = text[:min(len(text), maxTrouble)]
		c.trouble.Store(&text)
	}
}

// Counts is a snapshot of what a Pool did since it was made.
type Counts struct {
	Questions uint64 // distinct questions sent, after singleflight
	Attempts  uint64 // queries sent to servers
	Answers   uint64 // attempts with a usable reply
	Failures  uint64 // attempts without one
	TCP       uint64 // attempts that went to TCP
	Strays    uint64 // datagrams that answered some other question: lost races or forgeries
	Busy      uint64 // questions refused because too many were in flight
	Hedges    uint64 // second servers asked because the first was slower than it usually is

	Servers []ServerCounts // in the order of Config.Servers
}

// ServerCounts is what one server did, and how it is doing.
type ServerCounts struct {
	Server  netip.AddrPort
	Failing time.Time     // since when it has failed so often in a row that others are asked first; zero: it is well
	RTT     time.Duration // smoothed; 0: not known
	Cookies bool          // it gives cookies (RFC 7873)

	Asked       uint64 // queries sent to it
	Answers     uint64 // usable replies
	Refusals    uint64 // of them: other response codes than NOERROR and NXDOMAIN
	Failures    uint64 // queries without a usable reply
	Timeouts    uint64 // of them: nothing came in time
	Hedged      uint64 // times that another server was asked as well, because this one was slower than it usually is
	TCP         uint64 // queries that went over TCP after all: truncated, or something was wrong with a datagram
	BadCookies  uint64 // replies whose cookie was not that of the query, or missing
	Connections uint64 // opened, over TCP or TLS
	Resumed     uint64 // of them: TLS sessions that went on, without a whole handshake
	Unproven    uint64 // TLS handshakes that failed: it did not prove who it is, or does not speak TLS

	Trouble string // why the last connection to it could not be opened, for people; empty when it could
}

// Counts reads the counters; they are not of one instant.
func (p *Pool) Counts() Counts {
	c := &p.counts
	sum := Counts{Questions: c.questions.Load(), Strays: c.strays.Load(), Busy: c.busy.Load(), Hedges: c.hedges.Load()}
	for _, s := range p.servers {
		one := s.read()
		sum.Attempts += one.Asked
		sum.Answers += one.Answers
		sum.Failures += one.Failures
		sum.TCP += one.TCP
		sum.Servers = append(sum.Servers, one)
	}
	return sum
}

func (s *server) read() ServerCounts {
	c := &s.counts
	out := ServerCounts{
		Server: s.addr, Cookies: len(*s.cookie.Load()) > ownCookie,
		Asked: c.asked.Load(), Answers: c.answers.Load(), Refusals: c.refusals.Load(), Failures: c.failures.Load(), Timeouts: c.timeouts.Load(),
		Hedged: c.hedged.Load(), TCP: c.tcp.Load(), BadCookies: c.badCookies.Load(),
		Connections: c.connections.Load(), Resumed: c.resumed.Load(), Unproven: c.unproven.Load(),
	}
	if why := c.trouble.Load(); why != nil {
		out.Trouble = *why
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if out.RTT = s.rtt; s.failures.Load() >= failuresToBackOff {
		out.Failing = s.since
	}
	return out
}
