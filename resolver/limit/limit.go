// Package limit bounds the connections of a listener: in all, and from one household, so that no stranger shuts out everybody else.
//
// In goes a listener, out comes one whose Accept closes at once what is over a limit; connections already open are never touched. Or connections are
// given Places, where those that rest give way. Households are counted in memory while they hold a connection and then forgotten; they are never
// written anywhere.
package limit

import (
	"net"
	"net/netip"
	"sync"
)

// New returns a limit of all connections at once, and of perHousehold of them from one IPv4 address or IPv6 /56. Several listeners may share
// one.
func New(all, perHousehold int) *Limit {
	return &Limit{max: all, maxEach: perHousehold, from: map[netip.Prefix]int{}}
}

// Fair returns a limit of all connections at once for what is soon over, such as handshakes. While half of it is free a household may take any
// number, beyond a sixteenth of all: so some few who begin and never end leave room for the others.
func Fair(all int) *Limit {
	return &Limit{max: all, maxEach: all, scarce: max(all/16, 1), from: map[netip.Prefix]int{}}
}

// Listener returns l under the limit. Its connections may be closed by anyone, more than once.
func (g *Limit) Listener(l net.Listener) net.Listener { return &limited{Listener: l, guests: g} }

// Limit counts open connections. It may be used concurrently.
type Limit struct {
	max, maxEach int
	scarce       int // of Fair: maxEach when half of max is taken; else 0

	mu   sync.Mutex // guards the rest
	all  int
	from map[netip.Prefix]int
}

// Enter counts a connection of a client, whose listener is none of Listener's. Without room it is false; else leave, which may be called more
// than once, gives the place back.
func (g *Limit) Enter(client netip.Addr) (leave func(), ok bool) {
	house := householdOf(client)
	if !g.enter(house) {
		return nil, false
	}
	return sync.OnceFunc(func() { g.leave(house) }), true
}

// Crowded reports that more than half of all places are taken: time to let those go that nobody needs.
func (g *Limit) Crowded() bool { return g.Taken() > g.max/2 }

// Taken is how many places are taken.
func (g *Limit) Taken() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.all
}

func (g *Limit) enter(house netip.Prefix) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all >= g.max || g.from[house] >= g.maxEach || g.scarce > 0 && g.all >= g.max/2 && g.from[house] >= g.scarce {
		return false
	}
	g.all++
	g.from[house]++
	return true
}

func (g *Limit) leave(house netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
	if g.from[house]--; g.from[house] == 0 {
		delete(g.from, house)
	}
}

func household(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	return householdOf(tcp.AddrPort().Addr())
}

func householdOf(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap()
	bits := 32
	if ip.Is6() {
		bits = 56
	}
	p, _ := ip.WithZone("").Prefix(bits)
	return p
}

type limited struct {
	net.Listener
	guests *Limit
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		house := household(c.RemoteAddr())
		if l.guests.enter(house) {
			return &guest{Conn: c, leave: sync.OnceFunc(func() { l.guests.leave(house) })}, nil
		}
		c.Close()
	}
}

// guest leaves once, whoever closes it first.
type guest struct {
	net.Conn
	leave func()
}

func (g *guest) Close() error {
	g.leave()
	return g.Conn.Close()
}
