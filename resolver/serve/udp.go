package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/resolver/wire"
)

const (
	maxDatagram = 4096 // questions are far smaller; longer datagrams arrive cut, and so malformed
	maxErrors   = 1000 // reads failing in a row before a socket counts as broken
	maxWaiting  = 65536
)

// serveUDP reads one socket until the server drains. Its buffers are its own; only questions for an upstream are
// copied and handed on.
func (s *Server) serveUDP(asking context.Context, u *udpSocket) {
	in, out, oob := make([]byte, maxDatagram), make([]byte, 0, maxDatagram), make([]byte, 128)
	for failed := 0; ; {
		n, control, from, err := u.receive(in, oob)
		switch {
		case err == nil:
			failed = 0
			s.datagram(asking, u, in[:n], oob[:control], from, out)
			continue
		case s.draining.Load() && errors.Is(err, os.ErrDeadlineExceeded):
			s.drainUDP(asking, u, in, oob, out)
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

func (u *udpSocket) receive(in, oob []byte) (n, control int, from netip.AddrPort, err error) {
	if !u.info {
		n, from, err = u.conn.ReadFromUDPAddrPort(in)
		return n, 0, from, err
	}
	n, control, _, from, err = u.conn.ReadMsgUDPAddrPort(in, oob)
	return n, control, from, err
}

func (u *udpSocket) send(resp, control []byte, to netip.AddrPort) {
	// A client that cannot be reached is the client's affair: no retry, no log (P5).
	if len(control) == 0 {
		_, _ = u.conn.WriteToUDPAddrPort(resp, to)
		return
	}
	_, _, _ = u.conn.WriteMsgUDPAddrPort(resp, control, to)
}

// datagram answers one question, now or from a slot.
func (s *Server) datagram(asking context.Context, u *udpSocket, query, control []byte, from netip.AddrPort, out []byte) {
	u.read.Add(1)
	client := wire.Client{Addr: from.Addr().Unmap().WithZone(""), Via: wire.UDP}
	resp, done := s.config.Handler.Fast(out, query, client)
	if !done {
		held := append(append(make([]byte, 0, len(query)+len(control)), query...), control...)
		query, control := held[:len(query):len(query)], held[len(query):]
		if s.slow(asking, query, client, func(resp []byte) {
			if len(resp) > 0 {
				u.send(resp, control, from)
			}
		}) {
			return
		}
		resp = s.config.Handler.Busy(out, query)
	}
	if len(resp) > 0 {
		u.send(resp, control, from)
	}
}

// drainUDP answers what the kernel had already taken for this socket: those clients will not be answered by anyone
// else. It does not wait for more.
func (s *Server) drainUDP(asking context.Context, u *udpSocket, in, oob, out []byte) {
	raw, err := u.conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		for range maxWaiting {
			n, control, _, sender, err := unix.Recvmsg(int(fd), in, oob, unix.MSG_DONTWAIT)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return
			}
			if !u.info {
				control = 0
			}
			if from, ok := addrPort(sender); ok {
				s.datagram(asking, u, in[:n], oob[:control], from, out)
			}
		}
	})
}

func addrPort(a unix.Sockaddr) (netip.AddrPort, bool) {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)), true
	case *unix.SockaddrInet6:
		ip := netip.AddrFrom16(a.Addr)
		if a.ZoneId != 0 {
			if i, err := net.InterfaceByIndex(int(a.ZoneId)); err == nil {
				ip = ip.WithZone(i.Name)
			}
		}
		return netip.AddrPortFrom(ip, uint16(a.Port)), true
	}
	return netip.AddrPort{}, false
}
