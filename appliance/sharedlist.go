package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/resolver/match"
)

// sharedList is an edge list of the shelf, mapped and verified, with its index. All sets that have the list in force share it, so that a new
// set of the same lists (a withdrawal, a suppression) costs nothing. Each closes its share; the last unmaps the list.
type sharedList struct {
	shelf *shelf
	file  [32]byte // SHA-256
	edge  *match.Edge
	index *match.Index
	unmap io.Closer
	users int // guarded by shelf.mu
}

// list gives the list that a manifest names, from memory, from disk, or from src.
func (s *shelf) list(ctx context.Context, in audit.InForceList, src source) (*sharedList, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lists[in.Edge]; l != nil {
		l.users++
		return l, nil
	}
	l, err := s.open(in)
	if err != nil && src != nil {
		if err = s.fetch(ctx, in, src); err == nil {
			l, err = s.open(in)
		}
	}
	if err != nil {
		return nil, err
	}
	s.lists[in.Edge] = l
	return l, nil
}

// Close gives a share up.
func (l *sharedList) Close() error {
	l.shelf.mu.Lock()
	defer l.shelf.mu.Unlock()
	if l.users--; l.users > 0 {
		return nil
	}
	delete(l.shelf.lists, l.file)
	return l.unmap.Close()
}

// open maps the edge list, verifies all of it, and computes its index.
func (s *shelf) open(in audit.InForceList) (_ *sharedList, err error) {
	if !s.files.Has(in.Edge) {
		return nil, errors.New("edge list is not on this disk and no control node can be asked")
	}
	b, closer, err := s.files.Map(in.Edge)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			closer.Close()
		}
	}()
	if err := s.files.Check(in.Edge); err != nil {
		return nil, err
	}
	edge, err := openEdge(b, in)
	if err != nil {
		return nil, err
	}
	compiled, err := match.Compile(edge)
	if err != nil {
		return nil, err
	}
	index, err := match.OpenHead(compiled)
	if err != nil {
		return nil, err
	}
	return &sharedList{shelf: s, file: in.Edge, edge: edge, index: index, unmap: closer, users: 1}, nil
}

// errVersion: the edge list is of another version than its metadata says.
var errVersion = errors.New("edge list is of another version than its metadata says")

// openEdge opens an edge list, verifies all of it, and holds it to what is in force.
func openEdge(b []byte, in audit.InForceList) (*match.Edge, error) {
	edge, err := match.OpenEdge(b)
	if err != nil {
		return nil, err
	}
	if v := edge.Version(); v.List != in.List || v.Seq != in.Seq || v.Epoch != in.Epoch {
		return nil, errVersion
	}
	return edge, nil
}

// fetch brings the edge list onto the shelf; a file already there is read again and compared with its hash.
func (s *shelf) fetch(ctx context.Context, in audit.InForceList, src source) error {
	if s.files.Has(in.Edge) {
		if s.files.Check(in.Edge) == nil {
			return nil
		}
		s.files.Remove(in.Edge)
	}
	if src == nil {
		return errors.New("edge list is not on this disk and no control node can be asked")
	}
	body, err := src.File(ctx, in.Edge)
	if err != nil {
		return fmt.Errorf("fetch edge list: %w", err)
	}
	defer body.Close()
	return s.files.Put(ctx, in.Edge, in.EdgeSize, body)
}
