package audit

import (
	"fmt"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/trust"
)

// Pin is a hotline that the operator's officers have added since the cluster was made.
type Pin struct {
	Hotline trust.HotlineID
	Root    [32]byte // SHA-256 of its root.json
	Number  uint64   // of the order
	Leaf    uint64
	Since   int64 // time of the leaf
}

func (p Pin) hotline() trust.HotlineID { return p.Hotline }

// Pinned finds a hotline that officers have added.
func (o Orders) Pinned(id trust.HotlineID) (Pin, bool) {
	for _, p := range o.Pins {
		if p.Hotline == id {
			return p, true
		}
	}
	return Pin{}, false
}

// pin adds a hotline that is in nobody's place: a root never changes by order, only by the hotline's own rotations.
func (o Orders) pin(c *Cluster, leaf Leaf, number uint64, p order.Pin) ([]Pin, error) {
	_, again := o.Pinned(p.Hotline)
	if again || slices.ContainsFunc(c.Hotlines, func(a HotlineAnchor) bool { return a.ID == p.Hotline }) {
		return nil, fmt.Errorf("pin %d: hotline %s is pinned already, and another root for it is for its authority to sign: %w", number, p.Hotline, ErrOrder)
	}
	if len(c.Hotlines)+len(o.Pins) >= MaxLists {
		return nil, fmt.Errorf("pin %d: hotline %s would be one more than %d: %w", number, p.Hotline, MaxLists, ErrOrder)
	}
	if root, err := trust.ReadRoot(p.Document); err != nil || root.Development && !c.Development {
		return nil, fmt.Errorf("pin %d: the root is of a throw-away authority: %w", number, ErrOrder)
	}
	return put(o.Pins, Pin{p.Hotline, p.Root, number, leaf.N, leaf.T}, Pin.hotline), nil
}

// ManifestPin proves that officers have added a hotline.
type ManifestPin struct {
	Leaf  []byte     `cbor:"leaf"` // its pin leaf
	Proof [][32]byte `cbor:"proof"`
}

// AddPins gives the manifest of this size the pins of hotlines with lists in force: its reader knows those of the cluster file only.
func (m *Manifest) AddPins(tree *Tree, size uint64, f InForce, pins []Pin) error {
	for _, p := range pins {
		if !slices.ContainsFunc(f.Lists, func(l InForceList) bool { return l.Hotline == p.Hotline }) {
			continue
		}
		leaf, proof, err := proved(tree, p.Leaf, size)
		if err != nil {
			return fmt.Errorf("manifest of size %d, pin of hotline %s: %w", size, p.Hotline, err)
		}
		m.Pins = append(m.Pins, ManifestPin{leaf, proof})
	}
	return nil
}

// openPins adds to the anchors of the cluster file the roots of hotlines that officers have pinned since, each proved by its leaf and their
// signatures. A hotline that is pinned twice is refused: no pin takes another's place.
func (q Quorum) openPins(pins []ManifestPin, c Checkpoint, anchors map[trust.HotlineID][]byte) (map[trust.HotlineID][]byte, error) {
	if len(pins) == 0 {
		return anchors, nil
	}
	all := make(map[trust.HotlineID][]byte, len(anchors)+len(pins))
	for id, root := range anchors {
		all[id] = root
	}
	for i, m := range pins {
		leaf, err := DecodeLeaf(m.Leaf)
		if err != nil {
			return nil, fmt.Errorf("pin leaf %d: %w", i, err)
		}
		if err := CheckRecord(m.Proof, c.Size, c.Root, leaf.N, m.Leaf); err != nil {
			return nil, fmt.Errorf("pin leaf: %w", err)
		}
		body, err := leaf.Body()
		if err != nil {
			return nil, fmt.Errorf("pin leaf: %w", err)
		}
		b, ok := body.(Ordered)
		if !ok || leaf.K != KindPin {
			return nil, fmt.Errorf("leaf %d is %s, not a pin: %w", leaf.N, leaf.K, ErrMismatch)
		}
		said, _, err := order.Verify(q.Officers, q.Cluster, b.Statement, time.Unix(leaf.T, 0).UTC())
		if err != nil {
			return nil, fmt.Errorf("pin leaf %d: %w", leaf.N, err)
		}
		p, ok := said.Body.(order.Pin)
		if !ok || all[p.Hotline] != nil {
			return nil, fmt.Errorf("pin leaf %d: hotline pinned twice: %w", leaf.N, ErrMismatch)
		}
		all[p.Hotline] = p.Document
	}
	return all, nil
}
