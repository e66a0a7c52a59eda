package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// StageRequest asks a member to fetch one list of a hotline's metadata and to
// say, over its signature, whether it may come into force.
type StageRequest struct {
	From     string       `cbor:"from"` // member that asks and holds the files
	Size     uint64       `cbor:"size"` // leaves of its log: what officers have approved in them counts
	List     match.ListID `cbor:"list"`
	Metadata []byte       `cbor:"metadata"` // trust.Metadata, encoded
}

// maxStageRequest bounds an encoded request.
const maxStageRequest = trust.MaxMetadata + 1024

// Encode is the request as it travels.
func (r StageRequest) Encode() ([]byte, error) {
	b, err := encMode.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode stage request: %w", err)
	}
	return b, nil
}

// DecodeStageRequest reads Encode's bytes strictly. It verifies nothing.
func DecodeStageRequest(b []byte) (StageRequest, error) {
	var r StageRequest
	if err := strictDecode(b, maxStageRequest, &r); err != nil {
		return StageRequest{}, fmt.Errorf("decode stage request: %w", err)
	}
	if _, err := match.ParseListID(string(r.List)); err != nil || len(r.From) > 64 {
		return StageRequest{}, fmt.Errorf("decode stage request: %w", errFormat)
	}
	return r, nil
}

// FetchFrom opens one file of a list, wherever the caller can get it; the
// node bounds and verifies what it reads and closes it.
type FetchFrom func(ctx context.Context, file trust.File) (io.ReadCloser, error)

// Stage answers Peers.Stage: fetches what this node lacks through from, checks
// everything and signs a verdict. A list that must not come into force is a
// verdict too; an error means that nothing could be said. Only a caller proved
// to be a control node may reach it. Lists are staged one at a time.
func (n *Node) Stage(ctx context.Context, req StageRequest, from FetchFrom) (audit.SignedVerdict, error) {
	none := audit.SignedVerdict{}
	if err := n.catchUp(ctx, req.Size); err != nil {
		return none, fmt.Errorf("stage list %s: %w", req.List, err)
	}
	h, ok := n.fsm.view().Hotline(trust.HotlineID(req.List.Hotline()))
	if !ok {
		return none, fmt.Errorf("stage list %s: hotline is not in the cluster file, and not pinned", req.List)
	}
	m, err := trust.DecodeMetadata(req.Metadata)
	if err != nil {
		return none, fmt.Errorf("stage list %s: %w", req.List, err)
	}
	v, err := n.verify(h, m)
	if err != nil {
		return none, fmt.Errorf("stage list %s: %w", req.List, err)
	}
	i := slices.IndexFunc(v.Lists, func(t trust.ListTarget) bool { return t.List == req.List })
	if i < 0 {
		return none, fmt.Errorf("stage list %s: not in its metadata", req.List)
	}
	s, err := n.stageSlot(ctx, v, v.Lists[i], from)
	if err != nil {
		return none, fmt.Errorf("stage list %s seq %d: %w", req.List, v.Lists[i].Seq, err)
	}
	return s, nil
}

// catchUpTime bounds the wait for leaves that the asking member has.
const catchUpTime = 10 * time.Second

// catchUp waits until this replica has as many leaves as the asking member: a
// verdict that did not know of an approval would hold the version back anew.
func (n *Node) catchUp(ctx context.Context, size uint64) error {
	ctx, cancel := context.WithTimeout(ctx, catchUpTime)
	defer cancel()
	for {
		grown := n.fsm.grown()
		if n.fsm.view().Size >= size {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return fmt.Errorf("%w: this replica has not yet all that the asking one has", ErrNotYet)
		}
	}
}

// stageSlot stages one list at a time: a list of the largest size takes a
// gigabyte on disk and its index as much in memory.
func (n *Node) stageSlot(ctx context.Context, v *trust.Verified, t trust.ListTarget, from FetchFrom) (audit.SignedVerdict, error) {
	select {
	case n.staging <- struct{}{}:
	case <-ctx.Done():
		return audit.SignedVerdict{}, ctx.Err()
	}
	defer func() { <-n.staging }()
	if err := n.stageFiles(ctx, t, from); err != nil {
		return audit.SignedVerdict{}, err
	}
	j, err := n.judgement(ctx, v, t)
	if err != nil {
		return audit.SignedVerdict{}, err
	}
	n.noteKeys(n.c.Name, t, j.Result)
	return audit.SignVerdict(audit.Verdict{
		Cluster: n.id, Node: n.c.Name, List: t.List, Seq: t.Seq, Edge: t.Edge.SHA256, Audit: t.Audit.SHA256,
		EntriesRoot: t.EntriesRoot, Index: j.index, NeverBlock: n.neverBlock, Result: j.Result,
	}, n.c.Key), nil
}

// stageFiles brings what filesOf lists here: deltas first, and with them what
// they lead to from the version in force. A delta that nobody gives is left
// out: the version has all of its list without it.
func (n *Node) stageFiles(ctx context.Context, t trust.ListTarget, from FetchFrom) error {
	files := n.filesOf(t)
	for i, f := range files {
		if i == len(t.Deltas) {
			n.fromDeltas(ctx, t)
		}
		err := n.fetch(ctx, f, from)
		if err != nil && i < len(t.Deltas) && ctx.Err() == nil {
			n.log.WarnContext(ctx, "a delta of the version cannot be had: whoever needs it fetches all of the list", slog.Any("list", t.List), slog.Uint64("seq", t.Seq), slog.Any("error", err))
			continue
		}
		if err != nil {
			return fmt.Errorf("fetch %s: %w", f.Path, err)
		}
	}
	return nil
}

func (n *Node) fromDeltas(ctx context.Context, t trust.ListTarget) {
	l, ok := n.inForce().List(t.List)
	if !ok {
		return
	}
	err := n.c.Files.FromDeltas(ctx, fetch.Base{Seq: l.Seq, Edge: l.Edge, Audit: l.Audit}, t)
	if err != nil && !errors.Is(err, fetch.ErrNoDeltas) {
		n.log.WarnContext(ctx, "deltas do not lead to the version: fetching all of it", slog.Any("list", t.List), slog.Uint64("seq", t.Seq), slog.Any("error", err))
	}
}

// filesOf lists the files of a list version that a node of this cluster needs,
// those of deltas, which edges ask for, first.
func (n *Node) filesOf(t trust.ListTarget) []trust.File {
	var files []trust.File
	for _, d := range t.Deltas {
		files = append(files, d.File)
	}
	files = append(files, t.Edge, t.Audit)
	for _, k := range t.Keys {
		if k.Cluster == n.id {
			files = append(files, k.File)
		}
	}
	return files
}

func (n *Node) fetch(ctx context.Context, f trust.File, from FetchFrom) error {
	if n.c.Files.Has(f.SHA256) {
		return nil
	}
	if from == nil {
		return errors.New("file is not here")
	}
	r, err := from(ctx, f)
	if err != nil {
		return err
	}
	err = n.c.Files.Put(ctx, f.SHA256, f.Length, r)
	return errors.Join(err, r.Close())
}

// Missing are the files of lists in force that Config.Files does not hold:
// this node was away when they were staged. Whoever can get them puts them
// there; edges and EpochKeys need them.
func (n *Node) Missing() []trust.File {
	var out []trust.File
	for _, l := range n.inForce().Lists {
		t, err := n.target(l)
		if err != nil {
			continue // Status says what is wrong with the metadata
		}
		for _, f := range n.filesOf(t) {
			if !n.c.Files.Has(f.SHA256) {
				out = append(out, f)
			}
		}
	}
	return out
}
