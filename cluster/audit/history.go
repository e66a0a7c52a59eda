package audit

import (
	"cmp"
	"slices"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// history is all that a verification carries from one leaf to the next: a pure function of the leaves it has seen and of the trust file.
// A visit that passed keeps it, so that the next one begins where this one ended and reads no leaf twice (visit.go).
//
// A check that looks at leaves is one function in looks (verifyleaf.go), called once for each leaf in the log's order. What it must know
// of earlier leaves it keeps here, in a field of plain values with names for CBOR: slices in a fixed order, no maps and no pointers. What it
// finds wrong it says with verifier.fail, what is worth knowing with verifier.note; what it says when all is well belongs into
// verifier.ends, which runs after the last leaf. Nothing else may be kept beside it: a field of verifier that an earlier leaf filled is empty in a verification that goes on
// from an earlier visit.
type history struct {
	Size     uint64 `cbor:"size"` // leaves seen
	Time     int64  `cbor:"time"` // of the last of them
	InForce  InForce
	Orders   Orders
	Register Register
	Members  []MemberKey // control nodes, in the order they came
	Edges    []enrolled  // by name
	Skipped  skipAt      // last record of skipped versions
	Changed  uint64      // size of the log after the last change of what is in force
	Tally    tally

	Hotlines   []following // by id
	Logged     []logged    // their public logs, in the order in which they came
	Owed       []owing     // withdrawals that one officer alone has signed
	Alone      []alone     // what officers have withdrawn alone on the day of the last withdrawal
	Statements []stated    // withdrawals that verified, by id
	Openings   openings
	Forks      []forkedLog // in the order of the log
	Keyed      []keyed     // the newest keys of each list, in the order in which they came
	Heard      []heard     // the last receipt of each edge and key, by both
	States     []stateAt   // what was in force at each size where it changed
	Versions   []version   // those that can be in force, in the order of the log
}

// tally counts leaves for what a report says.
type tally struct {
	Versions, Renewals, Withdrawals, Orders uint64
	Logged                                  uint64 // versions with a proof of the public log
	Receipts, Direct                        uint64
}

// enrolled is an edge and its key.
type enrolled struct {
	Name string
	Key  [32]byte
}

// heard is what an edge has said last with one key: one that is enrolled anew with another key counts from the beginning.
type heard struct {
	Edge    string
	Key     [32]byte
	Counter uint64
	Size    uint64
	Time    int64
}

// following is what a hotline's metadata last said.
type following struct {
	ID       trust.HotlineID
	Root     []byte // the latest trusted one
	High     Versions
	Officers trust.Officers
	Log      string // key of its public log, as its charter says; empty for none
}

// stateAt is what was in force in the log of this size, and the state that receipts then name.
type stateAt struct {
	Size    uint64
	State   match.StateID
	Whole   bool // InForce is known; else it was so long ago that an earlier visit has let it go
	InForce InForce
}

// version is a list version in the log, as far as its files must be held to it.
type version struct {
	Leaf        uint64
	Time        int64
	List        match.ListID
	Seq         uint64
	Epoch       uint32
	Canon       [32]byte
	Edge        [32]byte
	EdgeSize    int64
	Audit       [32]byte
	AuditSize   int64
	EntriesRoot [32]byte
	Counts      []KindCount
	Head        [32]byte // head of the edge list that the hotline signed; zero when its metadata could not be used
	Index       [32]byte // of the index that its edge list compiles to, as its leaf says
	Bases       []BasisCount
	Checked     bool // its files were read and are the signed ones
}

// beginning is the history of no leaf.
func beginning(c Cluster) history {
	h := history{InForce: Genesis()}
	h.States = []stateAt{{State: h.state(h.InForce), Whole: true, InForce: h.InForce}}
	for _, a := range c.Hotlines {
		h.Hotlines = append(h.Hotlines, following{ID: a.ID, Root: a.Root})
	}
	slices.SortFunc(h.Hotlines, func(a, b following) int { return cmp.Compare(a.ID, b.ID) })
	return h
}

// hotline finds what is known of a hotline; nil for one that nobody pinned.
func (h *history) hotline(id trust.HotlineID) *following {
	i, ok := slices.BinarySearchFunc(h.Hotlines, id, func(f following, id trust.HotlineID) int { return cmp.Compare(f.ID, id) })
	if !ok {
		return nil
	}
	return &h.Hotlines[i]
}

func (h *history) edge(name string) (int, bool) {
	return slices.BinarySearchFunc(h.Edges, name, func(e enrolled, name string) int { return cmp.Compare(e.Name, name) })
}

// last finds what an edge said last with this key, or where that would be.
func (h *history) last(name string, key [32]byte) (int, bool) {
	return slices.BinarySearchFunc(h.Heard, heard{Edge: name, Key: key}, func(a, b heard) int {
		return cmp.Or(cmp.Compare(a.Edge, b.Edge), compareHash(a.Key, b.Key))
	})
}

// statement finds a withdrawal by its id, or where it would be.
func (h *history) statement(id [32]byte) (int, bool) {
	return slices.BinarySearchFunc(h.Statements, id, func(s stated, id [32]byte) int { return compareHash(s.ID, id) })
}

// at is the place in States of what was in force in the log of this size.
func (h *history) at(size uint64) int {
	i, ok := slices.BinarySearchFunc(h.States, size, func(s stateAt, size uint64) int { return cmp.Compare(s.Size, size) })
	if !ok {
		i-- // the change before; States begins at size 0
	}
	return i
}

// version finds the version of this edge list among those that can be in force.
func (h *history) version(edge [32]byte) *version {
	for i := range h.Versions {
		if h.Versions[i].Edge == edge {
			return &h.Versions[i]
		}
	}
	return nil
}

// state is what an edge serves that runs exactly this, one of what can be in force now, by the indexes that publish leaves name.
func (h *history) state(f InForce) match.StateID {
	id, err := f.StateID(func(l InForceList) ([32]byte, error) {
		if at := h.version(l.Edge); at != nil {
			return at.Index, nil
		}
		return [32]byte{}, nil
	})
	if err != nil {
		panic("audit: state without an index: " + err.Error())
	}
	return id
}
