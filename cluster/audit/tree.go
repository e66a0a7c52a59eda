package audit

import (
	"bytes"
	"fmt"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// Tree is the append-only Merkle tree over leaves (RFC 6962 hashing). Append is for the one writer;
// all other methods may be called at the same time by anyone. The zero Tree is empty and ready.
type Tree struct {
	mu     sync.RWMutex // guards both; readers copy slice headers, whose prefixes never change
	leaves [][]byte
	hashes []tlog.Hash // in tlog's stored order
}

// NewTree returns a tree over these encoded leaves, for instance from a snapshot. It takes ownership
// of the byte slices.
func NewTree(leaves [][]byte) *Tree {
	t := new(Tree)
	for _, l := range leaves {
		t.append(l)
	}
	return t
}

// Append adds an encoded leaf and returns its number. It copies the bytes. A leaf longer than MaxLeaf
// is a broken promise of the caller's (EncodeLeaf bounds it) and panics.
func (t *Tree) Append(leaf []byte) (n uint64) { return t.append(bytes.Clone(leaf)) }

func (t *Tree) append(leaf []byte) uint64 {
	if len(leaf) > MaxLeaf {
		panic("audit: leaf longer than MaxLeaf")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.leaves)
	h, err := tlog.StoredHashes(int64(n), leaf, hashReader(t.hashes))
	if err != nil {
		panic(fmt.Sprintf("audit: tree lost a hash: %v", err))
	}
	t.hashes = append(t.hashes, h...)
	t.leaves = append(t.leaves, leaf)
	return uint64(n)
}

// Size is how many leaves the tree has.
func (t *Tree) Size() uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return uint64(len(t.leaves))
}

// Root is the hash over all leaves.
func (t *Tree) Root() [32]byte {
	leaves, hashes := t.view()
	return rootOf(hashes, uint64(len(leaves)))
}

// Head is the size and root of one moment.
func (t *Tree) Head() (size uint64, root [32]byte) {
	leaves, hashes := t.view()
	return uint64(len(leaves)), rootOf(hashes, uint64(len(leaves)))
}

// RootAt is the hash over the first n leaves; ErrNotFound when there are fewer.
func (t *Tree) RootAt(n uint64) ([32]byte, error) {
	leaves, hashes := t.view()
	if n > uint64(len(leaves)) {
		return [32]byte{}, fmt.Errorf("root at size %d of %d: %w", n, len(leaves), ErrNotFound)
	}
	return rootOf(hashes, n), nil
}

// Leaf returns the bytes of leaf n, which the caller must not change; ErrNotFound beyond the end.
func (t *Tree) Leaf(n uint64) ([]byte, error) {
	leaves, _ := t.view()
	if n >= uint64(len(leaves)) {
		return nil, fmt.Errorf("leaf %d of %d: %w", n, len(leaves), ErrNotFound)
	}
	return leaves[n], nil
}

// ProveRecord proves that leaf n is in the tree of the given size; see CheckRecord.
func (t *Tree) ProveRecord(n, size uint64) ([][32]byte, error) {
	leaves, hashes := t.view()
	if n >= size || size > uint64(len(leaves)) {
		return nil, fmt.Errorf("prove leaf %d in size %d of %d: %w", n, size, len(leaves), ErrNotFound)
	}
	p, err := tlog.ProveRecord(int64(size), int64(n), hashReader(hashes))
	if err != nil {
		return nil, fmt.Errorf("prove leaf %d in size %d: %w", n, size, err)
	}
	return fromHashes(p), nil
}

// ProveTree proves that the tree of size old is a prefix of the tree of the given size; see CheckTree.
func (t *Tree) ProveTree(old, size uint64) ([][32]byte, error) {
	leaves, hashes := t.view()
	if old > size || size > uint64(len(leaves)) {
		return nil, fmt.Errorf("prove size %d in size %d of %d: %w", old, size, len(leaves), ErrNotFound)
	}
	if old == 0 || old == size {
		return [][32]byte{}, nil
	}
	p, err := tlog.ProveTree(int64(size), int64(old), hashReader(hashes))
	if err != nil {
		return nil, fmt.Errorf("prove size %d in size %d: %w", old, size, err)
	}
	return fromHashes(p), nil
}

// CheckRecord verifies that the leaf with these bytes has number n in the tree of this size and root.
// Anything else is ErrProof.
func CheckRecord(proof [][32]byte, size uint64, root [32]byte, n uint64, leaf []byte) error {
	if size > maxSize || n >= size {
		return fmt.Errorf("leaf %d in a tree of size %d: %w", n, size, ErrProof)
	}
	if err := tlog.CheckRecord(toHashes(proof), int64(size), root, int64(n), tlog.RecordHash(leaf)); err != nil {
		return fmt.Errorf("leaf %d in a tree of size %d: %w", n, size, ErrProof)
	}
	return nil
}

// CheckTree verifies that the tree of size old is a prefix of the tree of the given size. An old size
// of 0 is a prefix of everything. Anything that is not is ErrProof.
func CheckTree(proof [][32]byte, size uint64, root [32]byte, old uint64, oldRoot [32]byte) error {
	switch {
	case size > maxSize || old > size:
		return fmt.Errorf("size %d in size %d: %w", old, size, ErrProof)
	case old == 0:
		return nil
	case old == size:
		if root != oldRoot {
			return fmt.Errorf("size %d has two roots: %w", size, ErrProof)
		}
		return nil
	}
	if err := tlog.CheckTree(toHashes(proof), int64(size), root, int64(old), oldRoot); err != nil {
		return fmt.Errorf("size %d in size %d: %w", old, size, ErrProof)
	}
	return nil
}

func (t *Tree) view() ([][]byte, []tlog.Hash) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.leaves, t.hashes
}

// rootOf needs hashes to hold at least n leaves.
func rootOf(hashes []tlog.Hash, n uint64) [32]byte {
	h, err := tlog.TreeHash(int64(n), hashReader(hashes))
	if err != nil {
		panic(fmt.Sprintf("audit: tree lost a hash: %v", err))
	}
	return h
}

func hashReader(hashes []tlog.Hash) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			if x < 0 || x >= int64(len(hashes)) {
				return nil, fmt.Errorf("stored hash %d of %d: %w", x, len(hashes), ErrNotFound)
			}
			out[i] = hashes[x]
		}
		return out, nil
	})
}

func fromHashes(p []tlog.Hash) [][32]byte {
	out := make([][32]byte, len(p))
	for i, h := range p {
		out[i] = h
	}
	return out
}

func toHashes(p [][32]byte) []tlog.Hash {
	out := make([]tlog.Hash, len(p))
	for i, h := range p {
		out[i] = h
	}
	return out
}

// treeHashes is a tree without its leaves, for who has seen them and needs no more than roots. The zero value is empty. It is for one
// goroutine.
type treeHashes struct {
	n      uint64
	hashes []tlog.Hash // in tlog's stored order
}

func (t *treeHashes) size() uint64 { return t.n }

// add appends an encoded leaf.
func (t *treeHashes) add(leaf []byte) { t.addHash(tlog.RecordHash(leaf)) }

// addHash appends a leaf by its hash.
func (t *treeHashes) addHash(h tlog.Hash) {
	more, err := tlog.StoredHashesForRecordHash(int64(t.n), h, hashReader(t.hashes))
	if err != nil {
		panic(fmt.Sprintf("audit: tree lost a hash: %v", err))
	}
	t.hashes = append(t.hashes, more...)
	t.n++
}

// leaf is the hash of leaf n, which must be there.
func (t *treeHashes) leaf(n uint64) tlog.Hash { return t.hashes[tlog.StoredHashIndex(0, int64(n))] }

// rootAt is the hash over the first n leaves, which must be there.
func (t *treeHashes) rootAt(n uint64) [32]byte { return rootOf(t.hashes, n) }
