package state

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"

	"github.com/cordon-project/cordon/listsync/trust"
)

// archive keeps the metadata that every publish and trust leaf names by hash,
// for edges' manifests and auditors' bundles. Parts are kept once: a renewal
// costs its new timestamp only. It grows and never changes what it has, so
// readers may use it while the owner adds.
type archive struct {
	mu    sync.RWMutex // guards all
	bytes int          // at least what dump takes in a snapshot
	parts map[[32]byte][]byte
	metas map[[32]byte]parts
}

// parts names the files of one trust.Metadata in its own order.
type parts struct {
	Roots [][32]byte `cbor:"r"`
	Rest  [][32]byte `cbor:"f"` // timestamp, snapshot, targets, list, charter
}

func newArchive() *archive {
	return &archive{parts: map[[32]byte][]byte{}, metas: map[[32]byte]parts{}}
}

func (a *archive) add(m trust.Metadata) {
	a.mu.Lock()
	defer a.mu.Unlock()
	hash := m.Hash()
	if _, ok := a.metas[hash]; ok {
		return
	}
	var p parts
	for _, r := range m.Roots {
		p.Roots = append(p.Roots, a.part(r))
	}
	for _, f := range [][]byte{m.Timestamp, m.Snapshot, m.Targets, m.List, m.Charter} {
		p.Rest = append(p.Rest, a.part(f))
	}
	a.metas[hash] = p
	a.bytes += p.weight()
}

// weight is more than CBOR writes for the hash that p is filed under and p.
func (p parts) weight() int { return 64 + (len(p.Roots)+len(p.Rest))*(32+head) }

func (a *archive) weight() int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.bytes
}

func (a *archive) part(b []byte) [32]byte {
	sum := sha256.Sum256(b)
	if _, ok := a.parts[sum]; !ok {
		a.parts[sum] = bytes.Clone(b)
		a.bytes += len(b) + head
	}
	return sum
}

// get puts metadata together again; ErrNotFound when it was never accepted.
func (a *archive) get(hash [32]byte) (trust.Metadata, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	p, ok := a.metas[hash]
	if !ok || len(p.Rest) != 5 {
		return trust.Metadata{}, fmt.Errorf("metadata %x: %w", hash[:8], ErrNotFound)
	}
	m := trust.Metadata{Roots: [][]byte{}}
	for _, r := range p.Roots {
		m.Roots = append(m.Roots, a.parts[r])
	}
	for i, f := range []*[]byte{&m.Timestamp, &m.Snapshot, &m.Targets, &m.List, &m.Charter} {
		*f = a.parts[p.Rest[i]]
	}
	return m, nil
}

// dump lists everything in the order of hashes.
func (a *archive) dump() (files [][]byte, metas []metaParts) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, h := range sorted(a.parts) {
		files = append(files, a.parts[h])
	}
	for _, h := range sorted(a.metas) {
		metas = append(metas, metaParts{Hash: h, Parts: a.metas[h]})
	}
	return files, metas
}

// metaParts is one metadata in a snapshot.
type metaParts struct {
	Hash  [32]byte `cbor:"h"`
	Parts parts    `cbor:"p"`
}

// load makes an archive from a snapshot. Whether each metadata has the hash
// it is filed under is checked here; whether it is signed, by its reader.
func load(files [][]byte, metas []metaParts) (*archive, error) {
	a := newArchive()
	var last []byte
	for _, f := range files {
		sum := a.part(f)
		if last != nil && bytes.Compare(last, sum[:]) >= 0 {
			return nil, fmt.Errorf("metadata files are not sorted: %w", ErrSnapshot)
		}
		last = sum[:]
	}
	used := map[[32]byte]bool{}
	for i, m := range metas {
		if i > 0 && bytes.Compare(metas[i-1].Hash[:], m.Hash[:]) >= 0 {
			return nil, fmt.Errorf("metadata is not sorted: %w", ErrSnapshot)
		}
		a.metas[m.Hash] = m.Parts
		a.bytes += m.Parts.weight()
		for _, h := range slices.Concat(m.Parts.Roots, m.Parts.Rest) {
			if _, ok := a.parts[h]; !ok {
				return nil, fmt.Errorf("metadata %x lacks a file: %w", m.Hash[:8], ErrSnapshot)
			}
			used[h] = true
		}
		got, err := a.get(m.Hash)
		if err != nil || got.Hash() != m.Hash {
			return nil, fmt.Errorf("metadata %x has another hash: %w", m.Hash[:8], ErrSnapshot)
		}
	}
	if len(used) != len(a.parts) {
		return nil, fmt.Errorf("files that no metadata names: %w", ErrSnapshot)
	}
	return a, nil
}

func sorted[V any](m map[[32]byte]V) [][32]byte {
	keys := make([][32]byte, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	return keys
}
