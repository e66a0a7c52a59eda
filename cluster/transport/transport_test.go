package transport_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/cordon-project/cordon/cluster/clustertest"
	"github.com/cordon-project/cordon/cluster/transport"
)

const clusterID = "00112233445566778899aabbccddeeff"

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

type net3 struct {
	ca    *clustertest.CA
	addrs map[string]string
	log   buffer
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newNet(t *testing.T) *net3 {
	return &net3{ca: clustertest.NewCA(t, time.Now()), addrs: map[string]string{}}
}

func (n *net3) stream(t *testing.T, name string) *transport.Stream {
	t.Helper()
	l := listen(t)
	n.addrs[name] = l.Addr().String()
	return n.streamOn(t, name, l, n.ca, clusterID, transport.RoleControl)
}

func (n *net3) streamOn(t *testing.T, name string, l net.Listener, ca *clustertest.CA, cluster string, role transport.Role) *transport.Stream {
	t.Helper()
	conf, err := ca.TLS(cluster, role, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := transport.NewStream(transport.Config{
		Cluster: clusterID, Name: name, Members: []string{"a", "b", "c"}, Addrs: n.addrs, Listener: l, TLS: conf,
		Log: slog.New(slog.NewTextHandler(&n.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func accept(s *transport.Stream) <-chan net.Conn {
	c := make(chan net.Conn, 1)
	go func() {
		if conn, err := s.Accept(); err == nil {
			c <- conn
		}
	}()
	return c
}

func TestMembersTalk(t *testing.T) {
	n := newNet(t)
	a, b := n.stream(t, "a"), n.stream(t, "b")
	got := accept(b)
	out, err := a.Dial("b", clustertest.Patience)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in := <-got
	defer in.Close()
	if _, err := out.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 5)
	if _, err := io.ReadFull(in, buf); err != nil || string(buf) != "hello" {
		t.Errorf("read %q (%v), want hello", buf, err)
	}
	if a.Addr().String() != "a" {
		t.Errorf("address %q, want the member's name", a.Addr())
	}
	if state := in.(interface{ ConnectionState() tls.ConnectionState }).ConnectionState(); state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "cordon-raft/1" {
		t.Errorf("TLS %x protocol %q, want 1.3 and cordon-raft/1", state.Version, state.NegotiatedProtocol)
	}
}

func TestADialledPeerMustBeTheMemberThatWasMeant(t *testing.T) {
	n := newNet(t)
	a := n.stream(t, "a")
	other := clustertest.NewCA(t, time.Now())
	for _, c := range []struct {
		name string
		open func(l net.Listener)
	}{
		{"another member answers", func(l net.Listener) { n.streamOn(t, "c", l, n.ca, clusterID, transport.RoleControl) }},
		{"an edge answers", func(l net.Listener) { n.streamOn(t, "b", l, n.ca, clusterID, transport.RoleEdge) }},
		{"another cluster answers", func(l net.Listener) {
			n.streamOn(t, "b", l, n.ca, "ff112233445566778899aabbccddeeff", transport.RoleControl)
		}},
		{"another CA answers", func(l net.Listener) { n.streamOn(t, "b", l, other, clusterID, transport.RoleControl) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := listen(t)
			n.addrs["b"] = l.Addr().String()
			c.open(l)
			if conn, err := a.Dial("b", clustertest.Patience); !errors.Is(err, transport.ErrPeer) {
				t.Errorf("dial: %v %v, want ErrPeer", conn, err)
			}
		})
	}
	if _, err := a.Dial("d", time.Second); !errors.Is(err, transport.ErrPeer) {
		t.Errorf("dial nobody: %v, want ErrPeer", err)
	}
}

func TestWhoIsNoMemberIsRefusedAndLogged(t *testing.T) {
	n := newNet(t)
	a := n.stream(t, "a")
	for i, role := range []transport.Role{transport.RoleEdge, transport.RoleOperator} {
		conf, err := n.ca.TLS(clusterID, role, "b")
		if err != nil {
			t.Fatal(err)
		}
		conf.InsecureSkipVerify, conf.NextProtos = true, []string{"cordon-raft/1"}
		conn, err := tls.Dial("tcp", n.addrs["a"], conf)
		if err == nil {
			_ = conn.SetDeadline(time.Now().Add(clustertest.Patience))
			_, err = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
		if err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v, want a TLS alert", role, err)
		}
		if !eventually(func() bool { return a.Refused() == uint64(i)+1 }) {
			t.Errorf("%s: %d refused, want %d", role, a.Refused(), i+1)
		}
	}
	if !eventually(func() bool { return strings.Contains(n.log.String(), "role operator on the raft port") }) ||
		!strings.Contains(n.log.String(), "role edge on the raft port") || strings.Contains(n.log.String(), "127.0.0.1") {
		t.Errorf("log %q, want the role and no address", n.log.String())
	}
}

// eventually looks until ok or until Patience ends: the peer is told of its refusal
// before it is counted and logged.
func eventually(ok func() bool) bool {
	look, end := time.NewTicker(5*time.Millisecond), time.NewTimer(clustertest.Patience)
	defer look.Stop()
	defer end.Stop()
	for !ok() {
		select {
		case <-look.C:
		case <-end.C:
			return ok()
		}
	}
	return true
}

func TestAFenceClosesEverythingUntilItIsReleased(t *testing.T) {
	n := newNet(t)
	a, b := n.stream(t, "a"), n.stream(t, "b")
	got := accept(b)
	out, err := a.Dial("b", clustertest.Patience)
	if err != nil {
		t.Fatal(err)
	}
	in := <-got
	b.Fence(true)
	_ = out.SetDeadline(time.Now().Add(clustertest.Patience))
	if _, err := out.Read(make([]byte, 1)); err == nil {
		t.Error("a connection survived the fence")
	}
	if _, err := in.Write([]byte("x")); err == nil {
		t.Error("the fenced side can still write")
	}
	if _, err := b.Dial("a", time.Second); !errors.Is(err, transport.ErrFenced) || !b.Fenced() {
		t.Errorf("dial while fenced: %v, want ErrFenced", err)
	}
	if conn, err := a.Dial("b", time.Second); err == nil {
		_ = conn.SetDeadline(time.Now().Add(clustertest.Patience))
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("the fenced side accepts")
		}
		_ = conn.Close()
	}
	b.Fence(false)
	got = accept(b)
	if _, err := a.Dial("b", clustertest.Patience); err != nil {
		t.Fatalf("dial after the release: %v", err)
	}
	select {
	case <-got:
	case <-time.After(clustertest.Patience):
		t.Error("nothing accepted after the release")
	}
}

// TestASilentStrangerHoldsNobodyUp: a connection that never says a word costs
// a handshake slot for its time and delays no member.
func TestASilentStrangerHoldsNobodyUp(t *testing.T) {
	n := newNet(t)
	a, b := n.stream(t, "a"), n.stream(t, "b")
	for range 20 {
		c, err := net.Dial("tcp", n.addrs["b"])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	got := accept(b)
	if _, err := a.Dial("b", 3*time.Second); err != nil {
		t.Fatalf("dial past silent strangers: %v", err)
	}
	<-got
}

// TestStrangersThatComeBackForEverHoldNobodyUp: 500 connections from the very
// address of the members, each opened again as soon as it is closed. A member
// that a busy machine keeps from its first word for a tenth of a second makes
// room like a stranger, and dials again, as Raft does.
func TestStrangersThatComeBackForEverHoldNobodyUp(t *testing.T) {
	n := newNet(t)
	a, b := n.stream(t, "a"), n.stream(t, "b")
	clustertest.Idle(t, n.addrs["b"], 500)
	const most = 20
	var tries int
	for i := range 10 {
		got := accept(b)
		for try := 1; !meet(t, a, got); try++ {
			if tries++; try == most {
				t.Fatalf("dial %d past 500 strangers: nobody met in %d tries", i, most)
			}
		}
	}
	t.Logf("ten meetings took %d tries more", tries)
	if log := strings.Count(n.log.String(), "\n"); log > 100 {
		t.Errorf("%d lines in the log, want few", log)
	}
}

// meet dials b and takes what b accepts; false when the connection ended first.
func meet(t *testing.T, a *transport.Stream, got <-chan net.Conn) bool {
	t.Helper()
	out, err := a.Dial("b", time.Minute)
	if err != nil {
		return false
	}
	defer out.Close()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = out.Read(make([]byte, 1)) // of TLS 1.3 this side may be done before the other one has closed it
	}()
	select {
	case in := <-got:
		_ = in.Close()
		return true
	case <-gone:
		return false
	}
}

func TestRaftsTransportIsNamedByMember(t *testing.T) {
	n := newNet(t)
	conf, err := n.ca.TLS(clusterID, transport.RoleControl, "a")
	if err != nil {
		t.Fatal(err)
	}
	trans, _, err := transport.New(transport.Config{
		Cluster: clusterID, Name: "a", Members: []string{"a", "b"}, Listener: listen(t), TLS: conf,
	}, time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := trans.LocalAddr(); got != raft.ServerAddress("a") {
		t.Errorf("local address %q, want a", got)
	}
	if err := trans.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestAnIdentityHasOneForm(t *testing.T) {
	good := "cordon://" + clusterID + "/edge/edge-1.example"
	for _, c := range []struct {
		name string
		uris []string
		ok   bool
	}{
		{"as Identity writes it", []string{good}, true},
		{"none", nil, false},
		{"two", []string{good, good}, false},
		{"another scheme", []string{strings.Replace(good, "cordon", "spiffe", 1)}, false},
		{"another role", []string{strings.Replace(good, "/edge/", "/admin/", 1)}, false},
		{"no name", []string{"cordon://" + clusterID + "/edge/"}, false},
		{"a path in the name", []string{good + "/x"}, false},
		{"an upper-case name", []string{strings.Replace(good, "edge-1", "Edge-1", 1)}, false},
		{"a short cluster id", []string{strings.Replace(good, clusterID, clusterID[:30], 1)}, false},
		{"an upper-case cluster id", []string{strings.Replace(good, clusterID, strings.ToUpper(clusterID), 1)}, false},
		{"a port", []string{strings.Replace(good, clusterID, clusterID+":1", 1)}, false},
		{"a user", []string{strings.Replace(good, clusterID, "me@"+clusterID, 1)}, false},
		{"a query", []string{good + "?x"}, false},
		{"a fragment", []string{good + "#x"}, false},
		{"an escape", []string{strings.Replace(good, "edge-1", "edge%2d1", 1)}, false},
		{"very long", []string{good + strings.Repeat("a", 300)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cert := &x509.Certificate{}
			for _, s := range c.uris {
				u, err := url.Parse(s)
				if err != nil {
					t.Fatal(err)
				}
				cert.URIs = append(cert.URIs, u)
			}
			cluster, role, name, err := transport.ParsePeer(cert)
			if (err == nil) != c.ok || err != nil && !errors.Is(err, transport.ErrIdentity) {
				t.Fatalf("parse: %v, want ok %t", err, c.ok)
			}
			if !c.ok {
				return
			}
			u, err := transport.Identity(cluster, role, name)
			if err != nil || u.String() != good {
				t.Errorf("identity %v (%v), want %s", u, err, good)
			}
		})
	}
	if _, _, _, err := transport.ParsePeer(nil); !errors.Is(err, transport.ErrIdentity) {
		t.Errorf("no certificate: %v, want ErrIdentity", err)
	}
}

func FuzzParsePeer(f *testing.F) {
	f.Add("cordon://" + clusterID + "/control/control-1")
	f.Add("cordon:opaque")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.Parse(s)
		if err != nil {
			return
		}
		cluster, role, name, err := transport.ParsePeer(&x509.Certificate{URIs: []*url.URL{u}})
		if err != nil {
			return
		}
		back, err := transport.Identity(cluster, role, name)
		if err != nil || back.String() != u.String() {
			t.Fatalf("%q is read as %v", s, back)
		}
	})
}
