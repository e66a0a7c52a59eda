package dev

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// resolverName is what the development picture's certificate names.
const resolverName = "dns.dev.cordon.test"

// encrypt adds DNS over TLS, HTTPS and QUIC to the edge's file, and where its metrics are, as an operator does by hand, with a certificate that only this picture trusts.
func (d *dev) encrypt(edge string, given ports) error {
	loopback := netip.MustParseAddr("127.0.0.1")
	var at [3]netip.AddrPort // TLS and QUIC, HTTPS, metrics
	for i := range at {
		var err error
		if at[i], err = given.free(loopback); err != nil {
			return err
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make resolver key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: resolverName}, // GnuTLS wants one
		DNSNames: []string{resolverName}, IPAddresses: []net.IP{loopback.AsSlice()}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return fmt.Errorf("make resolver certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode resolver key: %w", err)
	}
	d.picture.ResolverName, d.picture.ResolverCA = resolverName, filepath.Join(edge, "dns.crt")
	d.picture.TLS, d.picture.HTTPS, d.picture.QUIC = at[0].String(), at[1].String(), at[0].String()
	d.picture.Metrics = "http://" + at[2].String() + "/metrics"
	for _, f := range []struct {
		name string
		text []byte
		mode os.FileMode
	}{
		{"dns.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o644},
		{"dns.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600},
	} {
		if err := os.WriteFile(filepath.Join(edge, f.name), f.text, f.mode); err != nil {
			return fmt.Errorf("write resolver certificate: %w", err)
		}
	}
	file, err := os.OpenFile(filepath.Join(edge, "edge.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("add encrypted to the edge: %w", err)
	}
	defer file.Close()
	if _, err := fmt.Fprintf(file, `
encrypted:
  name: %s
  certificate: dns.crt
  certificate_key: dns.key
  tls_listen: [%q]
  https_listen: [%q]
  quic_listen: [%q]
metrics_listen: %q
`, resolverName, at[0], at[1], at[0], at[2]); err != nil {
		return fmt.Errorf("add encrypted to the edge: %w", err)
	}
	return file.Close()
}
