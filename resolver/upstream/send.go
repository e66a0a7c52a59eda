package upstream

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/resolver/wire"
)

// outbox are queries to be sent, as many a call as have come together.
type outbox struct {
	letters, spare   []letter
	bytes, spareText []byte
}

type letter struct {
	socket   *socket
	from, to int
}

// add queues a query. Whoever holds the shard's lock may call it, and calls flush without it.
func (o *outbox) add(k *socket, q wire.Question, id uint16, bare bool) {
	at := len(o.bytes)
	o.bytes = q.AppendQuery(o.bytes, id, wire.MaxUDP)
	if bare {
		o.bytes = o.bytes[:len(o.bytes)-wire.OPTLen]
		o.bytes[at+11] = 0
	} else {
		o.bytes = wire.AppendCookie(o.bytes, *k.server.cookie.Load())
		o.bytes = q.AppendSubnet(o.bytes, at)
	}
	o.letters = append(o.letters, letter{k, at, len(o.bytes)})
}

// flush sends what is queued. It does not wait: what finds no room in a socket is left to a goroutine.
func (s *shard) flush() {
	s.mu.Lock()
	letters, bytes := s.out.letters, s.out.bytes
	if len(letters) == 0 {
		s.mu.Unlock()
		return
	}
	s.out.letters, s.out.bytes = s.out.spare[:0], s.out.spareText[:0]
	s.out.spare, s.out.spareText = nil, nil
	s.mu.Unlock()
	if rest := s.send(letters, bytes, false); len(rest) > 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.closed {
			s.pool.wait.Go(func() { s.send(rest, bytes, true) })
		}
		return
	}
	clear(letters)
	s.mu.Lock()
	s.out.spare, s.out.spareText = letters, bytes
	s.mu.Unlock()
}

// send sends queries, those of one socket together, and gives those that there was no room for; none when it waits for room.
func (s *shard) send(letters []letter, bytes []byte, wait bool) (rest []letter) {
	out := s.pool.outboxes.Get().(*outgoing)
	defer s.pool.outboxes.Put(out)
	for len(letters) > 0 {
		k, n := letters[0].socket, 0
		for n < min(len(letters), batchSize) && letters[n].socket == k {
			l := letters[n]
			out.vectors[n].Base = &bytes[l.from]
			out.vectors[n].SetLen(l.to - l.from)
			n++
		}
		out.n, out.sent, out.failed, out.full, out.wait = n, 0, false, false, wait
		if k.raw.Write(out.put) == nil && out.failed { // else it is sent, or the socket closed: nobody waits for it
			var lands landed
			s.mu.Lock()
			s.broken(k, &lands) // what the path said to an earlier query
			s.mu.Unlock()
			s.flush()
			lands.tell()
		} else if out.full {
			return letters[out.sent:]
		}
		letters = letters[n:]
	}
	return nil
}

// outgoing is memory for sendmmsg.
type outgoing struct {
	heads   [batchSize]mmsghdr
	vectors [batchSize]unix.Iovec
	n, sent int
	wait    bool // for room in the socket
	full    bool // there is none, and it is not waited for
	failed  bool
	put     func(fd uintptr) bool
}

func newOutgoing() any {
	o := new(outgoing)
	for i := range o.heads {
		o.heads[i].Iov = &o.vectors[i]
		o.heads[i].SetIovlen(1)
	}
	o.put = func(fd uintptr) bool {
		for o.sent < o.n {
			n, errno := mmsg(unix.SYS_SENDMMSG, fd, o.heads[o.sent:o.n])
			if errno == unix.EAGAIN {
				o.full = !o.wait
				return o.full
			}
			if errno != 0 {
				o.failed = true
				return true
			}
			o.sent += n
		}
		return true
	}
	return o
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	unix.Msghdr
	n uint32
}

// mmsg is recvmmsg or sendmmsg, not blocking, without telling the scheduler (see the same in serve).
func mmsg(trap, fd uintptr, h []mmsghdr) (int, syscall.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(trap, fd, uintptr(unsafe.Pointer(&h[0])), uintptr(len(h)), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
