package match

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Patch is how one edge list becomes another: which records go, by their number in the old list, and which come, with
// their number in the new one. All three are ascending; At and Added have one length.
type Patch struct {
	Removed []uint32
	At      []uint32
	Added   []Record
}

// Apply makes the list of version h that p makes of e, in m. Only blocks that a record
// leaves or enters are hashed and checked, the others are taken over as they are; so e must have been verified, and what
// comes out is exactly as good as e: its hash names a verified list only if the bytes of e were still the verified ones.
// It returns ErrFormat for numbers out of range or out of order and for what Verify refuses.
func (p *Patch) Apply(e *Edge, h Header, m Memory) (*Edge, error) {
	fail := func(err error) (*Edge, error) {
		return nil, fmt.Errorf("patch list %s to seq %d: %w", h.List, h.Seq, err)
	}
	n := e.n - len(p.Removed) + len(p.Added)
	if err := p.Check(e.n); err != nil {
		return fail(err)
	}
	w, err := newEdgeWriter(h, n, m.Room)
	if err != nil {
		return fail(err)
	}
	if err := p.copyColumns(e, w, m); err != nil {
		return fail(err)
	}
	if w.e.bits != e.bits { // another number of blocks: all are cut anew
		return w.Seal()
	}
	touched, err := p.starts(e, &w.e)
	if err != nil {
		return fail(err)
	}
	copy(w.e.hashes, e.hashes)
	if _, err := w.e.eachBlock(func(block int, worker *worker) error {
		if !touched[block] {
			return nil
		}
		w.e.columns.hashBlock(worker.h, w.e.start(block), w.e.start(block+1), w.e.hashes[32*block:32*block+32])
		return w.e.checkBlock(block, &worker.tally)
	}); err != nil {
		return fail(err)
	}
	t := tally{counts: e.counts}
	for _, i := range p.Removed {
		id := e.entry(int(i))
		t.pair(e.meta(int(i)), &id)
		t.counts = t.counts.less(e.meta(int(i)))
	}
	for i := range p.Added {
		t.add(p.Added[i].Meta, &p.Added[i].EntryID)
	}
	if err := t.check(); err != nil {
		return fail(err)
	}
	return w.finish(t.counts)
}

// Check holds the numbers of records to a list of from records.
func (p *Patch) Check(from int) error {
	to := from - len(p.Removed) + len(p.Added)
	if len(p.At) != len(p.Added) || to < 0 || to > MaxRecords {
		return fmt.Errorf("%d places for %d records of %d: %w", len(p.At), len(p.Added), to, ErrFormat)
	}
	for _, part := range []struct {
		numbers []uint32
		below   int
	}{{p.Removed, from}, {p.At, to}} {
		for i, number := range part.numbers {
			if int64(number) >= int64(part.below) || i > 0 && part.numbers[i-1] >= number {
				return fmt.Errorf("record number %d of %d: %w", number, part.below, ErrFormat)
			}
		}
	}
	return nil
}

// Runs calls copyRun for each run of records that stay: n of them, from number old on, which becomes number new.
// Call it for a patch that fits a list of from records.
func (p *Patch) Runs(from int, copyRun func(new, old, n int)) {
	i, j := 0, 0 // next record of the old list, of the new one
	removed, at := p.Removed, p.At
	for {
		for len(at) > 0 && int(at[0]) == j {
			at, j = at[1:], j+1
		}
		for len(removed) > 0 && int(removed[0]) == i {
			removed, i = removed[1:], i+1
		}
		run := from - i
		if len(removed) > 0 {
			run = int(removed[0]) - i
		}
		if len(at) > 0 {
			run = min(run, int(at[0])-j)
		}
		if run == 0 { // both lists are at their ends
			return
		}
		copyRun(j, i, run)
		i, j = i+run, j+run
	}
}

// copyColumns fills the columns of the new list, one after the other, with records of the old one and those that are added.
func (p *Patch) copyColumns(from *Edge, w *EdgeWriter, m Memory) error {
	added := Columns{make([]byte, 16*len(p.Added)), make([]byte, 8*len(p.Added)), make([]byte, 16*len(p.Added)), make([]byte, MetaSize*len(p.Added))}
	for k := range p.Added {
		added.Put(k, &p.Added[k])
	}
	old, new := &from.columns, &w.e.columns
	for i, c := range []struct {
		new, old, added []byte
		width           int
	}{
		{new.Digests, old.Digests, added.Digests, 16}, {new.Gates, old.Gates, added.Gates, 8},
		{new.IDs, old.IDs, added.IDs, 16}, {new.Metas, old.Metas, added.Metas, MetaSize},
	} {
		out := m.column(c.new, w.w.Offset(edgeDigests+i))
		next := 0 // place in the new list
		p.Runs(from.n, func(j, i, n int) {
			between := c.width * (j - next) // places that no record of the old list takes
			out.put(c.added[:between])
			out.put(c.old[c.width*i : c.width*(i+n)])
			c.added, next = c.added[between:], j+n
		})
		out.put(c.added)
		if err := out.end(); err != nil {
			return fmt.Errorf("take records over: %w", err)
		}
		if m.Copied != nil {
			m.Copied()
		}
	}
	return nil
}

// starts writes the block starts of the new list, which has as many blocks as the old one, and says which blocks are
// touched. It refuses a record that was put outside of its block: nothing else would look at it there. Blocks that do not follow one
// another, in an old list that was damaged since it was verified, are refused too: whoever hashes them would leave the columns.
func (p *Patch) starts(old, new *Edge) (touched []bool, err error) {
	blocks := 1 << old.bits
	touched = make([]bool, blocks)
	change := make([]int32, blocks)
	for _, i := range p.Removed {
		d := old.columns.digest(int(i))
		b := blockOf(&d, old.bits)
		touched[b] = true
		change[b]--
	}
	for i := range p.Added {
		b := blockOf(&p.Added[i].Digest, old.bits)
		touched[b] = true
		change[b]++
	}
	moved := 0
	for b := range blocks {
		binary.LittleEndian.PutUint32(new.starts[4*b:], uint32(old.start(b)+moved))
		moved += int(change[b])
	}
	binary.LittleEndian.PutUint32(new.starts[4*blocks:], uint32(new.n))
	for b := range blocks {
		if lo, hi := new.start(b), new.start(b+1); lo > hi || hi > new.n {
			return nil, fmt.Errorf("block %d starts at %d and ends at %d: %w", b, lo, hi, ErrFormat)
		}
	}
	for i, at := range p.At {
		b := blockOf(&p.Added[i].Digest, old.bits)
		if int(at) < new.start(b) || int(at) >= new.start(b+1) {
			return nil, fmt.Errorf("record %d is not of the block it is in: %w", at, ErrOrder)
		}
	}
	return touched, nil
}

// Gates are the gate hashes of all records that go or come: what Recompile asks for. e is the old list.
func (p *Patch) Gates(e *Edge) []uint64 {
	gates := make([]uint64, 0, len(p.Removed)+len(p.Added))
	for _, i := range p.Removed {
		gates = append(gates, e.columns.gate(int(i)))
	}
	for i := range p.Added {
		gates = append(gates, p.Added[i].Gate)
	}
	return gates
}

// Diff is the smallest patch that makes to of from. Blocks with equal hashes are not looked at.
func Diff(from, to *Edge) *Patch {
	p := &Patch{}
	if from.bits != to.bits {
		p.diff(from, to, 0, from.n, 0, to.n)
		return p
	}
	for b := range 1 << from.bits {
		if [32]byte(from.hashes[32*b:]) != [32]byte(to.hashes[32*b:]) {
			p.diff(from, to, from.start(b), from.start(b+1), to.start(b), to.start(b+1))
		}
	}
	return p
}

// diff compares records i to iEnd of from with j to jEnd of to.
func (p *Patch) diff(from, to *Edge, i, iEnd, j, jEnd int) {
	for i < iEnd || j < jEnd {
		order := 0
		switch {
		case i == iEnd:
			order = 1
		case j == jEnd:
			order = -1
		default:
			a, b := from.Record(i), to.Record(j)
			if order = a.Compare(&b); order == 0 && a != b { // the same record with other dates
				p.Removed = append(p.Removed, uint32(i))
				i++
				continue
			}
		}
		switch {
		case order == 0:
			i, j = i+1, j+1
		case order < 0:
			p.Removed = append(p.Removed, uint32(i))
			i++
		default:
			p.At, p.Added = append(p.At, uint32(j)), append(p.Added, to.Record(j))
			j++
		}
	}
}

// Then is the patch that does what p and then q does. p has moved from one list to another, q goes on from there;
// neither list is needed. Kept says of each added record whether it is one of p's (its number there) or, from
// len(p.Added) on, one of q's: commitments travel along with their records.
func (p *Patch) Then(q *Patch) (both *Patch, kept []int) {
	both = &Patch{Removed: slices.Clone(p.Removed)}
	// Records that q takes out again: p's own vanish, others go by their number in the first list.
	gone := make([]bool, len(p.Added))
	oldNumber := skip{p.Removed}
	added := 0 // of p, before the record at hand
	for _, i := range q.Removed {
		for added < len(p.At) && p.At[added] < i {
			added++
		}
		if added < len(p.At) && p.At[added] == i {
			gone[added] = true
			continue
		}
		both.Removed = append(both.Removed, oldNumber.past(i-uint32(added)))
	}
	slices.Sort(both.Removed)
	// Records that come: those of p that stay, by their number in the last list, among those of q.
	newNumber := skip{q.At}
	removed, next := 0, 0
	take := func(at uint32, r *Record, from int) {
		both.At, both.Added, kept = append(both.At, at), append(both.Added, *r), append(kept, from)
	}
	for k, i := range p.At {
		for removed < len(q.Removed) && q.Removed[removed] < i {
			removed++
		}
		if gone[k] {
			continue
		}
		at := newNumber.past(i - uint32(removed))
		for next < len(q.At) && q.At[next] < at {
			take(q.At[next], &q.Added[next], len(p.Added)+next)
			next++
		}
		take(at, &p.Added[k], k)
	}
	for ; next < len(q.At); next++ {
		take(q.At[next], &q.Added[next], len(p.Added)+next)
	}
	return both, kept
}

// skip turns the number of a record among those that stay into its number in a list where others, at the given places,
// lie between them.
type skip struct{ places []uint32 }

func (s *skip) past(rank uint32) uint32 {
	// Places below the answer: the first count for which the next place is not at or below rank + count.
	lo, hi := 0, len(s.places)
	for lo < hi {
		if mid := (lo + hi) / 2; s.places[mid] <= rank+uint32(mid) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return rank + uint32(lo)
}
