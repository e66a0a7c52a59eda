package serve

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stuck is an outbox whose socket takes nothing more until its other end reads: a connection of TCP, for which sendmmsg is as for UDP.
func stuck(t *testing.T, s *Server) (o *outbox, reader, socket *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); _ = r.Close() })
	socket, reader = c.(*net.TCPConn), r.(*net.TCPConn)
	_ = socket.SetWriteBuffer(4096)
	raw, err := socket.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		for quiet := false; ; {
			if _, err := unix.SendmsgN(int(fd), make([]byte, 4096), nil, nil, unix.MSG_DONTWAIT); err == nil {
				quiet = false
				continue
			}
			if quiet {
				return
			}
			// What is under way makes room when it has come; behind that the other end takes nothing, or has dropped what came.
			i, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			if quiet = err != nil || i.Unacked == 0 || i.Retransmits > 0; !quiet {
				<-time.After(time.Millisecond)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	return newOutbox(raw, s), reader, socket
}

// TestAnswersForAStuckSocketAreBounded, in number and in bytes; what finds no room is counted, nobody who brings an answer waits, and when the
// socket takes answers again those kept leave.
func TestAnswersForAStuckSocketAreBounded(t *testing.T) {
	for _, size := range []int{100, 60000} {
		s := &Server{}
		o, reader, socket := stuck(t, s)
		const questions = 2 * maxUnsent
		answer := append([]byte{0xa5}, make([]byte, size-1)...) // TCP may take a part of one: its first byte counts
		for range questions {                                   // would hang here if it waited
			s.work.Add(1)
			h := o.hold([]byte("q"), &unix.RawSockaddrInet6{Family: unix.AF_INET}, nil)
			h.Answer(answer)
			h.Flush()
		}
		o.mu.Lock()
		count, held := len(o.waiting)+len(o.letters), cap(o.bytes)+cap(o.text)
		o.mu.Unlock()
		unsent := s.Counts().Unsent
		if count > 2*maxUnsent || held > 4*maxUnsentBytes || unsent == 0 {
			t.Errorf("answers of %d bytes: %d wait in %d bytes, %d were dropped", size, count, held, unsent)
		}
		got := make(chan int)
		go func() {
			all, n := make([]byte, 1<<20), 0
			for {
				m, err := reader.Read(all)
				n += bytes.Count(all[:m], []byte{0xa5})
				if err != nil {
					got <- n
					return
				}
			}
		}()
		s.work.Wait() // all that waited has left
		_ = socket.CloseWrite()
		if n, want := <-got, questions-int(unsent); n != want {
			t.Errorf("answers of %d bytes: %d have come, want %d", size, n, want)
		}
	}
}

// TestAStuckSocketDoesNotHoldUpTheEnd: once its time is over, what waits is given up.
func TestAStuckSocketDoesNotHoldUpTheEnd(t *testing.T) {
	s := &Server{}
	o, reader, socket := stuck(t, s)
	for range 3 * batchSize {
		o.add([]byte("answer"), &address{name: unix.RawSockaddrInet6{Family: unix.AF_INET}})
		o.flush()
	}
	_ = socket.SetWriteDeadline(past)
	s.work.Wait()
	_ = socket.CloseWrite()
	came, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	left := bytes.Count(came, []byte("a")) // TCP may take some all the same
	if n := int(s.Counts().Unsent); n < batchSize || n+left != 3*batchSize {
		t.Errorf("%d answers were given up, and %d of %d have left", n, left, 3*batchSize)
	}
}
