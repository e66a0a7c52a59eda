package publish

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// prover compares the record of the last version with the edge list that officers have signed and that operators have: the same entries
// with the same ids, kinds, times and addresses, none more and none less. Whoever changes the record and the manifest alike is found here.
// add takes the record's entries in any order; they are worked on beside the caller, on all processors.
type prover struct {
	s    *session
	edge *list.Edge
	keys *match.Keys

	batch []proven
	jobs  chan []proven
	wg    sync.WaitGroup
	found []atomic.Uint64 // a bit for each record of the edge list
	wrong atomic.Pointer[match.EntryID]
}

// proven is a record of the edge list as it should be, without its digest and gate hash, and the text that these are made of.
type proven struct {
	match.Record
	expr string
}

const proofBatch = 2048

// newProver opens the edge list; nothing is published is a prover that proves nothing.
func (s *session) newProver() (*prover, error) {
	p := &prover{s: s}
	if s.st.Seq == 0 {
		return p, nil
	}
	var err error
	if p.edge, err = s.signedEdge(); err != nil {
		return nil, err
	}
	if p.keys, _, err = s.epoch(p.edge.Version().Epoch); err != nil {
		return nil, err
	}
	p.found = make([]atomic.Uint64, (p.edge.Len()+63)/64)
	jobs := make(chan []proven)
	p.jobs = jobs
	for range runtime.GOMAXPROCS(0) {
		p.wg.Go(func() {
			h := p.keys.Hasher(s.set.List)
			defer h.Close()
			for batch := range jobs {
				for i := range batch {
					if !p.find(h, &batch[i]) {
						p.wrong.CompareAndSwap(nil, &batch[i].EntryID)
						break
					}
				}
			}
		})
	}
	return p, nil
}

// add takes an entry of the record.
func (p *prover) add(e *list.Entry) error {
	if p.edge == nil {
		return nil
	}
	m := match.Meta{Kind: e.Kind, Category: e.Category, Basis: e.Basis, Since: uint32(e.Since.Unix()), ReviewBy: uint32(e.ReviewBy.Unix())}
	copy(m.Jurisdiction[:], e.Jurisdiction)
	p.batch = append(p.batch, proven{match.Record{EntryID: e.ID, Meta: m}, e.Expression})
	if e.Kind.Class() == canon.ClassPage {
		m.Kind = canon.KindSteer
		p.batch = append(p.batch, proven{match.Record{EntryID: e.ID, Meta: m}, canon.HostOf(e.Expression)})
	}
	if len(p.batch) >= proofBatch {
		p.jobs <- p.batch
		p.batch = make([]proven, 0, proofBatch+1)
	}
	return nil
}

// find marks the record of the edge list that is r.
func (p *prover) find(h *match.Hasher, r *proven) bool {
	r.Digest, r.Gate = h.Hash(r.Kind.Class(), r.expr)
	low := p.edge.Find(&r.Digest)
	if low < 0 {
		return false
	}
	// Most often it is the first. A host with many pages has as many records of one digest: leaps, then halves.
	high := low
	for step := 1; ; step *= 2 {
		have := p.edge.Record(high)
		c := have.Compare(&r.Record)
		if c == 0 {
			return p.mark(high, &have, r)
		}
		if c > 0 {
			break
		}
		if low = high + 1; low == p.edge.Len() {
			return false
		}
		high = min(high+step, p.edge.Len()-1)
	}
	for low < high {
		mid := int(uint(low+high) / 2)
		have := p.edge.Record(mid)
		switch c := have.Compare(&r.Record); {
		case c == 0:
			return p.mark(mid, &have, r)
		case c < 0:
			low = mid + 1
		default:
			high = mid
		}
	}
	return false
}

// mark reports whether record i of the edge list is r in all that it says, and was not met before.
func (p *prover) mark(i int, have *match.Record, r *proven) bool {
	bit := uint64(1) << (i % 64)
	return *have == r.Record && p.found[i/64].Or(bit)&bit == 0
}

// stop ends what works beside the caller. It may be called again.
func (p *prover) stop() {
	if p.jobs != nil {
		close(p.jobs)
		p.jobs = nil
	}
	p.wg.Wait()
}

// finish says what does not fit, after the last add.
func (p *prover) finish() error {
	if p.edge == nil {
		return nil
	}
	p.jobs <- p.batch
	p.stop()
	if id := p.wrong.Load(); id != nil {
		return p.s.badRecord("it does not give the list that officers have signed, such as entry %s", id)
	}
	for i := range p.edge.Len() {
		if p.found[i/64].Load()>>(i%64)&1 == 1 {
			continue
		}
		// What the record lacks; canaries and decoys are the tool's own, no entries of the working set.
		if have := p.edge.Record(i); have.Flags&(match.FlagCanary|match.FlagDecoy) == 0 {
			return p.s.badRecord("it lacks entries of the list that officers have signed, such as %s", have.EntryID)
		}
	}
	return nil
}
