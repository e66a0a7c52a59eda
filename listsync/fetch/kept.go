package fetch

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/match/section"
)

// Deltas keeps what is needed of list versions that are no longer held whole: for each the delta that makes its files of those of the
// version before it, under the hash of the edge list that it makes. What lies there is checked by its own hashes, and by what it leads
// to when it is applied; a name says nothing about its bytes. Methods may be called concurrently, but for one version one at a time.
type Deltas struct{ s *Store }

// OpenDeltas opens the directory as OpenStore does. It belongs to the Deltas alone.
func OpenDeltas(dir string) (*Deltas, error) {
	s, err := OpenStore(dir)
	if err != nil {
		return nil, err
	}
	return &Deltas{s}, nil
}

// Kept names the files of a list version.
type Kept struct {
	Seq                 uint64
	Edge, Audit         [32]byte
	EdgeSize, AuditSize int64
}

// Has reports whether there is a delta to this edge list.
func (d *Deltas) Has(edge [32]byte) bool { return d.s.Has(edge) }

// Open opens the delta to this edge list; the caller closes it. If it is not there the error is fs.ErrNotExist.
func (d *Deltas) Open(edge [32]byte) (*os.File, error) { return d.s.Open(edge) }

// Remove removes the delta to this edge list; that it is not there is no error.
func (d *Deltas) Remove(edge [32]byte) error { return d.s.Remove(edge) }

// Make keeps the delta from one version to a later one of the same epoch, both of which are in files. Before it is kept it is applied, and
// must lead to the very files of to. list.ErrBase when no delta leads there; ErrHash when a file in the store is damaged; ErrTooLarge when
// the delta would be no smaller than the files.
func (d *Deltas) Make(ctx context.Context, files *Store, from, to Kept) error {
	if d.Has(to.Edge) {
		return nil
	}
	b, err := makeDelta(files, from, to)
	if err != nil {
		return fmt.Errorf("make delta from seq %d to %d: %w", from.Seq, to.Seq, err)
	}
	return d.put(ctx, to.Edge, b)
}

func makeDelta(files *Store, from, to Kept) ([]byte, error) {
	for _, sum := range [][32]byte{from.Edge, from.Audit, to.Edge, to.Audit} { // what is compared is mapped, not read
		if err := files.Check(sum); err != nil {
			return nil, err
		}
	}
	var edges [2]*list.Edge
	var audits [2]*list.Audit
	for i, k := range []Kept{from, to} {
		edge, closeEdge, err := files.Map(k.Edge)
		if err != nil {
			return nil, err
		}
		defer closeEdge.Close()
		if edges[i], err = list.OpenEdgeHead(edge); err != nil {
			return nil, err
		}
		audit, closeAudit, err := files.Map(k.Audit)
		if err != nil {
			return nil, err
		}
		defer closeAudit.Close()
		if audits[i], err = list.OpenAuditHead(audit); err != nil {
			return nil, err
		}
	}
	delta, err := list.Diff(edges[0], edges[1], audits[1])
	if err != nil {
		return nil, err
	}
	if delta.Size() >= to.EdgeSize+to.AuditSize {
		return nil, fmt.Errorf("%w: %d bytes, the files have no more", ErrTooLarge, delta.Size())
	}
	b, err := delta.Encode()
	if err != nil {
		return nil, err
	}
	if delta, err = list.OpenDelta(b); err != nil {
		return nil, err
	}
	err = files.leadsTo(to.Edge, to.EdgeSize, func(draft *Draft) error {
		_, err := delta.Apply(edges[0], draft.Memory(nil))
		return err
	})
	if err != nil {
		return nil, err
	}
	err = files.leadsTo(to.Audit, to.AuditSize, func(draft *Draft) error {
		_, err := delta.ApplyAudit(audits[0], draft.Room)
		return err
	})
	return b, err
}

// leadsTo makes a file in a draft, only to see that it has this hash.
func (s *Store) leadsTo(sum [32]byte, size int64, fill func(*Draft) error) error {
	d, err := s.Draft(size)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := fill(d); err != nil {
		return err
	}
	if got := section.Sum(d.Bytes()); got != sum {
		return fmt.Errorf("%w: the delta leads to %x, want %x", ErrHash, got[:8], sum[:8])
	}
	return nil
}

// Put keeps a delta that another node made, if it says that it leads from one version to the other: list, numbers, epoch and entries root.
// That it does is seen when it is applied, by whoever verifies a bundle.
func (d *Deltas) Put(ctx context.Context, id match.ListID, root [32]byte, from, to Kept, r io.Reader) error {
	limit := min(to.EdgeSize+to.AuditSize, MaxFile)
	b, err := io.ReadAll(io.LimitReader(contextReader{ctx, r}, limit+1))
	if err != nil {
		return fmt.Errorf("put delta: %w", err)
	}
	if int64(len(b)) > limit {
		return fmt.Errorf("put delta: %w: more than the %d bytes of the files", ErrTooLarge, limit)
	}
	delta, err := list.OpenDelta(b)
	if err != nil {
		return fmt.Errorf("put delta: %w", err)
	}
	if delta.Version.List != id || delta.Version.Seq != to.Seq || delta.FromSeq != from.Seq || delta.Root != root {
		return fmt.Errorf("put delta of %s from seq %d to %d: %w: another was asked for", delta.Version.List, delta.FromSeq, delta.Version.Seq, ErrHash)
	}
	return d.put(ctx, to.Edge, b)
}

// put writes the file whole, or not at all.
func (d *Deltas) put(ctx context.Context, edge [32]byte, b []byte) error {
	f, err := os.CreateTemp(d.s.dir, tempPrefix)
	if err != nil {
		return fmt.Errorf("put delta: %w", err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, context.Cause(ctx), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), d.s.Path(edge))
	}
	if err != nil {
		return fmt.Errorf("put delta: %w", errors.Join(err, removeIfThere(f.Name())))
	}
	if err := d.s.sync(); err != nil {
		return fmt.Errorf("put delta: %w", errors.Join(err, d.Remove(edge)))
	}
	return nil
}

// CheckAll reads every delta and returns those that are damaged. It stops when ctx ends.
func (d *Deltas) CheckAll(ctx context.Context) (damaged [][32]byte, err error) {
	entries, err := os.ReadDir(d.s.dir)
	if err != nil {
		return nil, fmt.Errorf("check deltas: %w", err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return damaged, err
		}
		var edge [32]byte
		if n, err := hex.Decode(edge[:], []byte(e.Name())); err != nil || n != len(edge) {
			continue
		}
		b, err := os.ReadFile(d.s.Path(edge))
		if err != nil {
			return damaged, fmt.Errorf("check deltas: %w", err)
		}
		if _, err := list.OpenDelta(b); err != nil {
			damaged = append(damaged, edge)
		}
	}
	return damaged, nil
}
