package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

// TestUnboundIsAskedOverTLS: an Unbound is the upstream, and counts only when it proves that it is.
func TestUnboundIsAskedOverTLS(t *testing.T) {
	certificate, _ := selfSigned(t) // for dns.isp.example
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	at := netip.MustParseAddrPort(forwarder + ":853")
	startSecureUnbound(t, at, certificate)

	open := func(id upstream.Identity) *upstream.Pool {
		p, err := upstream.Open(upstream.Config{Servers: []netip.AddrPort{at}, TLS: &id, Attempt: patience, Total: patience})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		return p
	}
	ask := func(p *upstream.Pool, n int) ([]byte, error) {
		return p.Exchange(t.Context(), wire.Question{Name: fmt.Appendf(nil, "\x03n%02d\x02up\x07example\x00", n), Type: dns.TypeA, Class: 1})
	}
	pin := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	for _, tt := range []struct {
		name string
		id   upstream.Identity
		ok   bool
	}{
		{"its name", upstream.Identity{Name: "dns.isp.example", Roots: roots}, true},
		{"another name", upstream.Identity{Name: "dns.other.example", Roots: roots}, false},
		{"an authority nobody knows", upstream.Identity{Name: "dns.isp.example", Roots: x509.NewCertPool()}, false},
		{"its pin", upstream.Identity{Pins: [][32]byte{pin}}, true},
		{"another pin", upstream.Identity{Pins: [][32]byte{{1}}}, false},
	} {
		p := open(tt.id)
		reply, err := ask(p, 1)
		c := p.Counts().Servers[0]
		if !tt.ok {
			if !errors.Is(err, upstream.ErrNetwork) || c.Unproven == 0 || c.Answers != 0 || c.Connections != 0 {
				t.Errorf("%s: %x, %v, %+v", tt.name, reply, err, c)
			}
			continue
		}
		var m dns.Msg
		if err != nil || m.Unpack(reply) != nil || len(m.Answer) != 1 || c.Unproven != 0 {
			t.Fatalf("%s: %v, %v, %+v", tt.name, &m, err, c)
		}
		// Unbound pads the answer to a padded query, and no other (RFC 7830 4).
		if len(reply)%wire.PaddingBlock != 0 {
			t.Errorf("%s: the answer has %d bytes: Unbound saw no padding", tt.name, len(reply))
		}
		for try := 1; ; try++ {
			last, longest := time.Now(), time.Duration(0)
			for i := range 20 {
				if _, err := ask(p, 2+i); err != nil {
					t.Fatalf("%s: %v", tt.name, err)
				}
				longest, last = max(longest, time.Since(last)), time.Now()
			}
			if c = p.Counts().Servers[0]; c.Connections == 1 && c.Answers == 21 && c.Failures == 0 {
				break
			}
			if longest < idle/2 || try == 10 { // else this machine stood still, and the server has closed what was idle
				t.Errorf("%s: twenty more questions: %+v", tt.name, c)
				break
			}
			p = open(tt.id)
			if _, err := ask(p, 1); err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
		}
		waitForIdleEnd(t, at, leaf)
		if _, err := ask(p, 50); err != nil {
			t.Fatalf("%s, after its connection has ended: %v", tt.name, err)
		}
		if c := p.Counts().Servers[0]; c.Connections != 2 || c.Resumed != 1 || c.Failures != 0 {
			t.Errorf("%s: the session was not taken up again: %+v", tt.name, c)
		}
	}
}

// idle is after which time Unbound closes a connection here.
const idle = 500 * time.Millisecond

// startSecureUnbound answers everything below up.example over TLS, and closes connections that were idle.
func startSecureUnbound(t *testing.T, at netip.AddrPort, c *tls.Certificate) {
	t.Helper()
	dir := t.TempDir()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"crt": {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, "key": {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	daemon(t, func() error {
		conn, err := net.Dial("tcp", at.String())
		if err == nil {
			_ = conn.Close()
		}
		return err
	}, "unbound", "-d", "-c", scratch(t, fmt.Sprintf(`server:
  interface: %s@%d
  access-control: 192.0.2.0/24 allow
  chroot: ""
  username: ""
  pidfile: ""
  directory: %q
  use-syslog: no
  logfile: ""
  tls-port: %[2]d
  tls-service-pem: crt
  tls-service-key: key
  tcp-idle-timeout: %[4]d
  local-zone: "up.example." redirect
  local-data: "up.example. 60 IN A 192.0.2.99"
remote-control:
  control-enable: no
`, at.Addr(), at.Port(), dir, idle.Milliseconds())))
}

// waitForIdleEnd returns when the server has closed a connection that was made now: those that were used before are closed too, by then.
func waitForIdleEnd(t *testing.T, at netip.AddrPort, leaf *x509.Certificate) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		if !bytes.Equal(s.PeerCertificates[0].Raw, leaf.Raw) {
			return errors.New("another certificate")
		}
		return nil
	}}}
	conn, err := d.DialContext(ctx, "tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	end, _ := ctx.Deadline()
	_ = conn.SetDeadline(end)
	if _, err := io.Copy(io.Discard, conn); err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the server keeps idle connections")
	}
}
