// Package echo is the floor that a DNS server in Go is measured against: datagrams in, datagrams out, in batches, and no thought in between.
//
// It answers every question with one of two addresses, by the first letter of the name, as the peers' bench expects of names that are listed
// ("h...") and not. It is written apart from the server it is compared with, and is of no other use.
package echo

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Config says where to answer, and what.
type Config struct {
	Conn         *net.UDPConn // IPv4; closed at the end
	Stop, Others netip.Addr   // answers, IPv4
	Batch        int          // datagrams a call, at most
}

const (
	size   = 2048
	record = "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04" // the name asked, A, IN, a minute, four bytes
)

type header struct {
	unix.Msghdr
	n uint32
	_ uint32
}

// Run answers until ctx ends.
func Run(ctx context.Context, c Config) error {
	conn := c.Conn
	defer conn.Close()
	_ = conn.SetReadBuffer(4 << 20)
	_ = conn.SetWriteBuffer(4 << 20)
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()

	buf := make([]byte, c.Batch*size)
	headers, vectors, names := make([]header, c.Batch), make([]unix.Iovec, c.Batch), make([]unix.RawSockaddrInet4, c.Batch)
	for i := range headers {
		vectors[i].Base = &buf[i*size]
		headers[i].Iov, headers[i].Iovlen, headers[i].Name = &vectors[i], 1, (*byte)(unsafe.Pointer(&names[i]))
	}
	stop, others := c.Stop.As4(), c.Others.As4()
	var n int
	var errno syscall.Errno
	receive := func(fd uintptr) bool {
		n, errno = call(unix.SYS_RECVMMSG, fd, headers)
		return errno != unix.EAGAIN
	}
	sent := 0
	send := func(fd uintptr) bool {
		var k int
		if k, errno = call(unix.SYS_SENDMMSG, fd, headers[sent:n]); errno == unix.EAGAIN {
			return false
		}
		sent += max(k, 1) // the first of them cannot be sent: the next may
		return true
	}
	for {
		for i := range headers {
			vectors[i].Len, headers[i].Namelen = size-16, unix.SizeofSockaddrInet4
		}
		if err := raw.Read(receive); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if errno != 0 {
			return fmt.Errorf("read: %w", os.NewSyscallError("recvmmsg", errno))
		}
		for i := range n {
			b := buf[i*size : i*size+int(headers[i].n)+16]
			end := len(b) - 16
			if end < 14 {
				continue
			}
			b[2] |= 0x80
			b[7] = 1
			copy(b[end:], record)
			if b[13] == 'h' {
				copy(b[end+12:], stop[:])
			} else {
				copy(b[end+12:], others[:])
			}
			vectors[i].Len = uint64(len(b))
		}
		for sent = 0; sent < n; {
			if err := raw.Write(send); err != nil {
				return err
			}
		}
	}
}

func call(trap, fd uintptr, h []header) (int, syscall.Errno) {
	for {
		n, _, errno := unix.Syscall6(trap, fd, uintptr(unsafe.Pointer(&h[0])), uintptr(len(h)), unix.MSG_DONTWAIT, 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}
