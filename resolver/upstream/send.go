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
	sending          bool
}

type letter struct {
	socket   *socket
	from, to int
}

// add queues a query. Whoever holds the shard's lock may call it.
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
	if !o.sending {
		o.sending = true
		k.shard.pool.wait.Go(k.shard.send)
	}
}

// send sends until nothing waits.
func (s *shard) send() {
	out := s.pool.outboxes.Get().(*outgoing)
	defer s.pool.outboxes.Put(out)
	for {
		s.mu.Lock()
		letters, bytes := s.out.letters, s.out.bytes
		if len(letters) == 0 {
			s.out.sending = false
			s.mu.Unlock()
			return
		}
		s.out.letters, s.out.bytes = s.out.spare[:0], s.out.spareText[:0]
		s.out.spare, s.out.spareText = nil, nil
		s.mu.Unlock()
		for from := 0; from < len(letters); {
			k, n := letters[from].socket, 0
			for from < len(letters) && n < batchSize && letters[from].socket == k {
				l := letters[from]
				out.vectors[n].Base = &bytes[l.from]
				out.vectors[n].SetLen(l.to - l.from)
				n++
				from++
			}
			out.n, out.sent, out.failed = n, 0, false
			if k.raw.Write(out.put) != nil || !out.failed {
				continue // closed: nobody waits for it
			}
			s.mu.Lock()
			lands := s.broken(k, nil) // what the path said to an earlier query
			s.mu.Unlock()
			for i := range lands {
				lands[i].tell()
			}
		}
		clear(letters)
		s.mu.Lock()
		s.out.spare, s.out.spareText = letters, bytes
		s.mu.Unlock()
	}
}

// outgoing is memory for sendmmsg.
type outgoing struct {
	heads   [batchSize]mmsghdr
	vectors [batchSize]unix.Iovec
	n, sent int
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
				return false
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
