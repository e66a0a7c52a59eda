package state

import (
	"fmt"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// newestEpoch is the key epoch of the newest version of a list that was ever in force here; false before the first.
func (s *State) newestEpoch(list match.ListID) (uint32, bool) {
	cur, ok := s.inForce.List(list)
	if !ok {
		return 0, false
	}
	p, err := s.publishAt(cur.Versions[len(cur.Versions)-1].Leaf)
	return p.Epoch, err == nil
}

// sayThatKeysAreNew puts on record, before the publication, that a list goes over to new keys. A publication that cannot be appended after
// all leaves the record behind: the next one makes its own, and an auditor goes by the last.
func (s *State) sayThatKeysAreNew(t int64, target trust.ListTarget) error {
	before, ok := s.newestEpoch(target.List)
	if !ok {
		return nil
	}
	body, changed := audit.RekeyOf(target, s.id, before)
	if !changed {
		return nil
	}
	_, err := s.append(t, body)
	return err
}

// rekeyed holds a publication in a snapshot to the record that goes before it, by at most one other (what was skipped).
func (p *prover) rekeyed(leaf audit.Leaf, b audit.Publish) error {
	before, ok := p.s.newestEpoch(b.List)
	if !ok || before == b.Epoch {
		return nil
	}
	for n := leaf.N; n > 0 && n+2 > leaf.N; n-- {
		raw, err := p.s.tree.Leaf(n - 1)
		if err != nil {
			return err
		}
		l, err := audit.DecodeLeaf(raw)
		if err != nil {
			return err
		}
		body, err := l.Body()
		if err != nil {
			return err
		}
		if r, ok := body.(audit.Rekey); ok && r.List == b.List && r.Seq == b.Seq && r.From == before && r.To == b.Epoch {
			return nil
		}
	}
	return fmt.Errorf("list %s sequence %d has keys of epoch %d after %d without a record: %w", b.List, b.Seq, b.Epoch, before, ErrSnapshot)
}
