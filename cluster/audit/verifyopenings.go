package audit

import (
	"slices"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
)

// CheckOpenings: each opening in the log was signed by the threshold of the hotline's officers of that time, is of this cluster and of a
// version that had come into force, and is there once.
const CheckOpenings = "openings"

// openings is what is carried of openings from leaf to leaf.
type openings struct {
	N     uint64       `cbor:"n"`
	Known []openedOnce `cbor:"known"` // those that could be said again, in the log's order
}

type openedOnce struct {
	ID      [32]byte `cbor:"id"` // trust.OpeningID
	Leaf    uint64   `cbor:"leaf"`
	Expires int64    `cbor:"expires"`
}

// lookOpening verifies an opening under the officers of its time.
func (v *verifier) lookOpening(m *moment) {
	b, ok := m.body.(Open)
	if !ok {
		return
	}
	l := m.leaf
	bad := func(format string, a ...any) {
		v.fail(CheckOpenings, "leaf %d, opening of list %s: "+format, append([]any{l.N, listSeq(b.List, b.Seq)}, a...)...)
	}
	v.h.Openings.N++
	h := v.h.hotline(b.Hotline)
	if h == nil || len(h.Officers.Keys) == 0 {
		bad("no verified metadata before it says who the hotline's officers are")
		return
	}
	said, signers, err := trust.VerifyOpening(h.Officers, b.Statement, time.Unix(l.T, 0).UTC())
	if err != nil {
		bad("%v", err)
		return
	}
	if !sameSigners(signers, b.Signers) {
		bad("the leaf names other signers than the statement has")
	}
	if id := v.trust.Cluster.ID(); said.Cluster != id {
		bad("it was signed for the log of cluster %s", said.Cluster)
	}
	if in, ok := m.before.List(b.List); !ok || b.Seq > in.High() {
		bad("no leaf before it brought that version into force")
	}
	id, err := trust.OpeningID(b.Statement)
	if err != nil {
		return // it verified before
	}
	known := slices.DeleteFunc(slices.Clone(v.h.Openings.Known), func(o openedOnce) bool { return o.Expires <= l.T })
	if i := slices.IndexFunc(known, func(o openedOnce) bool { return o.ID == id }); i >= 0 {
		bad("the same statement is leaf %d already", known[i].Leaf)
	} else {
		known = append(known, openedOnce{id, l.N, said.Expires})
	}
	v.h.Openings.Known = known
}

func (v *verifier) endOpenings() {
	v.pass(CheckOpenings, "%d openings of entries, each signed by the threshold of the officers", v.h.Openings.N)
}
