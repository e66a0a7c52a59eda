package period

import (
	"cmp"
	"slices"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Charter is what an authority allowed a hotline, as it was for a list version in force at some time of the span.
type Charter struct {
	Hotline       trust.HotlineID `json:"hotline"`
	Charter       Hash            `json:"charter"` // SHA-256 of charter.json
	Kinds         []string        `json:"kinds"`
	Bases         []string        `json:"bases"`
	Jurisdictions []string        `json:"jurisdictions"`
	Leaf          uint64          `json:"leaf"` // the first version under it
	Since         Time            `json:"since"`
}

// Hotline is who signs lists here.
type Hotline struct {
	Hotline  trust.HotlineID `json:"hotline"`
	Root     Hash            `json:"root"`     // SHA-256 of the root.json trusted at the end, as far as the log's renewals say
	Renewals uint64          `json:"renewals"` // of its metadata without a list, in the span
}

// List is one list in the span.
type List struct {
	List     match.ListID `json:"list"`
	Before   *Version     `json:"before"` // in force when the span began; null when none was
	After    *Version     `json:"after"`  // in force at its end
	Versions []Version    `json:"versions"`
	Added    uint64       `json:"added"`   // entries, summed over Versions
	Removed  uint64       `json:"removed"` // entries that Versions left out
}

// Version is a list version that came into force.
type Version struct {
	Seq         uint64  `json:"seq"`
	Leaf        uint64  `json:"leaf"`
	At          Time    `json:"at"`
	Epoch       uint32  `json:"epoch"`
	Edge        Hash    `json:"edge"`
	Audit       Hash    `json:"audit"`
	EntriesRoot Hash    `json:"entries_root"`
	Index       Hash    `json:"index"` // that the edge list compiles to, as members agreed
	Charter     Hash    `json:"charter"`
	Metadata    Hash    `json:"metadata"`
	Kinds       []Count `json:"kinds"` // entries by kind; canary, steer and decoy where the hotline counts them
	Bases       []Count `json:"bases"` // entries by legal basis
	Added       uint64  `json:"added"`
	Removed     uint64  `json:"removed"`
	Verdicts    uint64  `json:"verdicts"` // of members, beside the leaf
	Skipped     bool    `json:"skipped"`  // versions before it never came into force here, as a leaf says
}

// lists follows versions by the leaf that published them.
type lists struct {
	byLeaf   map[uint64]Version
	hotlines []Hotline
	out      []List
	all      []Charter    // in the order of their first version
	used     map[int]bool // those of versions in force in the span, by place in all
	skipped  uint64       // last leaf that says that versions were superseded, plus one
}

func (s *lists) begin() {
	s.byLeaf, s.used = make(map[uint64]Version), make(map[int]bool)
}

// list finds a list, or makes room for it.
func (s *lists) list(id match.ListID) *List {
	i, ok := slices.BinarySearchFunc(s.out, id, func(l List, id match.ListID) int { return cmp.Compare(l.List, id) })
	if !ok {
		s.out = slices.Insert(s.out, i, List{List: id, Versions: []Version{}})
	}
	return &s.out[i]
}

func (w *Walk) publish(l audit.Leaf, p audit.Publish, in bool) {
	v := Version{
		Seq: p.Seq, Leaf: l.N, At: Time(l.T), Epoch: p.Epoch, Edge: p.Edge, Audit: p.Audit, EntriesRoot: p.EntriesRoot, Index: p.Index, Charter: p.Charter, Metadata: p.Metadata,
		Kinds: []Count{}, Bases: []Count{}, Added: p.Added, Removed: p.Removed, Verdicts: uint64(len(p.Verdicts)), Skipped: w.lists.skipped == l.N && l.N > 0,
	}
	for _, k := range p.Counts {
		v.Kinds = append(v.Kinds, Count{k.Kind, k.N})
	}
	for _, b := range p.Bases {
		v.Bases = append(v.Bases, Count{b.Basis, b.N})
	}
	s := &w.lists
	if !slices.ContainsFunc(s.all, func(c Charter) bool { return c.Charter == v.Charter }) { // it names its hotline, so no other has it
		s.all = append(s.all, Charter{
			Hotline: p.Hotline, Charter: p.Charter, Kinds: orEmpty(p.Filter.Kinds), Bases: orEmpty(p.Filter.Bases),
			Jurisdictions: orEmpty(p.Filter.Jurisdictions), Leaf: l.N, Since: Time(l.T),
		})
	}
	s.byLeaf[l.N] = v
	into := s.list(p.List)
	if in {
		s.use(v)
		into.Versions = append(into.Versions, v)
		into.Added += v.Added
		into.Removed += v.Removed
		w.delays.wait(w.nodes.edges, waiting{leaf: l.N, since: l.T})
	} else {
		into.Before = &v
	}
	w.orders.settle(p.List, p.Seq)
}

func (w *Walk) trust(b audit.Trust, in bool) {
	s := &w.lists
	i, ok := slices.BinarySearchFunc(s.hotlines, b.Hotline, func(h Hotline, id trust.HotlineID) int { return cmp.Compare(h.Hotline, id) })
	if !ok {
		s.hotlines = slices.Insert(s.hotlines, i, Hotline{Hotline: b.Hotline})
	}
	s.hotlines[i].Root = b.Root
	if in && b.Metadata != ([32]byte{}) {
		s.hotlines[i].Renewals++
	}
}

// use marks the charter of a version that came into force in the span.
func (s *lists) use(v Version) {
	if i := slices.IndexFunc(s.all, func(c Charter) bool { return c.Charter == v.Charter }); i >= 0 {
		s.used[i] = true
	}
}

// charters are those of versions that were in force in the span: when it began, or since.
func (s *lists) charters() []Charter {
	for _, l := range s.out {
		if l.Before != nil {
			s.use(*l.Before)
		}
	}
	out := []Charter{}
	for i, c := range s.all {
		if s.used[i] {
			out = append(out, c)
		}
	}
	return out
}

func (s *lists) facts(now audit.InForce) []List {
	out := orEmpty(slices.Clone(s.out))
	for i := range out {
		if l, ok := now.List(out[i].List); ok {
			v := s.byLeaf[l.Leaf]
			out[i].After = &v
		}
	}
	return out
}

// Refusal is what was refused in the span, counted.
type Refusal struct {
	Hotline trust.HotlineID `json:"hotline"`
	List    match.ListID    `json:"list"`
	Stage   string          `json:"stage"`
	Reason  string          `json:"reason"`
	N       uint64          `json:"n"`
	Last    Time            `json:"last"`
}

func (r Refusal) key() string {
	return string(r.Hotline) + "\x00" + string(r.List) + "\x00" + r.Stage + "\x00" + r.Reason
}

func (w *Walk) reject(b audit.Reject) {
	if b.Reason == audit.ReasonSuperseded {
		w.lists.skipped = w.next // the leaf right behind this one
		return
	}
	r := Refusal{Hotline: b.Hotline, List: b.List, Stage: b.Stage, Reason: b.Reason, N: 1, Last: Time(w.last)}
	for i := range w.f.Refusals {
		if w.f.Refusals[i].key() == r.key() {
			w.f.Refusals[i].N++
			w.f.Refusals[i].Last = r.Last
			return
		}
	}
	w.f.Refusals = append(w.f.Refusals, r)
}
