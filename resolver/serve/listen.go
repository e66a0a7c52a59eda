package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// udpSocket is one socket of one worker.
type udpSocket struct {
	conn *net.UDPConn
	addr netip.AddrPort
	info bool // bound to all addresses: each answer must name the address its question came to

	buffer int // bytes that the kernel keeps for it

	_    [64]byte // a worker counts on a line of its own
	read atomic.Uint64
	_    [56]byte
}

// ReceiveBuffer is asked of the kernel for each socket, which grants the double by its own accounting: about 20,000 questions of 80 bytes (800 each
// there). That covers 100 ms of a worker that is held up at 200,000 a second, or half a second at 40,000, as a virtual machine has it now and then.
// More would only make questions wait that their clients ask again: when a worker cannot keep up, a full buffer is the delay of each.
const ReceiveBuffer = 8 << 20

// binding prepares sockets before they are bound. free has them take addresses that this machine may not have yet (IP_FREEBIND, which is one option
// for both families); more may be nil.
func binding(free bool, more func(fd int) error) net.ListenConfig {
	return net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		e := raw.Control(func(fd uintptr) {
			if free {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1)
			}
			if err == nil && more != nil {
				err = more(int(fd))
			}
		})
		return errors.Join(e, err)
	}}
}

// listenUDP binds one socket; share lets several workers bind the same address (SO_REUSEPORT).
func listenUDP(a netip.AddrPort, share, free bool) (*udpSocket, error) {
	info := a.Addr().IsUnspecified()
	c := binding(free, func(fd int) (err error) {
		if share {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}
		if err == nil && info && a.Addr().Is4() {
			err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		} else if err == nil && info {
			err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		}
		return err
	})
	conn, err := c.ListenPacket(context.Background(), family("udp", a), a.String())
	if err != nil {
		return nil, err
	}
	u := conn.(*net.UDPConn)
	granted, err := growBuffer(u)
	if err != nil {
		_ = u.Close()
		return nil, err
	}
	return &udpSocket{conn: u, addr: u.LocalAddr().(*net.UDPAddr).AddrPort(), info: info, buffer: granted}, nil
}

// growBuffer asks for ReceiveBuffer and says what there is; less is no reason not to serve. With CAP_NET_ADMIN it is granted, else the
// kernel's net.core.rmem_max is the most.
func growBuffer(u *net.UDPConn) (granted int, err error) {
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, err
	}
	e := raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, ReceiveBuffer) != nil {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, ReceiveBuffer)
		}
		granted, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
	})
	return granted / 2, errors.Join(e, err) // the kernel doubles it for its own accounting, and says the double
}

func listenTCP(a netip.AddrPort, free bool) (*net.TCPListener, error) {
	c := binding(free, nil)
	l, err := c.Listen(context.Background(), family("tcp", a), a.String())
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// family keeps IPv6 sockets to IPv6, so that 0.0.0.0 and [::] can both be listened on.
func family(network string, a netip.AddrPort) string {
	if a.Addr().Is4() {
		return network + "4"
	}
	return network + "6"
}

// explain makes a sentence of the errors people meet.
func explain(network string, a netip.AddrPort, err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("listen on %s %s: another program uses this address; stop it or choose another address: %w", network, a, err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("listen on %s %s: not allowed; ports below 1024 need CAP_NET_BIND_SERVICE: %w", network, a, err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("listen on %s %s: this machine does not have the address; add it to an interface, choose another, or set freebind: true if it comes later: %w", network, a, err)
	}
	return fmt.Errorf("listen on %s %s: %w", network, a, err)
}
