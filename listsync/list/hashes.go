package list

import (
	"sync"

	"github.com/cordon-project/cordon/resolver/match"
)

// Hashes are what of the tree over one version's commitments still holds in the next: the hashes of leaves, which stay as they are when
// records come and go before them, those of pairs, which stay where a record moves by an even number of places, and those of parts
// of 4,096 leaves, which stay where none moves. Half of the hashing of a root is saved so, whatever comes and goes, and all left of
// the first change. They take 96 bytes a record, half of them for the version that comes next. They are for one goroutine.
type Hashes struct {
	root        [32]byte
	now, before level
}

type level struct{ leaves, pairs, parts [][32]byte }

// NewHashes hashes all commitments of a.
func NewHashes(a *Audit) *Hashes {
	h := &Hashes{}
	h.next(nil, 0, a.leaves)
	return h
}

// next goes on to the version with these commitments, which p makes of one of from records, and gives its root. A nil p knows of none before.
func (h *Hashes) next(p *match.Patch, from int, leaves []byte) [32]byte {
	n := len(leaves) / 32
	old, to := h.now, h.before
	to.resize(n)
	havePair, havePart := make([]bool, n/2), make([]bool, n/leavesPerPart)
	hash := func(i int) { to.leaves[i] = leafHash(leaves[32*i : 32*i+32]) }
	if p == nil {
		for i := range n {
			hash(i)
		}
	} else {
		p.Runs(from, func(j, i, n int) {
			copy(to.leaves[j:j+n], old.leaves[i:])
			if lo, hi := (j+1)/2, (j+n)/2; lo < hi && (j-i)%2 == 0 {
				copy(to.pairs[lo:hi], old.pairs[lo-(j-i)/2:])
				for q := lo; q < hi; q++ {
					havePair[q] = true
				}
			}
			if j == i {
				for q := (j + leavesPerPart - 1) / leavesPerPart; q < (j+n)/leavesPerPart; q++ {
					to.parts[q], havePart[q] = old.parts[q], true
				}
			}
		})
		for _, at := range p.At {
			hash(int(at))
		}
	}
	pair := func(q int) {
		if !havePair[q] {
			to.pairs[q] = nodeHash(&to.leaves[2*q], &to.leaves[2*q+1])
		}
	}
	workers := processors
	var wg sync.WaitGroup
	for w := range min(workers, len(to.parts)) {
		wg.Go(func() {
			for part := w; part < len(to.parts); part += workers {
				if havePart[part] {
					continue // and so is each of its pairs
				}
				t := tree{}
				for q := part * leavesPerPart / 2; q < (part+1)*leavesPerPart/2; q++ {
					pair(q)
					t.add(to.pairs[q], 2)
				}
				to.parts[part] = t.stack[0]
			}
		})
	}
	wg.Wait()
	t := tree{}
	for _, root := range to.parts {
		t.add(root, leavesPerPart)
	}
	for q := len(to.parts) * leavesPerPart / 2; q < n/2; q++ {
		pair(q)
		t.add(to.pairs[q], 2)
	}
	if n%2 == 1 {
		t.add(to.leaves[n-1], 1)
	}
	h.root, h.now, h.before = t.root(), to, old
	return h.root
}

// resize makes room for n leaves, and a little more so that a list which grows does not need new room each time.
func (l *level) resize(n int) {
	for _, s := range []struct {
		of *[][32]byte
		n  int
	}{{&l.leaves, n}, {&l.pairs, n / 2}, {&l.parts, n / leavesPerPart}} {
		if cap(*s.of) < s.n {
			*s.of = make([][32]byte, s.n+s.n/32)
		}
		*s.of = (*s.of)[:s.n]
	}
}
