package audit

import (
	"fmt"
	"slices"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Manifest is all an edge pulls to know what is in force: one checkpoint and the proofs that lead from
// it to each list's signed metadata. The edge believes none of it before OpenManifest has.
type Manifest struct {
	V           int            `cbor:"v"` // 1
	Checkpoint  []byte         `cbor:"checkpoint"`
	Last        []byte         `cbor:"last"` // the checkpoint's last leaf; its "f" vouches for InForce
	LastProof   [][32]byte     `cbor:"last_proof"`
	InForce     []byte         `cbor:"in_force"` // InForce.Encode after that leaf
	Lists       []ManifestList `cbor:"lists"`    // in the order of InForce.Lists
	Pins        []ManifestPin  `cbor:"pins"`     // of those lists' hotlines that the cluster file does not name
	Since       uint64         `cbor:"since"`    // the size the edge asked from; 0 for none
	Consistency [][32]byte     `cbor:"consistency"`
}

// ManifestList proves where one list in force comes from.
type ManifestList struct {
	Metadata []byte     `cbor:"metadata"`        // trust.Metadata, encoded
	Roots    [][]byte   `cbor:"roots,omitempty"` // from the pinned root, exclusive, to where Metadata goes on by itself
	Leaf     []byte     `cbor:"leaf"`            // its publish leaf
	Proof    [][32]byte `cbor:"proof"`
}

const manifestVersion = 1

// NewManifest assembles the manifest for a quorum-cosigned checkpoint of the tree. f is what is in
// force after the checkpoint's last leaf; metadata returns the encoded trust.Metadata of that hash;
// roots the chain of a hotline; since is the checkpoint size the asking edge already has, or 0. The assembling node need not be
// trusted, so little is checked here: a wrong manifest is refused by its reader.
func NewManifest(tree *Tree, checkpoint []byte, size uint64, f InForce, metadata func(hash [32]byte) ([]byte, error), roots func(trust.HotlineID) trust.Roots, since uint64) (Manifest, error) {
	if size == 0 {
		return Manifest{}, fmt.Errorf("manifest of an empty log: %w", ErrNotFound)
	}
	m := Manifest{V: manifestVersion, Checkpoint: checkpoint, InForce: f.Encode()}
	var err error
	if m.Last, m.LastProof, err = proved(tree, size-1, size); err != nil {
		return Manifest{}, fmt.Errorf("manifest of size %d: %w", size, err)
	}
	for _, l := range f.Lists {
		var ml ManifestList
		if ml.Leaf, ml.Proof, err = proved(tree, l.Leaf, size); err != nil {
			return Manifest{}, fmt.Errorf("manifest of size %d, list %s: %w", size, l.List, err)
		}
		if ml.Metadata, err = metadata(l.Metadata); err != nil {
			return Manifest{}, fmt.Errorf("manifest of size %d, list %s, metadata %x: %w", size, l.List, l.Metadata[:8], err)
		}
		md, err := trust.DecodeMetadata(ml.Metadata)
		if err != nil {
			return Manifest{}, fmt.Errorf("manifest of size %d, list %s: %w", size, l.List, err)
		}
		ml.Roots = roots(l.Hotline).Before(md)
		m.Lists = append(m.Lists, ml)
	}
	if since > 0 && since <= size {
		m.Since = since
		if m.Consistency, err = tree.ProveTree(since, size); err != nil {
			return Manifest{}, fmt.Errorf("manifest of size %d since %d: %w", size, since, err)
		}
	}
	return m, nil
}

func proved(tree *Tree, n, size uint64) ([]byte, [][32]byte, error) {
	leaf, err := tree.Leaf(n)
	if err != nil {
		return nil, nil, err
	}
	proof, err := tree.ProveRecord(n, size)
	return leaf, proof, err
}

// Encode returns the manifest as it travels.
func (m Manifest) Encode() []byte {
	m.V = manifestVersion
	return encode(m)
}

// DecodeManifest reads Encode's bytes strictly. It verifies nothing: OpenManifest does.
func DecodeManifest(b []byte) (Manifest, error) {
	var m Manifest
	if err := decode(b, MaxManifest, "manifest", &m); err != nil {
		return Manifest{}, err
	}
	if m.V != manifestVersion {
		return Manifest{}, fmt.Errorf("decode manifest of version %d: %w", m.V, ErrFormat)
	}
	if len(m.Lists) > MaxLists || len(m.Pins) > MaxLists {
		return Manifest{}, fmt.Errorf("decode manifest of %d lists: %w", len(m.Lists), ErrTooLarge)
	}
	return m, nil
}

// Opened is a manifest all of which has been verified.
type Opened struct {
	Checkpoint Checkpoint
	SignedBy   []string  // members that cosigned it
	Fresh      time.Time // a quorum says the log was like this then, or later
	Last       Leaf
	InForce    InForce
	Lists      []OpenedList // in the order of InForce.Lists

	since       uint64
	consistency [][32]byte
}

// OpenedList is one list in force with what its hotline signed about it.
type OpenedList struct {
	InForceList
	Publish  Publish
	Verified *trust.Verified
	Target   trust.ListTarget // the one of this list and sequence in Verified.Lists
}

// OpenManifest checks everything an edge must check before it fetches a file: the checkpoint's quorum;
// that the last leaf is in it and vouches for InForce; for each list that its publish leaf is in the
// log, that the hotline's metadata verifies from the pinned root, through every root since, at the leaf's time, that metadata,
// leaf and InForce agree on every hash, that the filter is the charter's, and that the version is in the hotline's public log. anchors are the pinned
// root.json bytes by hotline (Cluster.Anchors); the manifest proves those that officers have pinned since.
//
// It keeps no memory: call Advance on the result with what the edge saw before.
// Errors wrap this package's sentinels, or those of package trust (trust.Reason names them).
func (q Quorum) OpenManifest(m Manifest, anchors map[trust.HotlineID][]byte) (*Opened, error) {
	o, err := q.openManifest(m, anchors)
	if err != nil {
		return nil, fmt.Errorf("open manifest: %w", err)
	}
	return o, nil
}

func (q Quorum) openManifest(m Manifest, anchors map[trust.HotlineID][]byte) (*Opened, error) {
	c, by, fresh, err := q.open(m.Checkpoint)
	if err != nil {
		return nil, err
	}
	o := &Opened{Checkpoint: c, SignedBy: by, Fresh: fresh, since: m.Since, consistency: m.Consistency}
	if c.Size == 0 {
		return nil, fmt.Errorf("log is empty: %w", ErrNotFound)
	}
	if err := CheckRecord(m.LastProof, c.Size, c.Root, c.Size-1, m.Last); err != nil {
		return nil, fmt.Errorf("last leaf: %w", err)
	}
	if o.Last, err = DecodeLeaf(m.Last); err != nil {
		return nil, fmt.Errorf("last leaf: %w", err)
	}
	if o.Last.N != c.Size-1 {
		return nil, fmt.Errorf("last leaf says it is %d of %d: %w", o.Last.N, c.Size, ErrMismatch)
	}
	if o.InForce, err = DecodeInForce(m.InForce); err != nil {
		return nil, err
	}
	if o.InForce.Hash() != o.Last.F {
		return nil, fmt.Errorf("what is said to be in force is not what the log says: %w", ErrMismatch)
	}
	if len(m.Lists) != len(o.InForce.Lists) {
		return nil, fmt.Errorf("proofs for %d lists, in force are %d: %w", len(m.Lists), len(o.InForce.Lists), ErrMismatch)
	}
	if anchors, err = q.openPins(m.Pins, c, anchors); err != nil {
		return nil, err
	}
	for i, l := range o.InForce.Lists {
		ol, err := q.openList(l, m.Lists[i], c, anchors)
		if err != nil {
			return nil, fmt.Errorf("list %s sequence %d: %w", l.List, l.Seq, err)
		}
		o.Lists = append(o.Lists, ol)
	}
	return o, nil
}

func (q Quorum) openList(l InForceList, m ManifestList, c Checkpoint, anchors map[trust.HotlineID][]byte) (OpenedList, error) {
	none := OpenedList{}
	if err := CheckRecord(m.Proof, c.Size, c.Root, l.Leaf, m.Leaf); err != nil {
		return none, fmt.Errorf("publish leaf: %w", err)
	}
	leaf, err := DecodeLeaf(m.Leaf)
	if err != nil {
		return none, fmt.Errorf("publish leaf: %w", err)
	}
	body, err := leaf.Body()
	if err != nil {
		return none, fmt.Errorf("publish leaf: %w", err)
	}
	p, ok := body.(Publish)
	if !ok || leaf.N != l.Leaf {
		return none, fmt.Errorf("leaf %d is %s, not the list's publish leaf: %w", leaf.N, leaf.K, ErrMismatch)
	}
	if err := sameAsLeaf(l, p); err != nil {
		return none, err
	}
	anchor, ok := anchors[l.Hotline]
	if !ok {
		return none, fmt.Errorf("hotline %q has no pinned root here: %w", string(l.Hotline), ErrMismatch)
	}
	md, err := decodeMetadata(m.Metadata, l.Metadata)
	if err != nil {
		return none, err
	}
	root, err := m.start(anchor, md)
	if err != nil {
		return none, err
	}
	v, err := trust.Verify(root, trust.HighWater{}, md, time.Unix(leaf.T, 0).UTC())
	if err != nil {
		return none, err
	}
	if v.Development && !q.Development {
		return none, trust.ErrDevelopment
	}
	t, err := signedTarget(v, p)
	if err != nil {
		return none, err
	}
	if err := sameCharter(v, p); err != nil {
		return none, err
	}
	if err := openPublicLog(v, p, md.List, t); err != nil {
		return none, err
	}
	return OpenedList{InForceList: l, Publish: p, Verified: v, Target: t}, nil
}

// start walks from the pinned root to the one that the metadata goes on from.
func (m ManifestList) start(anchor []byte, md trust.Metadata) ([]byte, error) {
	roots, err := trust.PinRoot(anchor)
	if err == nil {
		roots, err = roots.Follow(m.Roots)
	}
	if err != nil {
		return nil, err
	}
	return roots.Start(md)
}

// sameAsLeaf compares the in-force entry with the leaf it must have come from.
func sameAsLeaf(l InForceList, p Publish) error {
	switch {
	case l.List != p.List || l.Hotline != p.Hotline:
		return fmt.Errorf("publish leaf is of list %q: %w", string(p.List), ErrMismatch)
	case l.Seq != p.Seq || l.Epoch != p.Epoch:
		return fmt.Errorf("publish leaf has sequence %d epoch %d, in force is %d epoch %d: %w", p.Seq, p.Epoch, l.Seq, l.Epoch, ErrMismatch)
	case l.Edge != p.Edge || l.EdgeSize != p.EdgeSize || l.Audit != p.Audit || l.AuditSize != p.AuditSize:
		return fmt.Errorf("files in force are not those of the publish leaf: %w", ErrMismatch)
	case l.FilterHash != p.FilterHash || l.Metadata != p.Metadata:
		return fmt.Errorf("filter or metadata in force is not that of the publish leaf: %w", ErrMismatch)
	}
	f, err := l.Filter.Match()
	if err != nil {
		return err
	}
	if f.Hash() != l.FilterHash {
		return fmt.Errorf("filter in force: %w", ErrMismatch)
	}
	return nil
}

// decodeMetadata reads encoded trust.Metadata and holds it to the hash the log names.
func decodeMetadata(b []byte, want [32]byte) (trust.Metadata, error) {
	md, err := trust.DecodeMetadata(b)
	if err != nil {
		return trust.Metadata{}, fmt.Errorf("metadata: %w", err)
	}
	if got := md.Hash(); got != want {
		return trust.Metadata{}, fmt.Errorf("metadata hashes to %x, the log says %x: %w", got[:8], want[:8], ErrMismatch)
	}
	return md, nil
}

// signedTarget finds what the hotline signed about the version a publish leaf brings in, and compares
// every field of the leaf that the hotline must have signed.
func signedTarget(v *trust.Verified, p Publish) (trust.ListTarget, error) {
	var t trust.ListTarget
	found := false
	for _, c := range v.Lists {
		if c.List == p.List && c.Seq == p.Seq {
			t, found = c, true
		}
	}
	if !found || v.Hotline != p.Hotline {
		return t, fmt.Errorf("the hotline's metadata has no list %q sequence %d: %w", string(p.List), p.Seq, ErrMismatch)
	}
	differs := func(what string) error {
		return fmt.Errorf("%s of the publish leaf is not what the hotline signed: %w", what, ErrMismatch)
	}
	switch {
	case t.Prev != p.Prev || t.Epoch != p.Epoch:
		return t, differs("previous sequence or key epoch")
	case t.CanonID != p.Canon:
		return t, differs("canonicalisation id")
	case t.Edge.SHA256 != p.Edge || t.Edge.Length != p.EdgeSize:
		return t, differs("edge list")
	case t.Audit.SHA256 != p.Audit || t.Audit.Length != p.AuditSize:
		return t, differs("auditor list")
	case t.EntriesRoot != p.EntriesRoot:
		return t, differs("entries root")
	case !slices.Equal(BasesOf(t), p.Bases):
		return t, differs("count by legal basis")
	case uint64(t.Added) != p.Added || uint64(t.Removed) != p.Removed || !sameCounts(t, p.Counts):
		return t, differs("count of entries")
	}
	return t, nil
}

// sameCharter compares the charter's hash and filter.
func sameCharter(v *trust.Verified, p Publish) error {
	if v.CharterHash != p.Charter {
		return fmt.Errorf("charter of the publish leaf is not the accredited one: %w", ErrMismatch)
	}
	if v.Charter.Filter().Hash() != p.FilterHash {
		return fmt.Errorf("filter of the publish leaf is not the charter's: %w", ErrMismatch)
	}
	return nil
}

func sameCounts(t trust.ListTarget, counts []KindCount) bool {
	return slices.Equal(CountsOf(t), counts)
}

// Seen is what an edge remembers of the last manifest it accepted, on disk across restarts.
type Seen struct {
	Size uint64   `json:"size" cbor:"size"`
	Root [32]byte `json:"root" cbor:"root"`
	Seqs []SeqOf  `json:"seqs" cbor:"seqs"`
}

// SeqOf is the highest sequence of a list that was accepted; one that the cluster went back from counts.
type SeqOf struct {
	List match.ListID `json:"list" cbor:"list"`
	Seq  uint64       `json:"seq" cbor:"seq"`
}

// Advance holds a verified manifest to what was seen before: the log is no shorter and a continuation
// of the one seen (the manifest must have been asked for with since = prev.Size), and no list went
// back. It returns what to remember. Errors: ErrRollback, ErrProof (the log was forked), ErrMismatch
// (a consistency proof from another size).
func (o *Opened) Advance(prev Seen) (Seen, error) {
	c := o.Checkpoint
	if c.Size < prev.Size {
		return prev, fmt.Errorf("log of size %d, size %d was seen before: %w", c.Size, prev.Size, ErrRollback)
	}
	if prev.Size > 0 {
		if c.Size > prev.Size && o.since != prev.Size {
			return prev, fmt.Errorf("consistency proof is from size %d, size %d was seen: %w", o.since, prev.Size, ErrMismatch)
		}
		if err := CheckTree(o.consistency, c.Size, c.Root, prev.Size, prev.Root); err != nil {
			return prev, fmt.Errorf("log is not a continuation of the one seen before: %w", err)
		}
	}
	next := Seen{Size: c.Size, Root: c.Root}
	for _, s := range prev.Seqs {
		l, ok := o.InForce.List(s.List)
		if ok && l.High() < s.Seq {
			return prev, fmt.Errorf("list %s sequence %d, %d was seen before: %w", s.List, l.High(), s.Seq, ErrRollback)
		}
		if !ok {
			next.Seqs = append(next.Seqs, s)
		}
	}
	for _, l := range o.InForce.Lists {
		next.Seqs = append(next.Seqs, SeqOf{List: l.List, Seq: l.High()})
	}
	return next, nil
}
