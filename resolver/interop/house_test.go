package interop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/serve"
)

// The cable between the edge's network and the subscribers', and the networks behind it: all their addresses are there.
const (
	cableIPv4, cableIPv6     = "198.51.100.53", "2001:db8:100::53" // the edge's end
	farIPv4, farIPv6         = "198.51.100.2", "2001:db8:100::2"
	subscribersIPv4          = "203.0.113.0/24"
	subscribersIPv6          = "2001:db8:2000::/36"
	anycastIPv4, anycastIPv6 = "198.51.100.200", "2001:db8:200::53" // routed to the edge, whether it has them or not
	laterIPv4, laterIPv6     = "198.51.100.201", "2001:db8:200::54"
	secondIPv4, secondIPv6   = "198.51.100.54", "2001:db8:100::54" // more of the edge's own
	firstIPv6                = "2001:db8:2000::1"                  // one of them
	cableLink, farLink       = "02:00:00:00:00:01", "02:00:00:00:00:02"
)

// subscribers are a network namespace at the other end of a cable, with two networks of clients.
type subscribers struct{ work chan func() }

// newSubscribers ends with the test.
func newSubscribers(t *testing.T) *subscribers {
	t.Helper()
	s := &subscribers{work: make(chan func())}
	type place struct {
		path string
		err  error
	}
	there, ended := make(chan place), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // for ever: the thread is of the other namespace, and ends with this goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		there <- place{fmt.Sprintf("/proc/%d/task/%d/ns/net", unix.Getpid(), unix.Gettid()), err}
		for f := range s.work {
			f()
		}
	}()
	t.Cleanup(func() { close(s.work); <-ended })
	at := <-there
	if at.err != nil {
		t.Fatalf("another network namespace: %v", at.err)
	}
	ip(t, "link add cable address "+cableLink+" type veth peer name cable address "+farLink+" netns "+at.path)
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", "cable").Run() })
	ip(t, "addr add "+cableIPv4+"/24 dev cable", "addr add "+cableIPv6+"/64 dev cable nodad", "addr add "+secondIPv4+"/24 dev cable", "addr add "+secondIPv6+"/64 dev cable nodad", "link set cable up",
		"neigh replace "+farIPv6+" lladdr "+farLink+" dev cable") // whom neighbour discovery finds only after seconds
	s.do(func() {
		ip(t, "link set lo up", "addr add "+farIPv4+"/24 dev cable", "addr add "+farIPv6+"/64 dev cable nodad", "link set cable up",
			"neigh replace "+cableIPv6+" lladdr "+cableLink+" dev cable", "neigh replace "+secondIPv6+" lladdr "+cableLink+" dev cable",
			"route add local "+subscribersIPv4+" dev lo", "-6 route add local "+subscribersIPv6+" dev lo",
			"route add "+anycastIPv4+" via "+cableIPv4, "route add "+laterIPv4+" via "+cableIPv4, "-6 route add 2001:db8:200::/64 via "+cableIPv6)
	})
	ip(t, "route add "+subscribersIPv4+" via "+farIPv4, "-6 route add "+subscribersIPv6+" via "+farIPv6)
	routed(t, cableIPv6, "local")
	routed(t, secondIPv6, "local")
	routed(t, farIPv6, "dev cable")
	routed(t, firstIPv6, "via "+farIPv6)
	s.do(func() {
		routed(t, firstIPv6, "local")
		routed(t, farIPv6, "local")
		routed(t, cableIPv6, "dev cable")
		routed(t, anycastIPv6, "via "+cableIPv6)
	})
	return s
}

// routed waits until this namespace knows the way to an address: what is said to "ip" is done for IPv6 a moment later.
func routed(t *testing.T, address, way string) {
	t.Helper()
	await(t, address+" "+way, func() error {
		out, _ := exec.Command("ip", "-6", "route", "get", address).CombinedOutput()
		if !strings.Contains(string(out), way) {
			return errors.New(string(out))
		}
		return nil
	})
}

func ip(t *testing.T, commands ...string) {
	t.Helper()
	for _, c := range commands {
		if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", c, err, out)
		}
	}
}

// do runs f where the subscribers are; what it opens and starts stays there.
func (s *subscribers) do(f func()) {
	done := make(chan struct{})
	s.work <- func() { defer close(done); f() }
	<-done
}

// freely binds addresses of the subscribers' networks: the networks are there, and no interface has an address of them.
var freely = net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
	_ = raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1) })
	return err
}}

// dial is a socket of one subscriber.
func (s *subscribers) dial(t *testing.T, network, client, server string) *dns.Conn {
	t.Helper()
	var conn net.Conn
	var err error
	s.do(func() {
		d := net.Dialer{Timeout: patience, Control: freely.Control}
		if a := net.ParseIP(client); network == "udp" {
			d.LocalAddr = &net.UDPAddr{IP: a}
		} else {
			d.LocalAddr = &net.TCPAddr{IP: a}
		}
		conn, err = d.Dial(network, net.JoinHostPort(server, "53"))
	})
	if err != nil {
		t.Fatalf("%s to %s over %s: %v", client, server, network, err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &dns.Conn{Conn: conn, UDPSize: 1232}
}

// ask asks once.
func (s *subscribers) ask(t *testing.T, network, client, server, name string, typ uint16) *dns.Msg {
	t.Helper()
	return exchangeOn(t, s.dial(t, network, client, server), name, typ)
}

func exchangeOn(t *testing.T, c *dns.Conn, name string, typ uint16) *dns.Msg {
	t.Helper()
	q := new(dns.Msg).SetQuestion(name, typ).SetEdns0(1232, false)
	if err := c.WriteMsg(q); err != nil {
		t.Fatalf("%v asks for %s: %v", c.LocalAddr(), name, err)
	}
	for {
		m, err := c.ReadMsg()
		if err != nil {
			t.Fatalf("%v asks for %s: %v", c.LocalAddr(), name, err)
		}
		if m.Id == q.Id {
			return m
		}
	}
}

// startPlain runs a resolver on port 53 of the given addresses, without any upstream of this package; it ends with the test.
func startPlain(t *testing.T, c resolver.Config, s serve.Config, at ...string) *resolver.Resolver {
	t.Helper()
	c.Stop = resolver.Stop{LawIPv4: netip.MustParseAddr(stopIPv4), LawIPv6: netip.MustParseAddr(stopIPv6)}
	r, err := resolver.New(c)
	if err != nil {
		t.Fatal(err)
	}
	r.Swap(setOf(t, "listed.good.example", "listed.insecure.example"))
	for _, a := range at {
		s.UDPAddrs = append(s.UDPAddrs, netip.AddrPortFrom(netip.MustParseAddr(a), 53))
	}
	s.Handler, s.Worker, s.TCPAddrs = r, func() serve.Worker { return r.Worker() }, s.UDPAddrs
	server, err := serve.Open(s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}
