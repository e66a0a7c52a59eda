package identity

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/cluster/transport"
)

// ErrPeer is returned by a TLS handshake when the other side's certificate is sound but names another cluster or a
// role that has no business there.
var ErrPeer = errors.New("certificate does not name a part of this cluster")

// Peer is who a certificate of the cluster's authority names.
type Peer struct {
	Cluster string
	Role    transport.Role
	Name    string
}

// ServerTLS is for the API server of a control node: TLS 1.3, its own certificate, client certificates optional but
// verified when given (the authority, this cluster's id, a role). Ask PeerOf for who came. ca and cert are paths; key
// is a path or credential:NAME. The result also serves cluster/transport, which adds its own checks.
func ServerTLS(ca, cert, key, clusterID string) (*tls.Config, error) {
	c, err := common(ca, cert, key)
	if err != nil {
		return nil, err
	}
	c.ClientAuth = tls.VerifyClientCertIfGiven
	c.SessionTicketsDisabled = true // a resumed session would keep a certificate that has been replaced
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return nil
		}
		return belongs(s.PeerCertificates[0], clusterID, RoleControl, RoleEdge, RoleOperator, RoleAuditor)
	}
	return c, nil
}

// ClientTLS is for whoever calls that server: TLS 1.3, its own certificate, and the other side must be a control
// node of the cluster, with a certificate for the address dialled.
func ClientTLS(ca, cert, key, clusterID string) (*tls.Config, error) {
	c, err := common(ca, cert, key)
	if err != nil {
		return nil, err
	}
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return ErrPeer
		}
		return belongs(s.PeerCertificates[0], clusterID, RoleControl)
	}
	return c, nil
}

// PeerOf reports who is at the other end of a connection made with ServerTLS or ClientTLS; false when the other side
// gave no certificate.
func PeerOf(state *tls.ConnectionState) (Peer, bool) {
	if state == nil || len(state.PeerCertificates) == 0 {
		return Peer{}, false
	}
	p, err := ParsePeer(state.PeerCertificates[0])
	return p, err == nil
}

// ParsePeer reads who a certificate names. It verifies nothing: that is TLS's part, done before.
func ParsePeer(cert *x509.Certificate) (Peer, error) {
	cluster, role, name, err := transport.ParsePeer(cert)
	if err != nil {
		return Peer{}, fmt.Errorf("%w: %w", ErrPeer, err)
	}
	return Peer{Cluster: cluster, Role: role, Name: name}, nil
}

func belongs(cert *x509.Certificate, clusterID string, roles ...transport.Role) error {
	p, err := ParsePeer(cert)
	if err != nil {
		return err
	}
	if p.Cluster != clusterID {
		return fmt.Errorf("%s %s is of another cluster: %w", p.Role, p.Name, ErrPeer)
	}
	if !slices.Contains(roles, p.Role) {
		return fmt.Errorf("%s %s answers where a control node should: %w", p.Role, p.Name, ErrPeer)
	}
	return nil
}

func common(ca, cert, key string) (*tls.Config, error) {
	caText, err := readFile("certificate authority", ca)
	if err != nil {
		return nil, err
	}
	root, err := oneCertificate(caText)
	if err != nil {
		return nil, fmt.Errorf("certificate authority %s: %w", ca, err)
	}
	certText, err := readFile("TLS certificate", cert)
	if err != nil {
		return nil, err
	}
	leaf, err := oneCertificate(certText)
	if err != nil {
		return nil, fmt.Errorf("TLS certificate %s: %w", cert, err)
	}
	private, err := loadPrivate("TLS key", key)
	if err != nil {
		return nil, err
	}
	if err := leaf.CheckSignatureFrom(root); err != nil {
		return nil, fmt.Errorf("TLS certificate %s was not issued by the authority in %s; copy both from the folder of the same node", cert, ca)
	}
	if !paired(leaf, private) {
		return nil, fmt.Errorf("TLS key %s does not belong to certificate %s; copy both from the folder of the same node", key, cert)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: private, Leaf: leaf}},
		RootCAs:      pool,
		ClientCAs:    pool,
	}, nil
}

// paired reports whether a private key is the one of a certificate.
func paired(cert *x509.Certificate, private crypto.PrivateKey) bool {
	signer, ok := private.(crypto.Signer)
	if !ok {
		return false
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cert.PublicKey)
}
