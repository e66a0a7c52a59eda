package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/url"
	"path/filepath"
	"testing"
	"time"
)

// party is the TLS of one folder of a cluster.
func party(t *testing.T, dir, name, stem string, server bool, clusterID string) *tls.Config {
	t.Helper()
	f := func(ext string) string { return filepath.Join(dir, name, stem+ext) }
	load := ClientTLS
	if server {
		load = ServerTLS
	}
	c, err := load(filepath.Join(dir, name, AuthorityFile), f(".crt"), f(".key"), clusterID)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// meet shakes hands on loopback and reports both errors and who the server saw.
func meet(t *testing.T, server, client *tls.Config, serverName string) (seen Peer, known bool, serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			serverErr = err
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Minute))
		s := tls.Server(c, server)
		if serverErr = s.Handshake(); serverErr == nil {
			state := s.ConnectionState()
			seen, known = PeerOf(&state)
			_, serverErr = s.Write([]byte("x")) // lets the client learn of a refusal, which TLS 1.3 sends late
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	client = client.Clone()
	client.ServerName = serverName
	s := tls.Client(c, client)
	if clientErr = s.Handshake(); clientErr == nil {
		_, clientErr = s.Read(make([]byte, 1))
	}
	c.Close()
	<-done
	return seen, known, serverErr, clientErr
}

func TestPartsOfOneClusterKnowEachOther(t *testing.T) {
	dir := made(t, plan())
	profile, err := LoadProfile(filepath.Join(dir, "operator", ProfileFile))
	if err != nil {
		t.Fatal(err)
	}
	id := profile.Cluster
	server := party(t, dir, "control-1", "tls", true, id)
	operator, err := profile.TLS()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		client *tls.Config
		want   Peer
	}{
		{"an operator", operator, Peer{id, RoleOperator, "operator"}},
		{"an edge", party(t, dir, "edge-1", "tls", false, id), Peer{id, RoleEdge, "edge-1"}},
		{"a control node", party(t, dir, "control-2", "tls", false, id), Peer{id, RoleControl, "control-2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			seen, known, serverErr, clientErr := meet(t, server, tt.client, "127.0.0.1")
			if serverErr != nil || clientErr != nil || !known || seen != tt.want {
				t.Errorf("saw %+v (%v), server %v, client %v; want %+v", seen, known, serverErr, clientErr, tt.want)
			}
		})
	}
	t.Run("by name", func(t *testing.T) {
		if _, _, _, err := meet(t, server, operator, "control-1.isp.example"); err != nil {
			t.Error(err)
		}
	})
	t.Run("at another address than its own", func(t *testing.T) {
		if _, _, _, err := meet(t, server, operator, "192.0.2.1"); err == nil {
			t.Error("accepted")
		}
	})
	t.Run("nobody in particular", func(t *testing.T) {
		anyone := &tls.Config{RootCAs: operator.RootCAs}
		if seen, known, serverErr, clientErr := meet(t, server, anyone, "127.0.0.1"); serverErr != nil || clientErr != nil || known {
			t.Errorf("saw %+v, server %v, client %v", seen, serverErr, clientErr)
		}
	})
	t.Run("an old protocol", func(t *testing.T) {
		old := operator.Clone()
		old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		if _, _, serverErr, clientErr := meet(t, server, old, "127.0.0.1"); serverErr == nil || clientErr == nil {
			t.Error("TLS 1.2 accepted")
		}
	})
}

func TestStrangersAreTurnedAway(t *testing.T) {
	dir, other := made(t, plan()), made(t, plan())
	profile, err := LoadProfile(filepath.Join(dir, "operator", ProfileFile))
	if err != nil {
		t.Fatal(err)
	}
	id := profile.Cluster
	server := party(t, dir, "control-1", "tls", true, id)
	client, err := profile.TLS()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("a client of another cluster", func(t *testing.T) {
		stranger := party(t, other, "edge-1", "tls", false, id)
		stranger.RootCAs = client.RootCAs
		// A client does not offer a certificate that none of the server's authorities issued; this one insists.
		stranger.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &stranger.Certificates[0], nil }
		if _, _, serverErr, clientErr := meet(t, server, stranger, "127.0.0.1"); serverErr == nil || clientErr == nil {
			t.Errorf("server %v, client %v", serverErr, clientErr)
		}
	})
	t.Run("a server of another cluster", func(t *testing.T) {
		if _, _, _, err := meet(t, party(t, other, "control-1", "tls", true, id), client, "127.0.0.1"); err == nil {
			t.Error("accepted")
		}
	})
	t.Run("an edge that plays control node", func(t *testing.T) {
		if _, _, _, err := meet(t, party(t, dir, "edge-1", "tls", true, id), client, "127.0.0.1"); err == nil {
			t.Error("accepted")
		}
	})
	t.Run("the right authority for another cluster id", func(t *testing.T) {
		wrong := party(t, dir, "control-2", "tls", false, "00000000000000000000000000000000")
		if _, _, _, err := meet(t, server, wrong, "127.0.0.1"); !errors.Is(err, ErrPeer) {
			t.Errorf("got %v, want ErrPeer", err)
		}
	})
}

func TestTheAuthorityCanNameOnlyItsOwnCluster(t *testing.T) {
	dir := made(t, plan())
	c, err := LoadCluster(filepath.Join(dir, ClusterFile))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := loadAuthority(filepath.Join(dir, "ca"), c)
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(ca.cert.NotAfter); left < 9*365*24*time.Hour {
		t.Errorf("the authority ends in %s", left)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	tests := []struct {
		name string
		dns  string
		uri  string
		isCA bool
		good bool
	}{
		{"its own node", "control-9.isp.example", "cordon://" + c.ID() + "/control/control-9", false, true},
		{"another site", "bank.example", "", false, false},
		{"another cluster", "", "cordon://00000000000000000000000000000000/control/control-1", false, false},
		{"an authority below", "", "cordon://" + c.ID() + "/control/control-9", true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tmpl := &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: ca.cert.NotBefore, NotAfter: ca.cert.NotAfter,
				ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IsCA: tt.isCA, BasicConstraintsValid: true}
			if tt.dns != "" {
				tmpl.DNSNames = []string{tt.dns}
			}
			if tt.uri != "" {
				u, err := url.Parse(tt.uri)
				if err != nil {
					t.Fatal(err)
				}
				tmpl.URIs = []*url.URL{u}
			}
			der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, key.Public(), ca.key)
			if err != nil {
				t.Fatal(err)
			}
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := cert.Verify(x509.VerifyOptions{Roots: pool}); (err == nil) != tt.good {
				t.Errorf("good %v, want %v: %v", err == nil, tt.good, err)
			}
			if !tt.isCA {
				return
			}
			below := &x509.Certificate{SerialNumber: big.NewInt(8), NotBefore: tmpl.NotBefore, NotAfter: tmpl.NotAfter, URIs: tmpl.URIs}
			der, err = x509.CreateCertificate(rand.Reader, below, cert, key.Public(), key)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			between := x509.NewCertPool()
			between.AddCert(cert)
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err == nil {
				t.Error("a certificate below another authority is accepted")
			}
		})
	}
}

func TestFilesOfDifferentNodesAreNotMixed(t *testing.T) {
	dir, other := made(t, plan()), made(t, plan())
	f := func(dir, name string) string { return filepath.Join(dir, "control-1", name) }
	tests := []struct {
		name          string
		ca, cert, key string
	}{
		{"a key of another node", f(dir, "ca.crt"), f(dir, "tls.crt"), filepath.Join(dir, "control-2", "tls.key")},
		{"a signing key as TLS key", f(dir, "ca.crt"), f(dir, "tls.crt"), f(dir, "node.key")},
		{"an authority of another cluster", f(other, "ca.crt"), f(dir, "tls.crt"), f(dir, "tls.key")},
		{"a key as certificate", f(dir, "ca.crt"), f(dir, "tls.key"), f(dir, "tls.key")},
		{"no authority", f(dir, "none.crt"), f(dir, "tls.crt"), f(dir, "tls.key")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ServerTLS(tt.ca, tt.cert, tt.key, "x"); err == nil {
				t.Error("accepted")
			} else {
				t.Log(err)
			}
		})
	}
}
