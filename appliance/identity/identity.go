// Package identity makes and loads the keys and certificates by which the parts of one operator's cluster know
// each other.
//
// In goes a Plan; out comes a folder with the cluster's public files, its certificate authority, the operator's
// certificate and one complete folder for each node, ready to be copied to its machine:
//
//	cluster.json  cluster.pub  trust.json       public: for nodes, for hotlines, for auditors
//	ca/           ca.crt ca.key                 the authority; keep it off the nodes
//	operator/     operator.crt operator.key profile.json
//	auditor-NAME/ auditor.crt auditor.key, from AddAuditor
//	CONTROL/      control.yaml cluster.json node.key tls.crt tls.key ca.crt cluster.agekey
//	EDGE/         edge.yaml cluster.json node.key tls.crt tls.key ca.crt edge.agekey edge.pub
//
// The loaders read those files back, bounded, and say in one plain sentence what is missing or unsafe.
//
// Everyone is named by a certificate of the cluster's own authority: cordon://CLUSTER-ID/ROLE/NAME. Membership, not
// the certificate, is what admits a node: the cluster's log says who is a member, and removal there is what ends one.
package identity

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/transport"
	"github.com/cordon-project/cordon/listsync/trust"
)

// Names of the files Init writes.
const (
	ClusterFile    = "cluster.json"
	HotlineFile    = "cluster.pub"
	TrustFile      = "trust.json"
	AuthorityFile  = "ca.crt"
	ControlFile    = "control.yaml"
	EdgeFile       = "edge.yaml"
	EnrolmentFile  = "edge.pub"
	ProfileFile    = "profile.json"
	authorityKey   = "ca.key"
	signingKey     = "node.key"
	tlsCertificate = "tls.crt"
	tlsKey         = "tls.key"
	clusterKey     = "cluster.agekey"
	edgeKey        = "edge.agekey"
	operatorName   = "operator"
)

// The roles a certificate can name; one set for the whole project.
const (
	RoleControl  = transport.RoleControl
	RoleEdge     = transport.RoleEdge
	RoleOperator = transport.RoleOperator
	RoleAuditor  = transport.RoleAuditor
)

// ErrExists is returned when a folder to be made holds something already.
var ErrExists = errors.New("folder is in use")

// Plan is all that Init needs to know.
type Plan struct {
	Name        string    // DNS name of the operator's cluster, for example isp.example
	Origin      string    // first line of its checkpoints, for example isp.example/cordon; empty: NAME/cordon
	Development bool      // throw-away keys for cordon dev: control and edge refuse them
	Created     time.Time // certificates begin an hour before it
	Controls    []Node    // at least one
	Edges       []EdgeNode
	Hotlines    []Hotline       // at least one
	Officers    []order.Officer // who may sign orders: none, or at least two

	// LogWitnesses is the witness policy for hotlines' public logs, Witnesses the one that auditors hold this
	// cluster's own log to. Either may be empty.
	LogWitnesses, Witnesses string
}

// Node is one control node.
type Node struct {
	Name      string
	Raft, API netip.AddrPort
}

// EdgeNode is one edge. What is zero in Stop takes the defaults of the edge's file.
type EdgeNode struct {
	Name      string
	DNS       []netip.AddrPort
	Upstreams []netip.AddrPort
	Recursive bool           // an Unbound of its own instead of Upstreams
	Clients   []netip.Prefix // who is answered beside private addresses
	Stop      config.Stop
}

// Hotline is one publisher the cluster trusts.
type Hotline struct {
	ID       string
	RootJSON []byte // its pinned root.json
	URL      string
	Mirrors  []string
}

// Init writes a new operator's identities to dir, whole or not at all. A dir that exists and is not empty is
// refused with ErrExists. It must not run twice at once on the same dir.
func Init(dir string, p Plan) error {
	if p.Origin == "" {
		p.Origin = p.Name + "/cordon"
	}
	if err := p.check(); err != nil {
		return fmt.Errorf("plan of cluster %s: %w", p.Name, err)
	}
	return whole(dir, func(tmp string) error { return build(tmp, p) })
}

// AddEdge writes the folder of one more edge below dir, an earlier result of Init, whole or not at all, and returns
// what the cluster must learn of it. ErrExists when the name is taken.
func AddEdge(dir string, e EdgeNode) (Enrolment, error) {
	c, err := loadMade(dir)
	if err != nil {
		return Enrolment{}, err
	}
	for _, m := range c.Members {
		if m.Name == e.Name {
			return Enrolment{}, fmt.Errorf("add edge %s: a control node has this name: %w", e.Name, ErrExists)
		}
	}
	if err := checkNodeName(e.Name); err != nil {
		return Enrolment{}, fmt.Errorf("add edge: %w", err)
	}
	profile, err := LoadProfile(filepath.Join(dir, operatorName, ProfileFile))
	if err != nil {
		return Enrolment{}, err
	}
	ca, err := loadAuthority(filepath.Join(dir, "ca"), c)
	if err != nil {
		return Enrolment{}, err
	}
	public, private, err := newEdge(e.Name, c.Development)
	if err != nil {
		return Enrolment{}, err
	}
	err = whole(filepath.Join(dir, e.Name), func(tmp string) error {
		return writeEdge(tmp, c, ca, e, profile.API, nil, public, private, protected(c.Name, []config.Stop{e.Stop}, nil))
	})
	if err != nil {
		return Enrolment{}, fmt.Errorf("add edge %s: %w", e.Name, err)
	}
	return public, nil
}

func (p Plan) check() error {
	for label := range strings.SplitSeq(p.Name, ".") {
		if !config.ValidNodeName(label) {
			return fmt.Errorf("%q is not a DNS name in small letters; name the cluster like isp.example", p.Name)
		}
	}
	if p.Created.IsZero() {
		return errors.New("the time of making is missing")
	}
	seen := map[string]bool{}
	once := func(name string) error {
		if err := checkNodeName(name); err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("two nodes are named %s; give each its own name", name)
		}
		seen[name] = true
		return nil
	}
	for _, n := range p.Controls {
		if err := once(n.Name); err != nil {
			return err
		}
	}
	for _, e := range p.Edges {
		if err := once(e.Name); err != nil {
			return err
		}
	}
	for _, h := range p.Hotlines {
		if err := h.check(p.Development); err != nil {
			return err
		}
	}
	return nil
}

// check holds the pinned root to its form: everything else is verified against it, so a wrong file must not wait until then to be found.
func (h Hotline) check(development bool) error {
	root, err := trust.ReadRoot(h.RootJSON)
	if err != nil {
		return fmt.Errorf("the root given for hotline %s is not a root.json (%w); take the 1.root.json that the authority signed", h.ID, err)
	}
	if root.Development && !development {
		return fmt.Errorf("the root given for hotline %s is of a throw-away authority; a real cluster needs a real one", h.ID)
	}
	return nil
}

func checkNodeName(name string) error {
	if !config.ValidNodeName(name) {
		return fmt.Errorf("%q cannot name a node; use small letters, digits and hyphens inside, at most 63", name)
	}
	if name == "ca" || name == operatorName {
		return fmt.Errorf("%s is the name of another folder; give the node another name", name)
	}
	return nil
}

// build writes everything of a plan into an empty folder.
func build(dir string, p Plan) error {
	sealed, err := newAge(p.Development)
	if err != nil {
		return err
	}
	c := audit.Cluster{V: 1, Name: p.Name, Origin: p.Origin, Created: p.Created.Unix(), Development: p.Development,
		Recipient: sealed.recipient, LogWitnesses: p.LogWitnesses}
	controls := make([][]byte, len(p.Controls))
	for i, n := range p.Controls {
		member, private, err := newMemberKey(n.Name, p.Development)
		if err != nil {
			return err
		}
		controls[i] = private
		c.Members = append(c.Members, member)
	}
	c.Officers = p.Officers
	edges := make([]secrets, len(p.Edges))
	enrolments := make([]Enrolment, len(p.Edges))
	for i, e := range p.Edges {
		if enrolments[i], edges[i], err = newEdge(e.Name, p.Development); err != nil {
			return err
		}
		c.Edges = append(c.Edges, audit.EdgeKey(enrolments[i]))
	}
	for _, h := range p.Hotlines {
		c.Hotlines = append(c.Hotlines, audit.HotlineAnchor{ID: trust.HotlineID(h.ID), Root: h.RootJSON})
	}
	if err := c.Check(); err != nil {
		return err
	}
	ca, err := newAuthority(c)
	if err != nil {
		return err
	}
	var apis []string
	for _, n := range p.Controls {
		apis = append(apis, "https://"+n.API.String())
	}
	var stops []config.Stop
	for _, e := range p.Edges {
		stops = append(stops, e.Stop)
	}
	neverBlock := protected(p.Name, stops, p.Hotlines)

	w := writer{dir: dir}
	w.public(ClusterFile, c.Encode())
	w.public(HotlineFile, indent(hotlineView{Cluster: c.ID(), Name: c.Name, Recipient: c.Recipient}))
	tf := audit.NewTrustFile(c, string(ca.pem))
	tf.Witnesses = p.Witnesses
	w.public(TrustFile, tf.Encode())
	w.folder("ca")
	w.public(filepath.Join("ca", AuthorityFile), ca.pem)
	w.secret(filepath.Join("ca", authorityKey), ca.keyPEM)
	w.operator(c, ca, apis)
	if w.err != nil {
		return w.err
	}
	for i, n := range p.Controls {
		w.folder(n.Name)
		if err := errors.Join(w.err, writeControl(filepath.Join(dir, n.Name), c, ca, p, n, controls[i], sealed, neverBlock)); err != nil {
			return err
		}
	}
	for i, e := range p.Edges {
		w.folder(e.Name)
		if err := errors.Join(w.err, writeEdge(filepath.Join(dir, e.Name), c, ca, e, apis, p.sources(), enrolments[i], edges[i], neverBlock)); err != nil {
			return err
		}
	}
	return nil
}

// hotlineView is cluster.pub: what a hotline needs to wrap its list keys for this cluster.
type hotlineView struct {
	Cluster   string `json:"cluster"`
	Name      string `json:"name"`
	Recipient string `json:"recipient"`
}

// whole makes dir by filling a folder beside it and renaming that: dir is complete or not there.
func whole(dir string, fill func(tmp string) error) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	switch held, err := os.ReadDir(dir); {
	case err == nil && len(held) > 0:
		return fmt.Errorf("%s holds files already and is left as it is; name a folder that does not exist yet: %w", dir, ErrExists)
	case err != nil && !os.IsNotExist(err):
		return fmt.Errorf("make %s: %w", dir, err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".cordon-identity-*")
	if err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	defer os.RemoveAll(tmp)
	if err := fill(tmp); err != nil {
		return err
	}
	if err := os.Remove(dir); err != nil && !os.IsNotExist(err) { // an empty folder makes room
		return fmt.Errorf("make %s: %w", dir, err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	return syncFolder(filepath.Dir(dir))
}
