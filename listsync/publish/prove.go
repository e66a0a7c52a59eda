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
			for batch := range jobs {
				for i := range batch {
					if !p.find(&batch[i]) {
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
func (p *prover) find(r *proven) bool {
	r.Digest = p.keys.Digest(p.s.set.List, r.Kind.Class(), []byte(r.expr))
	r.Gate = p.keys.Gate64(r.Kind.Class(), []byte(r.expr))
	low, high := 0, p.edge.Len()
	for low < high { // records are in the order of Compare, and no two are equal in it
		mid := int(uint(low+high) / 2)
		have := p.edge.Record(mid)
		switch c := have.Compare(&r.Record); {
		case c < 0:
			low = mid + 1
		case c > 0:
			high = mid
		default:
			bit := uint64(1) << (mid % 64)
			return have == r.Record && p.found[mid/64].Or(bit)&bit == 0
		}
	}
	return false
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
