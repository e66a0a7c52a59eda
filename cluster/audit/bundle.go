package audit

import (
	"archive/tar"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
)

// Names of a bundle's members, in the order they come.
const (
	bundleInfoName   = "bundle.json"
	checkpointName   = "checkpoint"
	entriesPrefix    = "tile/entries/"
	metadataPrefix   = "metadata/"
	metadataSuffix   = ".cbor"
	filesPrefix      = "files/"
	bundleVersion    = 1
	maxBundleInfo    = 4 << 10
	maxEntriesMember = tileWidth * (2 + MaxLeaf)
	maxListFile      = list.MaxFile
	maxMetadata      = trust.MaxMetadata
)

// Source is where a bundle comes from; a control node implements it. All methods are read-only and may
// be called while the log grows.
type Source interface {
	// Cluster is the description the node runs under.
	Cluster() Cluster
	// Checkpoint is the latest note that a quorum has cosigned.
	Checkpoint() []byte
	// Tree holds at least the leaves of that checkpoint.
	Tree() *Tree
	// Metadata returns the encoded trust.Metadata of this hash; fs.ErrNotExist when the node has none.
	Metadata(hash [32]byte) ([]byte, error)
	// File opens a list file by its SHA-256 and says how long it is; fs.ErrNotExist when the node has none.
	File(hash [32]byte) (io.ReadCloser, int64, error)
}

// bundleInfo is bundle.json.
type bundleInfo struct {
	V       int    `json:"v"`
	Cluster string `json:"cluster"`
	Created int64  `json:"created"`
}

// WriteBundle writes everything cordon-audit verifies as one uncompressed tar: bundle.json, the
// checkpoint, its leaves as C2SP entry bundles, before each of them the metadata that its leaves name (by hash), and the list files (in the order
// of the log, a version's edge list before its auditor list) that they name. What the node does not
// have is left out: the verifier names what is missing. The context ends it between
// members.
func WriteBundle(ctx context.Context, w io.Writer, src Source, created time.Time) error {
	if err := writeBundle(ctx, w, src, created); err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	return nil
}

func writeBundle(ctx context.Context, w io.Writer, src Source, created time.Time) error {
	c := src.Cluster()
	note := src.Checkpoint()
	cp, _, _, err := c.Quorum().Open(note)
	if err != nil {
		return err
	}
	info, err := json.Marshal(bundleInfo{V: bundleVersion, Cluster: c.ID(), Created: created.Unix()})
	if err != nil {
		return err
	}
	t := &bundleWriter{ctx: ctx, tw: tar.NewWriter(w)}
	t.add(bundleInfoName, append(info, '\n'))
	t.add(checkpointName, note)
	named, err := t.entries(src, cp.Size)
	if err != nil {
		return err
	}
	for _, h := range named.files {
		if err := t.file(src, h); err != nil {
			return err
		}
	}
	if t.err != nil {
		return t.err
	}
	return t.tw.Close()
}

type bundleWriter struct {
	ctx context.Context
	tw  *tar.Writer
	err error // the first; afterwards nothing is written
}

func (t *bundleWriter) header(name string, size int64) {
	if t.err == nil {
		t.err = t.ctx.Err()
	}
	if t.err == nil {
		t.err = t.tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, Format: tar.FormatUSTAR})
	}
}

func (t *bundleWriter) add(name string, b []byte) {
	t.header(name, int64(len(b)))
	if t.err == nil {
		_, t.err = t.tw.Write(b)
	}
}

func (t *bundleWriter) file(src Source, h [32]byte) error {
	r, size, err := src.File(h)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer r.Close()
	t.header(filesPrefix+hex.EncodeToString(h[:]), size)
	if t.err == nil {
		_, t.err = io.Copy(t.tw, io.LimitReader(r, size))
	}
	return t.err
}

// entries writes the leaves below size, the metadata they name before them, and collects the files they name.
func (t *bundleWriter) entries(src Source, size uint64) (*named, error) {
	n := &named{seen: make(map[[32]byte]bool)}
	tree := src.Tree()
	for from := uint64(0); from < size; from += tileWidth {
		to := min(from+tileWidth, size)
		leaves := make([][]byte, 0, to-from)
		n.metadata = nil
		for i := from; i < to; i++ {
			b, err := tree.Leaf(i)
			if err != nil {
				return n, err
			}
			l, err := DecodeLeaf(b)
			if err != nil {
				return n, err
			}
			n.leaf(l)
			leaves = append(leaves, b)
		}
		if err := t.metadata(src, n.metadata); err != nil {
			return n, err
		}
		t.add(entriesPath(from/tileWidth, int(to-from)), entryBundle(leaves))
		if t.err != nil {
			return n, t.err
		}
	}
	return n, nil
}

func (t *bundleWriter) metadata(src Source, hashes [][32]byte) error {
	slices.SortFunc(hashes, compareHash)
	for _, h := range slices.Compact(hashes) {
		b, err := src.Metadata(h)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		t.add(metadataPrefix+hex.EncodeToString(h[:])+metadataSuffix, b)
	}
	return nil
}

// named is what leaves refer to by hash: the metadata of one entry bundle, and files, each once, in the order of the log.
type named struct {
	metadata, files [][32]byte
	seen            map[[32]byte]bool
}

func (n *named) leaf(l Leaf) {
	if l.K != KindPublish && l.K != KindTrust {
		return
	}
	body, err := l.Body()
	if err != nil {
		return
	}
	switch b := body.(type) {
	case Publish:
		n.metadata = append(n.metadata, b.Metadata)
		n.file(b.Edge)
		n.file(b.Audit)
	case Trust:
		if b.Metadata != ([32]byte{}) {
			n.metadata = append(n.metadata, b.Metadata)
		}
	}
}

func (n *named) file(h [32]byte) {
	if !n.seen[h] {
		n.seen[h] = true
		n.files = append(n.files, h)
	}
}
