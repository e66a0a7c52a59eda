package transport

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
)

// base clones the caller's configuration: a tls.Config carries session and
// callback state that must not be shared between roles.
func (s *Stream) base() *tls.Config {
	t := s.c.TLS.Clone()
	t.MinVersion, t.MaxVersion = tls.VersionTLS13, tls.VersionTLS13
	t.NextProtos = []string{protocol}
	t.SessionTicketsDisabled = true // a resumed session would skip a revoked member's check
	t.ClientSessionCache = nil
	t.KeyLogWriter = nil
	t.GetConfigForClient = nil
	return t
}

// member checks that a verified certificate names another member of this cluster.
func (s *Stream) member(certs []*x509.Certificate) (string, error) {
	if len(certs) == 0 {
		return "", fmt.Errorf("no certificate: %w", ErrPeer)
	}
	cluster, role, name, err := ParsePeer(certs[0])
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrPeer, err)
	case cluster != s.c.Cluster:
		return "", fmt.Errorf("certificate of another cluster: %w", ErrPeer)
	case role != RoleControl:
		return "", fmt.Errorf("role %s on the raft port: %w", role, ErrPeer)
	case name == s.c.Name || !slices.Contains(s.c.Members, name):
		return "", fmt.Errorf("%s is no other member: %w", name, ErrPeer)
	}
	return name, nil
}

// client verifies the server's chain itself: members are named by URI, not by
// the DNS name or address that crypto/tls would compare.
func (s *Stream) client(name string) *tls.Config {
	t := s.base()
	t.InsecureSkipVerify = true // the standard check is replaced by VerifyConnection, not dropped
	t.ServerName = ""
	if get := t.GetCertificate; get != nil && t.GetClientCertificate == nil && len(t.Certificates) == 0 {
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return get(&tls.ClientHelloInfo{})
		}
	}
	t.VerifyConnection = func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) == 0 {
			return ErrPeer
		}
		opts := x509.VerifyOptions{
			Roots: t.RootCAs, Intermediates: x509.NewCertPool(),
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
		if t.Time != nil {
			opts.CurrentTime = t.Time()
		}
		for _, c := range cs.PeerCertificates[1:] {
			opts.Intermediates.AddCert(c)
		}
		if _, err := cs.PeerCertificates[0].Verify(opts); err != nil {
			return fmt.Errorf("%w: %w", ErrPeer, err)
		}
		got, err := s.member(cs.PeerCertificates)
		if err != nil {
			return err
		}
		if got != name {
			return fmt.Errorf("%s answers in place of %s: %w", got, name, ErrPeer)
		}
		return nil
	}
	return t
}
