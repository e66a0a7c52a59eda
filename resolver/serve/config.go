package serve

import (
	"cmp"
	"crypto/tls"
	"net/netip"
	"runtime"
	"time"
)

// Config of a Server. Handler and at least one address are required; zero values mean the defaults.
type Config struct {
	Handler Handler
	Worker  func() Worker // makes one for each UDP socket; default: the Handler's Fast, one by one

	// UDPAddrs and TCPAddrs are listened on. Port 0 lets the kernel choose; a TCP address with port 0 takes the port of
	// the UDP listener of the same IP, when there is one.
	UDPAddrs, TCPAddrs []netip.AddrPort

	// Freebind takes addresses of any transport that this machine does not have yet, or has at times: an anycast one that comes up later. Without it
	// they are an error of Open.
	Freebind bool

	// The encrypted transports: DoT (RFC 7858), DoH (RFC 8484: HTTP/2 on TCP and HTTP/3 on UDP) and DoQ (RFC 9250). They
	// need Certificate; SetCertificate changes it, and while there is none handshakes fail. Path is that of DoH, default /dns-query.
	TLSAddrs, HTTPSAddrs, QUICAddrs []netip.AddrPort
	Certificate                     *tls.Certificate
	Path                            string

	// Serves says who may have an encrypted connection; others' are closed before their handshake costs anything. It is
	// called concurrently and does not block. Nil: everybody.
	Serves func(client netip.Addr) bool

	// Proxies: connections to one of TCPAddrs, TLSAddrs or HTTPSAddrs named here come from these prefixes alone and begin
	// with a PROXY header, whose client is the one that asks. Such an address of HTTPSAddrs has no HTTP/3.
	Proxies map[netip.AddrPort][]netip.Prefix

	Workers      int           // sockets and goroutines for each UDP address; default one a core
	Slots        int           // questions waiting for an upstream at once; beyond it they get Busy; as many requests over HTTPS and QUIC under way; default 8192
	Conns        int           // TCP connections at once; beyond it one that rests gives way (limit.Places), or the new one is closed; default 1024
	Encrypted    int           // TLS, HTTPS and QUIC connections at once, the same; default 4096
	Handshakes   int           // of them not yet encrypted, over TCP; beyond it the oldest of who has most gives way. As many over QUIC; beyond it the new one is refused. Default 256
	PerHousehold int           // connections, of either kind, from one IPv4 address or IPv6 /56; beyond it its own give way, the same; default 128
	PerConn      int           // unanswered questions of one connection; beyond it it is not read; default 64
	Idle         time.Duration // to send one whole question, or take one answer, on a connection; default 10 s
	Handshake    time.Duration // to do a whole handshake; default 5 s
	// IdleEncrypted is Idle between questions where a new connection costs a handshake; default 30 s
	IdleEncrypted time.Duration
	DrainTimeout  time.Duration // how long Run waits for upstreams after its context ended; default 5 s
	MaxQuery      int           // longest question over TCP; longer ones end the connection; default 4096
}

// processors is how many the process began with, whatever it takes for other things later (appliance/edge, spareProcessors).
var processors = runtime.GOMAXPROCS(0)

func (c *Config) defaults() {
	if c.Worker == nil {
		c.Worker = func() Worker { return oneByOne{c.Handler} }
	}
	c.Workers = orDefault(c.Workers, processors)
	c.Slots = orDefault(c.Slots, 8192)
	c.Conns = orDefault(c.Conns, 1024)
	c.PerHousehold = orDefault(c.PerHousehold, 128)
	c.PerConn = orDefault(c.PerConn, 64)
	c.Encrypted = orDefault(c.Encrypted, 4096)
	c.Handshakes = orDefault(c.Handshakes, 256)
	c.Idle = orDefault(c.Idle, 10*time.Second)
	c.Handshake = orDefault(c.Handshake, 5*time.Second)
	c.IdleEncrypted = orDefault(c.IdleEncrypted, 30*time.Second)
	c.Path = cmp.Or(c.Path, "/dns-query")
	c.DrainTimeout = orDefault(c.DrainTimeout, 5*time.Second)
	c.MaxQuery = orDefault(c.MaxQuery, 4096)
}

func orDefault[T int | time.Duration](v, def T) T {
	if v > 0 {
		return v
	}
	return def
}
