package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// sharedList is an edge list of the shelf, mapped and verified, with its index. All sets that have the list in force share it, so that a new
// set of the same lists (a withdrawal, a suppression) costs nothing. Each closes its share; the last unmaps the list.
type sharedList struct {
	shelf *shelf
	file  [32]byte // SHA-256
	edge  *match.Edge
	index *match.Index
	unmap mapped
	users int          // guarded by shelf.mu
	named [32]byte     // hash of the index, as the log has it
	draft *fetch.Draft // of a list that came from deltas: to be verified as a whole and kept; owned by whoever calls load
	fresh bool         // the index was computed here and is to be kept; owned by whoever calls load
}

// mapped is a file in memory that can be let go.
type mapped interface {
	io.Closer
	Pin(parts ...[]byte) error
	Unload() error
}

// pin keeps what lookups read of a list in memory: a worker that waits for a disk answers nobody. It must not fail a list that is good.
func (s *shelf) pin(ctx context.Context, edge *match.Edge, m mapped) {
	err := mayPin()
	if err == nil {
		err = m.Pin(edge.Hot()...)
	}
	if err != nil && !s.unpinned {
		s.unpinned = true
		s.log.InfoContext(ctx, "lists are not kept in memory: when it is short, answers may wait for the disk (LimitMEMLOCK=infinity in the unit keeps them)", slog.Any("error", err))
	}
}

// mayPin says whether this process may lock as much memory as it likes. A limit is for keys alone: a list must not take what they need.
func mayPin() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return err
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&head, &caps[0]); err != nil {
		return err
	}
	if limit.Cur == unix.RLIM_INFINITY || caps[0].Effective&(1<<unix.CAP_IPC_LOCK) != 0 {
		return nil
	}
	return fmt.Errorf("this process may lock %d kB, which its keys need", limit.Cur>>10)
}

// unload lets go of pages that were only needed to verify a list or to make another of it. It must not fail a list that is good.
func (s *shelf) unload(ctx context.Context, m mapped) {
	if err := m.Unload(); err != nil {
		s.log.DebugContext(ctx, "memory of a list not given back", slog.Any("error", err))
	}
}

// list gives the list that a manifest names: from memory, from disk, from an earlier version in memory and deltas of src, or whole from src.
func (s *shelf) list(ctx context.Context, o audit.OpenedList, src source) (*sharedList, error) {
	in := o.InForceList
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lists[in.Edge]; l != nil {
		l.users++
		return l, nil
	}
	l, err := s.open(ctx, o)
	if err != nil && src != nil {
		if l, err = s.advance(ctx, o, src); err != nil {
			if !errors.Is(err, fetch.ErrNoDeltas) {
				s.log.WarnContext(ctx, "deltas do not lead to the list in force: fetching all of it",
					slog.Any("list", in.List), slog.Uint64("seq", in.Seq), slog.Any("error", err))
			}
			if err = s.fetch(ctx, in, src); err == nil {
				l, err = s.open(ctx, o)
			}
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
	if l.shelf.lists[l.file] == l {
		delete(l.shelf.lists, l.file)
	}
	return l.unmap.Close()
}

// open maps the edge list, verifies all of it, and computes its index, unless that lies here. The signed hash of its head covers every byte of it,
// so that of the file need not be computed once more.
func (s *shelf) open(ctx context.Context, o audit.OpenedList) (_ *sharedList, err error) {
	in := o.InForceList
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
	edge, err := match.OpenEdgeHead(b)
	if err != nil {
		return nil, err
	}
	if err := isOf(edge, in, o.Target); err != nil {
		return nil, err
	}
	l := &sharedList{shelf: s, file: in.Edge, edge: edge, named: o.Publish.Index, unmap: closer, users: 1}
	if l.index = s.keptIndex(in.Edge, edge, l.named); l.index != nil {
		err = edge.VerifyBytes()
	} else if err = edge.Verify(); err == nil {
		l.index, err = compiled(match.Compile(edge))
		l.fresh = true
	}
	if err != nil {
		return nil, err
	}
	s.pin(ctx, edge, closer)
	s.unload(ctx, closer)
	return l, nil
}

// compiled opens an index that was just made.
func compiled(b []byte, err error) (*match.Index, error) {
	if err != nil {
		return nil, err
	}
	return match.OpenHead(b)
}

// errVersion: the edge list is not the one that its metadata names.
var errVersion = errors.New("edge list is not the one that its metadata names")

// isOf holds an edge list to what is in force and what was signed.
func isOf(edge *match.Edge, in audit.InForceList, t trust.ListTarget) error {
	if v := edge.Version(); v.List != in.List || v.Seq != in.Seq || v.Epoch != in.Epoch || edge.Hash() != t.EdgeHead {
		return errVersion
	}
	return nil
}

// advance makes the list from an earlier version that is in memory. Only what deltas touch is hashed and checked before it serves; settle does
// the rest.
func (s *shelf) advance(ctx context.Context, o audit.OpenedList, src source) (_ *sharedList, err error) {
	in := o.InForceList
	var from *sharedList
	for _, l := range s.lists {
		if v := l.edge.Version(); v.List == in.List && v.Seq < in.Seq && (from == nil || v.Seq > from.edge.Version().Seq) {
			from = l
		}
	}
	if from == nil || s.distrusted[in.Edge] {
		return nil, fetch.ErrNoDeltas
	}
	began := time.Now()
	d, err := fetch.ReadDeltas(ctx, o.Target, from.edge.Version().Seq, func(ctx context.Context, f trust.File) (io.ReadCloser, error) {
		return src.File(ctx, f.SHA256)
	})
	if err != nil {
		return nil, err
	}
	fetched := time.Now()
	draft, err := s.files.Draft(in.EdgeSize)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			draft.Close()
		}
	}()
	edge, err := d.Apply(from.edge, draft.Memory(func() { s.unload(ctx, from.unmap) }))
	if err != nil {
		return nil, err
	}
	if err := isOf(edge, in, o.Target); err != nil {
		return nil, err
	}
	s.unload(ctx, from.unmap)
	applied := time.Now()
	index, err := compiled(d.Recompile(from.index, from.edge, edge))
	if err != nil {
		return nil, err
	}
	indexed := time.Now()
	s.pin(ctx, edge, draft)
	s.log.InfoContext(ctx, "list made from deltas", slog.Any("list", in.List), slog.Uint64("from", d.FromSeq), slog.Uint64("seq", in.Seq),
		slog.Duration("fetching", fetched.Sub(began)), slog.Duration("applying", applied.Sub(fetched)), slog.Duration("indexing", indexed.Sub(applied)),
		slog.Duration("pinning", time.Since(indexed)))
	return &sharedList{shelf: s, file: in.Edge, edge: edge, index: index, named: o.Publish.Index, unmap: draft, users: 1, draft: draft, fresh: true}, nil
}

// settle keeps on disk what came from deltas and what indexes are new: the set serves by then, and a restart must find them. A list whose file has
// not the signed hash was damaged on this disk before; it is given up, and the next load fetches all of it.
func (l *loaded) settle(ctx context.Context) error {
	for _, m := range l.maps {
		list, ok := m.(*sharedList)
		if !ok {
			continue
		}
		if list.draft != nil {
			if err := list.commit(ctx); err != nil {
				return fmt.Errorf("keep list %s seq %d that came from deltas: %w", list.edge.Version().List, list.edge.Version().Seq, err)
			}
		}
		if list.fresh {
			list.shelf.keepIndex(ctx, list)
			list.fresh = false
		}
	}
	return nil
}

// commit hashes the file, which is all that is left to be checked: records that the delta touched were checked when it was applied, the others in the
// list before, and the hash says that these still are what they were.
func (l *sharedList) commit(ctx context.Context) error {
	err := l.draft.Commit(ctx, l.file)
	if errors.Is(err, fetch.ErrHash) {
		l.shelf.distrust(l)
	}
	if err != nil {
		return err
	}
	l.draft = nil
	l.shelf.unload(ctx, l.unmap)
	return nil
}

// distrust lets no later set have a list, nor one made in the same way.
func (s *shelf) distrust(l *sharedList) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lists, l.file)
	s.distrusted = map[[32]byte]bool{l.file: true}
}

// fetch brings the edge list onto the shelf, in place of one that does not verify.
func (s *shelf) fetch(ctx context.Context, in audit.InForceList, src source) error {
	if err := s.files.Remove(in.Edge); err != nil {
		return err
	}
	body, err := src.File(ctx, in.Edge)
	if err != nil {
		return fmt.Errorf("fetch edge list: %w", err)
	}
	defer body.Close()
	return s.files.Put(ctx, in.Edge, in.EdgeSize, body)
}
