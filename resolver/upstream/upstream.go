// Package upstream asks other resolvers the questions that Cordon lets through.
//
// In comes a wire.Question, out comes the whole reply of one of the configured servers. It promises: a reply answers
// the question that was asked, from the server that was asked, with a random id, spelling (0x20) and port that lives short; truncated
// replies are fetched again over TCP; identical questions at the same time cost one; the number of questions in
// flight and the time each takes are bounded. Nothing of the client goes upstream except what the Question has: name, type, class, DO, CD, and
// a client's subnet where the caller put one; the other EDNS option is a cookie of our own (RFC 7873), another one for each server and run. It does not read lists and does not judge names.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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
	TLS      *Identity        // asks all servers over TLS (RFC 7858) and no other way, and believes only who proves to be this; nil: UDP and TCP
	Attempt  time.Duration    // wait for one server over UDP; default 800 ms
	Total    time.Duration    // wait for one question over all servers; default 4 s
	InFlight int              // distinct questions at once, beyond it ErrBusy; default 4096
	Clock    func() time.Time // for the backoff of failing servers; default time.Now

	// Ready says whether the servers are who they should be; nil: always. While it says no nobody is asked, and who waits is told ErrNetwork once the
	// query that is under way has failed. It must not block.
	Ready func() bool
}

// maxServers bounds Config.Servers.
const maxServers = 64

// Pool is a set of upstream resolvers. All methods may be called concurrently.
type Pool struct {
	config  Config
	servers []*server
	shards  []*shard
	seed    maphash.Seed
	flights atomic.Int64
	counts  counters

	inboxes, outboxes sync.Pool // of *inbox, *outgoing

	life   context.Context // ended by Close
	cancel context.CancelFunc
	wait   sync.WaitGroup
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
	if c.Ready == nil {
		c.Ready = func() bool { return true }
	}
	if c.TLS != nil && c.TLS.Name == "" && len(c.TLS.Pins) == 0 {
		return nil, errors.New("open upstream: over TLS a server needs a name or a pin, or anybody could be it")
	}
	if len(c.Servers) > maxServers {
		return nil, fmt.Errorf("open upstream: %d servers, want at most %d", len(c.Servers), maxServers)
	}
	p := &Pool{config: c, seed: maphash.MakeSeed()}
	for _, a := range c.Servers {
		if !a.IsValid() || a.Port() == 0 {
			return nil, fmt.Errorf("open upstream: server %q needs an address and a port", a)
		}
		s := &server{addr: a, line: line{turn: make(chan struct{}, 1)}}
		s.newCookie()
		if c.TLS != nil {
			s.tls = c.TLS.config()
		}
		p.servers = append(p.servers, s)
	}
	p.inboxes.New, p.outboxes.New = newInbox, newOutgoing
	p.life, p.cancel = context.WithCancel(context.Background())
	shards := min(runtime.GOMAXPROCS(0), maxShards)
	places := 1 << bits.Len(uint(min(c.InFlight, maxPlaces)/shards))
	for range shards {
		s := &shard{pool: p, wake: make(chan struct{}, 1), table: make([]*flight, places), servers: make([]share, len(p.servers))}
		for i := range s.servers {
			s.servers[i].open = make(map[*socket]*socket)
		}
		p.shards = append(p.shards, s)
	}
	for _, s := range p.shards {
		p.wait.Go(s.run)
	}
	return p, nil
}

// maxShards: more do not make waiting rarer.
const maxShards = 32

// maxPlaces bounds the tables of questions in flight; with more questions some share a place.
const maxPlaces = 1 << 16

func (p *Pool) index(s *server) int { return slices.Index(p.servers, s) }

// Exchange asks q and returns the reply, which wire.Scan has accepted: a whole message of any response code that fits
// the header. The
// question's Name is only read until Exchange returns. When ctx ends first its error is returned, while the
// question goes on for whoever else waits for it. Otherwise the error is ErrBusy, ErrNoAnswer or ErrNetwork.
// A reply of SERVFAIL or REFUSED is returned only when no server had a better one.
func (p *Pool) Exchange(ctx context.Context, q wire.Question) ([]byte, error) {
	type result struct {
		reply []byte
		err   error
	}
	ended := make(chan result, 1)
	p.Ask(ctx, q, func(reply []byte, err error) { ended <- result{slices.Clone(reply), err} })
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-ended:
		return r.reply, r.err
	}
}

// Close ends all questions in flight and returns when none is left; later ones get ErrBusy. It never fails.
func (p *Pool) Close() error {
	p.cancel()
	for _, s := range p.shards {
		s.end()
	}
	p.wait.Wait()
	return nil
}
