package match

import (
	"encoding/binary"
	"math/bits"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/prefetch"
)

// Lookup is one name on its way through a Set, in steps. Most of a lookup is waiting for memory: the filter, then the edge list's columns. Each
// step asks for the lines that the next will read, so whoever has many names takes each step with all of them before the next:
//
//	for i := range lookups { lookups[i].Begin(set, names[i]) }
//	for range match.Steps { for i := range lookups { lookups[i].Step() } }
//	for i := range lookups { verdicts[i] = lookups[i].Verdict(now); lookups[i].End() }
//
// The verdict is that of Set.Name, whatever steps were taken before. The zero value is ready for Begin; reuse one. Not for concurrent use.
//
// Hot path: no allocation, see TestLookupAllocs and BenchmarkNamesAtOnce.
type Lookup struct {
	set    *Set
	name   []byte // and its class behind it
	step   int
	count  int    // label suffixes; 0: too many for steps, or too many lists
	digest Digest // of a suffix that passed the filter of a list
	list   int    // which list
	long   int    // bytes of the suffix; 0: none
	place  int    // of the digest in the list
	starts [suffixBatch]uint8
	left   [aheadLists]uint8 // suffixes that the filter has not ruled out yet
	gates  [aheadLists][suffixBatch]uint64
}

const (
	// Steps is how many there are between Begin and Verdict.
	Steps = 4

	aheadLists = 4 // of a set with more lists a name is looked up all at once
)

// End gives the set up: a Lookup that is kept for the next name keeps no set alive, with all of its index, that nobody else asks any more.
func (l *Lookup) End() { l.set, l.name = nil, nil }

// Begin takes a name, in the form of Set.Name. It stays as it is until Verdict, and the byte behind it, in its capacity, is used.
func (l *Lookup) Begin(s *Set, name []byte) {
	l.set, l.name, l.step, l.count, l.long = s, name, 0, 0, 0
	n := len(name)
	if n > MaxName || n == cap(name) || len(s.members) > aheadLists {
		return
	}
	tailed := name[:n+1]
	tailed[n] = byte(canon.ClassName)
	count := 0
	for start := 0; start < n; count++ {
		if count == suffixBatch {
			return
		}
		l.starts[count] = uint8(start)
		for start < n && name[start] != '.' {
			start++
		}
		start++
	}
	l.count = count
	for i := range s.members {
		m := &s.members[i]
		for j := range count {
			g := m.keys.gate(tailed[l.starts[j]:])
			l.gates[i][j] = g
			m.bloom.ahead(g)
		}
	}
}

// Step takes the next step. Once all are taken it does nothing.
func (l *Lookup) Step() {
	if l.count == 0 {
		return
	}
	l.step++
	for i := range l.set.members {
		switch m := &l.set.members[i]; l.step {
		case 1:
			l.left[i] = 0
			for j := range l.count {
				l.left[i] |= uint8(m.bloom.first(l.gates[i][j]) << j)
			}
			for left := l.left[i]; left != 0; left &= left - 1 {
				m.bloom.aheadRest(l.gates[i][bits.TrailingZeros8(left)%suffixBatch])
			}
		case 2:
			for left := l.left[i]; left != 0; left &= left - 1 {
				j := bits.TrailingZeros8(left) % suffixBatch
				if !m.bloom.rest(l.gates[i][j]) {
					l.left[i] &^= 1 << j
				} else if l.long == 0 {
					suffix := l.name[l.starts[j]:]
					l.digest, l.list, l.long = m.keys.Digest(m.list, canon.ClassName, suffix), i, len(suffix)
					prefetch.At(m.edge.starts, 4*blockOf(&l.digest, m.edge.bits))
				}
			}
		case 3:
			if l.long > 0 && l.list == i {
				m.edge.ahead(&l.digest)
			}
		case 4:
			if l.long > 0 && l.list == i {
				l.place = m.edge.find(&l.digest)
				prefetch.At(m.edge.columns.Metas, MetaSize*l.place)
				if m.removed != nil {
					prefetch.At(m.edge.columns.IDs, len(EntryID{})*l.place)
				}
			}
		}
	}
}

// Verdict is what the set says, see Set.Name.
func (l *Lookup) Verdict(now uint32) Verdict {
	var v Verdict
	if l.step < 2 {
		return l.set.Name(l.name, now)
	}
	if l.set.passes(now) {
		return v
	}
	for i := range l.set.members {
		m := &l.set.members[i]
		listed, basis := v.Listed, v.Basis
		for left := l.left[i]; left != 0; left &= left - 1 {
			start := int(l.starts[bits.TrailingZeros8(left)%suffixBatch])
			switch suffix := l.name[start:]; {
			case l.list != i || l.long != len(suffix):
				m.confirmName(&v, suffix, start == 0, now)
			case l.step < Steps:
				m.confirm(&v, &l.digest, m.edge.find(&l.digest), start == 0, now)
			default:
				m.confirm(&v, &l.digest, l.place, start == 0, now)
			}
		}
		if v.Listed != listed || v.Basis != basis {
			v.Member = uint8(i)
		}
	}
	return v
}

// ahead asks for the line of the first probe of g.
func (f *filter) ahead(g uint64) { prefetch.At(f.words, int(f.place(0, f.group(g), g*spread)>>6)) }

// aheadRest asks for the lines that rest will read.
func (f *filter) aheadRest(g uint64) {
	x, group := g*spread, f.group(g)
	for j := uint64(1); j < asked; j++ {
		x *= spread
		prefetch.At(f.words, int(f.place(j, group, x)>>6))
	}
}

// ahead asks for the lines where find will look for d: digests are as good as random, so the place is known to a few records.
func (e *Edge) ahead(d *Digest) {
	block := blockOf(d, e.bits)
	lo, hi := e.start(block), e.start(block+1)
	if lo >= hi || hi > e.n {
		return
	}
	at := lo + guess(binary.BigEndian.Uint64(d[:8]), e.bits, hi-lo)
	const near = 4 // records: a line of digests
	for _, i := range [...]int{at - near, at, at + near} {
		prefetch.At(e.columns.Digests, 16*i)
	}
}

// guess is the likely place of a digest among n of its block, from the bits behind those of the block.
func guess(high uint64, bits, n int) int { return int(high << bits >> 32 * uint64(n) >> 32) }
