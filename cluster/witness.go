package cluster

import (
	"fmt"
	"time"

	"github.com/cordon-project/cordon/listsync/witness"
)

// witnessPatience is how much older than the newest checkpoint one may be that
// outside witnesses have cosigned, and still be the one that is shown: asking
// them takes a moment, and an auditor who wants witnesses must not meet that
// moment. When they are away for longer, fresh goes before witnessed.
const witnessPatience = time.Minute

// witnessed is a checkpoint with cosignatures of outside witnesses. Immutable.
type witnessed struct {
	note  []byte
	size  uint64
	fresh time.Time
}

// Hand is this node as a witness of other logs.
func (n *Node) Hand() (witness.Cosigner, error) { return n.signer.Hand() }

// Newest is the newest quorum-cosigned checkpoint, whether outside witnesses
// have seen it or not; nil before the first. Not to be altered.
func (n *Node) Newest() []byte {
	if p := n.published(); p != nil {
		return p.note
	}
	return nil
}

// Witnessed takes a checkpoint of this node back (Newest) that outside witnesses
// have cosigned since; Checkpoint shows it. It must be of this log and
// its quorum's, and not go back behind the one before.
func (n *Node) Witnessed(note []byte) error {
	cp, _, fresh, err := n.quorum.Open(note)
	if err != nil {
		return fmt.Errorf("take witnessed checkpoint: %w", err)
	}
	view := n.fsm.view()
	if cp.Size > view.Size {
		return fmt.Errorf("take witnessed checkpoint of size %d, here are %d: %w", cp.Size, view.Size, ErrNotYet)
	}
	if root, err := view.Tree().RootAt(cp.Size); err != nil || root != cp.Root {
		return fmt.Errorf("take witnessed checkpoint of size %d: %w", cp.Size, ErrFork)
	}
	next := &witnessed{note: note, size: cp.Size, fresh: fresh}
	for {
		old := n.seen.Load()
		if old != nil && (old.size > next.size || old.size == next.size && old.fresh.After(next.fresh)) {
			return nil
		}
		if n.seen.CompareAndSwap(old, next) {
			return nil
		}
	}
}

// LastWitnessed is the note that Witnessed took last; nil when none.
func (n *Node) LastWitnessed() []byte {
	if w := n.seen.Load(); w != nil {
		return w.note
	}
	return nil
}

func (n *Node) recentlyWitnessed() []byte {
	w, p := n.seen.Load(), n.published()
	if w == nil || w.size > p.size || p.fresh.Sub(w.fresh) > witnessPatience {
		return nil
	}
	return w.note
}

// ProveTree proves that the log of size old is the beginning of the log of the
// given size (RFC 6962, 2.1.2), for witnesses.
func (n *Node) ProveTree(old, size uint64) ([][32]byte, error) {
	return n.fsm.view().Tree().ProveTree(old, size)
}
