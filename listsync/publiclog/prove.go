package publiclog

import (
	"context"
	"fmt"

	"github.com/cordon-project/cordon/listsync/witness"
)

// Prove makes what a cluster wants with a version, from a repository: the proof that lies there, or a fresh one by the repository's present
// checkpoint when that is older than what was accepted, or lacks cosignatures that came later. The tree is the repository's present one;
// it is given with an error too, once it could be opened. Errors: those of read, ErrProof, ErrSplitView (x.Before, too, is signed), ErrBehind.
func Prove(ctx context.Context, x Expect, read Read, notFound error) (Proof, *Tree, error) {
	t, err := Open(ctx, x.Log, read, notFound)
	if err != nil {
		return Proof{}, nil, err
	}
	if err := t.Continues(x.Before); err != nil {
		return Proof{}, t, err
	}
	name := ProofName(x.Leaf.List, x.Leaf.Seq)
	b, err := read(ctx, name, witness.MaxProof)
	if err != nil {
		return Proof{}, t, fmt.Errorf("read the public log: %w", err)
	}
	tp, err := witness.ParseProof(b)
	if err != nil {
		return Proof{}, t, fmt.Errorf("%w: %s: %w", ErrProof, name, err)
	}
	p, err := t.complete(tp, x)
	return p, t, err
}

// complete holds a proof file to the tree and to what is expected.
func (t *Tree) complete(tp witness.Proof, x Expect) (Proof, error) {
	tp.Extra = nil
	c, err := t.Log.Open(tp.Checkpoint)
	if err != nil {
		return Proof{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	if c.Size > t.Size { // the checkpoint was read before the version came
		return Proof{}, fmt.Errorf("proof at size %d of a public log of size %d: %w", c.Size, t.Size, ErrBehind)
	}
	if err := t.Continues(Head{Log: x.Log, Size: c.Size, Root: c.Root}); err != nil {
		return Proof{}, err
	}
	from := Head{Log: x.Log}
	if x.Before.Log == x.Log {
		from = x.Before
	}
	trimmed, err := x.Policy.Trim(tp.Checkpoint, t.Log)
	if err != nil || c.Size < from.Size {
		if trimmed, err = x.Policy.Trim(t.Checkpoint, t.Log); err != nil {
			return Proof{}, fmt.Errorf("%w: %w", ErrProof, err)
		}
		if tp.Hashes, err = t.Inclusion(tp.Index); err != nil {
			return Proof{}, err
		}
		c.Size = t.Size
	}
	tp.Checkpoint = trimmed
	p := Proof{V: proofVersion, Log: x.Log, Proof: string(tp.Encode()), From: from.Size}
	if p.Consistency, err = t.Consistency(from.Size, c.Size); err != nil {
		return Proof{}, err
	}
	_, err = p.Verify(x)
	return p, err
}
