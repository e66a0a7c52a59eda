// Package unbound runs a local Unbound beside an edge: a validating recursive resolver that the world trusts, on an address that only this
// machine reaches.
//
// In comes where it may answer and keep its files; out comes an address for the pool of upstream resolvers, and a State for people. It
// promises: Unbound validates DNSSEC from the given trust anchor, minimises what it tells other servers (RFC 9156), answers from signed proofs
// that it has (RFC 8198) and says why a name failed (RFC 8914); it runs without privileges, writes nothing about questions, and is ended with
// the process that started it, however that ends. What ends, hangs, or is no longer the process that was started is started again. Counters are
// sums: no name and no address of a client reaches them, nor the errors (P5).
package unbound

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"
)

// Where Debian's packages unbound and dns-root-data put things.
const (
	DefaultProgram     = "unbound"
	DefaultTrustAnchor = "/usr/share/dns/root.key"
	DefaultUser        = "unbound"
	DefaultCacheMB     = 32
)

// Config of a Resolver. Dir and Log are required; the zero value of the rest means the defaults.
type Config struct {
	Dir         string         // its own folder for configuration and control socket: made at the start, removed at the end
	Listen      netip.AddrPort // where it answers; default 127.0.0.1 with a port that nobody has
	Program     string         // name or path of the program; default "unbound", also looked for in /usr/sbin
	TrustAnchor string         // file with the root's keys; default Debian's, which the package dns-root-data keeps
	RootHints   string         // file with the root's servers; default those that Unbound was built with
	User        string         // whom it runs as when this process is root; default "unbound". Else it runs as this process does
	Threads     int            // default 1
	CacheMB     int            // memory for its caches; default 32
	Every       time.Duration  // between probes, and how long one may take; default 1 s
	Log         *slog.Logger
}

// Patience is how long whoever asks should wait for an answer before asking again: nothing gets lost on the way to Unbound, and finding a name
// from the root down takes its time. Unbound itself lets an answer drop that took 1.9 s, and has it in its cache for the second question.
const Patience = 2 * time.Second

// What the error of a State is one of. Each says what to do where something is to be done.
var (
	ErrMissing = errors.New("unbound is not installed: install Debian's package unbound, or name resolvers under upstreams instead")
	ErrAnchor  = errors.New("no DNSSEC trust anchor: install Debian's package dns-root-data, or name a file as recursion.trust_anchor")
	ErrRefused = errors.New("unbound does not start")
	ErrSilent  = errors.New("unbound does not answer")
	ErrEnded   = errors.New("unbound ended by itself")
	ErrBlind   = errors.New("unbound gets no answers from other servers: open the way to the Internet for UDP and TCP port 53, and look at this machine's clock and trust anchor")
)

// Resolver is one supervised Unbound. Run does the work; the other methods may be called concurrently at any time.
type Resolver struct {
	config Config
	bare   bool // owned by Run: this Unbound is too old for the optional lines of its configuration
	blind  int  // owned by Run: judgements in a row by which it found nothing

	up atomic.Bool // state.Answering, for who asks often

	mu    sync.Mutex // guards state and past
	state State
	past  Counts // of processes that have ended

	judged Counts // owned by Run: as of the last judgement of whether it finds anything
}

// State is what a Resolver is doing, for people.
type State struct {
	Answering bool
	Since     time.Time // of Answering and Err being as they are
	Err       error     // why it is not answering, or that it finds nothing, and what to do; nil when all is well or it has not been started yet
	Starts    uint64    // processes started so far
	Process   int       // id of the one that answers; 0 when none does
	Counts    Counts
}

// Counts are sums over all processes since Open. Those of the last seconds may be missing.
type Counts struct {
	Queries  uint64 // asked by this edge
	Hits     uint64 // answered from its cache
	Found    uint64 // answered with what there is, or that there is nothing
	Asked    uint64 // questions sent to other servers
	ServFail uint64 // answers that nobody could find, or that failed validation
	Bogus    uint64 // answers that failed validation
	Secure   uint64 // answers that are signed and valid
	Unwanted uint64 // replies to questions that were never asked: forgeries, or stragglers
}

// Open checks the configuration and chooses the address. It starts nothing: that is Run.
func Open(c Config) (*Resolver, error) {
	if c.Dir == "" || c.Log == nil {
		return nil, errors.New("open unbound: Dir and Log are needed")
	}
	// sockaddr_un has room for 108 bytes
	if p := socketPath(c.Dir); len(p) > 100 {
		return nil, fmt.Errorf("open unbound: the path of its control socket, %s, is too long; choose a data directory with a shorter path", p)
	}
	if c.Program == "" {
		c.Program = DefaultProgram
	}
	if c.TrustAnchor == "" {
		c.TrustAnchor = DefaultTrustAnchor
	}
	if c.User == "" {
		c.User = DefaultUser
	}
	if c.Threads == 0 {
		c.Threads = 1
	}
	if c.CacheMB == 0 {
		c.CacheMB = DefaultCacheMB
	}
	if c.Every == 0 {
		c.Every = watchEvery
	}
	if !c.Listen.IsValid() {
		at, err := free()
		if err != nil {
			return nil, err
		}
		c.Listen = at
	}
	return &Resolver{config: c, state: State{Since: time.Now()}}, nil
}

// Addr is where it answers while it runs, the same over UDP and TCP and over restarts.
func (r *Resolver) Addr() netip.AddrPort { return r.config.Listen }

// State is a snapshot.
func (r *Resolver) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// Answering reports that what answers at Addr is the process that was started, as far as is known. While it does not, whoever is there must not be
// asked: it may be anybody's.
func (r *Resolver) Answering() bool { return r.up.Load() }

// free finds a loopback port below those that the kernel gives to whoever asks for any, so that nobody has it by chance while Unbound is
// being restarted.
func free() (netip.AddrPort, error) {
	for range 100 {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(10000+rand.IntN(22000)))
		udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		if err != nil {
			continue
		}
		tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		_ = udp.Close()
		if err != nil {
			continue
		}
		_ = tcp.Close()
		return at, nil
	}
	return netip.AddrPort{}, errors.New("open unbound: no free port on 127.0.0.1; name one as recursion.listen")
}

// find looks for the program where a service's PATH may not lead.
func find(name string) (string, error) {
	for _, n := range []string{name, "/usr/sbin/" + name} {
		path, err := exec.LookPath(n)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%w: %s: %w", ErrRefused, n, err)
		}
	}
	return "", ErrMissing
}

const (
	firstDelay = 100 * time.Millisecond // before the second start; doubles
	lastDelay  = 30 * time.Second
	settled    = time.Minute // a process that answered for this long was no failed start
)

// Run starts Unbound, watches it and starts it again until ctx ends; then it ends it, removes its folder and returns. It returns no error:
// an edge without a resolver goes on stopping what is listed, and State says what is wrong.
func (r *Resolver) Run(ctx context.Context) error {
	defer os.RemoveAll(r.config.Dir)
	delay, said := time.Duration(0), ""
	for {
		began := time.Now()
		err := r.once(ctx, func() {
			said = ""
			r.config.Log.InfoContext(ctx, "unbound answers", slog.String("address", r.config.Listen.String()))
		})
		r.ended(err)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errAnchorChanged) {
			r.config.Log.InfoContext(ctx, "the trust anchor has changed: starting unbound again with it")
			continue
		}
		if text := err.Error(); text != said { // once, not each time
			said = text
			r.config.Log.ErrorContext(ctx, "no recursion: names that are not listed get SERVFAIL unless cached", slog.Any("error", err))
		}
		delay = next(delay, time.Since(began))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(delay):
		}
	}
}

// next is how long to wait after a process that lasted so long, when the wait before it was delay.
func next(delay, lasted time.Duration) time.Duration {
	if lasted >= settled {
		return firstDelay
	}
	return max(firstDelay, min(2*delay, lastDelay))
}

func (r *Resolver) ended(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.past = r.state.Counts
	r.up.Store(false)
	if r.state.Answering {
		r.state.Answering, r.state.Since = false, time.Now()
	}
	r.state.Process, r.state.Err = 0, err
}

func (r *Resolver) answering(id int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Answering, r.state.Since, r.state.Process, r.state.Err = true, time.Now(), id, nil
	r.up.Store(true)
}
