package list

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// refuseEqualIDs finds an entry id that is there twice. Only the first 8 bytes of ids are kept for it: when two of those
// are equal, which random ids never are, the records are looked through for the whole ids.
func (b *Builder) refuseEqualIDs() error {
	var mu sync.Mutex // guards suspects
	suspects := map[uint64]bool{}
	_ = b.ids.each(b.workers, func(_ int, starts []uint64) error {
		slices.Sort(starts)
		for i := 1; i < len(starts); i++ {
			if starts[i-1] == starts[i] {
				mu.Lock()
				suspects[starts[i]] = true
				mu.Unlock()
			}
		}
		return nil
	})
	b.ids.all = nil
	if len(suspects) == 0 {
		return nil
	}
	var ids []match.EntryID
	for i := range b.rows.all {
		for _, r := range b.rows.all[i].values {
			// A page entry has two records with its id: count the one that is not of its host.
			if steers := r.Kind == canon.KindSteer && r.Flags != match.FlagDecoy; !steers && suspects[binary.BigEndian.Uint64(r.EntryID[:])] {
				ids = append(ids, r.EntryID)
			}
		}
	}
	slices.SortFunc(ids, func(a, b match.EntryID) int { return bytes.Compare(a[:], b[:]) })
	for i := 1; i < len(ids); i++ {
		if ids[i-1] == ids[i] {
			return fmt.Errorf("entry id %s is there twice: %w", ids[i], ErrOrder)
		}
	}
	return nil
}

type files struct {
	edge  *Edge
	audit []byte
	root  [32]byte
}

// write sorts the rows, bucket by bucket, into the columns of both files, and seals them. Buckets are given up one by one,
// so the rows are not in memory twice for long.
func (b *Builder) write() (files, error) {
	n := 0
	starts := make([]int, len(b.rows.all)) // where in the files each bucket begins
	for i := range b.rows.all {
		starts[i] = n
		n += len(b.rows.all[i].values)
	}
	w, err := match.NewEdgeWriter(b.v, n)
	if err != nil {
		return files{}, err
	}
	a, err := newAuditWriter(b.v, n, nil)
	if err != nil {
		return files{}, err
	}
	_ = b.rows.each(b.workers, func(i int, rows []row) error {
		slices.SortFunc(rows, func(a, b row) int { return a.Compare(&b.Record) })
		for j := range rows {
			w.Put(starts[i]+j, &rows[j].Record)
			copy(a.leaf(starts[i]+j), rows[j].commitment[:])
		}
		b.rows.all[i].values = nil
		return nil
	})
	f := files{}
	if f.edge, err = w.Seal(); err != nil {
		return files{}, err
	}
	f.root = rootOf(a.leaves)
	f.audit = a.seal(f.edge.Hash(), f.root)
	return f, nil
}
