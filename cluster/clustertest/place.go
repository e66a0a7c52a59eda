package clustertest

import (
	"fmt"
	"syscall"
	"testing"
)

// place is an address of this machine that stays a member's until the test ends, also while nobody listens there: a socket is bound to it, so that
// the kernel gives its port to none of the many who ask for any port. Who names it, as a member does that starts again, may listen there all the
// same: both have SO_REUSEADDR, and the one that keeps the place never listens.
func place(t testing.TB) string {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("clustertest: take a port: %v", err)
		}
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	must(err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	must(syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
	must(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	at, err := syscall.Getsockname(fd)
	must(err)
	return fmt.Sprintf("127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port)
}
