package match

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/cordon-project/cordon/resolver/canon"
)

// Member is one list in force: the edge list, its index, the charter's filter, and the keys its digests were made with.
type Member struct {
	Edge   *Edge
	Index  *Index
	Filter Filter
	Keys   *Keys
}

// Set is everything in force at one moment: the lists, the removals on top, the kill switch. It is immutable; the
// edge builds a new one and swaps one pointer. Any number of goroutines may ask it at once, without a lock.
type Set struct {
	members  []member // sorted by list id
	removals []Removal
	bypass   uint32 // last second (Unix time) at which everything passes; 0: never
	state    StateID
}

type member struct {
	made    Member
	bloom   *filter
	edge    *Edge
	allowed *allowed
	keys    *Keys
	list    ListID
	state   ListState
	removed map[EntryID]uint32 // until when (0: for good); nil when the list has no removals
}

// NewSet puts lists, keys and removals together. Removals of lists that are not members change the state id and
// nothing else. It returns ErrFormat for a list given twice, a missing part, a filter outside of the closed sets or an
// unknown kind of removal, and ErrHash for an index that was compiled from another edge list.
// The set keeps the pointers; the caller must not change what they point to while the set is in use.
func NewSet(members []Member, removals []Removal) (*Set, error) {
	if len(removals) > MaxRemovals {
		return nil, fmt.Errorf("make set: %d removals: %w", len(removals), ErrTooLarge)
	}
	s := &Set{removals: slices.Clone(removals)}
	slices.SortFunc(s.removals, Removal.Compare)
	for _, m := range members {
		if m.Edge == nil || m.Index == nil || m.Keys == nil {
			return nil, fmt.Errorf("make set: member without edge list, index or keys: %w", ErrFormat)
		}
		h := m.Edge.header
		if m.Index.edge != m.Edge.Hash() {
			return nil, fmt.Errorf("make set: the index is not that of list %s seq %d: %w", h.List, h.Seq, ErrHash)
		}
		if err := m.Filter.Check(); err != nil {
			return nil, fmt.Errorf("make set: list %s: %w", h.List, err)
		}
		s.members = append(s.members, member{
			made: m, bloom: m.Index.bloom, edge: m.Edge, allowed: m.Filter.compile(), keys: m.Keys, list: h.List,
			state: ListState{List: h.List, Seq: h.Seq, IndexHash: m.Index.Hash(), FilterHash: m.Filter.Hash()},
		})
	}
	slices.SortFunc(s.members, func(a, b member) int {
		if a.list < b.list {
			return -1
		}
		return 1
	})
	for i := 1; i < len(s.members); i++ {
		if s.members[i-1].list == s.members[i].list {
			return nil, fmt.Errorf("make set: list %s twice: %w", s.members[i].list, ErrFormat)
		}
	}
	for _, r := range s.removals {
		if r.Kind < RemovalWithdraw || r.Kind > RemovalReturn {
			return nil, fmt.Errorf("make set: removal of kind %d: %w", r.Kind, ErrFormat)
		}
		for i := range s.members {
			if s.members[i].list == r.List {
				s.members[i].remove(r)
			}
		}
	}
	s.state = ComputeStateID(s.Lists(), s.removals, false)
	return s, nil
}

// remove notes a removal; of several for one entry the longest counts.
func (m *member) remove(r Removal) {
	if m.removed == nil {
		m.removed = make(map[EntryID]uint32)
	}
	until, known := m.removed[r.Entry]
	if !known || until != 0 && (r.Until == 0 || r.Until > until) {
		m.removed[r.Entry] = r.Until
	}
}

// WithBypass is the same set with the kill switch on until a last second (Unix time), by the clock of who asks, or off (0): while it is
// on, every name and page passes. It ends by itself; the state id says that it was set, also afterwards.
func (s *Set) WithBypass(until uint32) *Set {
	c := *s
	c.bypass = until
	c.state = ComputeStateID(c.Lists(), c.removals, until != 0)
	return &c
}

// WithRemovals is the same set with other removals: nothing is read or tested again, for indexes and keys are the same.
func (s *Set) WithRemovals(removals []Removal) (*Set, error) {
	members := make([]Member, len(s.members))
	for i, m := range s.members {
		members[i] = m.made
	}
	other, err := NewSet(members, removals)
	if err != nil {
		return nil, err
	}
	return other.WithBypass(s.bypass), nil
}

// passes reports whether the kill switch is on.
func (s *Set) passes(now uint32) bool { return s.bypass != 0 && now <= s.bypass }

// StateID names all that is in force. Receipts and NSID carry it.
func (s *Set) StateID() StateID { return s.state }

// Bypass is until when the kill switch is on; 0 when it is off.
func (s *Set) Bypass() uint32 { return s.bypass }

// Lists is each member's part of the state id, sorted by list id.
func (s *Set) Lists() []ListState {
	lists := make([]ListState, len(s.members))
	for i := range s.members {
		lists[i] = s.members[i].state
	}
	return lists
}

// Verdict is what a set says about a name or a page. The zero Verdict lets it pass.
type Verdict struct {
	Listed bool       // blocked
	Basis  Basis      // of the record that decided; law or order beat voluntary
	Steer  bool       // the host has page entries: DNS may steer it to the URL filter, never block it for that
	Canary bool       // a canary entry matched
	Kind   canon.Kind // of the record that decided
	Member uint8      // place in Lists of the list that decided
	Entry  uint64     // tells the record that decided from others, in every version of its list until the keys change
}

// Name tests a canonical name: lower case, dotted, ASCII, without a trailing dot (canon.Host makes it so; a name of any
// other form is simply not listed). It is listed by a host record of the full name or a domain record of any label
// suffix, when that record is neither removed nor past its review date at now (Unix seconds). It does not keep name.
//
// Hot path: no allocation and no lock, see TestLookupAllocs and BenchmarkNameMiss.
func (s *Set) Name(name []byte, now uint32) Verdict {
	var v Verdict
	if len(name) == 0 || len(name) > MaxName || s.passes(now) {
		return v
	}
	var buf [MaxName + 1]byte // the name with its class byte: each suffix of it is the input of a gate hash
	n := copy(buf[:], name)
	buf[n] = byte(canon.ClassName)
	for i := range s.members {
		listed, basis := v.Listed, v.Basis
		if s.members[i].name(&v, buf[:n+1], now); v.Listed != listed || v.Basis != basis {
			v.Member = uint8(i)
		}
	}
	return v
}

// suffixBatch is how many label suffixes go to the filter together; names on the wire have three or four.
const suffixBatch = 8

// name asks one list about every label suffix of a name. tailed is the name with its class byte.
//
// In batches, because a probe of the filter is a cache miss: all gate hashes first, then all first probes side by side
// (they do not wait for each other), then what is left, seldom more than one.
func (m *member) name(v *Verdict, tailed []byte, now uint32) {
	n := len(tailed) - 1
	var gates [suffixBatch]uint64
	var starts [suffixBatch]uint8 // MaxName fits
	for start := 0; start < n; {
		count := 0
		for ; count < suffixBatch && start < n; count++ {
			gates[count], starts[count] = m.keys.gate(tailed[start:]), uint8(start)
			for start < n && tailed[start] != '.' {
				start++
			}
			start++
		}
		var left uint
		for j := range count {
			left |= m.bloom.first(gates[j]) << j
		}
		for ; left != 0; left &= left - 1 {
			if j := bits.TrailingZeros(left); m.bloom.rest(gates[j%suffixBatch]) {
				at := int(starts[j%suffixBatch])
				m.confirmName(v, tailed[at:n], at == 0, now)
			}
		}
	}
}

// confirmName asks the edge list about one suffix after a Bloom hit. full: the suffix is the whole name.
func (m *member) confirmName(v *Verdict, suffix []byte, full bool, now uint32) {
	d := m.keys.Digest(m.list, canon.ClassName, suffix)
	m.confirm(v, &d, m.edge.find(&d), full, now)
}

// confirm is confirmName for a suffix's digest, which the edge list has from a place on, or not at all.
func (m *member) confirm(v *Verdict, d *Digest, place int, full bool, now uint32) {
	x := m.edge
	for i := place; x.is(i, d); i++ {
		meta := x.meta(i)
		switch meta.Kind {
		case canon.KindDomain:
		case canon.KindHost:
			if !full {
				continue
			}
		case canon.KindSteer:
			if !full || v.Steer {
				return // steer records come last: one is enough, a host may have thousands
			}
		default:
			continue
		}
		if m.live(i, meta, now) {
			v.add(meta, d)
		}
	}
}

// live reports whether record i is in force: allowed by the charter, not past its review date, not removed.
func (m *member) live(i int, meta Meta, now uint32) bool {
	if !m.allowed.allows(meta) || now > meta.ReviewBy {
		return false
	}
	if m.removed == nil {
		return true
	}
	until, removed := m.removed[m.edge.entry(i)]
	return !removed || until != 0 && now > until
}

// add takes a record in force into the verdict.
func (v *Verdict) add(meta Meta, d *Digest) {
	if meta.Kind == canon.KindSteer {
		v.Steer = true
		return
	}
	v.Canary = v.Canary || meta.Flags == FlagCanary
	if !v.Listed || meta.Basis.Binding() && !v.Basis.Binding() {
		v.Listed, v.Basis, v.Kind, v.Entry = true, meta.Basis, meta.Kind, binary.LittleEndian.Uint64(d[:])
	}
}
