package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/trust"
)

const clusterTag = "cordon/cluster/v1\n"

// Cluster is the public description of a cluster, cluster.json: who its first members and edges are and
// which hotlines' roots it pins. It never changes after the cluster was made: its id is its hash, and
// all later changes are leaves. Strict JSON: every key must be there, once, and no other.
type Cluster struct {
	V           int             `json:"v" cbor:"v"` // 1
	Name        string          `json:"name" cbor:"name"`
	Origin      string          `json:"origin" cbor:"origin"` // of the log, like "isp.example/cordon"
	Created     int64           `json:"created" cbor:"created"`
	Development bool            `json:"development" cbor:"development"`
	Recipient   string          `json:"recipient" cbor:"recipient"` // age recipient of the cluster key
	Members     []MemberKey     `json:"members" cbor:"members"`
	Officers    []order.Officer `json:"officers" cbor:"officers"` // who may sign orders; none, or order.Threshold at least
	Edges       []EdgeKey       `json:"edges" cbor:"edges"`
	Hotlines    []HotlineAnchor `json:"hotlines" cbor:"hotlines"`

	// LogWitnesses is the witness policy that hotlines' public logs must meet; "": the log's own signature is enough.
	LogWitnesses string `json:"log_witnesses" cbor:"log_witnesses"`
}

// EdgeKey is an edge enrolled from the beginning.
type EdgeKey struct {
	Name      string            `json:"name" cbor:"name"`
	Key       ed25519.PublicKey `json:"key" cbor:"key"`
	Recipient string            `json:"recipient" cbor:"recipient"`
}

// HotlineAnchor pins a hotline's root.json.
type HotlineAnchor struct {
	ID   trust.HotlineID `json:"id" cbor:"id"`
	Root []byte          `json:"root" cbor:"root"`
}

const clusterVersion = 1

// ParseCluster reads a cluster file strictly and checks it whole. Errors: ErrFormat, ErrTooLarge, ErrMismatch.
func ParseCluster(b []byte) (Cluster, error) {
	var c Cluster
	if err := strictJSON(b, MaxClusterFile, "cluster file", &c); err != nil {
		return Cluster{}, err
	}
	if err := c.Check(); err != nil {
		return Cluster{}, fmt.Errorf("parse cluster file: %w", err)
	}
	return c, nil
}

// Encode writes the cluster file, indented, in the form ParseCluster reads.
func (c Cluster) Encode() []byte { return encodeJSON(c.normal()) }

// Check reports what is wrong with a description made by hand: names, keys in two places, bounds.
func (c Cluster) Check() error {
	if c.V != clusterVersion {
		return fmt.Errorf("version %d: %w", c.V, ErrFormat)
	}
	if err := checkName("cluster", c.Name); err != nil {
		return err
	}
	if err := checkOrigin(c.Origin); err != nil {
		return err
	}
	if c.Created < 0 || c.Created > maxTime {
		return fmt.Errorf("created %d: %w", c.Created, ErrFormat)
	}
	if err := checkRecipient(c.Recipient); err != nil {
		return err
	}
	if len(c.Members) < 1 || len(c.Members) > MaxMembers || len(c.Edges) > MaxEdges || len(c.Hotlines) > MaxLists {
		return fmt.Errorf("%d members, %d edges, %d hotlines: %w", len(c.Members), len(c.Edges), len(c.Hotlines), ErrTooLarge)
	}
	keys := make(map[string]string)
	once := func(role, name string, key ed25519.PublicKey) error {
		if err := checkName(role, name); err != nil {
			return err
		}
		if len(key) != ed25519.PublicKeySize {
			return fmt.Errorf("key of %s %s: %w", role, name, ErrFormat)
		}
		if other, ok := keys[string(key)]; ok {
			return fmt.Errorf("%s %s has the same key as %s: %w", role, name, other, ErrFormat)
		}
		keys[string(key)] = role + " " + name
		if _, ok := keys[role+"\x00"+name]; ok {
			return fmt.Errorf("%s %s is there twice: %w", role, name, ErrFormat)
		}
		keys[role+"\x00"+name] = name
		return nil
	}
	for _, m := range c.Members {
		if err := once("member", m.Name, m.Key); err != nil {
			return err
		}
		if err := c.checkMLDSA(m, keys); err != nil {
			return err
		}
	}
	if n := len(c.Officers); n == 1 || n > order.MaxOfficers {
		return fmt.Errorf("%d officers: none, or %d to %d: %w", n, order.Threshold, order.MaxOfficers, ErrFormat)
	}
	for _, o := range c.Officers {
		if err := once("officer", o.Name, o.Key); err != nil {
			return err
		}
	}
	for _, e := range c.Edges {
		if err := once("edge", e.Name, e.Key); err != nil {
			return err
		}
		if err := checkRecipient(e.Recipient); err != nil {
			return fmt.Errorf("edge %s: %w", e.Name, err)
		}
	}
	seen := make(map[trust.HotlineID]bool)
	for _, h := range c.Hotlines {
		if err := checkHotline(h.ID); err != nil {
			return err
		}
		if seen[h.ID] || len(h.Root) == 0 {
			return fmt.Errorf("hotline %s: twice, or without a root: %w", h.ID, ErrFormat)
		}
		seen[h.ID] = true
	}
	if _, err := ParsePolicy(c.LogWitnesses); err != nil {
		return fmt.Errorf("log_witnesses: %w", err)
	}
	return nil
}

// ID is the cluster's name everywhere: the first 16 bytes of SHA-256("cordon/cluster/v1\n" ||
// deterministic CBOR of the description), in hex.
func (c Cluster) ID() string {
	sum := sha256.Sum256(append([]byte(clusterTag), encode(c.normal())...))
	return hex.EncodeToString(sum[:16])
}

// Quorum is whom to trust about this cluster's log: a majority of its first members.
func (c Cluster) Quorum() Quorum {
	return Quorum{Origin: c.Origin, Cluster: c.ID(), Members: c.Members, Need: Majority(len(c.Members)), Development: c.Development, Officers: c.Officers}
}

// Anchors are the pinned roots by hotline, as OpenManifest takes them.
func (c Cluster) Anchors() map[trust.HotlineID][]byte {
	m := make(map[trust.HotlineID][]byte, len(c.Hotlines))
	for _, h := range c.Hotlines {
		m[h.ID] = h.Root
	}
	return m
}

// Genesis is the log's first leaves, the same on every replica: each member, each edge, each hotline's
// anchor, in the file's order, at the time the cluster was made. Nothing is in force after them.
func (c Cluster) Genesis() []Leaf {
	var bodies []Body
	for _, m := range c.Members {
		bodies = append(bodies, Member{Action: ActionAdd, Role: RoleControl, Name: m.Name, Key: [32]byte(m.Key)})
	}
	for _, e := range c.Edges {
		bodies = append(bodies, Member{Action: ActionAdd, Role: RoleEdge, Name: e.Name, Key: [32]byte(e.Key), Recipient: e.Recipient})
	}
	for _, h := range c.Hotlines {
		bodies = append(bodies, Trust{Hotline: h.ID, Root: sha256.Sum256(h.Root)})
	}
	f := Genesis().Hash()
	leaves := make([]Leaf, len(bodies))
	for i, b := range bodies {
		l, err := NewLeaf(uint64(i), c.Created, b)
		if err != nil {
			panic(fmt.Sprintf("audit: genesis of an unchecked cluster: %v", err))
		}
		l.F = f
		leaves[i] = l
	}
	return leaves
}

// normal makes absent and empty slices the same thing.
func (c Cluster) normal() Cluster {
	if c.Members == nil {
		c.Members = []MemberKey{}
	}
	c.Members = slices.Clone(c.Members)
	for i := range c.Members {
		if c.Members[i].MLDSA == nil {
			c.Members[i].MLDSA = []byte{}
		}
	}
	if c.Officers == nil {
		c.Officers = []order.Officer{}
	}
	if c.Edges == nil {
		c.Edges = []EdgeKey{}
	}
	if c.Hotlines == nil {
		c.Hotlines = []HotlineAnchor{}
	}
	return c
}

// TrustFile is what an auditor gets from elsewhere (a bundle never proves itself): the cluster, the CA
// of its servers for live visits, how many members must have cosigned. Strict JSON like Cluster.
type TrustFile struct {
	V            int     `json:"v"` // 1
	Cluster      Cluster `json:"cluster"`
	CA           string  `json:"ca"`            // PEM; may be empty, then only bundle files can be verified
	Need         int     `json:"need"`          // at least a majority of the members
	Witnesses    string  `json:"witnesses"`     // witness policy that this cluster's checkpoints must meet; may be empty
	LogWitnesses string  `json:"log_witnesses"` // witness policy that hotlines' public logs must meet; may be empty

	Hotlines []HotlineAnchor `json:"hotlines"` // beyond the cluster file's: those that the operator may have added since
}

// ParseTrustFile reads a trust file strictly. Errors: ErrFormat, ErrTooLarge, ErrMismatch.
func ParseTrustFile(b []byte) (TrustFile, error) {
	var t TrustFile
	if err := strictJSON(b, MaxClusterFile, "trust file", &t); err != nil {
		return TrustFile{}, err
	}
	if err := t.check(); err != nil {
		return TrustFile{}, fmt.Errorf("parse trust file: %w", err)
	}
	return t, nil
}

// NewTrustFile makes the trust file of a cluster: a majority must have cosigned, hotlines' public logs must meet the
// cluster's own policy, and no witness of the cluster's log is asked for.
func NewTrustFile(c Cluster, ca string) TrustFile {
	return TrustFile{V: clusterVersion, Cluster: c.normal(), CA: ca, Need: Majority(len(c.Members)), LogWitnesses: c.LogWitnesses}
}

// Encode writes the trust file in the form ParseTrustFile reads.
func (t TrustFile) Encode() []byte {
	t.Cluster = t.Cluster.normal()
	if t.Hotlines == nil {
		t.Hotlines = []HotlineAnchor{}
	}
	return encodeJSON(t)
}

// Quorum is the cluster's with the trust file's own need.
func (t TrustFile) Quorum() Quorum {
	q := t.Cluster.Quorum()
	q.Need = t.Need
	return q
}

func (t TrustFile) check() error {
	if t.V != clusterVersion {
		return fmt.Errorf("version %d: %w", t.V, ErrFormat)
	}
	if err := t.Cluster.Check(); err != nil {
		return err
	}
	if n := len(t.Cluster.Members); t.Need < Majority(n) || t.Need > n {
		return fmt.Errorf("need %d of %d members, at least a majority: %w", t.Need, n, ErrFormat)
	}
	if _, err := ParsePolicy(t.Witnesses); err != nil {
		return fmt.Errorf("witnesses: %w", err)
	}
	if _, err := ParsePolicy(t.LogWitnesses); err != nil {
		return fmt.Errorf("log_witnesses: %w", err)
	}
	if _, err := t.Roots(); err != nil {
		return err
	}
	return t.checkHotlines()
}

// Roots is the CA as a pool for TLS, nil when the file has none.
func (t TrustFile) Roots() (*x509.CertPool, error) {
	if t.CA == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	for rest := []byte(t.CA); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil || block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("ca: not a certificate: %w", ErrFormat)
		}
		pool.AddCert(cert)
	}
	if pool.Equal(x509.NewCertPool()) {
		return nil, fmt.Errorf("ca: no certificate: %w", ErrFormat)
	}
	return pool, nil
}

func encodeJSON(v any) []byte {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("audit: encode %T: %v", v, err))
	}
	return append(b, '\n')
}
