package transport

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Limits on the connections that have not shown a member's certificate yet.
const (
	// membersGate: whoever comes from an address where a member is reached has
	// places that nobody from elsewhere can take.
	membersGate = 256
	// strangersGate: all other addresses together. A member can be among them,
	// behind an address that this node has not seen it use.
	strangersGate = 64
	// perSource bounds one address (IPv6: one /64) in the strangers' gate.
	perSource = 8

	membersTime   = 5 * time.Second // of a handshake
	strangersTime = 3 * time.Second

	// A member speaks as soon as it is connected. With the members' gate full
	// of connections from its own address, each still has this long to say its
	// first word, and then to finish, before it makes room for the next.
	silentTime = 100 * time.Millisecond
	spokenTime = time.Second
)

// gate holds the connections whose handshake is going on. When a pool is full
// the newcomer is not refused, the oldest goes: a member is through in a
// moment, and who only holds a place open is always older than it.
type gate struct {
	fixed map[netip.Addr]bool // members' addresses by configuration

	mu      sync.Mutex            // guards all below
	members map[string]netip.Addr // by name and direction, as met last
	guests  []*guest              // in order of arrival
}

// guest is one of them.
type guest struct {
	net.Conn
	source  netip.Prefix
	member  bool // comes from where a member is reached
	arrived time.Time
	spoke   atomic.Bool
}

// Read notes the first word: crypto/tls reads the ClientHello before anything else.
func (g *guest) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if n > 0 {
		g.spoke.Store(true)
	}
	return n, err
}

// patience is how long its handshake may take.
func (g *guest) patience() time.Duration {
	if g.member {
		return membersTime
	}
	return strangersTime
}

// newGate knows the members by the addresses among these that are no names;
// the others it learns.
func newGate(addrs map[string]string) *gate {
	g := &gate{members: map[string]netip.Addr{}, fixed: map[netip.Addr]bool{}}
	for _, a := range addrs {
		if host, _, err := net.SplitHostPort(a); err == nil {
			if ip, err := netip.ParseAddr(host); err == nil {
				g.fixed[ip.WithZone("").Unmap()] = true
			}
		}
	}
	return g
}

// addrOf is the address of the other side, the zero Addr when it has none.
func addrOf(c net.Conn) netip.Addr {
	ap, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().WithZone("").Unmap()
}

// met notes where a member was reached, or came from, last. The two may differ.
func (g *gate) met(member, way string, c net.Conn) {
	ip := addrOf(c)
	if !ip.IsValid() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.members[way+member] = ip
}

func (g *gate) known(ip netip.Addr) bool {
	if g.fixed[ip] {
		return true
	}
	for _, m := range g.members {
		if m == ip {
			return true
		}
	}
	return false
}

func sourceOf(ip netip.Addr) netip.Prefix {
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address at all: one source with all the like
	}
	return p
}

// admit gives the connection a place. When it must wait for one it is nil and
// how long; only connections from a member's own address wait.
func (g *gate) admit(c net.Conn, now time.Time) (*guest, time.Duration) {
	ip := addrOf(c)
	g.mu.Lock()
	defer g.mu.Unlock()
	n := &guest{Conn: c, source: sourceOf(ip), member: g.known(ip), arrived: now}
	like := func(o *guest) bool { return o.member == n.member }
	size := membersGate
	if !n.member {
		size = strangersGate
		same := func(o *guest) bool { return !o.member && o.source == n.source }
		if g.count(same) >= perSource {
			like, size = same, perSource
		}
	}
	if g.count(like) >= size {
		victim := g.victim(like)
		if n.member {
			due := silentTime
			if victim.spoke.Load() {
				due = spokenTime
			}
			if wait := due - now.Sub(victim.arrived); wait > 0 {
				return nil, wait
			}
		}
		g.drop(victim)
		_ = victim.Close() // its handshake ends with that
	}
	g.guests = append(g.guests, n)
	return n, 0
}

func (g *gate) count(like func(*guest) bool) int {
	n := 0
	for _, o := range g.guests {
		if like(o) {
			n++
		}
	}
	return n
}

// victim is the oldest that has not said a word, or else the oldest.
func (g *gate) victim(like func(*guest) bool) *guest {
	var oldest *guest
	for _, o := range g.guests {
		if !like(o) {
			continue
		}
		if !o.spoke.Load() {
			return o
		}
		if oldest == nil {
			oldest = o
		}
	}
	return oldest
}

func (g *gate) drop(o *guest) bool {
	for i, have := range g.guests {
		if have == o {
			g.guests = append(g.guests[:i], g.guests[i+1:]...)
			return true
		}
	}
	return false
}

// leave gives a place back; false when the guest was made to go before.
func (g *gate) leave(o *guest) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.drop(o)
}

// closeAll ends every handshake that is going on.
func (g *gate) closeAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, o := range g.guests {
		_ = o.Close()
	}
	g.guests = nil
}
