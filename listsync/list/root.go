package list

import (
	"crypto/sha256"
	"runtime"
	"sync"
)

// leavesPerPart is how many leaves of a tree are hashed at a time by one goroutine; a power of two.
const leavesPerPart = 4096

// processors is how many the process began with. An edge has more while it works on lists, and the rest is for its listeners (appliance/edge, spareProcessors).
var processors = runtime.GOMAXPROCS(0)

// rootOf is the RFC 6962 tree hash over the leaves, 32 bytes each. Perfect subtrees are hashed on several goroutines.
func rootOf(leaves []byte) [32]byte {
	workers := processors
	parts := len(leaves) / (32 * leavesPerPart)
	roots := make([][32]byte, parts)
	var wg sync.WaitGroup
	for w := range min(workers, parts) {
		wg.Go(func() {
			for i := w; i < parts; i += workers {
				t := tree{}
				for j := range leavesPerPart {
					at := 32 * (leavesPerPart*i + j)
					t.add(leafHash(leaves[at:at+32]), 1)
				}
				roots[i] = t.stack[0]
			}
		})
	}
	wg.Wait()
	t := tree{}
	for _, root := range roots {
		t.add(root, leavesPerPart)
	}
	for at := 32 * leavesPerPart * parts; at < len(leaves); at += 32 {
		t.add(leafHash(leaves[at:at+32]), 1)
	}
	return t.root()
}

// tree is a growing RFC 6962 tree: the roots of its perfect subtrees, largest first. Their sizes are the set bits of n.
type tree struct {
	stack [][32]byte
	n     int
}

// add appends a perfect subtree of size leaves, a power of two that divides n.
func (t *tree) add(root [32]byte, size int) {
	t.stack = append(t.stack, root)
	t.n += size
	for full := t.n / size; full&1 == 0; full >>= 1 {
		last := len(t.stack) - 1
		t.stack[last-1] = nodeHash(&t.stack[last-1], &t.stack[last])
		t.stack = t.stack[:last]
	}
}

// root is the tree hash: SHA-256 of nothing for no leaves (RFC 6962, 2.1).
func (t *tree) root() [32]byte {
	if len(t.stack) == 0 {
		return sha256.Sum256(nil)
	}
	root := t.stack[len(t.stack)-1]
	for i := len(t.stack) - 2; i >= 0; i-- {
		root = nodeHash(&t.stack[i], &root)
	}
	return root
}

// leafHash is that of 32 bytes, without the allocation of tlog.RecordHash.
func leafHash(leaf []byte) [32]byte {
	var b [33]byte
	copy(b[1:], leaf)
	return sha256.Sum256(b[:])
}

func nodeHash(left, right *[32]byte) [32]byte {
	var b [65]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}
