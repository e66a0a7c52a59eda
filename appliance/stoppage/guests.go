package stoppage

import (
	"net"
	"net/netip"
	"sync"
)

// How many connections may be open at once: all together (about 20 KiB each while a header is awaited, so 80 MiB),
// and from one household (an IPv4 address, an IPv6 /56). A browser opens six.
const (
	maxGuests       = 4096
	maxPerHousehold = 64
)

// guests counts open connections. Households are counted in memory while they hold a connection and then forgotten;
// they are never written anywhere.
type guests struct {
	mu   sync.Mutex // guards the rest
	all  int
	from map[netip.Prefix]int
}

func newGuests() *guests { return &guests{from: map[netip.Prefix]int{}} }

func (g *guests) enter(house netip.Prefix) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all >= maxGuests || g.from[house] >= maxPerHousehold {
		return false
	}
	g.all++
	g.from[house]++
	return true
}

func (g *guests) leave(house netip.Prefix) {
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
	ip := tcp.AddrPort().Addr().Unmap()
	bits := 32
	if ip.Is6() {
		bits = 56
	}
	p, _ := ip.WithZone("").Prefix(bits)
	return p
}

// limited is a listener with a limit: a connection beyond it is closed at once, which a browser shows as a failed
// connection and retries; those already open are never touched.
type limited struct {
	net.Listener
	guests *guests
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
