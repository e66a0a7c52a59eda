package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/resolver/wire"
)

const (
	maxErrors  = 1000              // reads failing in a row before a socket counts as broken
	maxWaiting = 65536 / batchSize // batches read while draining
)

// udpWorker answers the questions of one socket. Its buffers are its own; only questions for an upstream are copied and handed on.
type udpWorker struct {
	server *Server
	asking context.Context
	socket *udpSocket
	raw    syscall.RawConn
	worker Worker
	in     *questions
	asks   [batchSize]wire.Ask // of in
	out    *answers
	text   []byte // of the answers
	later  *outbox
}

func (s *Server) newUDPWorker(asking context.Context, u *udpSocket) (*udpWorker, error) {
	raw, err := u.conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &udpWorker{
		server: s, asking: asking, socket: u, raw: raw,
		worker: s.config.Worker(), in: newQuestions(u.info), out: newAnswers(), text: make([]byte, batchSize*maxReply),
		later: newOutbox(raw, s),
	}, nil
}

// serveUDP reads one socket until the server drains.
func (s *Server) serveUDP(asking context.Context, u *udpSocket) {
	w, err := s.newUDPWorker(asking, u)
	if err != nil {
		s.fail(fmt.Errorf("read udp %s: %w", u.addr, err))
		return
	}
	for failed := 0; ; {
		err := w.raw.Read(w.in.take)
		switch {
		case err == nil && w.in.errno == 0:
			failed = 0
			w.answer()
			if w.out.n > 0 && w.raw.Write(w.out.put) != nil {
				return // closed
			}
			continue
		case err == nil:
			err = os.NewSyscallError("recvmmsg", w.in.errno)
		case s.draining.Load() && errors.Is(err, os.ErrDeadlineExceeded):
			_ = w.raw.Control(w.drain)
			return
		case errors.Is(err, net.ErrClosed):
			return
		}
		// Errors of the path (ICMP) come up here and are over with the next read.
		if failed++; failed > maxErrors {
			s.fail(fmt.Errorf("read udp %s: %w", u.addr, err))
			return
		}
	}
}

// answer makes the answers to a batch. Hot path: no allocation, but for questions that an upstream must be asked.
func (w *udpWorker) answer() {
	w.socket.read.Add(uint64(w.in.n))
	asks := w.asks[:w.in.n]
	for i := range asks {
		at := i * maxReply
		asks[i] = wire.Ask{Query: w.in.query(i), From: wire.Client{Addr: clientOf(&w.in.names[i]), Via: wire.UDP}, Resp: w.text[at : at : at+maxReply]}
	}
	w.worker.Answer(asks)
	waits := false
	for i := range asks {
		a := &asks[i]
		if !a.Done && w.server.takeSlot() {
			waits = true
			h := w.later.hold(a.Query, &w.in.names[i], answerFrom(w.in.control(i)))
			a.Query, a.Later = h.query, h
			continue
		}
		if !a.Done {
			a.Resp = w.server.config.Handler.Busy(a.Resp, a.Query, a.From)
		}
		if len(a.Resp) > 0 {
			w.out.add(a.Resp, &w.in.names[i], answerFrom(w.in.control(i)))
		}
	}
	if waits {
		w.worker.Slow(w.asking, asks)
	}
}

// drain answers what the kernel had already taken for this socket: those clients will not be answered by anyone else. It does not wait for more.
func (w *udpWorker) drain(fd uintptr) {
	for range maxWaiting {
		if w.in.receive(fd) != 0 {
			return
		}
		w.answer()
		for wait := 0; w.out.n > 0 && w.out.send(fd) == unix.EAGAIN && wait < maxErrors; wait++ {
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 1)
		}
		if w.out.n > 0 {
			return // nothing leaves any more
		}
	}
}

// clientOf is the address a datagram came from, as wire.Client wants it. Hot path: no allocation.
func clientOf(a *unix.RawSockaddrInet6) netip.Addr {
	if a.Family == unix.AF_INET {
		// struct sockaddr_in: family, port, address; the address lies where the flow label of IPv6 does.
		return netip.AddrFrom4(*(*[4]byte)(unsafe.Pointer(&a.Flowinfo)))
	}
	return netip.AddrFrom16(a.Addr).Unmap()
}

// answerFrom makes of what the kernel said about a question what it needs for the answer, in place: the address of ours, and not the interface,
// as the way back to the client is the routing table's affair. Only link-local addresses are nothing without their interface.
func answerFrom(control []byte) []byte {
	if len(control) == 0 {
		return nil
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(control) >= unix.CmsgLen(unix.SizeofInet4Pktinfo):
		(*unix.Inet4Pktinfo)(unsafe.Pointer(&control[unix.CmsgLen(0)])).Ifindex = 0
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(control) >= unix.CmsgLen(unix.SizeofInet6Pktinfo):
		if p := (*unix.Inet6Pktinfo)(unsafe.Pointer(&control[unix.CmsgLen(0)])); p.Addr[0] != 0xfe || p.Addr[1]&0xc0 != 0x80 {
			p.Ifindex = 0
		}
	default:
		return nil
	}
	return control
}
