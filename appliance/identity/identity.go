// Package identity makes and loads the keys and certificates by which the parts of one operator's cluster know
// each other.
//
// In goes a Plan; out comes a folder with the cluster's public files, its certificate authority, the operator's
// certificate and one complete folder for each node, ready to be copied to its machine. The loaders read those
// files back, bounded, and say in one plain sentence what is missing or unsafe.
//
// Everyone is named by a certificate of the cluster's own authority: cordon://CLUSTER-ID/ROLE/NAME. Membership, not
// the certificate, is what admits a node: the cluster's log says who is a member, and removing one there is final.
package identity

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"time"

	"filippo.io/age"

	"github.com/cordon-project/cordon/appliance/config"
)

// Role is what a certificate's holder is.
type Role string

// The closed set of roles.
const (
	RoleControl  Role = "control"
	RoleEdge     Role = "edge"
	RoleOperator Role = "operator"
)

// Plan is all that Init needs to know.
type Plan struct {
	Name        string    // DNS name of the operator's cluster, for example isp.example
	Origin      string    // first line of its checkpoints, for example isp.example/cordon; empty: NAME/cordon
	Development bool      // throw-away keys for cordon dev: control and edge refuse them
	Created     time.Time // certificates begin an hour before it
	Controls    []Node    // at least one, at most MaxControls
	Edges       []EdgeNode
	Hotlines    []Hotline
}

// Node is one control node.
type Node struct {
	Name      string
	Raft, API netip.AddrPort
}

// EdgeNode is one edge.
type EdgeNode struct {
	Name      string
	DNS       []netip.AddrPort
	Upstreams []netip.AddrPort
	Stop      config.Stop // zero Languages, ListenPort and TTL take the file's defaults
}

// Hotline is one publisher the cluster trusts.
type Hotline struct {
	ID       string
	RootJSON []byte // its pinned root.json
	URL      string
	Mirrors  []string
}

// Peer is who a certificate of the cluster's authority names.
type Peer struct {
	Cluster string
	Role    Role
	Name    string
}

// SigningKey is a node's Ed25519 key.
type SigningKey struct {
	Private     ed25519.PrivateKey
	Development bool // made by cordon dev: must be refused elsewhere
}

// AgeKey is an age identity: the cluster key of control nodes, or an edge's node key.
type AgeKey struct {
	Identity    *age.X25519Identity
	Development bool // made by cordon dev: must be refused elsewhere
}

// Profile is profile.json, by which cordon commands reach the cluster as an operator. Paths are resolved.
type Profile struct {
	API           []string
	CA, Cert, Key string
}

// Init writes a new operator's identities to dir, whole or not at all. dir must be missing, empty or an earlier
// result of Init with nothing to lose: a folder that holds anything is refused.
func Init(dir string, p Plan) error { return errors.New("identity: unbuilt") }

// Enrolment is what the cluster's log must hold of a new edge before it may pull lists.
type Enrolment struct {
	Name      string            `json:"name"`
	Key       ed25519.PublicKey `json:"key"`
	Recipient string            `json:"recipient"`
}

// AddEdge writes the folder of one more edge below dir, an earlier result of Init, whole or not at all, and returns
// what the cluster must learn of it.
func AddEdge(dir string, e EdgeNode) (Enrolment, error) {
	return Enrolment{}, errors.New("identity: unbuilt")
}

// LoadSigningKey reads a signing key from a path or credential:NAME.
func LoadSigningKey(path string) (SigningKey, error) {
	return SigningKey{}, errors.New("identity: unbuilt")
}

// LoadAge reads an age identity from a path or credential:NAME.
func LoadAge(path string) (AgeKey, error) { return AgeKey{}, errors.New("identity: unbuilt") }

// LoadProfile reads an operator's profile.json.
func LoadProfile(path string) (Profile, error) { return Profile{}, errors.New("identity: unbuilt") }

// ServerTLS is for the API server of a control node: TLS 1.3, own certificate, client certificates optional but
// verified when given (cluster authority, cluster id, a role). Ask PeerOf for who came.
func ServerTLS(ca, cert, key, clusterID string) (*tls.Config, error) {
	return nil, errors.New("identity: unbuilt")
}

// ClientTLS is for whoever calls that server: TLS 1.3, own certificate, and the other side must be a control node of
// the cluster at the address dialled.
func ClientTLS(ca, cert, key, clusterID string) (*tls.Config, error) {
	return nil, errors.New("identity: unbuilt")
}

// PeerOf reports who is at the other end; false when it gave no certificate.
func PeerOf(state *tls.ConnectionState) (Peer, bool) { return Peer{}, false }

// ParsePeer reads the one cordon URI of a certificate that has been verified against the cluster's authority.
func ParsePeer(cert *x509.Certificate) (Peer, error) {
	return Peer{}, errors.New("identity: unbuilt")
}
