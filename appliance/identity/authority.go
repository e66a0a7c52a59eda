package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/transport"
)

// lifetime is that of the authority and of every certificate it gives out. Certificates do not expire before it on
// purpose: an expiry nobody watched would stop the control plane of a whole network at once, and what ends a member
// is the cluster's log, which every server asks.
const lifetime = 10 * 365 * 24 * time.Hour

// clockSkew is how long before it was made a certificate is good, for machines whose clocks run late.
const clockSkew = time.Hour

// authority is a cluster's certificate authority. It can name nobody but parts of its own cluster: its certificate
// permits only the cluster's own DNS name and its cordon URI, so that a stolen key cannot pass for another site
// where somebody has put ca.crt among the trusted ones.
type authority struct {
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	pem    []byte
	keyPEM []byte
	of     audit.Cluster
}

func newAuthority(c audit.Cluster) (*authority, error) {
	key, keyPEM, err := newTLSKey(c.Development)
	if err != nil {
		return nil, err
	}
	made := time.Unix(c.Created, 0).UTC()
	t := &x509.Certificate{
		SerialNumber:                serial(),
		Subject:                     pkix.Name{CommonName: "Cordon cluster authority of " + c.Name},
		NotBefore:                   made.Add(-clockSkew),
		NotAfter:                    made.Add(lifetime),
		IsCA:                        true,
		BasicConstraintsValid:       true,
		MaxPathLenZero:              true,
		KeyUsage:                    x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:                 []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         []string{c.Name},
		PermittedURIDomains:         []string{c.ID()},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make certificate authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make certificate authority: %w", err)
	}
	return &authority{cert: cert, key: key, pem: certPEM(der), keyPEM: keyPEM, of: c}, nil
}

// loadAuthority reads the authority that Init wrote, for a cluster.
func loadAuthority(dir string, c audit.Cluster) (*authority, error) {
	certFile, keyFile := filepath.Join(dir, AuthorityFile), filepath.Join(dir, authorityKey)
	text, err := readFile("certificate authority", certFile)
	if err != nil {
		return nil, err
	}
	cert, err := oneCertificate(text)
	if err != nil {
		return nil, fmt.Errorf("certificate authority %s: %w", certFile, err)
	}
	private, err := loadPrivate("key of the certificate authority", keyFile)
	if err != nil {
		return nil, err
	}
	key, ok := private.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, fmt.Errorf("key of the certificate authority %s does not belong to %s; restore both from the same backup", keyFile, certFile)
	}
	if len(cert.PermittedURIDomains) != 1 || cert.PermittedURIDomains[0] != c.ID() {
		return nil, fmt.Errorf("certificate authority %s is of another cluster than %s beside it; restore both from the same backup", certFile, ClusterFile)
	}
	return &authority{cert: cert, key: key, pem: text, of: c}, nil
}

// issue makes a certificate for one part of the cluster. Control nodes serve and ask; others only ask.
func (a *authority) issue(role transport.Role, name string, ips ...netip.Addr) (cert, key []byte, err error) {
	private, keyPEM, err := newTLSKey(a.of.Development)
	if err != nil {
		return nil, nil, err
	}
	uri, err := transport.Identity(a.of.ID(), role, name)
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             a.cert.NotBefore,
		NotAfter:              a.cert.NotAfter,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	t.URIs = append(t.URIs, uri)
	if role == RoleAuditor { // a guest: nothing stops when it expires
		t.NotAfter = time.Now().Add(auditorLife)
	}
	if role == transport.RoleControl {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		t.DNSNames = []string{name + "." + a.of.Name}
		for _, ip := range ips {
			if ip.IsValid() && !ip.IsUnspecified() {
				t.IPAddresses = append(t.IPAddresses, net.IP(ip.AsSlice()))
			}
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, private.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("issue certificate of %s %s: %w", role, name, err)
	}
	return certPEM(der), keyPEM, nil
}

func newTLSKey(development bool) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make TLS key: %w", err)
	}
	text, err := privatePEM(key, development)
	return key, text, err
}

// serial is random: nothing counts certificates, and a counter would have to be kept.
func serial() *big.Int {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func oneCertificate(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("it holds no PEM certificate; copy the file again from the folder cordon init made")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("its certificate is damaged (%w); copy the file again from the folder cordon init made", err)
	}
	return cert, nil
}
