package control

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/resolver/match"
)

// expected is the state id that an edge must sign for what is in force, computed by this control node from the signed lists as an auditor would.
// With it an operator sees at once an edge that serves another index, not only at the next audit.
type expected struct {
	node  *cluster.Node
	files *fetch.Store
	log   *slog.Logger

	mu      sync.Mutex // guards inForce, state, indexes
	inForce [32]byte
	state   match.StateID
	indexes map[[32]byte][32]byte // index hash by edge list; never changed, run alone replaces it
}

const expectEvery = time.Second

// errVersion: the edge list is not the one that its metadata names.
var errVersion = errors.New("edge list is not the one that its metadata names")

func newExpected(node *cluster.Node, files *fetch.Store, log *slog.Logger) *expected {
	return &expected{node: node, files: files, log: log, indexes: map[[32]byte][32]byte{}}
}

// stateOf is the state id for what is in force under this digest; ok is false while it is not known.
func (e *expected) stateOf(inForce [32]byte) (state match.StateID, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state, e.inForce == inForce
}

// stateWith is the state id for what a log would have in force that the files known here are enough for.
func (e *expected) stateWith(f audit.InForce) (match.StateID, bool) {
	e.mu.Lock()
	indexes := e.indexes
	e.mu.Unlock()
	state, err := f.StateID(func(in audit.InForceList) ([32]byte, error) {
		hash, known := indexes[in.Edge]
		if !known {
			return hash, fs.ErrNotExist
		}
		return hash, nil
	})
	return state, err == nil
}

func (e *expected) run(ctx context.Context) error {
	tick := time.NewTicker(expectEvery)
	defer tick.Stop()
	for {
		if f := e.node.View().InForce; len(f.Lists) > 0 {
			if _, known := e.stateOf(f.Hash()); !known {
				e.compute(ctx, f)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (e *expected) compute(ctx context.Context, f audit.InForce) {
	used := map[[32]byte][32]byte{}
	state, err := f.StateID(func(in audit.InForceList) ([32]byte, error) {
		hash, known := e.indexes[in.Edge]
		if !known {
			var err error
			if hash, err = e.compile(in); err != nil {
				return hash, err
			}
		}
		used[in.Edge] = hash
		return hash, nil
	})
	if err != nil {
		e.log.DebugContext(ctx, "state of edges not computed yet", slog.Any("error", err)) // the file is still on its way
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.indexes = used
	e.inForce, e.state = f.Hash(), state
}

func (e *expected) compile(in audit.InForceList) (hash [32]byte, err error) {
	b, closer, err := e.files.Map(in.Edge)
	if err != nil {
		return hash, err
	}
	defer closer.Close()
	edge, err := match.OpenEdge(b)
	if err != nil {
		return hash, err
	}
	if v := edge.Version(); v.List != in.List || v.Seq != in.Seq || v.Epoch != in.Epoch {
		return hash, errVersion
	}
	ix, err := match.Compile(edge)
	if err != nil {
		return hash, err
	}
	opened, err := match.OpenHead(ix)
	if err != nil {
		return hash, err
	}
	return opened.Hash(), nil
}
