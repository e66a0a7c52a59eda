package period

import (
	"slices"

	"github.com/cordon-project/cordon/cluster/audit"
)

// Delay is how long something took, in whole seconds. An edge's own clock says when it had done it; what it dates before the beginning counts
// as 0, what it dates after the leaf that has its receipt counts as that leaf's time.
type Delay struct {
	N       uint64 `json:"n"`       // cases that were done
	Waiting uint64 `json:"waiting"` // that were not, at the end of the span; edges that left meanwhile are in neither
	Median  int64  `json:"median"`  // nearest rank, like P95
	P95     int64  `json:"p95"`
	Worst   int64  `json:"worst"`
}

// waiting is what an edge has yet to say that it does.
type waiting struct {
	leaf       uint64 // a receipt of a longer log than this has it
	since      int64  // from when the time counts
	statement  [32]byte
	withdrawal bool
}

type delays struct {
	block, log, unblock []int64
	known               map[withdrawalKey]bool
	owed                []owing
	edges               map[string]*edge // those of nodes, for who still waits
}

// wait begins the time of each edge that is enrolled now.
func (d *delays) wait(edges map[string]*edge, x waiting) {
	d.edges = edges
	for _, e := range edges {
		if at, ok := e.direct[x.statement]; ok && x.withdrawal {
			d.unblock = append(d.unblock, max(at-x.since, 0)) // it had it from the hotline before the log had it
			continue
		}
		e.awaiting = append(e.awaiting, x)
	}
}

// settle ends the time of all that the receipt shows to be done, logged at this time.
func (d *delays) settle(e *edge, said audit.Receipt, logged int64) {
	at := min(said.Time, logged)
	e.awaiting = slices.DeleteFunc(e.awaiting, func(x waiting) bool {
		if said.Size <= x.leaf && !(x.withdrawal && slices.Contains(said.Direct, x.statement)) {
			return false
		}
		if took := max(at-x.since, 0); x.withdrawal {
			d.unblock = append(d.unblock, took)
		} else {
			d.block = append(d.block, took)
		}
		return true
	})
}

func (d *delays) facts() (block, log, unblock Delay) {
	block, log, unblock = summary(d.block), summary(d.log), summary(d.unblock)
	for _, e := range d.edges {
		for _, x := range e.awaiting {
			if x.withdrawal {
				unblock.Waiting++
			} else {
				block.Waiting++
			}
		}
	}
	return block, log, unblock
}

func summary(took []int64) Delay {
	n := len(took)
	if n == 0 {
		return Delay{}
	}
	took = slices.Sorted(slices.Values(took))
	rank := func(percent int) int64 { return took[(n*percent+99)/100-1] }
	return Delay{N: uint64(n), Median: rank(50), P95: rank(95), Worst: took[n-1]}
}
