// Package certificate makes the scope certificate: what a cluster's log says of a span of time, as one document that two of the operator's
// officers sign. In go the log's leaves and the cluster's description, out comes JSON that whoever has the same leaves makes byte for byte;
// so a certificate is checked by making it again. CERTIFICATE.md says what is in it, and what it does not claim.
package certificate

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/audit/period"
)

// Document is a certificate's content: a pure function of the leaves that are dated before To, and of the cluster.
type Document struct {
	V       int         `json:"v"`    // 1
	Kind    string      `json:"kind"` // "cordon scope certificate"
	Cluster string      `json:"cluster"`
	Name    string      `json:"name"`
	Origin  string      `json:"origin"` // of the log
	From    period.Time `json:"from"`
	To      period.Time `json:"to"`    // not inclusive
	Begin   Head        `json:"begin"` // the log when the span began
	End     Head        `json:"end"`   // the log at its end: all that this was made from

	Scope    string       `json:"scope"` // csam: there is no other
	Facts    period.Facts `json:"facts"`
	Programs []Program    `json:"programs"` // the last that members at the end had said, by role and name
	Claims   []string     `json:"claims"`
	NoClaims []string     `json:"does_not_claim"`
}

// Head is the log at one size.
type Head struct {
	Size uint64      `json:"size"`
	Root period.Hash `json:"root"`
}

// Program is what a node said it runs, signed with its key.
type Program struct {
	Role    string      `json:"role"`
	Name    string      `json:"name"`
	Program string      `json:"program"`
	Version string      `json:"version"`
	SHA256  period.Hash `json:"sha256"`
	Leaf    uint64      `json:"leaf"`
}

const (
	version = 1
	kind    = "cordon scope certificate"

	// MaxDocument bounds a certificate that is read: 10,000 list versions.
	MaxDocument = 32 << 20
)

var (
	// ErrYields: the log yields another document than the one that was certified.
	ErrYields = errors.New("the log does not yield this certificate")
)

// What a certificate says, in words. They are part of the document.
var (
	claims = []string{
		"Every list version in force in this time was published by a hotline whose charter has the scope csam; charters, versions and counts are those below.",
		"Nothing came into force but by a leaf of this log: publications, and orders of the operator's officers that remove or let pass. There is no leaf that adds a name.",
		"facts.receipts.right of facts.receipts.n receipts of edges name exactly the state that follows from the lists, removals and charters of this log; ahead ones removed more, on a hotline's word.",
	}
	noClaims = []string{
		"What the log does not have: whether every address that was stopped deserved it, what a hotline refused to list, what an edge that sent no receipt answered.",
		"That the signatures in the log are good: cordon-audit verify checks them, this document is only as good as the log that it names.",
		"Anything about time after the last leaf that it was made from, or about another operator.",
		"That a node runs the program that it names: that is the node's own signed word.",
		"Results of probes that an order with this certificate names: they are the operator's own statement.",
	}
)

// Of makes the document from a log's leaves, all of them from number 0; those dated at to or later change nothing. Whether the log has come
// to the end of the span is for who calls to know: by a leaf or a command of that time. Errors: those of period.Of.
func Of(c audit.Cluster, leaves iter.Seq[audit.Leaf], from, to time.Time) (Document, error) {
	walk, err := period.New(from, to)
	if err != nil {
		return Document{}, err
	}
	tree := new(audit.Tree)
	said := map[[2]string]Program{}
	for l := range leaves {
		if l.T >= to.Unix() {
			break
		}
		if err := walk.Leaf(l); err != nil {
			return Document{}, err
		}
		b, err := audit.EncodeLeaf(l)
		if err != nil {
			return Document{}, fmt.Errorf("certificate: %w", err)
		}
		tree.Append(b)
		if err := programs(said, l); err != nil {
			return Document{}, err
		}
	}
	f := walk.Facts()
	d := Document{
		V: version, Kind: kind, Cluster: c.ID(), Name: c.Name, Origin: c.Origin, From: f.From, To: f.To, Scope: "csam", Facts: f,
		Programs: []Program{}, Claims: claims, NoClaims: noClaims,
	}
	for _, h := range []struct {
		size uint64
		into *Head
	}{{f.Begin, &d.Begin}, {f.End, &d.End}} {
		root, err := tree.RootAt(h.size)
		if err != nil {
			return Document{}, fmt.Errorf("certificate: %w", err)
		}
		*h.into = Head{h.size, root}
	}
	for _, p := range said {
		members := f.Nodes.Control
		if p.Role == audit.RoleEdge {
			members = f.Nodes.Edges
		}
		if slices.Contains(members, p.Name) {
			d.Programs = append(d.Programs, p)
		}
	}
	slices.SortFunc(d.Programs, func(a, b Program) int { return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Name, b.Name)) })
	return d, nil
}

func programs(said map[[2]string]Program, l audit.Leaf) error {
	if l.K != audit.KindAdmin {
		return nil
	}
	body, err := l.Body()
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	a, _ := body.(audit.Admin)
	builds, ok := a.Said.(audit.Builds)
	if !ok {
		return nil
	}
	for _, item := range builds.Items {
		b, err := item.Build()
		if err != nil {
			return fmt.Errorf("certificate: %w", err)
		}
		said[[2]string{b.Role, b.Name}] = Program{b.Role, b.Name, b.Program, b.Version, b.Digest, l.N}
	}
	return nil
}

// Encode is the document's one form: JSON with an indent of two spaces, keys in the order of the type, < > & escaped, a line end behind it.
func (d Document) Encode() []byte {
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		panic("certificate: " + err.Error())
	}
	return append(b, '\n')
}

// Parse reads a document that Encode wrote, and nothing else.
func Parse(b []byte) (Document, error) {
	var d Document
	if len(b) > MaxDocument {
		return d, fmt.Errorf("certificate of %d bytes, at most %d: %w", len(b), MaxDocument, audit.ErrTooLarge)
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return d, fmt.Errorf("certificate: %w: %v", audit.ErrFormat, err)
	}
	if d.V != version || d.Kind != kind || !bytes.Equal(d.Encode(), b) {
		return d, fmt.Errorf("certificate: not one that Cordon wrote: %w", audit.ErrFormat)
	}
	return d, nil
}

// Yields makes the document that an order certifies from a log's leaves, and is ErrYields when it is another one.
func Yields(c audit.Cluster, leaves iter.Seq[audit.Leaf], o order.Certificate) (Document, error) {
	d, err := Of(c, leaves, time.Unix(o.From, 0), time.Unix(o.To, 0))
	if err != nil {
		return d, err
	}
	switch got := d.Hash(); {
	case d.End.Size != o.Size:
		return d, fmt.Errorf("%w: it is of %d leaves, and %d are dated before its end", ErrYields, o.Size, d.End.Size)
	case got != o.Hash:
		return d, fmt.Errorf("%w: certified is the document %x, the leaves make %x", ErrYields, o.Hash[:8], got[:8])
	}
	return d, nil
}

// Hash is what officers sign: SHA-256 of Encode.
func (d Document) Hash() [32]byte { return sha256.Sum256(d.Encode()) }
