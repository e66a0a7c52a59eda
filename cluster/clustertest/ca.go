package clustertest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/transport"
)

// CA is a cluster CA for tests.
type CA struct {
	Cert *x509.Certificate
	key  ed25519.PrivateKey
	now  time.Time
}

// NewCA makes a CA that is valid for a day around now.
func NewCA(t testing.TB, now time.Time) *CA {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatalf("clustertest: %v", err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "cluster CA"},
		NotBefore: now.Add(-12 * time.Hour), NotAfter: now.Add(12 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatalf("clustertest: %v", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("clustertest: %v", err)
	}
	return &CA{Cert: cert, key: key, now: now}
}

// TLS is a configuration with a fresh certificate of this identity.
func (ca *CA) TLS(cluster string, role transport.Role, name string) (*tls.Config, error) {
	id, err := transport.Identity(cluster, role, name)
	if err != nil {
		return nil, err
	}
	return ca.TLSFor(id)
}

// TLSFor is TLS for any URIs, also ones that are no identity.
func (ca *CA) TLSFor(uris ...*url.URL) (*tls.Config, error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "node"},
		NotBefore: ca.now.Add(-time.Hour), NotAfter: ca.now.Add(11 * time.Hour), URIs: uris,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.Cert, pub, ca.key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		RootCAs:      ca.Pool(), ClientCAs: ca.Pool(),
	}, nil
}

// Pool holds the CA alone.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Cert)
	return pool
}
