package transport

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Role is what a certificate of the cluster's CA may be used for. A node of
// one role never stands in for another: an edge's certificate opens no Raft
// connection and an operator's opens no node's.
type Role string

// The closed set of roles.
const (
	RoleControl  Role = "control"
	RoleEdge     Role = "edge"
	RoleOperator Role = "operator"
	RoleAuditor  Role = "auditor" // may look names up, with proof; nothing else that is not open to anyone
)

// ErrIdentity is returned for a certificate that does not carry exactly one
// well-formed identity of this project.
var ErrIdentity = errors.New("certificate carries no cordon identity")

const (
	maxURI  = 256 // a cluster id is 32 characters, a name at most maxName
	maxName = 64
)

// Identity is the URI that a certificate of the cluster carries as its one
// URI subject alternative name: cordon://<cluster id>/<role>/<name>.
func Identity(cluster string, role Role, name string) (*url.URL, error) {
	if !validCluster(cluster) || !validRole(role) || !ValidName(name) {
		return nil, fmt.Errorf("identity of cluster %q role %q name %q: %w", cluster, role, name, ErrIdentity)
	}
	return &url.URL{Scheme: "cordon", Host: cluster, Path: "/" + string(role) + "/" + name}, nil
}

// ParsePeer reads the identity out of a certificate. It does not verify the
// certificate: that is TLS's part, done before. A certificate with two
// identities, or with one that is not written exactly as Identity writes it,
// is ErrIdentity.
func ParsePeer(cert *x509.Certificate) (cluster string, role Role, name string, err error) {
	if cert == nil || len(cert.URIs) != 1 || cert.URIs[0] == nil {
		return "", "", "", ErrIdentity
	}
	text := cert.URIs[0].String()
	if len(text) > maxURI {
		return "", "", "", ErrIdentity
	}
	rest, ok := strings.CutPrefix(text, "cordon://")
	if !ok {
		return "", "", "", ErrIdentity
	}
	parts := strings.Split(rest, "/")
	if len(parts) != 3 {
		return "", "", "", ErrIdentity
	}
	cluster, role, name = parts[0], Role(parts[1]), parts[2]
	if !validCluster(cluster) || !validRole(role) || !ValidName(name) {
		return "", "", "", ErrIdentity
	}
	return cluster, role, name, nil
}

// ValidName reports whether a node or operator name is one that certificates,
// the log and the note format can all carry: lower-case letters, digits, dots
// and hyphens, at most 64 of them, beginning and ending with a letter or digit.
func ValidName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case (c == '-' || c == '.') && i > 0 && i < len(name)-1:
		default:
			return false
		}
	}
	return true
}

func validRole(r Role) bool {
	return r == RoleControl || r == RoleEdge || r == RoleOperator || r == RoleAuditor
}

// validCluster holds a cluster id to its one form: 32 lower-case hex digits,
// the first 16 bytes of a SHA-256.
func validCluster(id string) bool {
	if len(id) != 32 {
		return false
	}
	for i := 0; i < len(id); i++ {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
