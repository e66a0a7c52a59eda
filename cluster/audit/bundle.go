package audit

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Names of a bundle's members, in the order they come.
const (
	bundleInfoName   = "bundle.json"
	checkpointName   = "checkpoint"
	entriesPrefix    = "tile/entries/"
	metadataPrefix   = "metadata/"
	metadataSuffix   = ".cbor"
	filesPrefix      = "files/"
	deltasPrefix     = "deltas/"
	bundleVersion    = 2
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
	// Delta opens the delta that makes the files of the version with this edge list out of those of the version of its list that came into
	// force here before it; fs.ErrNotExist when the node has none.
	Delta(edge [32]byte) (io.ReadCloser, int64, error)
}

// Part says how much of a log a bundle holds.
type Part struct {
	Since uint64 // leaves below this are known to the reader: the entry bundle that holds it is the first; 0 for all
	All   bool   // the files of every version, not only of those in force; only without Since
}

// Check holds a part to what there is.
func (p Part) Check() error {
	if p.All && p.Since > 0 || p.Since > maxSize {
		return fmt.Errorf("a bundle of every version has the whole log: %w", ErrFormat)
	}
	return nil
}

// bundleInfo is bundle.json.
type bundleInfo struct {
	V       int    `json:"v"`
	Cluster string `json:"cluster"`
	Created int64  `json:"created"`
	Since   uint64 `json:"since"`
	All     bool   `json:"all"`
}

// WriteBundle writes what cordon-audit verifies as one uncompressed tar: bundle.json, the checkpoint, its leaves as C2SP entry bundles,
// before each of them the metadata that its leaves name (by hash), and list files, by list and version: an edge list before its auditor
// list. Those are the files of the versions in force (of them, with Since, only what a later leaf put in force), and the edge list of
// the newest version where officers went back to an earlier one. With All they are the files of every version: as a delta to the version
// before it where the node has one, else whole. What the node does not have is left out: the verifier names what is missing. The context ends it between
// members.
func WriteBundle(ctx context.Context, w io.Writer, src Source, part Part, created time.Time) error {
	if err := writeBundle(ctx, w, src, part, created); err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	return nil
}

func writeBundle(ctx context.Context, w io.Writer, src Source, part Part, created time.Time) error {
	if err := part.Check(); err != nil {
		return err
	}
	c := src.Cluster()
	note := src.Checkpoint()
	cp, _, _, err := c.Quorum().Open(note)
	if err != nil {
		return err
	}
	part.Since = min(part.Since, cp.Size) // the verifier says that the log became shorter
	info, err := json.Marshal(bundleInfo{V: bundleVersion, Cluster: c.ID(), Created: created.Unix(), Since: part.Since, All: part.All})
	if err != nil {
		return err
	}
	t := &bundleWriter{ctx: ctx, tw: tar.NewWriter(w)}
	t.add(bundleInfoName, append(info, '\n'))
	t.add(checkpointName, note)
	named, err := t.entries(src, part, cp.Size)
	if err != nil {
		return err
	}
	if part.All {
		err = t.every(src, named.versions)
	} else {
		err = t.inForce(src, named.inForce)
	}
	if err != nil {
		return err
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

// file writes a list file, or nothing when the node does not have it.
func (t *bundleWriter) file(src Source, h [32]byte) error {
	_, err := t.open(filesPrefix, h, src.File)
	return err
}

// open writes what the node has under a hash, and says whether it has it.
func (t *bundleWriter) open(prefix string, h [32]byte, open func([32]byte) (io.ReadCloser, int64, error)) (bool, error) {
	r, size, err := open(h)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	defer r.Close()
	t.header(prefix+hex.EncodeToString(h[:]), size)
	if t.err == nil {
		_, t.err = io.Copy(t.tw, io.LimitReader(r, size))
	}
	return true, t.err
}

// every writes the files of every version.
func (t *bundleWriter) every(src Source, versions []filesOf) error {
	slices.SortStableFunc(versions, filesOf.compare)
	for i, v := range versions {
		if i > 0 && versions[i-1].list == v.list && versions[i-1].epoch == v.epoch {
			if there, err := t.open(deltasPrefix, v.edge, src.Delta); there || err != nil {
				if err != nil {
					return err
				}
				continue
			}
		}
		if err := t.file(src, v.edge); err != nil {
			return err
		}
		if err := t.file(src, v.audit); err != nil {
			return err
		}
	}
	return nil
}

// inForce writes the files of the versions in force.
func (t *bundleWriter) inForce(src Source, all []filesOf) error {
	slices.SortStableFunc(all, filesOf.compare)
	for _, v := range all {
		if err := t.file(src, v.edge); err != nil {
			return err
		}
		if v.audit == ([32]byte{}) {
			continue
		}
		if err := t.file(src, v.audit); err != nil {
			return err
		}
	}
	return nil
}

// entries writes the leaves of a part below size, the metadata they name before them, and collects the files they name.
func (t *bundleWriter) entries(src Source, part Part, size uint64) (*named, error) {
	n := &named{}
	tree := src.Tree()
	for from := part.Since / tileWidth * tileWidth; from < size; from += tileWidth {
		to := min(from+tileWidth, size)
		leaves := make([][]byte, 0, to-from)
		n.metadata = nil
		for i := from; i < to; i++ {
			b, err := tree.Leaf(i)
			if err != nil {
				return n, err
			}
			leaves = append(leaves, b)
			if i < part.Since {
				continue
			}
			l, err := DecodeLeaf(b)
			if err != nil {
				return n, err
			}
			n.leaf(l)
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

// filesOf are the files of one version of a list.
type filesOf struct {
	list        match.ListID
	seq         uint64
	epoch       uint32
	edge, audit [32]byte // audit: zero where only the edge list is needed
}

func (f filesOf) compare(o filesOf) int {
	return cmp.Or(cmp.Compare(f.list, o.list), cmp.Compare(f.seq, o.seq))
}

// named is what leaves refer to by hash: the metadata of one entry bundle, the files of all versions, and those that a verifier needs of
// what is in force.
type named struct {
	metadata [][32]byte
	versions []filesOf
	inForce  []filesOf
}

func (n *named) leaf(l Leaf) {
	if l.K != KindPublish && l.K != KindTrust && l.K != KindReturn {
		return
	}
	body, err := l.Body()
	if err != nil {
		return
	}
	switch b := body.(type) {
	case Publish:
		n.metadata = append(n.metadata, b.Metadata)
		f := filesOf{b.List, b.Seq, b.Epoch, b.Edge, b.Audit}
		n.versions = append(n.versions, f)
		n.replace(f)
	case Trust:
		if b.Metadata != ([32]byte{}) {
			n.metadata = append(n.metadata, b.Metadata)
		}
	case Returned:
		r, ok := b.Order.Body.(order.Return)
		if !ok {
			return
		}
		f := filesOf{b.Version.List, b.Version.Seq, b.Version.Epoch, b.Version.Edge, b.Version.Audit}
		if r.High == r.Seq {
			n.replace(f)
		} else {
			n.replace(f, filesOf{list: r.List, seq: r.High, edge: r.HighEdge})
		}
	}
}

// replace puts these in the place of what a verifier needed of their list.
func (n *named) replace(with ...filesOf) {
	n.inForce = slices.DeleteFunc(n.inForce, func(f filesOf) bool { return f.list == with[0].list })
	n.inForce = append(n.inForce, with...)
}
