package audit

import (
	"fmt"
	"time"

	"github.com/cordon-project/cordon/listsync/witness"
)

// NewProof writes a C2SP tlog-proof of leaf n under a checkpoint note of the tree, with the leaf's own bytes as its extra
// data: nobody signs those, the inclusion proof vouches for them. Errors: ErrNotFound, ErrFormat.
func NewProof(t *Tree, note []byte, n uint64) ([]byte, error) {
	text, err := witness.Peek(note)
	if err != nil {
		return nil, fmt.Errorf("prove leaf %d: %w: %w", n, ErrFormat, err)
	}
	hashes, err := t.ProveRecord(n, text.Size)
	if err != nil {
		return nil, err
	}
	leaf, err := t.Leaf(n)
	if err != nil {
		return nil, err
	}
	return witness.Proof{Extra: leaf, Index: n, Hashes: hashes, Checkpoint: note}.Encode(), nil
}

// Proved is what a proof of one leaf shows.
type Proved struct {
	Leaf       Leaf
	Checkpoint Checkpoint
	SignedBy   []string  // members
	Fresh      time.Time // a quorum of members says that the log was like this then, or later
	Witnesses  []string  // of the policy, that have cosigned
	Witnessed  time.Time // so many that they meet the policy say the same; zero when it asks for none
}

// OpenProof verifies a proof of NewProof against a trust file, offline: a quorum of the cluster's members cosigned the checkpoint,
// witnesses as the trust file's policy asks, and the leaf in the proof is in that log under its number. Errors: those of
// Quorum.Open, ErrProof, ErrFormat; the policy's in witness.ErrPolicy.
func OpenProof(b []byte, t TrustFile) (Proved, error) {
	p, err := witness.ParseProof(b)
	if err != nil {
		return Proved{}, fmt.Errorf("open proof: %w", malformed{err})
	}
	cp, by, fresh, err := t.Quorum().Open(p.Checkpoint)
	if err != nil {
		return Proved{}, fmt.Errorf("open proof: %w", err)
	}
	co, err := checkPolicy(t.Policy(), p.Checkpoint, t.Cluster)
	if err != nil {
		return Proved{}, fmt.Errorf("open proof: %w", err)
	}
	if p.Extra == nil {
		return Proved{}, fmt.Errorf("open proof: it has no leaf with it (extra line): %w", ErrFormat)
	}
	if err := CheckRecord(p.Hashes, cp.Size, cp.Root, p.Index, p.Extra); err != nil {
		return Proved{}, fmt.Errorf("open proof: %w", err)
	}
	leaf, err := DecodeLeaf(p.Extra)
	if err != nil {
		return Proved{}, fmt.Errorf("open proof: %w", err)
	}
	if leaf.N != p.Index {
		return Proved{}, fmt.Errorf("open proof: leaf %d at position %d: %w", leaf.N, p.Index, ErrMismatch)
	}
	return Proved{Leaf: leaf, Checkpoint: cp, SignedBy: by, Fresh: fresh, Witnesses: co.By, Witnessed: co.Fresh}, nil
}
