package state

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/trust"
)

// snapshotFile is a snapshot: everything that is not a pure function of the
// leaves, and the leaves. Long lists are cut into chunks, so that no array in
// it is longer than any other of this project's formats allows.
type snapshotFile struct {
	V       int           `cbor:"v"` // 1
	Cluster string        `cbor:"cluster"`
	Time    int64         `cbor:"time"`
	Refused uint64        `cbor:"refused"`
	High    []highOf      `cbor:"high"` // by hotline; only those with accepted metadata
	Metas   [][]metaParts `cbor:"metas"`
	Files   [][][]byte    `cbor:"files"`
	Leaves  [][][]byte    `cbor:"leaves"`
}

type highOf struct {
	Hotline trust.HotlineID `cbor:"hotline"`
	High    trust.HighWater `cbor:"high"`
}

const (
	snapshotVersion = 1
	chunk           = 4096
)

// Snapshot is one moment of a State, cheap to take: it holds references to
// what never changes. Encode may run while the State applies on.
type Snapshot struct{ file snapshotFile }

// Snapshot takes the state as it is. A halted state has none: its replica
// must not cut away the log that shows why it stopped.
func (s *State) Snapshot() (*Snapshot, error) {
	if s.halted != nil {
		return nil, fmt.Errorf("take snapshot: %w: %w", ErrHalted, s.halted)
	}
	if n := s.weight(); n > s.room.bytes {
		return nil, fmt.Errorf("take snapshot of %d bytes: no replica would read it: %w", n, ErrSnapshot)
	}
	f := snapshotFile{V: snapshotVersion, Cluster: s.id, Time: s.time, Refused: s.refused}
	for _, h := range s.hotlines {
		if h.verified != nil {
			f.High = append(f.High, highOf{h.id, h.high})
		}
	}
	files, metas := s.archive.dump()
	leaves := make([][]byte, s.tree.Size())
	for i := range leaves {
		b, err := s.tree.Leaf(uint64(i))
		if err != nil {
			return nil, fmt.Errorf("take snapshot: %w", err)
		}
		leaves[i] = b
	}
	f.Metas = slices.Collect(slices.Chunk(metas, chunk))
	f.Files = slices.Collect(slices.Chunk(files, chunk))
	f.Leaves = slices.Collect(slices.Chunk(leaves, chunk))
	return &Snapshot{f}, nil
}

// Encode is the snapshot's one encoding: equal states, equal bytes.
func (s *Snapshot) Encode() []byte { return encode(s.file) }

// Restore makes a state from a snapshot's bytes and believes none of it: the
// first leaves must be the cluster file's own, every later leaf must follow
// from what is in force before it, every receipt, withdrawal and quorum of
// verdicts is verified again, and so is the metadata of each hotline and of
// each list in force, at the time of its leaf. A snapshot with an invented
// state is ErrSnapshot.
func Restore(c audit.Cluster, b []byte) (*State, error) {
	s, err := restore(c, b)
	if err != nil && !errors.Is(err, ErrSnapshot) {
		err = fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	if err != nil {
		return nil, fmt.Errorf("restore state: %w", err)
	}
	return s, nil
}

func restore(c audit.Cluster, b []byte) (*State, error) {
	if len(b) > MaxSnapshot {
		return nil, fmt.Errorf("%d bytes: %w", len(b), ErrSnapshot)
	}
	var f snapshotFile
	if err := decMode.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrSnapshot, err)
	}
	s, err := New(c)
	if err != nil {
		return nil, err
	}
	if f.V != snapshotVersion || f.Cluster != s.id {
		return nil, fmt.Errorf("version %d of cluster %q: %w", f.V, f.Cluster, ErrSnapshot)
	}
	if s.archive, err = load(slices.Concat(f.Files...), slices.Concat(f.Metas...)); err != nil {
		return nil, err
	}
	leaves := slices.Concat(f.Leaves...)
	if len(leaves) > audit.MaxLeaves || uint64(len(leaves)) < s.tree.Size() {
		return nil, fmt.Errorf("%d leaves: %w", len(leaves), ErrSnapshot)
	}
	p := prover{s: s, genesis: s.tree.Size(), seen: map[verifiedAs]*trust.Verified{}}
	for i, leaf := range leaves {
		if err := p.replay(uint64(i), leaf); err != nil {
			return nil, fmt.Errorf("leaf %d: %w", i, err)
		}
	}
	if err := p.finish(f); err != nil {
		return nil, err
	}
	s.publishView()
	again, err := s.Snapshot()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again.Encode(), b) {
		return nil, fmt.Errorf("it is not what its leaves make: %w", ErrSnapshot)
	}
	return s, nil
}
