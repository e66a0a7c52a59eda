package serve

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	batchSize = 64 // datagrams a call: 16, 32 and 128 cost the same within 3 % when all is cached, AMD EPYC (docs/decisions/constants.md)

	// maxDatagram is the longest question that is read whole: what fits an Ethernet frame. Longer ones are cut and so malformed.
	// An odd number of cache lines, so that the fronts of the buffers do not share the few places of the first-level cache.
	maxDatagram = 25 * 64

	// maxReply is room for an answer; a Handler may go beyond it, and then allocates.
	maxReply = 21 * 64

	controlSize = 64 // one IP_PKTINFO or IPV6_PKTINFO
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	unix.Msghdr
	n uint32 // bytes received
}

// questions are datagrams as recvmmsg gives them, in buffers of their own.
type questions struct {
	heads    [batchSize]mmsghdr
	vectors  [batchSize]unix.Iovec
	names    [batchSize]unix.RawSockaddrInet6 // of either family
	controls []byte                           // nil when nobody needs them
	data     []byte
	n        int
	errno    syscall.Errno
	take     func(fd uintptr) (done bool) // for syscall.RawConn.Read, made once
}

func newQuestions(controls bool) *questions {
	q := &questions{data: make([]byte, batchSize*maxDatagram)}
	if controls {
		q.controls = make([]byte, batchSize*controlSize)
	}
	for i := range q.heads {
		q.vectors[i].Base = &q.data[i*maxDatagram]
		q.vectors[i].SetLen(maxDatagram)
		h := &q.heads[i]
		h.Iov, h.Name = &q.vectors[i], (*byte)(unsafe.Pointer(&q.names[i]))
		h.SetIovlen(1)
		if controls {
			h.Control = &q.controls[i*controlSize]
		}
	}
	q.n = batchSize // all heads are to be set before the first receive
	q.take = func(fd uintptr) bool { return q.receive(fd) != unix.EAGAIN }
	return q
}

// receive takes what waits in a socket, without blocking. Hot path: no allocation.
func (q *questions) receive(fd uintptr) syscall.Errno {
	for i := range q.n { // the kernel wrote to those of the last time
		q.heads[i].Namelen = unix.SizeofSockaddrInet6
		if q.controls != nil {
			q.heads[i].SetControllen(controlSize)
		}
	}
	q.n, q.errno = mmsg(unix.SYS_RECVMMSG, fd, q.heads[:])
	return q.errno
}

func (q *questions) query(i int) []byte {
	at := i * maxDatagram
	return q.data[at : at+int(q.heads[i].n) : at+maxDatagram]
}

func (q *questions) control(i int) []byte {
	if q.controls == nil {
		return nil
	}
	at := i * controlSize
	return q.controls[at : at+int(q.heads[i].Controllen)]
}

// answers are datagrams for sendmmsg.
type answers struct {
	heads   [batchSize]mmsghdr
	vectors [batchSize]unix.Iovec
	n, sent int
	put     func(fd uintptr) (done bool) // for syscall.RawConn.Write, made once
}

func newAnswers() *answers {
	a := &answers{}
	for i := range a.heads {
		a.heads[i].Iov = &a.vectors[i]
		a.heads[i].SetIovlen(1)
	}
	a.put = func(fd uintptr) bool { return a.send(fd) != unix.EAGAIN }
	return a
}

// add takes one more answer; it and where it goes are the caller's until send. There must be room. Hot path: no allocation.
func (a *answers) add(resp []byte, to *unix.RawSockaddrInet6, control []byte) {
	a.vectors[a.n].Base = unsafe.SliceData(resp)
	a.vectors[a.n].SetLen(len(resp))
	h := &a.heads[a.n]
	h.Name, h.Namelen = (*byte)(unsafe.Pointer(to)), unix.SizeofSockaddrInet6
	if to.Family == unix.AF_INET {
		h.Namelen = unix.SizeofSockaddrInet4
	}
	h.Control = unsafe.SliceData(control)
	h.SetControllen(len(control))
	a.n++
}

// send sends all that was added, or returns EAGAIN and sends the rest next time. A client that cannot be reached is the client's affair: it is
// left out without retry or log (P5).
func (a *answers) send(fd uintptr) syscall.Errno {
	for a.sent < a.n {
		n, errno := mmsg(unix.SYS_SENDMMSG, fd, a.heads[a.sent:a.n])
		if errno == unix.EAGAIN {
			return errno
		}
		a.sent += max(n, 1) // an error is about the first of the rest
	}
	a.n, a.sent = 0, 0
	return 0
}

// mmsg is recvmmsg or sendmmsg, not blocking. h must not be empty.
//
// The scheduler is not told of the call: 64 answers keep the kernel busy for 200 µs, and after 20 it would take the processor away for others, wake
// a thread for it, and find none. On one core that cost 2 to 3 µs a question. The price is that a stop of the world waits for the batch.
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
