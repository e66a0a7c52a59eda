package cluster

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/cluster/audit"
)

// manifestFile keeps the last manifest, checkpoint included, so that a node
// that restarts without a quorum serves what was agreed last.
const manifestFile = "manifest.cbor"

// Manifest is all that an edge needs to know what is in force, proved by the
// checkpoint that Checkpoint returns at the same moment. since is the
// checkpoint size the edge already has, or 0. ErrNotYet before the first
// checkpoint. The result shares memory with the node: not to be altered.
func (n *Node) Manifest(since uint64) (audit.Manifest, error) {
	p := n.published()
	if p == nil {
		return audit.Manifest{}, fmt.Errorf("manifest: %w", ErrNotYet)
	}
	m := p.base
	if tree := n.fsm.view().Tree(); since > 0 && since <= p.size && p.size <= tree.Size() {
		proof, err := tree.ProveTree(since, p.size)
		if err != nil {
			return audit.Manifest{}, fmt.Errorf("manifest: %w", err)
		}
		m.Since, m.Consistency = since, proof
	}
	return m, nil
}

func (n *Node) keepManifest(m audit.Manifest) error {
	if err := renameio.WriteFile(filepath.Join(n.c.Dir, manifestFile), m.Encode(), 0o600); err != nil {
		return fmt.Errorf("keep manifest: %w", err)
	}
	return nil
}

// loadManifest publishes the kept manifest, once it has been verified like
// any stranger's. A damaged one is left alone: the next checkpoint replaces it.
func (n *Node) loadManifest() {
	p, err := n.readManifest()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil:
		n.log.Warn("kept manifest is not used", slog.Any("error", err))
		return
	}
	n.publishCheckpoint(p)
}

func (n *Node) readManifest() (*published, error) {
	f, err := os.Open(filepath.Join(n.c.Dir, manifestFile))
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, audit.MaxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	m, err := audit.DecodeManifest(b)
	if err != nil {
		return nil, err
	}
	o, err := n.quorum.OpenManifest(m, n.c.Cluster.Anchors())
	if err != nil {
		return nil, err
	}
	return &published{
		note: m.Checkpoint, size: o.Checkpoint.Size, root: o.Checkpoint.Root, fresh: o.Fresh,
		signedBy: o.SignedBy, base: m, inForce: o.InForce,
	}, nil
}
