package match

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math/bits"
	"runtime"
	"sync"

	"github.com/cordon-project/cordon/resolver/canon"
)

// recordsPerBlock is the fewest records a block has on average, the most is double: a changed record makes 4 to 7 KB of
// columns be hashed anew, and the block table costs 0.3 to 0.6 bytes a record; see SIZING.md.
const recordsPerBlock = 64

// blockBits is how many leading bits of a digest number the block of a record in a list of n. Integers only: it must be
// the same on every machine.
func blockBits(n int) int { return max(bits.Len(uint(n/recordsPerBlock))-1, 0) }

// blockOf is the block of a digest: its first bits, read as a big-endian number.
func blockOf(d *Digest, bits int) int { return int(binary.BigEndian.Uint32(d[:4]) >> (32 - bits)) }

// worker is one goroutine's part in going through all blocks.
type worker struct {
	h   hash.Hash
	sum [sha256.Size]byte
	tally
}

// tally is what must come out right over all blocks together.
type tally struct {
	counts   Counts
	unpaired EntryID // XOR over the ids of page entries and of their steer records: zero when each has its other
}

// add takes a record in.
func (t *tally) add(m Meta, id *EntryID) {
	t.counts.Add(m)
	t.pair(m, id)
}

// pair notes that one of a page entry and its steer record comes or goes.
func (t *tally) pair(m Meta, id *EntryID) {
	if m.Kind.Class() == canon.ClassPage || m.Kind == canon.KindSteer && m.Flags != FlagDecoy {
		xor8(t.unpaired[:8], id[:8])
		xor8(t.unpaired[8:], id[8:])
	}
}

func xor8(dst, src []byte) {
	binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(dst)^binary.LittleEndian.Uint64(src))
}

// merge adds up two tallies over different records.
func (t *tally) merge(o *tally) {
	t.counts = t.counts.plus(o.counts)
	xor8(t.unpaired[:8], o.unpaired[:8])
	xor8(t.unpaired[8:], o.unpaired[8:])
}

// check reports page entries and steer records that do not pair up.
func (t *tally) check() error {
	c := &t.counts
	if c.URL+c.Prefix != c.Steer-c.Decoy || t.unpaired != (EntryID{}) {
		return fmt.Errorf("page entries and steer records do not pair up: %w", ErrFormat)
	}
	return nil
}

// checkBlock checks what the records of a block say, and counts them: closed sets, no empty entry id, strict order, no
// expression twice, the block's own bits in front of each digest.
func (e *Edge) checkBlock(block int, t *tally) error {
	lo, hi := e.start(block), e.start(block+1)
	if lo > hi || hi > e.n {
		return fmt.Errorf("block %d starts at %d and ends at %d: %w", block, lo, hi, ErrFormat)
	}
	var high, low uint64 // the digest before
	for i := lo; i < hi; i++ {
		m, err := ReadMeta(e.columns.Metas[MetaSize*i : MetaSize*i+MetaSize])
		if err != nil {
			return fmt.Errorf("record %d: %w", i, err)
		}
		id := e.entry(i)
		if id == (EntryID{}) {
			return fmt.Errorf("record %d: entry id is zero: %w", i, ErrFormat)
		}
		h, l := binary.BigEndian.Uint64(e.columns.Digests[16*i:]), binary.BigEndian.Uint64(e.columns.Digests[16*i+8:])
		switch {
		case int(h>>32>>(32-e.bits)) != block:
			return fmt.Errorf("record %d is not of block %d: %w", i, block, ErrOrder)
		case i == lo || h > high || h == high && l > low:
		case h == high && l == low:
			if err := e.checkTwins(i, m.Kind); err != nil {
				return err
			}
		default:
			return fmt.Errorf("record %d: %w", i, ErrOrder)
		}
		high, low = h, l
		t.add(m, &id)
	}
	return nil
}

// checkTwins looks at record i, which has the digest of the one before: another kind of the same text, or another entry
// that steers the same host.
func (e *Edge) checkTwins(i int, kind canon.Kind) error {
	last := canon.Kind(e.columns.Metas[MetaSize*(i-1)])
	switch {
	case last < kind:
		return nil
	case last > kind:
		return fmt.Errorf("record %d: %w", i, ErrOrder)
	case kind != canon.KindSteer:
		return fmt.Errorf("entries %s and %s have the same %v expression: %w", e.entry(i-1), e.entry(i), kind, ErrOrder)
	case bytes.Compare(e.columns.IDs[16*(i-1):16*i], e.columns.IDs[16*i:16*(i+1)]) >= 0:
		return fmt.Errorf("record %d: %w", i, ErrOrder)
	}
	return nil
}

// processors is how many the process began with. An edge has more while it works on lists, and the rest is for its listeners (appliance/edge, spareProcessors).
var processors = runtime.GOMAXPROCS(0)

// share calls do for each of so many workers, at once. One alone works in the caller's goroutine: that may be on a thread that gives way to others.
func share(workers int, do func(worker int)) {
	if workers == 1 {
		do(0)
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { do(w) })
	}
	wg.Wait()
}

// eachBlock calls do for every block, on all processors, and adds up the tallies. Of several errors it returns that of the
// first block.
func (e *Edge) eachBlock(do func(block int, w *worker) error) (tally, error) {
	blocks := 1 << e.bits
	workers := min(processors, max(blocks/256, 1)) // below that a goroutine costs more than it gives
	all, errs := make([]worker, workers), make([]error, workers)
	share(workers, func(w int) {
		all[w].h = sha256.New()
		for b := blocks * w / workers; b < blocks*(w+1)/workers && errs[w] == nil; b++ {
			errs[w] = do(b, &all[w])
		}
	})
	for _, err := range errs {
		if err != nil {
			return tally{}, err
		}
	}
	for w := 1; w < workers; w++ {
		all[0].merge(&all[w].tally)
	}
	return all[0].tally, nil
}

// Verify checks everything behind the head. It reads the whole file once, on all processors, and changes nothing, so
// lookups may go on.
func (e *Edge) Verify() error { return e.verify(true) }

// VerifyBytes checks that every byte behind the head is the one that the head hash names, and nothing of what the bytes say. It is all that is
// to be asked of a list that Verify passed before, in this process or another: the same bytes would pass again. It takes half of Verify's time.
func (e *Edge) VerifyBytes() error { return e.verify(false) }

func (e *Edge) verify(records bool) error {
	fail := func(err error) error { return fmt.Errorf("verify edge list of %s: %w", e.header.List, err) }
	if err := e.r.Verify(); err != nil {
		return fail(err)
	}
	if first, last := e.start(0), e.start(1<<e.bits); first != 0 || last != e.n {
		return fail(fmt.Errorf("blocks hold records %d to %d of %d: %w", first, last, e.n, ErrFormat))
	}
	t, err := e.eachBlock(func(block int, w *worker) error {
		lo, hi := e.start(block), e.start(block+1)
		if lo > hi || hi > e.n {
			return fmt.Errorf("block %d starts at %d and ends at %d: %w", block, lo, hi, ErrFormat)
		}
		if e.columns.hashBlock(w.h, lo, hi, w.sum[:]); !bytes.Equal(w.sum[:], e.hashes[32*block:32*block+32]) {
			return fmt.Errorf("block %d: %w", block, ErrHash)
		}
		if !records {
			return nil
		}
		return e.checkBlock(block, &w.tally)
	})
	if err != nil {
		return fail(err)
	}
	if !records {
		return nil
	}
	if t.counts != e.counts {
		return fail(fmt.Errorf("counts %+v, have %+v: %w", e.counts, t.counts, ErrFormat))
	}
	if err := t.check(); err != nil {
		return fail(err)
	}
	return nil
}
