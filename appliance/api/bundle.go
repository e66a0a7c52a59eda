package api

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"sync"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/fetch"
)

// source gives audit.WriteBundle what this node holds at one moment.
type source struct {
	cluster    audit.Cluster
	checkpoint []byte
	view       *state.View
	files      *fetch.Store
	deltas     *fetch.Deltas
}

func newSource(s *Server) (source, error) {
	note := s.node.Checkpoint() // before the view, so that the view's tree covers it
	if note == nil {
		return source{}, cluster.ErrNotYet
	}
	return source{s.cluster, note, s.node.View(), s.files, s.deltas}, nil
}

func (s source) Cluster() audit.Cluster { return s.cluster }
func (s source) Checkpoint() []byte     { return s.checkpoint }
func (s source) Tree() *audit.Tree      { return s.view.Tree() }

func (s source) Metadata(hash [32]byte) ([]byte, error) {
	b, err := s.view.Metadata(hash)
	if errors.Is(err, state.ErrNotFound) {
		return nil, fs.ErrNotExist
	}
	return b, err
}

func (s source) File(hash [32]byte) (io.ReadCloser, int64, error) {
	return opened(s.files.Open(hash))
}

// opened is an open file of a store, and its length.
func opened(f *os.File, err error) (io.ReadCloser, int64, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fs.ErrNotExist
	} else if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// Delta is the delta to a version that this node keeps instead of its files, or beside them.
func (s source) Delta(edge [32]byte) (io.ReadCloser, int64, error) {
	return opened(s.deltas.Open(edge))
}

// partOf reads which part of the log is asked for: ?since=N, ?all=1.
func partOf(q url.Values) (audit.Part, error) {
	var p audit.Part
	for key, values := range q {
		switch {
		case key == "since" && len(values) == 1:
			n, err := strconv.ParseUint(values[0], 10, 40)
			if err != nil {
				return p, errors.New("since is not a number of leaves")
			}
			p.Since = n
		case key == "all" && len(values) == 1 && values[0] == "1":
			p.All = true
		default:
			return p, errors.New("a bundle is asked for with since=N or with all=1")
		}
	}
	if p.All && p.Since > 0 {
		return p, errors.New("a bundle of every version has the whole log: leave since out")
	}
	return p, nil
}

// query is how partOf reads a part.
func query(p audit.Part) string {
	switch {
	case p.All:
		return "?all=1"
	case p.Since > 0:
		return "?since=" + strconv.FormatUint(p.Since, 10)
	}
	return ""
}

// readers are who reads a bundle now: a few at once, and each household (houseOf) once, so that one who reads slowly keeps out only himself.
type readers struct {
	mu   sync.Mutex // guards from
	from map[netip.Prefix]bool
}

const maxReaders = 8

func (r *readers) enter(remote string) (leave func(), ok bool) {
	house := houseOf(remote)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.from[house] || len(r.from) >= maxReaders {
		return nil, false
	}
	r.from[house] = true
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.from, house)
	}, true
}

// writeBundle writes everything that an auditor verifies.
func (s *Server) writeBundle(ctx context.Context, w io.Writer, src source, part audit.Part) error {
	return audit.WriteBundle(ctx, w, src, part, s.clock())
}
