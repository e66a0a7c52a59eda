package audit

import (
	"slices"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/witness"
)

// CheckForks: each log that is said to have told two stories has, and is the hotline's own; nothing was taken from it afterwards.
const CheckForks = "forks"

// forkedLog is a public log that has told two stories.
type forkedLog struct {
	Hotline trust.HotlineID
	Log     string
	Leaf    uint64
}

// lookFork follows fork leaves, and holds versions to those before.
func (v *verifier) lookFork(m *moment) {
	switch b := m.body.(type) {
	case Fork: // its evidence is part of its form
		h := v.h.hotline(b.Hotline)
		if h == nil || h.Log != b.Log {
			v.fail(CheckForks, "leaf %d: the evidence is of a log that the charter of hotline %s does not name: it cannot keep that hotline's versions out", m.leaf.N, b.Hotline)
			return
		}
		if slices.ContainsFunc(v.h.Forks, func(f forkedLog) bool { return f.Hotline == b.Hotline && f.Log == b.Log }) {
			v.fail(CheckForks, "leaf %d: the fork of this log is a leaf already", m.leaf.N)
			return
		}
		v.h.Forks = append(slices.Clone(v.h.Forks), forkedLog{b.Hotline, b.Log, m.leaf.N})
		c, err := witness.Peek(b.First)
		if err == nil {
			v.note("leaf %d, %s: the public log of hotline %s (%s) has signed two histories of size %d: the hotline, or who has its log's key, shows different people different lists",
				m.leaf.N, stamp(m.leaf.T), b.Hotline, c.Origin, c.Size)
		}
	case Publish:
		h := v.h.hotline(b.Hotline)
		if h == nil {
			return // the metadata check says so
		}
		for _, f := range v.h.Forks {
			if f.Hotline == b.Hotline && (f.Log == h.Log || h.Log == "") {
				v.fail(CheckForks, "leaf %d, list %s: it came into force although the hotline's log had told two stories (leaf %d) and its charter names no other log", m.leaf.N, listSeq(b.List, b.Seq), f.Leaf)
				return
			}
		}
	}
}

func (v *verifier) endForks() {
	v.pass(CheckForks, "%d public logs have signed two histories; nothing was taken from them afterwards", len(v.h.Forks))
}
