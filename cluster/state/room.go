package state

import (
	"github.com/cordon-project/cordon/cluster/audit"
)

const (
	// MaxSnapshot bounds a snapshot that Restore reads. Snapshot never makes a
	// larger one: Apply refuses with log_full what would not fit.
	MaxSnapshot = 1 << 30
	// ReceiptsUntil is the percentage of the log's room from which on receipts
	// are refused: the last quarter belongs to what changes what is in force.
	ReceiptsUntil = 75

	// othersUntil is the same for other leaves that change nothing in force
	// (refusals, renewals, edges that come and go), and publishUntil for
	// publications: what must not be blocked can be withdrawn to the last.
	othersUntil  = 87
	publishUntil = 95
	// pending is what a publication adds beside its leaf: metadata, marks.
	pending = 256 << 10
	// frame is more than a snapshot's fixed parts take.
	frame = 4 << 10
	// head is more than CBOR writes before a string of less than 4 GiB.
	head = 5
)

// room is how large a log may become: constants, except in tests.
type room struct {
	bytes  int    // MaxSnapshot
	leaves uint64 // audit.MaxLeaves
}

// weight is at least the length of the present state's snapshot, and never
// more than a few bytes for each leaf above it.
func (s *State) weight() int {
	n := frame + s.leafBytes + s.archive.weight()
	for _, h := range s.hotlines {
		n += 256
		for _, m := range h.high.Seqs {
			n += len(m.List) + 32
		}
	}
	return n
}

// filled is how many percent of the log's room are used.
func (s *State) filled() int {
	return max(s.weight()/(s.room.bytes/100), int(s.tree.Size()/(s.room.leaves/100)))
}

// fits says whether a leaf of this length may still be appended.
func (s *State) fits(body audit.Body, length int) bool {
	until, kept := othersUntil, uint64(reserve)
	switch b := body.(type) {
	case audit.Withdraw:
		until, kept = 100, 0
	case audit.Ordered:
		until, kept = 100, 0
	case audit.Publish, audit.Rekey, audit.Hold, audit.Returned:
		until, kept = publishUntil, reserve/4
	case audit.Reject:
		if b.Reason == audit.ReasonSuperseded { // goes before a publication
			until, kept = publishUntil, reserve/4
		}
	}
	return s.tree.Size()+kept < s.room.leaves && s.weight()+length+head+pending <= s.room.bytes/100*until
}
