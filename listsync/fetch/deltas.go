package fetch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
)

// ErrNoDeltas: no chain of deltas leads from the earlier version to the later one. Fetch the whole files.
var ErrNoDeltas = errors.New("no deltas lead there")

// Base is a version of a list whose files are in a store.
type Base struct {
	Seq         uint64
	Edge, Audit [32]byte
}

// ReadDeltas opens the deltas that lead from version seq of t's list to t, and merges them. open gives a file by its hash; what it gives is
// bounded and verified here. It returns ErrNoDeltas when t names no such chain, or one that is longer than the list itself: memory for it is
// bounded by what was signed, and the list costs less.
func ReadDeltas(ctx context.Context, t trust.ListTarget, seq uint64, open func(ctx context.Context, f trust.File) (io.ReadCloser, error)) (*list.Delta, error) {
	length := int64(0)
	for _, f := range t.Chain(seq) {
		if length += f.Length; length > t.Edge.Length {
			return nil, ErrNoDeltas
		}
	}
	var merged *list.Delta
	for _, f := range t.Chain(seq) {
		b, err := readTarget(ctx, f.File, open)
		if err != nil {
			return nil, err
		}
		d, err := list.OpenDelta(b)
		if err == nil && merged != nil {
			d, err = list.Merge(merged, d)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
		merged = d
	}
	if merged == nil {
		return nil, ErrNoDeltas
	}
	if merged.To != t.EdgeHead || merged.Root != t.EntriesRoot {
		return nil, fmt.Errorf("%s: %w: they do not lead to what was signed", t.List, ErrHash)
	}
	return merged, nil
}

func readTarget(ctx context.Context, f trust.File, open func(ctx context.Context, f trust.File) (io.ReadCloser, error)) ([]byte, error) {
	body, err := open(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", f.Path, err)
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(contextReader{ctx, body}, min(f.Length, MaxFile)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("fetch %s: %w", f.Path, err)
	case int64(len(b)) > f.Length:
		return nil, fmt.Errorf("fetch %s: %w: more than %d bytes", f.Path, ErrTooLarge, f.Length)
	case int64(len(b)) < f.Length:
		return nil, fmt.Errorf("fetch %s: %w: %d of %d bytes", f.Path, ErrTruncated, len(b), f.Length)
	case sha256.Sum256(b) != f.SHA256:
		return nil, fmt.Errorf("fetch %s: %w: want %x", f.Path, ErrHash, f.SHA256[:8])
	}
	return b, nil
}

// FromDeltas makes the files of t from those of an earlier version, with deltas that are in the store already. It does nothing when the
// files are there, and returns ErrNoDeltas when it cannot be done; after any other error a fetch of the whole files makes it good.
func (s *Store) FromDeltas(ctx context.Context, from Base, t trust.ListTarget) error {
	if s.Has(t.Edge.SHA256) && s.Has(t.Audit.SHA256) {
		return nil
	}
	if from.Seq >= t.Seq || !s.Has(from.Edge) || !s.Has(from.Audit) {
		return ErrNoDeltas
	}
	d, err := ReadDeltas(ctx, t, from.Seq, func(_ context.Context, f trust.File) (io.ReadCloser, error) { return s.Open(f.SHA256) })
	if err != nil {
		return err
	}
	oldEdge, closeEdge, err := s.Map(from.Edge)
	if err != nil {
		return err
	}
	defer closeEdge.Close()
	edge, err := list.OpenEdgeHead(oldEdge) // Commit compares the whole of what comes out
	if err != nil {
		return err
	}
	err = s.draft(ctx, t.Edge, func(draft *Draft) error {
		_, err := d.Apply(edge, draft.Memory(func() { _ = closeEdge.Unload() }))
		return err
	})
	if err != nil {
		return err
	}
	oldAudit, closeAudit, err := s.Map(from.Audit)
	if err != nil {
		return err
	}
	defer closeAudit.Close()
	audit, err := list.OpenAuditHead(oldAudit)
	if err != nil {
		return err
	}
	return s.draft(ctx, t.Audit, func(draft *Draft) error { _, err := d.ApplyAudit(audit, draft.Room); return err })
}

// draft makes a file of known length and hash in place.
func (s *Store) draft(ctx context.Context, f trust.File, fill func(*Draft) error) error {
	if s.Has(f.SHA256) {
		return nil
	}
	d, err := s.Draft(f.Length)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := fill(d); err != nil {
		return err
	}
	return d.Commit(ctx, f.SHA256)
}
