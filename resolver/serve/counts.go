package serve

import (
	"sync/atomic"

	"github.com/cordon-project/cordon/resolver/wire"
)

// transports is how many wire.Transport has.
const transports = int(wire.QUIC) + 1

// counters are aggregates: nothing in them names a question or a client.
type counters struct {
	by           [transports]traffic
	busy, unsent atomic.Uint64
}

// traffic is what is counted of one transport, a cache line.
type traffic struct {
	questions, conns, crowded, strangers, unproxied, handshakes, yielded atomic.Uint64
	open                                                                 atomic.Int64
}

// Counts is a snapshot of what a Server did since it was opened.
type Counts struct {
	By       [transports]Traffic // by wire.Transport; HTTP/3 is HTTPS
	Busy     uint64              // questions answered with Busy
	Unsent   uint64              // answers over UDP dropped, because the socket had taken none for too long
	Draining bool                // it answers what was asked, and takes nothing new
}

// Traffic is what went over one transport. UDP has questions alone.
type Traffic struct {
	Questions  uint64 // read
	Conns      uint64 // connections that came, those that were closed at once too
	Open       uint64 // connections open now
	Crowded    uint64 // connections closed at once, because there were too many, or too many of their household
	Strangers  uint64 // the same, of who is not served
	Unproxied  uint64 // the same, past a proxy, or without a PROXY header that can be read
	Handshakes uint64 // that failed or took too long, of TLS and QUIC
	Yielded    uint64 // connections that rested, or had not ended their handshake, and gave way to new ones
}

// Refused are the connections closed at once, whatever for.
func (t Traffic) Refused() uint64 { return t.Crowded + t.Strangers + t.Unproxied }

// Sum adds up all transports.
func (c Counts) Sum() (sum Traffic) {
	for _, t := range c.By {
		sum.Questions += t.Questions
		sum.Conns += t.Conns
		sum.Open += t.Open
		sum.Crowded += t.Crowded
		sum.Strangers += t.Strangers
		sum.Unproxied += t.Unproxied
		sum.Handshakes += t.Handshakes
		sum.Yielded += t.Yielded
	}
	return sum
}

// Counts reads the counters; they are not of one instant.
func (s *Server) Counts() Counts {
	out := Counts{Busy: s.counts.busy.Load(), Unsent: s.counts.unsent.Load(), Draining: s.draining.Load()}
	for i := range out.By {
		c := &s.counts.by[i]
		out.By[i] = Traffic{
			Questions: c.questions.Load(), Conns: c.conns.Load(), Open: uint64(max(c.open.Load(), 0)), Crowded: c.crowded.Load(),
			Strangers: c.strangers.Load(), Unproxied: c.unproxied.Load(), Handshakes: c.handshakes.Load(), Yielded: c.yielded.Load(),
		}
	}
	for _, u := range s.udp {
		out.By[wire.UDP].Questions += u.read.Load()
	}
	return out
}
