package audit

import (
	"bytes"
	"crypto/ed25519"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
)

// Most of a verification is signatures, and most of those do not depend on the leaf before. So the leaves of an entry bundle are looked at ahead,
// on all processors, as if the history before the bundle were that before each of its leaves; then they are followed one by one. What was
// found ahead counts only where the key or root that was assumed is the one that holds when the leaf's turn has come.

// ahead is what is known of a leaf before its turn.
type ahead struct {
	leaf     Leaf
	body     Body
	err      error // of decoding
	receipts []receiptAhead
	metadata *metadataAhead
}

// receiptAhead is a receipt under the key that its edge had.
type receiptAhead struct {
	said Receipt
	err  error // of its form
	key  [32]byte
	sig  error // under that key
}

// metadataAhead is metadata under the root that its hotline had.
type metadataAhead struct {
	root []byte
	at   time.Time
	got  *trust.Verified
	err  error
}

// lookAhead does what can be done of leaves before their turn. The history is only read.
func (v *verifier) lookAhead(leaves [][]byte) []ahead {
	v.pinRoots()
	out := make([]ahead, len(leaves))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(leaves)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(leaves)); i = next.Add(1) - 1 {
				out[i] = v.aheadOf(leaves[i])
			}
		})
	}
	wg.Wait()
	return out
}

func (v *verifier) aheadOf(raw []byte) ahead {
	var a ahead
	if a.leaf, a.err = DecodeLeaf(raw); a.err != nil {
		return a
	}
	if a.body, a.err = a.leaf.Body(); a.err != nil {
		return a
	}
	switch b := a.body.(type) {
	case Receipts:
		for _, s := range b.Items {
			a.receipts = append(a.receipts, v.receiptAhead(s))
		}
	case Publish:
		a.metadata = v.metadataAhead(a.leaf, b.Hotline, b.Metadata)
	case Trust:
		a.metadata = v.metadataAhead(a.leaf, b.Hotline, b.Metadata)
	}
	return a
}

func (v *verifier) receiptAhead(s SignedReceipt) receiptAhead {
	var r receiptAhead
	if r.said, r.err = s.Receipt(); r.err != nil {
		return r
	}
	if i, ok := v.h.edge(r.said.Edge); ok {
		r.key = v.h.Edges[i].Key
		r.sig = verifyReceipt(s, r.said, r.key[:])
	}
	return r
}

// signature is the verdict on a receipt's signature under the key that holds at its turn.
func (r *receiptAhead) signature(s SignedReceipt, key [32]byte) error {
	if r.key == key {
		return r.sig
	}
	return verifyReceipt(s, r.said, ed25519.PublicKey(key[:]))
}

func (v *verifier) metadataAhead(l Leaf, id trust.HotlineID, hash [32]byte) *metadataAhead {
	h, d := v.h.hotline(id), v.docs[hash]
	if h == nil || d == nil {
		return nil
	}
	md, err := decodeMetadata(d.data, hash)
	if err != nil {
		return nil
	}
	a := &metadataAhead{root: h.Root, at: time.Unix(l.T, 0).UTC()}
	if p, ok := v.pinned[id]; ok && bytes.Equal(p.root, h.Root) {
		a.got, a.err = p.from.Verify(trust.HighWater{}, md, a.at)
	} else {
		a.got, a.err = trust.Verify(a.root, trust.HighWater{}, md, a.at)
	}
	return a
}

// pinnedRoot is the root that a hotline's metadata is verified from, with its own signatures checked: a third of each verification.
type pinnedRoot struct {
	root []byte
	from *trust.Pinned
}

// pinRoots checks the roots that hotlines have now, where they are others than at the entry bundle before. One that cannot be used is left to
// the metadata that would need it.
func (v *verifier) pinRoots() {
	if len(v.docs) == 0 {
		return
	}
	for i := range v.h.Hotlines {
		h := &v.h.Hotlines[i]
		if p, ok := v.pinned[h.ID]; ok && bytes.Equal(p.root, h.Root) {
			continue
		}
		delete(v.pinned, h.ID)
		if from, err := trust.Pin(h.Root); err == nil {
			v.pinned[h.ID] = pinnedRoot{h.Root, from}
		}
	}
}

// verify is trust.Verify of the metadata under the root that holds at its turn.
func (a *metadataAhead) verify(root []byte, md trust.Metadata, at time.Time) (*trust.Verified, error) {
	if a != nil && a.at.Equal(at) && bytes.Equal(a.root, root) {
		return a.got, a.err
	}
	return trust.Verify(root, trust.HighWater{}, md, at)
}
