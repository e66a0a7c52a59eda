package upstream

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream/upstreamtest"
	"github.com/cordon-project/cordon/resolver/wire"
)

// TestWhatAnAttemptGivenUpSaysDoesNotEndTheNext: the connection of the first attempt ends when the second is under way, to the same server.
func TestWhatAnAttemptGivenUpSaysDoesNotEndTheNext(t *testing.T) {
	udp, tcp := upstreamtest.Listen(t)
	defer udp.Close()
	defer tcp.Close()
	go func() { // over UDP all is truncated
		buf := make([]byte, 4096)
		for {
			n, from, err := udp.ReadFromUDP(buf)
			if err != nil {
				return
			}
			buf[2] |= 0x82
			_, _ = udp.WriteToUDP(buf[:n], from)
		}
	}()
	first := make(chan struct{})
	go func() {
		for conn := 0; ; conn++ {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			for q := 0; ; q++ {
				var n [2]byte
				if _, err := io.ReadFull(c, n[:]); err != nil {
					break
				}
				msg := make([]byte, binary.BigEndian.Uint16(n[:]))
				if _, err := io.ReadFull(c, msg); err != nil {
					break
				}
				if conn == 0 && q == 0 {
					close(first)
					continue
				}
				if conn == 0 {
					break // with two that wait
				}
				msg[2] |= 0x80
				_, _ = c.Write(append(n[:], msg...))
			}
			_ = c.Close()
		}
	}()
	p, err := Open(Config{Servers: []netip.AddrPort{udp.LocalAddr().(*net.UDPAddr).AddrPort()}, Attempt: 20 * time.Second, Total: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	name := make([]byte, wire.MaxName)
	n, _ := dns.PackDomainName("a.test.", name, 0, nil, false)
	ended := make(chan error, 1)
	p.Ask(t.Context(), wire.Question{Name: name[:n], Type: wire.TypeA, Class: wire.ClassIN}, func(_ []byte, err error) { ended <- err })
	<-first
	for _, s := range p.shards { // as if the first had taken too long
		s.look(time.Now().Add(45 * time.Second))
	}
	if err := <-ended; err != nil {
		t.Errorf("the second attempt: %v", err)
	}
}
