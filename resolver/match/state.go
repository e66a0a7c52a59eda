package match

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
)

// StateID names all that is in force on an edge: indexes, removals, charter filters, kill switch. Receipts sign it.
type StateID [32]byte

// String is the hexadecimal form.
func (s StateID) String() string { return hex.EncodeToString(s[:]) }

// The kinds of removal. There is no kind that adds.
const (
	RemovalWithdraw uint8 = 1 // by the hotline
	RemovalSuppress uint8 = 2 // by the operator, for a limited time
	RemovalReturn   uint8 = 3 // left out by a later version than the one that the operator went back to
)

// MaxRemovals bounds the removals of a Set.
const MaxRemovals = 1 << 20

// Removal takes one entry of one list out of force without touching the list.
type Removal struct {
	List   ListID
	Entry  EntryID
	Until  uint32 // last second (Unix time) at which it holds; 0: for good
	Kind   uint8  // RemovalWithdraw or RemovalSuppress
	Number uint64 // of the statement it came with
}

// Holds reports whether the removal is in force at now.
func (r Removal) Holds(now uint32) bool { return r.Until == 0 || now <= r.Until }

// Compare is the order in which removals are hashed: list, entry, kind, number, until.
func (r Removal) Compare(o Removal) int {
	return cmp.Or(
		cmp.Compare(r.List, o.List),
		bytes.Compare(r.Entry[:], o.Entry[:]),
		cmp.Compare(r.Kind, o.Kind),
		cmp.Compare(r.Number, o.Number),
		cmp.Compare(r.Until, o.Until),
	)
}

// ListState is one list's part of a state id.
type ListState struct {
	List       ListID
	Seq        uint64
	IndexHash  [32]byte // Index.Hash
	FilterHash [32]byte // Filter.Hash
}

const (
	stateTag    = "cordon/state/v1\n"
	indexSetTag = "cordon/index-set/v1\n"
	overlayTag  = "cordon/overlay/v1\n"
	filtersTag  = "cordon/filters/v1\n"
)

// ComputeStateID is SHA-256("cordon/state/v1\n" || index_set || overlay || filters || u8 bypass); FORMAT.md has the
// three parts. The order of lists and removals does not matter. It is pure; the auditor calls it too.
func ComputeStateID(lists []ListState, removals []Removal, bypass bool) StateID {
	lists, removals = slices.Clone(lists), slices.Clone(removals)
	slices.SortFunc(lists, func(a, b ListState) int { return cmp.Compare(a.List, b.List) })
	slices.SortFunc(removals, Removal.Compare)

	index, filters := []byte(indexSetTag), []byte(filtersTag)
	for _, l := range lists {
		index = appendList(index, l.List)
		index = binary.LittleEndian.AppendUint64(index, l.Seq)
		index = append(index, l.IndexHash[:]...)
		filters = appendList(filters, l.List)
		filters = append(filters, l.FilterHash[:]...)
	}
	overlay := []byte(overlayTag)
	for _, r := range removals {
		overlay = appendList(overlay, r.List)
		overlay = append(overlay, r.Entry[:]...)
		overlay = binary.LittleEndian.AppendUint32(overlay, r.Until)
		overlay = append(overlay, r.Kind)
		overlay = binary.LittleEndian.AppendUint64(overlay, r.Number)
	}
	indexSum, overlaySum, filterSum := sha256.Sum256(index), sha256.Sum256(overlay), sha256.Sum256(filters)
	state := append([]byte(stateTag), indexSum[:]...)
	state = append(state, overlaySum[:]...)
	state = append(state, filterSum[:]...)
	if bypass {
		state = append(state, 1)
	} else {
		state = append(state, 0)
	}
	return sha256.Sum256(state)
}

func appendList(b []byte, l ListID) []byte {
	return append(append(b, byte(len(l))), l...)
}
