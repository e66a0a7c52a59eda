package publiclog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/witness"
)

// Read gives a file of a repository by its name, at most limit bytes of it; NotFound tells its error for a file that is not there.
type Read func(ctx context.Context, name string, limit int64) ([]byte, error)

// Tree is a public log in a repository, as one signed checkpoint has it. Nothing of it is believed beyond what the checkpoint's root
// proves. It is for one goroutine, as long as its context lives.
type Tree struct {
	Head
	Checkpoint []byte // the signed note
	Log        witness.Log

	reader tlog.HashReader
	read   Read
	gone   error
	ctx    context.Context
}

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight

	// MaxEntries bounds the log that Entries reads to its end: three thousand years of a version a day.
	MaxEntries = 1 << 20
)

// Open reads the repository's checkpoint and verifies the signature of the log with this key. notFound is what read says when there is no
// such file. Errors: those of read, ErrProof.
func Open(ctx context.Context, vkey string, read Read, notFound error) (*Tree, error) {
	note, err := read(ctx, CheckpointName, witness.MaxNote)
	if err != nil {
		return nil, fmt.Errorf("read the public log: %w", err)
	}
	return At(ctx, vkey, note, read, notFound)
}

// At is the log as another checkpoint has it.
func At(ctx context.Context, vkey string, note []byte, read Read, notFound error) (*Tree, error) {
	t := &Tree{Checkpoint: note, read: read, gone: notFound, ctx: ctx}
	var err error
	if t.Log, err = witness.ParseLog(vkey); err != nil {
		return nil, fmt.Errorf("open the public log: %w: %w", ErrProof, err)
	}
	c, err := t.Log.Open(note)
	if err != nil {
		return nil, fmt.Errorf("open the public log: %w: %w", ErrProof, err)
	}
	t.Head = Head{Log: vkey, Size: c.Size, Root: c.Root}
	t.reader = tlog.TileHashReader(tlog.Tree{N: int64(c.Size), Hash: c.Root}, &tiles{t: t, kept: map[string][]byte{}})
	return t, nil
}

// Continues shows that a head is this log as it was. ErrSplitView says that it is not, and this checkpoint and that head's prove it: both
// are signed. Any other error says that nothing is known: a file is missing or spoiled, or the tree is the smaller one.
func (t *Tree) Continues(old Head) error {
	switch {
	case old.Size == 0 || old.Log != t.Head.Log:
		return nil
	case old.Size > t.Size:
		return fmt.Errorf("public log of size %d, size %d was seen: %w", t.Size, old.Size, ErrBehind)
	case old.Size == t.Size && old.Root == t.Root:
		return nil
	case old.Size == t.Size:
		return fmt.Errorf("%w: two roots at size %d", ErrSplitView, t.Size)
	}
	was, err := tlog.TreeHash(int64(old.Size), t.reader)
	if err != nil {
		return t.unread(err)
	}
	if was != old.Root {
		return fmt.Errorf("%w: size %d does not continue size %d", ErrSplitView, t.Size, old.Size)
	}
	return nil
}

// ErrBehind: the repository has an older log than was seen. It may catch up.
var ErrBehind = errors.New("the public log has not caught up")

// Consistency proves to others that size from is this log as it was at size to.
func (t *Tree) Consistency(from, to uint64) ([][32]byte, error) {
	if from == 0 || from == to {
		return nil, nil
	}
	if from > to || to > t.Size {
		return nil, fmt.Errorf("consistency from size %d to %d of %d: %w", from, to, t.Size, ErrBehind)
	}
	p, err := tlog.ProveTree(int64(to), int64(from), t.reader)
	return hashes(p), t.unread(err)
}

// Inclusion proves that leaf n is in this tree.
func (t *Tree) Inclusion(n uint64) ([][32]byte, error) {
	if n >= t.Size {
		return nil, fmt.Errorf("leaf %d of a public log of size %d: %w", n, t.Size, ErrBehind)
	}
	p, err := tlog.ProveRecord(int64(t.Size), int64(n), t.reader)
	return hashes(p), t.unread(err)
}

// unread explains why a tile could not be used: one that is not there is for later, one that does not fit is a proof that fails.
func (t *Tree) unread(err error) error {
	if err == nil || errors.Is(err, t.gone) || t.ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("%w: its tiles: %w", ErrProof, err)
}

func hashes(in []tlog.Hash) [][32]byte {
	out := make([][32]byte, len(in))
	for i, h := range in {
		out[i] = h
	}
	return out
}

// Entries reads every leaf, from the first, and shows that they make the checkpoint's root. Errors: those of read, ErrProof; trust.ErrTooLarge over MaxEntries.
func (t *Tree) Entries(each func(n uint64, leaf []byte) error) error {
	if t.Size > MaxEntries {
		return fmt.Errorf("read the public log: %w: %d entries, at most %d", trust.ErrTooLarge, t.Size, MaxEntries)
	}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i, n := range at {
			out[i] = stored[n]
		}
		return out, nil
	})
	for n := uint64(0); n < t.Size; n += tileWidth {
		width := min(tileWidth, t.Size-n)
		leaves, err := t.bundle(n/tileWidth, int(width))
		if err != nil {
			return err
		}
		for i, leaf := range leaves {
			more, err := tlog.StoredHashes(int64(n)+int64(i), leaf, reader)
			if err != nil {
				return err
			}
			stored = append(stored, more...)
			if err := each(n+uint64(i), leaf); err != nil {
				return err
			}
		}
	}
	root, err := tlog.TreeHash(int64(t.Size), reader)
	if err != nil {
		return err
	}
	if t.Size > 0 && root != t.Root {
		return fmt.Errorf("%w: its entries do not make the root that it signed", ErrProof)
	}
	return nil
}

// bundle reads one entry bundle (c2sp.org/tlog-tiles): 16 bits of length before each entry.
func (t *Tree) bundle(n uint64, width int) ([][]byte, error) {
	b, full, err := t.part(entriesPrefix+tileNumber(n), width, tileWidth*(2+MaxLeaf))
	if err != nil {
		return nil, fmt.Errorf("read the public log: %w", err)
	}
	var out [][]byte
	for len(out) < width {
		if len(b) < 2 || int(binary.BigEndian.Uint16(b)) > len(b)-2 {
			return nil, fmt.Errorf("%w: entry bundle %d is malformed", ErrProof, n)
		}
		size := 2 + int(binary.BigEndian.Uint16(b))
		out, b = append(out, b[2:size:size]), b[size:]
	}
	if len(b) > 0 && !full {
		return nil, fmt.Errorf("%w: entry bundle %d is malformed", ErrProof, n)
	}
	return out, nil
}

// part reads a tile of some width, of which the full one may stand in its place: logs take partial ones away when there is the full one.
func (t *Tree) part(path string, width int, limit int64) (b []byte, full bool, err error) {
	if width == tileWidth {
		b, err = t.read(t.ctx, path, limit)
		return b, false, err
	}
	b, err = t.read(t.ctx, fmt.Sprintf("%s.p/%d", path, width), limit)
	if err == nil || !errors.Is(err, t.gone) {
		return b, false, err
	}
	if whole, ferr := t.read(t.ctx, path, limit); ferr == nil {
		return whole, true, nil
	}
	return nil, false, err
}

// tiles is the log's files as package tlog asks for them; it verifies each against the root.
type tiles struct {
	t    *Tree
	kept map[string][]byte // verified, by path
}

func (r *tiles) Height() int { return tileHeight }

func (r *tiles) ReadTiles(want []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(want))
	for i, w := range want {
		path := tilePath(w)
		if b, ok := r.kept[path]; ok {
			out[i] = b
			continue
		}
		size := w.W * tlog.HashSize
		whole := w
		whole.W = tileWidth
		b, _, err := r.t.part(tilePath(whole), w.W, tileWidth*tlog.HashSize)
		if err != nil {
			return nil, err
		}
		if len(b) < size {
			return nil, fmt.Errorf("tile %s has %d bytes", path, len(b))
		}
		out[i] = b[:size]
	}
	return out, nil
}

func (r *tiles) SaveTiles(which []tlog.Tile, data [][]byte) {
	for i, w := range which {
		r.kept[tilePath(w)] = data[i]
	}
}

// tilePath is where c2sp.org/tlog-tiles has a tile: package tlog names the height too.
func tilePath(t tlog.Tile) string { return tilePrefix + strings.TrimPrefix(t.Path(), "tile/8/") }

// tileNumber writes a tile's number in groups of three digits.
func tileNumber(n uint64) string {
	return strings.TrimPrefix(tlog.Tile{H: tileHeight, L: 0, N: int64(n), W: tileWidth}.Path(), "tile/8/0/")
}
