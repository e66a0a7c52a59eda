package listsync

import (
	"context"
	"errors"
	"fmt"

	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/trust"
)

// publicLog makes the proof of a version that the cluster wants, and holds the repository's public log to what this node has seen of it.
func (l *lists) publicLog(ctx context.Context, repo *fetch.Repository, m trust.Metadata, v *trust.Verified, t trust.ListTarget, mirror bool) ([]byte, error) {
	if v.Charter.Log == "" {
		return nil, nil
	}
	accepted, ok := l.Proposer.Accepted(l.Hotline)
	if !ok || accepted.inForce(t.List, t.Seq) {
		return nil, nil // a renewal, which needs none
	}
	what := fmt.Sprintf("list %s seq %d", t.List, t.Seq)
	leaf, err := publiclog.LeafOf(m.List, t)
	if err != nil {
		return nil, fmt.Errorf("prove %s: %w", what, err)
	}
	x := publiclog.Expect{Leaf: leaf, Log: v.Charter.Log, Before: accepted.PublicLog, Policy: l.LogPolicy}
	p, tree, err := publiclog.Prove(ctx, x, repo.LogFile, fetch.ErrNotFound)
	var proof []byte
	if err == nil {
		proof, err = p.Encode()
	}
	if tree != nil {
		if seen := l.seeLog(tree); seen != nil && !errors.Is(err, publiclog.ErrSplitView) {
			err = seen
		}
	}
	hash := m.Hash()
	switch {
	case err == nil:
		return proof, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, publiclog.ErrSplitView):
		return nil, l.splitView(ctx, tree, t, err)
	case errors.Is(err, publiclog.ErrBehind) && !mirror:
		return nil, fmt.Errorf("the hotline's public log is behind its list, or shorter than this operator has seen it, so %s is not proved: %w", what, err)
	case mirror && (errors.Is(err, fetch.ErrNotFound) || errors.Is(err, publiclog.ErrProof)), errors.Is(err, publiclog.ErrBehind):
		return nil, fmt.Errorf("%w: %s: %w", errBehind, what, err) // its copy of the log is not as far as its copy of the list
	case errors.Is(err, publiclog.ErrProof), errors.Is(err, fetch.ErrNotFound):
		// Not remembered against the metadata: a mirror may have the proof.
		return nil, l.record(ctx, Refusal{List: t.List, Seq: t.Seq, Object: hash, Reason: trust.Reason(publiclog.ErrProof)}, mirror, fmt.Errorf("%s: %w", what, err))
	}
	return nil, fmt.Errorf("prove %s: %w", what, err)
}

// watchLog looks at the public log of a repository that has nothing new: it could have another history since the last look. What keeps
// it from being read is told when a version comes.
func (l *lists) watchLog(ctx context.Context, repo *fetch.Repository, v *trust.Verified) error {
	if v.Charter.Log == "" {
		return nil
	}
	tree, err := publiclog.Open(ctx, v.Charter.Log, repo.LogFile, fetch.ErrNotFound)
	if err != nil {
		return nil
	}
	accepted, _ := l.Proposer.Accepted(l.Hotline)
	if err := tree.Continues(accepted.PublicLog); errors.Is(err, publiclog.ErrSplitView) {
		return l.splitView(ctx, tree, trust.ListTarget{}, err)
	}
	if err := l.seeLog(tree); errors.Is(err, publiclog.ErrSplitView) {
		return l.splitView(ctx, tree, trust.ListTarget{}, err)
	}
	l.compare(tree)
	return nil
}

// compare holds the repository's log to what others were shown of it.
func (l *lists) compare(tree *publiclog.Tree) {
	if l.Others == nil {
		return
	}
	for _, other := range l.Others.Heads(tree.Head.Log) {
		if err := tree.Continues(other); err == nil || errors.Is(err, publiclog.ErrSplitView) {
			l.Others.Compared(other, tree.Head, err)
		}
	}
}

// seeLog hands a signed checkpoint on and holds it to what was seen before.
func (l *lists) seeLog(tree *publiclog.Tree) error {
	l.SeenLog(tree.Log.Keys()[0].String(), tree.Checkpoint)
	if l.Heads == nil {
		return nil
	}
	return l.Heads.see(l.Hotline, tree)
}

// splitView has the log say, once for each checkpoint, that the hotline has signed two histories. Nothing of this repository is
// proposed as long as it shows the other one.
func (l *lists) splitView(ctx context.Context, tree *publiclog.Tree, t trust.ListTarget, why error) error {
	if l.Heads != nil {
		l.Heads.keepConflict(l.Hotline, tree)
	}
	why = fmt.Errorf("the hotline's public log shows this operator another history than before, and its key has signed both: somebody is shown another list than others are. Nothing new is taken from there; withdrawals are. Tell the hotline, its authority and other operators: %w", why)
	return l.record(ctx, Refusal{List: t.List, Seq: t.Seq, Object: hashOf(tree.Checkpoint), Reason: trust.Reason(publiclog.ErrSplitView)}, false, why)
}
