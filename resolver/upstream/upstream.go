// Package upstream asks other resolvers the questions that Cordon lets through.
//
// In comes a wire.Question, out comes the whole reply of one of the configured servers. It promises: a reply answers
// the question that was asked, from the server that was asked, with a fresh random id on a fresh random port; truncated
// replies are fetched again over TCP; identical questions at the same time cost one; the number of questions in
// flight and the time each takes are bounded. Nothing of the client goes upstream except name, type, class, DO and CD: no
// EDNS option, no client subnet. It does not read lists and does not judge names.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/cordon-project/cordon/resolver/wire"
)

// Sentinels of Exchange. None of its errors names the question or an address.
var (
	ErrBusy     = errors.New("ask upstream: too many questions in flight")
	ErrNoAnswer = errors.New("ask upstream: no server answered in time")
	ErrNetwork  = errors.New("ask upstream: no server could be reached")
)

// Config of a Pool. Servers is required; the zero value of the rest means the defaults.
type Config struct {
	Servers  []netip.AddrPort // in order of preference
	Attempt  time.Duration    // wait for one server over UDP; default 800 ms
	Total    time.Duration    // wait for one question over all servers; default 4 s
	InFlight int              // distinct questions at once, beyond it ErrBusy; default 4096
	Clock    func() time.Time // for the backoff of failing servers; default time.Now
}

// Pool is a set of upstream resolvers. All methods may be called concurrently.
type Pool struct {
	config  Config
	servers []*server
	group   singleflight.Group
	flights atomic.Int64
	counts  counters

	life   context.Context // of all flights; ended by Close
	cancel context.CancelFunc
	mu     sync.Mutex // guards closed and the wait group's growth
	closed bool
	wait   sync.WaitGroup
}

// server is one upstream with its health.
type server struct {
	addr netip.AddrPort

	mu       sync.Mutex // guards failures and retry
	failures int
	retry    time.Time // not preferred before this
}

type counters struct{ questions, attempts, failures, tcp, strays, busy atomic.Uint64 }

// Counts is a snapshot of what a Pool did since it was made.
type Counts struct {
	Questions uint64 // distinct questions sent, after singleflight
	Attempts  uint64 // queries sent to servers
	Failures  uint64 // attempts without a usable reply
	TCP       uint64 // attempts that went to TCP
	Strays    uint64 // datagrams that answered some other question: lost races or forgeries
	Busy      uint64 // questions refused because too many were in flight
}

// Open checks the configuration. It sends nothing.
func Open(c Config) (*Pool, error) {
	if len(c.Servers) == 0 {
		return nil, errors.New("open upstream: no servers given; name at least one resolver to forward to")
	}
	if c.Attempt == 0 {
		c.Attempt = 800 * time.Millisecond
	}
	if c.Total == 0 {
		c.Total = 4 * time.Second
	}
	if c.InFlight == 0 {
		c.InFlight = 4096
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	p := &Pool{config: c}
	p.life, p.cancel = context.WithCancel(context.Background())
	for _, a := range c.Servers {
		if !a.IsValid() || a.Port() == 0 {
			return nil, fmt.Errorf("open upstream: server %q needs an address and a port", a)
		}
		p.servers = append(p.servers, &server{addr: a})
	}
	return p, nil
}

// Counts adds up what happened so far.
func (p *Pool) Counts() Counts {
	c := &p.counts
	return Counts{
		Questions: c.questions.Load(), Attempts: c.attempts.Load(), Failures: c.failures.Load(),
		TCP: c.tcp.Load(), Strays: c.strays.Load(), Busy: c.busy.Load(),
	}
}

// Exchange asks q and returns the reply, which wire.Scan has accepted: a whole message of any response code that fits
// the header. The bytes may be shared with other callers of the same question and must not be changed; the
// question's Name is only read until Exchange returns. When ctx ends first its error is returned, while the
// question goes on for whoever else waits for it. Otherwise the error is ErrBusy, ErrNoAnswer or ErrNetwork.
// A reply of SERVFAIL or REFUSED is returned only when no server had a better one.
func (p *Pool) Exchange(ctx context.Context, q wire.Question) ([]byte, error) {
	key := make([]byte, 0, len(q.Name)+5)
	key = append(key, q.Name...)
	key = append(key, byte(q.Type>>8), byte(q.Type), byte(q.Class>>8), byte(q.Class), bit(q.DO)|bit(q.CD)<<1)
	q.Name = key[:len(q.Name):len(q.Name)] // outlives the caller's buffer
	done := p.group.DoChan(string(key), func() (any, error) { return p.ask(q) })
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.([]byte), nil
	}
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// ask goes through the servers, healthy ones first, twice at most, until one gives a usable reply.
func (p *Pool) ask(q wire.Question) ([]byte, error) {
	if !p.enter() {
		p.counts.busy.Add(1)
		return nil, ErrBusy
	}
	defer p.leave()
	p.counts.questions.Add(1)
	// Not the caller's context: the flight may serve others. Its own deadline bounds it.
	ctx, cancel := context.WithTimeout(p.life, p.config.Total)
	defer cancel()
	var second []byte // a reply that says it failed
	err := ErrNetwork
	for range 2 {
		for _, s := range p.order() {
			if ctx.Err() != nil {
				break
			}
			reply, e := p.attempt(ctx, s, q)
			s.note(e == nil, p.config.Clock())
			if e != nil {
				p.counts.failures.Add(1)
				if errors.Is(e, ErrNoAnswer) {
					err = ErrNoAnswer
				}
				continue
			}
			if rcode := reply[3] & 0xf; rcode == wire.RcodeSuccess || rcode == wire.RcodeNXDomain {
				return reply, nil
			}
			second = reply
		}
		if second != nil || ctx.Err() != nil {
			break
		}
	}
	if second != nil {
		return second, nil
	}
	return nil, err
}

func (p *Pool) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.flights.Load() >= int64(p.config.InFlight) {
		return false
	}
	p.flights.Add(1)
	p.wait.Add(1)
	return true
}

func (p *Pool) leave() {
	p.flights.Add(-1)
	p.wait.Done()
}

// Close ends all questions in flight and returns when none is left; later ones get ErrBusy. It never fails.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.wait.Wait()
	return nil
}

// order lists the servers that are not backing off, in configured order, then the others: all failing is no reason
// not to try.
func (p *Pool) order() []*server {
	now := p.config.Clock()
	out := make([]*server, 0, len(p.servers))
	var failing []*server
	for _, s := range p.servers {
		if s.ready(now) {
			out = append(out, s)
		} else {
			failing = append(failing, s)
		}
	}
	return append(out, failing...)
}

const (
	failuresToBackOff = 3 // one lost datagram says nothing
	firstBackOff      = time.Second
	lastBackOff       = 30 * time.Second
)

func (s *server) ready(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures < failuresToBackOff || !now.Before(s.retry)
}

// note counts a result. After three failures in a row the server is tried last, for 1 s, 2 s, 4 s .. 30 s.
func (s *server) note(ok bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok {
		s.failures = 0
		return
	}
	s.failures++
	if n := s.failures - failuresToBackOff; n >= 0 {
		s.retry = now.Add(min(firstBackOff<<min(n, 5), lastBackOff))
	}
}
