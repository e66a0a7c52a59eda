package upstream

import (
	"encoding/binary"
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/resolver/wire"
)

const (
	batchSize = 64

	// maxMessage is of a datagram: a server that sends more than MaxUDP although our OPT record forbids it is still read whole. An odd number of
	// cache lines, so that the fronts of the buffers do not share the few places of the first-level cache.
	maxMessage = 65 * 64

	// maxStrays is how many datagrams that answer nothing a socket steps over. A forger's guesses beyond it move its questions to TCP, where
	// guessing does not work.
	maxStrays = 16

	// A socket, and so its random port, takes one question while there are few, and a share of a tenth of a second's when there are many: some
	// hundred new ports a second, at any rate. With 256 of a port a forger who has found it has 256 ids of 65,536, each for one name.
	socketsPerSpan = 32
	span           = 100 * time.Millisecond
	maxShare       = 256
	maxAsked       = 1 << 14 // of one socket, whatever else: ids run out
	maxSockets     = 512     // of one server, over all shards: beyond it they are shared, as file descriptors are not without end
)

// share is a shard's sockets to one server.
type share struct {
	open    map[*socket]*socket
	current *socket
	asked   int // in this span
	last    int // in the one before
	until   time.Time
}

// socket is a connected UDP socket: the kernel picks a random port, and hands over only what comes from the server's address.
type socket struct {
	shard   *shard
	server  *server
	share   *share
	conn    *net.UDPConn
	raw     syscall.RawConn
	pending map[uint16]*attempt // by id; nil: given up
	waiting int                 // questions it may still get an answer to
	asked   int
	strays  int
	retired bool // takes no more questions, closed when none waits
}

// socket is one for the next question to a server; nil when there is none to be had.
func (s *shard) socket(to int, now time.Time) *socket {
	h := &s.servers[to]
	if now.After(h.until) {
		h.last, h.asked, h.until = h.asked, 0, now.Add(span)
	}
	h.asked++
	k := h.current
	room := len(h.open) < max(maxSockets/len(s.pool.shards), 8)
	if k != nil && (k.retired || k.asked >= maxAsked || room && k.asked >= min(maxShare, 1+max(h.asked, h.last)/socketsPerSpan)) {
		k.retire()
		k = nil
	}
	if k == nil {
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(s.pool.servers[to].addr))
		if err != nil {
			return nil
		}
		raw, err := conn.SyscallConn()
		if err != nil {
			_ = conn.Close()
			return nil
		}
		k = &socket{shard: s, server: s.pool.servers[to], share: h, conn: conn, raw: raw, pending: make(map[uint16]*attempt)}
		h.open[k], h.current = k, k
		s.pool.wait.Go(k.read)
	}
	k.asked++
	k.waiting++
	return k
}

func (k *socket) retire() {
	k.retired = true
	k.rest()
}

// rest closes a retired socket that nobody waits for.
func (k *socket) rest() {
	if k.retired && k.waiting == 0 && k.share.open[k] != nil {
		delete(k.share.open, k)
		if k.share.current == k {
			k.share.current = nil
		}
		k.shut()
	}
}

// shut ends the reader, which closes the socket. Closing waits for the reader, and the reader may be waiting for the shard.
func (k *socket) shut() { _ = k.conn.SetReadDeadline(past) }

var past = time.Unix(1, 0)

// id is a random one that the socket has not used.
func (k *socket) id(r *random) uint16 {
	for {
		id := uint16(r.next())
		if _, used := k.pending[id]; !used {
			return id
		}
	}
}

// inbox is memory for one call of recvmmsg. Sockets come and go, so they take one only while something waits.
type inbox struct {
	heads   [batchSize]mmsghdr
	vectors [batchSize]unix.Iovec
	data    [batchSize][maxMessage]byte
	sums    [batchSize]wire.Summary // of data
	lands   landed
}

func newInbox() any {
	in := new(inbox)
	for i := range in.heads {
		in.vectors[i].Base = &in.data[i][0]
		in.vectors[i].SetLen(maxMessage)
		in.heads[i].Iov = &in.vectors[i]
		in.heads[i].SetIovlen(1)
	}
	return in
}

// read takes answers until the socket is shut. It waits when a call has given less than it could: what comes behind is told by the poller anew,
// so there is no need to ask for it in vain.
func (k *socket) read() {
	defer k.conn.Close()
	_ = k.raw.Read(func(fd uintptr) bool {
		for {
			in := k.shard.pool.inboxes.Get().(*inbox)
			n, errno := mmsg(unix.SYS_RECVMMSG, fd, in.heads[:])
			if errno != unix.EAGAIN {
				k.shard.receive(k, in, n, errno)
			}
			k.shard.pool.inboxes.Put(in)
			if errno == unix.EAGAIN || errno == 0 && n < batchSize {
				return false
			}
		}
	})
}

// receive matches replies to questions.
func (s *shard) receive(k *socket, in *inbox, n int, errno syscall.Errno) {
	lands := in.lands[:0]
	now := time.Now()
	s.mu.Lock()
	if errno != 0 { // the path's (ICMP): nobody is there
		s.broken(k, &lands)
	}
	for i := range n {
		s.reply(k, in.data[i][:in.heads[i].n], &in.sums[i], now, &lands)
	}
	if k.strays > maxStrays {
		k.retired = true
		for _, a := range k.pending {
			if a != nil {
				s.byTCP(a)
			}
		}
		k.rest()
	}
	more := len(s.out.letters) > 0
	s.mu.Unlock()
	if more {
		s.flush()
	}
	lands.tell()
	in.lands = lands[:0]
}

// broken fails what waits for a socket. Its errors are of the server's address or the way to it, so other questions go elsewhere as well.
func (s *shard) broken(k *socket, lands *landed) {
	k.retired = true
	for _, a := range k.pending {
		if a != nil && a.socket == k {
			s.fail(a, ErrNetwork, lands)
		}
	}
	k.rest()
}

// reply judges one datagram.
func (s *shard) reply(k *socket, msg []byte, sum *wire.Summary, now time.Time, lands *landed) {
	var a *attempt
	ours := false
	if len(msg) >= wire.HeaderLen {
		a, ours = k.pending[binary.BigEndian.Uint16(msg)]
	}
	if a == nil || !a.flight.q.Answers(msg, a.id) {
		if !ours || a != nil { // else a late one
			s.pool.counts.strays.Add(1)
			k.strays++
		}
		return
	}
	a.server.took(now.Sub(a.sent))
	if string(msg[wire.HeaderLen:wire.HeaderLen+len(a.cased)]) != string(a.cased) || wire.Truncated(msg) {
		// Another spelling than ours is a forger's, or of a server that does not echo: TCP tells.
		s.byTCP(a)
		return
	}
	switch rcode := int(msg[3] & 0xf); {
	case rcode != wire.RcodeFormErr && rcode != wire.RcodeNotImp:
		if a.bare { // it was EDNS that the server did not like
			a.server.noEDNS.Store(s.pool.config.Clock().Add(withoutEDNS).Unix())
		}
	case !a.bare && !s.pool.bare(a.server) && !edns(msg):
		a.bare = true // RFC 6891 7: asked again without
		s.again(a, now, lands)
		return
	}
	s.judge(a, msg, sum, now, lands)
}

// edns reports that a reply is of a server that knows EDNS, whatever else it says.
func edns(msg []byte) bool {
	var sum wire.Summary
	return wire.Scan(msg, &sum) == nil && sum.OPT
}

// again asks the same server once more.
func (s *shard) again(a *attempt, now time.Time, lands *landed) {
	to, end := s.pool.index(a.server), a.end
	a.drop()
	if !s.query(a, to, now, end) {
		s.forward(a.flight, now, lands)
	}
}

// judge takes a reply that is the server's. sum is room for what is found in it.
func (s *shard) judge(a *attempt, msg []byte, sum *wire.Summary, now time.Time, lands *landed) {
	f := a.flight
	err := wire.Scan(msg, sum)
	if err == nil && a.socket != nil {
		switch a.server.cookies(sum.Cookie) {
		case cookieForged:
			s.pool.counts.strays.Add(1)
			a.server.counts.badCookies.Add(1)
			s.byTCP(a)
			return
		case cookieNew:
			if sum.Rcode == rcodeBadCookie && !a.fresh {
				a.fresh = true
				s.again(a, now, lands)
				return
			}
		}
		if sum.Rcode == rcodeBadCookie { // again, and with the cookie it just gave: it forgets, or somebody answers for it (RFC 7873 5.3)
			a.server.counts.badCookies.Add(1)
			s.byTCP(a)
			return
		}
	}
	if err != nil || sum.Rcode > 0xf {
		s.fail(a, ErrNoAnswer, lands) // the next server, rather than rubbish for a client
		return
	}
	copy(msg[wire.HeaderLen:], f.q.Name) // the question in lower case, whichever spelling was sent
	a.server.well()
	a.server.counts.answers.Add(1)
	if rcode := int(msg[3] & 0xf); rcode == wire.RcodeSuccess || rcode == wire.RcodeNXDomain {
		for i := range f.tries {
			if o := &f.tries[i]; o != a && o.server != nil {
				o.server.outlasted(now.Sub(o.sent))
			}
		}
		s.land(f, msg, sum, nil, lands)
		return
	}
	a.server.counts.refusals.Add(1)
	f.second = append([]byte(nil), msg...)
	a.drop()
	s.forward(f, now, lands)
}

// byTCP moves a question to a connection. It does not wait for it.
func (s *shard) byTCP(a *attempt) {
	server, end := a.server, a.end
	server.counts.tcp.Add(1)
	a.drop()
	a.server, a.sent, a.hedge = server, time.Now(), time.Time{}
	a.end = end.Add(s.pool.config.Attempt) // the clock's look ends it no sooner than the connection does
	s.connect(a)
}

// connect asks over the server's connection.
func (s *shard) connect(a *attempt) {
	server, serial := a.server, a.serial
	q := a.flight.q
	q.Name = append([]byte(nil), a.cased...)
	bare := a.bare || s.pool.bare(server)
	s.pool.wait.Go(func() {
		reply, err := s.pool.overStream(server, q, bare, time.Now().Add(s.pool.config.Attempt))
		var lands landed
		now := time.Now()
		s.mu.Lock()
		if a.serial == serial {
			if err == nil {
				if string(reply[wire.HeaderLen:wire.HeaderLen+len(q.Name)]) != string(q.Name) {
					server.noCase.Store(true)
				}
				if server.tls != nil {
					server.took(now.Sub(a.sent))
				}
				s.judge(a, reply, new(wire.Summary), now, &lands)
			} else {
				kind := ErrNetwork
				var e net.Error
				if late := errors.As(err, &e) && e.Timeout(); late || errors.Is(err, errUnusable) {
					if kind = ErrNoAnswer; late {
						server.counts.timeouts.Add(1)
					}
				}
				s.fail(a, kind, &lands)
			}
		}
		s.mu.Unlock()
		s.flush()
		lands.tell()
	})
}
