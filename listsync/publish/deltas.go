package publish

import (
	"crypto/sha256"
	"path/filepath"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
)

const (
	// metadataTargets is how many targets a list's metadata may have: its two files, deltas, and a key file for each operator.
	metadataTargets = 256
	// metadataRoom is from what length on a list's metadata gives up deltas, the oldest first. All metadata together must fit into 48 KiB, and
	// an operator's keys matter more than the deltas of an edge that was away for weeks.
	metadataRoom = 30 << 10
)

// made is a version as compose makes it.
type made struct {
	meta, edge, audit []byte
	delta             []byte // from the version before, nil when there is none
	column            []byte // of private lookups, nil when they are off
}

// deltas gives the deltas that the metadata of a version names, and the file of the newest, from the version before it. All others were
// named by the metadata of the version before. There are none over a change of keys, and all of them together are at most half as long as the
// list: an edge that is further behind fetches that.
func (s *session) deltas(c *candidate, edgeFile, auditFile []byte) ([]trust.DeltaFile, []byte, error) {
	if c.Prev == 0 {
		return nil, nil, nil
	}
	if m, err := s.manifest(c.Prev); err != nil || m.Epoch != c.Epoch {
		return nil, nil, err
	}
	bad := func(err error) ([]trust.DeltaFile, []byte, error) {
		return nil, nil, fault(CodeFailure, err, "put the repository back from a mirror", "cannot make the delta from version %d to %d", c.Prev, c.Seq)
	}
	before, err := s.signedEdge()
	if err != nil {
		return nil, nil, err
	}
	_, meta, err := readEnvelope(s.repository(filepath.FromSlash(trust.ListName(s.set.Hotline, int64(c.Prev)))), "targets")
	if err != nil {
		return bad(err)
	}
	spec, err := trust.ReadList(meta, s.set.Hotline)
	if err != nil || len(spec.Lists) != 1 {
		return bad(err)
	}
	edge, err := list.OpenEdgeHead(edgeFile) // both were made a moment ago
	if err != nil {
		return bad(err)
	}
	audit, err := list.OpenAuditHead(auditFile)
	if err != nil {
		return bad(err)
	}
	d, err := list.Diff(before, edge, audit)
	if err != nil {
		return bad(err)
	}
	room := int64(len(edgeFile)) / 2
	if d.Size() > room {
		return nil, nil, nil
	}
	b, err := d.Encode()
	if err != nil {
		return bad(err)
	}
	path := trust.DeltaPath(s.set.List, c.Prev, c.Seq)
	chain := append(spec.Lists[0].Deltas, trust.DeltaFile{From: c.Prev, To: c.Seq, File: trust.File{Path: path, Length: int64(len(b)), SHA256: sha256.Sum256(b)}})
	for i := len(chain) - 1; i >= 0; i-- {
		if room -= chain[i].Length; room < 0 || len(chain)-i > trust.MaxDeltas {
			chain = chain[i+1:]
			break
		}
	}
	return chain, b, nil
}

// newList makes the metadata of a version with as many deltas as there is room for.
func newList(spec trust.ListSpec, target trust.ListTarget) ([]byte, error) {
	if room := metadataTargets - 2 - len(target.Keys); len(target.Deltas) > max(room, 0) {
		target.Deltas = target.Deltas[len(target.Deltas)-max(room, 0):]
	}
	for {
		spec.Lists = []trust.ListTarget{target}
		b, err := trust.NewList(spec)
		if err == nil && len(b) <= metadataRoom || len(target.Deltas) == 0 {
			return b, err
		}
		target.Deltas = target.Deltas[1:]
	}
}

// readDelta reads and checks a delta.
func readDelta(path string) (*list.Delta, error) {
	b, err := readBounded(path, list.MaxFile)
	if err != nil {
		return nil, err
	}
	return list.OpenDelta(b)
}
