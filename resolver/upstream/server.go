package upstream

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// server is one upstream with its health and speed.
type server struct {
	addr netip.AddrPort
	tls  *tls.Config // nil: UDP, and TCP where that is not enough
	line line

	noCase atomic.Bool  // it does not echo the question's spelling, which it said over TCP
	noEDNS atomic.Int64 // until this second (Unix) it is asked without EDNS, to which it answered FORMERR; 0: it never did

	counts serverCounters
	cookie atomic.Pointer[[]byte] // what it is sent (RFC 7873): our eight bytes for it, and those that it gave; immutable

	cookieless atomic.Int32 // replies over UDP in a row without a cookie, since it gave one

	failures atomic.Int64 // in a row

	mu      sync.Mutex    // guards the rest, and the writing of failures
	since   time.Time     // of the first of these failures
	retry   time.Time     // not preferred before this
	backOff time.Duration // that ended, or ends, then
	rtt     time.Duration // smoothed (RFC 6298); 0: not known
	spread  time.Duration
	samples int
}

const (
	failuresToBackOff = 3 // one lost datagram says nothing
	firstBackOff      = time.Second
	lastBackOff       = 30 * time.Second

	// A server is asked before those named earlier only when it is faster by more than half and this: small differences come and go, and
	// the order of the file means something.
	fasterBy = 5 * time.Millisecond

	// How long a server is asked without EDNS, which costs its clients DNSSEC, before it is tried again: FORMERR may have had another cause.
	withoutEDNS = 15 * time.Minute

	exploreEvery = 64 // questions; the next server of the list is asked, so that its speed is known

	minPatience   = 10 * time.Millisecond
	samplesToKnow = 8
	hedgeOneIn    = 20 // questions: the bound of extra traffic
)

// bare reports that the server is asked without EDNS.
func (p *Pool) bare(s *server) bool {
	until := s.noEDNS.Load()
	return until > 0 && p.config.Clock().Unix() < until
}

// order appends the servers as this question asks them: those that are not backing off first, the fastest of them in front, then the others:
// all failing is no reason not to try. A server whose time to back off is over is tried first by one question, and until that one is answered
// the others go on without it.
func (p *Pool) order(dst []uint8) []uint8 {
	if len(p.servers) == 1 {
		return append(dst, 0)
	}
	now := p.config.Clock()
	var rtts [maxServers]time.Duration
	best := time.Duration(-1)
	var failing [maxServers]uint8
	late := failing[:0]
	tried := -1
	for i, s := range p.servers {
		rtt, ready := s.speed(now)
		if !ready && tried < 0 && s.try(now) {
			tried = i
			continue
		}
		if !ready {
			late = append(late, uint8(i))
			continue
		}
		rtts[i] = rtt
		if dst = append(dst, uint8(i)); best < 0 || rtt < best {
			best = rtt
		}
	}
	for i, at := range dst {
		if rtts[at] <= best+best/2+fasterBy {
			copy(dst[1:i+1], dst[:i])
			dst[0] = at
			break
		}
	}
	if n := p.counts.questions.Load(); len(dst) > 1 && n%exploreEvery == exploreEvery-1 {
		at := 1 + int(n/exploreEvery)%(len(dst)-1)
		dst[0], dst[at] = dst[at], dst[0]
	}
	dst = append(dst, late...)
	if tried >= 0 {
		dst = slices.Insert(dst, 0, uint8(tried))
	}
	return dst
}

// speed is 0 for a server that is hardly known: it is asked in its turn, and so gets known.
func (s *server) speed(now time.Time) (rtt time.Duration, ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.samples >= samplesToKnow {
		rtt = s.rtt
	}
	return rtt, s.failures.Load() < failuresToBackOff
}

// try reports, once each time that it has backed off, that a failing server is to be asked again; it backs off twice as long if that fails, too.
func (s *server) try(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.retry) {
		return false
	}
	s.backOff = min(2*s.backOff, lastBackOff)
	s.retry = now.Add(s.backOff)
	return true
}

// patience is how long nearly all of its answers take; 0: not known.
func (s *server) patience() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.samples < samplesToKnow {
		return 0
	}
	return max(s.rtt+4*s.spread, minPatience)
}

// took notes how long an answer took, or has not come for.
func (s *server) took(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d = max(d, 1)
	if s.samples++; s.samples == 1 {
		s.rtt, s.spread = d, d/2
		return
	}
	off := d - s.rtt
	s.rtt += off / 8
	s.spread += (max(off, -off) - s.spread) / 4
}

// outlasted notes that nothing came for so long, when another server's answer had come; it says nothing of a server that usually takes longer.
func (s *server) outlasted(d time.Duration) {
	s.mu.Lock()
	slower := d > s.rtt
	s.mu.Unlock()
	if slower {
		s.took(d)
	}
}

// well notes an answer.
func (s *server) well() {
	if s.failures.Load() > 0 {
		s.mu.Lock()
		s.failures.Store(0)
		s.mu.Unlock()
	}
}

// failed counts an attempt without an answer. After three in a row the server is asked last, but for one question after 1 s, 2 s, 4 s .. 30 s. How
// many more fail meanwhile does not count: a thousand that were under way say no more than three.
func (s *server) failed(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.failures.Add(1) {
	case 1:
		s.since = now
	case failuresToBackOff:
		s.backOff = firstBackOff
		s.retry = now.Add(firstBackOff)
	}
}

// mayHedge keeps second questions to one in twenty.
func (p *Pool) mayHedge() bool {
	return p.counts.hedges.Load()*hedgeOneIn < p.counts.questions.Load()
}
