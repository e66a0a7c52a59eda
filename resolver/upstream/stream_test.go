package upstream_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/upstream/devupstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

// counted is a listener that counts connections.
type counted struct {
	net.Listener
	n atomic.Int64
}

func (c *counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.n.Add(1)
	}
	return conn, err
}

// secureServer answers over TLS with miekg/dns' own server.
func secureServer(t *testing.T, name string, look ...func(q *dns.Msg)) (at netip.AddrPort, conns *counted, leaf *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns = &counted{Listener: l}
	up := make(chan struct{})
	s := &dns.Server{
		Listener: tls.NewListener(conns, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"dot"}}),
		Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			for _, f := range look {
				f(q)
			}
			_ = w.WriteMsg(devupstream.Answer(q))
		}),
		NotifyStartedFunc: func() { close(up) },
	}
	ended := make(chan error, 1)
	go func() { ended <- s.ActivateAndServe() }()
	<-up
	t.Cleanup(func() {
		_ = s.Shutdown()
		<-ended
	})
	return netip.MustParseAddrPort(l.Addr().String()), conns, leaf
}

func TestOneConnectionOverTLSServesManyQuestions(t *testing.T) {
	at, conns, leaf := secureServer(t, "dns.example")
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	p := pool(t, upstream.Config{Servers: []netip.AddrPort{at}, TLS: &upstream.Identity{Name: "dns.example", Roots: roots}})
	var work sync.WaitGroup
	for i := range 100 {
		work.Add(1)
		p.Ask(context.Background(), wire.Question{Name: name(fmt.Sprintf("n%d.test", i)), Type: dns.TypeA, Class: 1}, func(reply []byte, err error) {
			defer work.Done()
			var m dns.Msg
			if err != nil || m.Unpack(reply) != nil || len(m.Answer) != 1 || m.Question[0].Name != fmt.Sprintf("n%d.test.", i) {
				t.Errorf("n%d.test: %v, %v", i, &m, err)
			}
		})
	}
	work.Wait()
	if got := conns.n.Load(); got != 1 {
		t.Errorf("100 questions took %d connections, want 1", got)
	}
}

func TestOnlyTheServerThatIsMeantIsBelieved(t *testing.T) {
	at, _, leaf := secureServer(t, "dns.example")
	roots, pin := x509.NewCertPool(), sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	roots.AddCert(leaf)
	for _, tt := range []struct {
		name string
		id   upstream.Identity
		ok   bool
	}{
		{"by name", upstream.Identity{Name: "dns.example", Roots: roots}, true},
		{"by pin", upstream.Identity{Pins: [][32]byte{{1}, pin}}, true},
		{"by both", upstream.Identity{Name: "dns.example", Roots: roots, Pins: [][32]byte{pin}}, true},
		{"another name", upstream.Identity{Name: "other.example", Roots: roots}, false},
		{"an authority nobody knows", upstream.Identity{Name: "dns.example", Roots: x509.NewCertPool()}, false},
		{"another pin", upstream.Identity{Pins: [][32]byte{{1}}}, false},
		{"the name with another pin", upstream.Identity{Name: "dns.example", Roots: roots, Pins: [][32]byte{{1}}}, false},
		{"the pin with another name", upstream.Identity{Name: "other.example", Roots: roots, Pins: [][32]byte{pin}}, false},
	} {
		p := pool(t, upstream.Config{Servers: []netip.AddrPort{at}, TLS: &tt.id})
		if m, err := exchange(p, "a.test", dns.TypeA); (err == nil) != tt.ok {
			t.Errorf("%s: got %v, %v", tt.name, m, err)
		}
	}
	if _, err := upstream.Open(upstream.Config{Servers: []netip.AddrPort{at}, TLS: &upstream.Identity{}}); err == nil {
		t.Error("a server that proves nothing is accepted")
	}
}

// TestAConnectionThatHasDiedIsReplaced long before TCP would say so: its server was replaced, or a firewall on the way has forgotten it.
func TestAConnectionThatHasDiedIsReplaced(t *testing.T) {
	var dead atomic.Int64 // so many connections, and the last of them, are
	var conns *counted
	release := make(chan struct{})
	at, conns, leaf := secureServer(t, "dns.example", func(*dns.Msg) {
		if n := dead.Load(); n > 0 && conns.n.Load() <= n {
			<-release
		}
	})
	defer close(release)
	pin := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	p := pool(t, upstream.Config{Servers: []netip.AddrPort{at}, Attempt: time.Second, Total: time.Second, TLS: &upstream.Identity{Pins: [][32]byte{pin}}})
	answered := func(when string) {
		t.Helper()
		var err error
		for try := range 60 { // a busy machine may need more than a second for a handshake
			if _, err = exchange(p, fmt.Sprintf("%s%d.test", when, try), dns.TypeA); err == nil {
				return
			}
		}
		t.Fatalf("questions %s are not answered: %v", when, err)
	}
	answered("before")
	dead.Store(conns.n.Load())
	var work sync.WaitGroup
	for i := range 3 {
		work.Go(func() {
			if m, err := exchange(p, fmt.Sprintf("n%d.test", i), dns.TypeA); err == nil {
				t.Errorf("got %v", m)
			}
		})
	}
	work.Wait()
	answered("after")
}
