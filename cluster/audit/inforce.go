package audit

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

const (
	inForceTag     = "cordon/in-force/v1\n"
	inForceVersion = 1
)

// InForce is all that decides which names an edge stops: the lists, the removals, the kill switch.
// It is a value: Apply returns a new one and never alters the old one's slices, so a snapshot may be
// read concurrently without locks.
type InForce struct {
	V        int           `cbor:"v"` // 1
	Lists    []InForceList `cbor:"lists"`
	Removals []Removal     `cbor:"removals"`
	Bypass   bool          `cbor:"bypass"`
}

// InForceList is the list version in force of one list.
type InForceList struct {
	List       match.ListID    `cbor:"list"`
	Hotline    trust.HotlineID `cbor:"hotline"`
	Seq        uint64          `cbor:"seq"`
	Epoch      uint32          `cbor:"epoch"`
	Edge       [32]byte        `cbor:"edge"`
	EdgeSize   int64           `cbor:"edge_size"`
	Audit      [32]byte        `cbor:"audit"`
	AuditSize  int64           `cbor:"audit_size"`
	Filter     Filter          `cbor:"filter"`
	FilterHash [32]byte        `cbor:"filter_hash"`
	Metadata   [32]byte        `cbor:"metadata"` // of its publish leaf; renewals do not change it
	Leaf       uint64          `cbor:"leaf"`     // number of its publish leaf
}

// Removal takes one entry out of force while its list's version lies in From..To, both inclusive.
type Removal struct {
	List   match.ListID  `cbor:"list"`
	Entry  match.EntryID `cbor:"entry"`
	Until  uint32        `cbor:"until"` // unix seconds; 0 for good
	Kind   uint8         `cbor:"kind"`  // match.RemovalWithdraw or match.RemovalSuppress
	Number uint64        `cbor:"number"`
	From   uint64        `cbor:"from"`
	To     uint64        `cbor:"to"`
}

// Genesis is what is in force before any list: nothing.
func Genesis() InForce { return InForce{V: inForceVersion} }

// Encode returns the one encoding of what is in force.
func (f InForce) Encode() []byte {
	f.V = inForceVersion
	return encode(f)
}

// Hash is what every leaf carries in "f": SHA-256("cordon/in-force/v1\n" || Encode()).
func (f InForce) Hash() [32]byte {
	h := sha256.New()
	h.Write([]byte(inForceTag))
	h.Write(f.Encode())
	return [32]byte(h.Sum(nil))
}

// DecodeInForce reads Encode's bytes strictly: sorted, without duplicates, within the caps.
func DecodeInForce(b []byte) (InForce, error) {
	var f InForce
	if err := decode(b, MaxInForce, "in-force state", &f); err != nil {
		return InForce{}, err
	}
	if err := f.check(); err != nil {
		return InForce{}, fmt.Errorf("decode in-force state: %w", err)
	}
	return f, nil
}

// List finds a list's version in force.
func (f InForce) List(id match.ListID) (InForceList, bool) {
	i, ok := f.find(id)
	if !ok {
		return InForceList{}, false
	}
	return f.Lists[i], true
}

// Overlay is what an edge removes from its index now: the removals whose range of versions holds
// the version in force.
func (f InForce) Overlay() []match.Removal {
	out := make([]match.Removal, 0, len(f.Removals))
	for _, r := range f.Removals {
		if l, ok := f.List(r.List); !ok || l.Seq < r.From || l.Seq > r.To {
			continue
		}
		out = append(out, match.Removal{List: r.List, Entry: r.Entry, Until: r.Until, Kind: r.Kind, Number: r.Number})
	}
	return out
}

// StateID is the state an edge serves that runs exactly this, given the hash of the index that each
// list compiles to. It is the one place where edges and auditors agree on what a receipt says.
func (f InForce) StateID(index func(InForceList) ([32]byte, error)) (match.StateID, error) {
	states := make([]match.ListState, 0, len(f.Lists))
	for _, l := range f.Lists {
		h, err := index(l)
		if err != nil {
			return match.StateID{}, err
		}
		states = append(states, match.ListState{List: l.List, Seq: l.Seq, IndexHash: h, FilterHash: l.FilterHash})
	}
	return match.ComputeStateID(states, f.Overlay(), f.Bypass), nil
}

// Apply is the one replay function: what is in force after the leaf. It is pure: same state and leaf,
// same result on every machine, no clock. It does not look at leaf.F, so that a replica can ask for
// the state before it sets F. It checks what must hold of the leaf in this state (a list never goes
// back, the caps), not signatures. Errors: ErrRollback, ErrTooLarge, ErrMismatch, ErrUnknownKind, ErrFormat.
func (f InForce) Apply(leaf Leaf) (InForce, error) {
	switch leaf.K {
	case KindPublish, KindWithdraw:
	case KindReject, KindMember, KindReceipts, KindTrust, KindAlarm, KindHold, KindPolicy, KindApprove:
		return f, nil // recorded, but nothing in force depends on it
	default:
		return f, fmt.Errorf("apply leaf %d of kind %q: %w", leaf.N, clip(string(leaf.K)), ErrUnknownKind)
	}
	body, err := leaf.Body()
	if err != nil {
		return f, fmt.Errorf("apply leaf %d: %w", leaf.N, err)
	}
	var next InForce
	switch b := body.(type) {
	case Publish:
		next, err = f.publish(leaf.N, b)
	case Withdraw:
		next, err = f.withdraw(b)
	default:
		panic(fmt.Sprintf("audit: leaf of kind %q decodes to %T", leaf.K, body))
	}
	if err != nil {
		return f, fmt.Errorf("apply leaf %d %s: %w", leaf.N, leaf.K, err)
	}
	return next, nil
}

// Changes reports whether a leaf of this kind can change what is in force.
func (k Kind) Changes() bool { return k == KindPublish || k == KindWithdraw || k.Reserved() }

func (f InForce) publish(n uint64, p Publish) (InForce, error) {
	i, replaces := f.find(p.List)
	if replaces && p.Seq <= f.Lists[i].Seq {
		return f, fmt.Errorf("list %s sequence %d, in force is %d: %w", p.List, p.Seq, f.Lists[i].Seq, ErrRollback)
	}
	if replaces && p.Prev < f.Lists[i].Seq {
		return f, fmt.Errorf("list %s sequence %d follows %d, in force is %d: %w", p.List, p.Seq, p.Prev, f.Lists[i].Seq, ErrRollback)
	}
	if !replaces && len(f.Lists) >= MaxLists {
		return f, fmt.Errorf("list %s would be one more than %d: %w", p.List, MaxLists, ErrTooLarge)
	}
	l := InForceList{
		List: p.List, Hotline: p.Hotline, Seq: p.Seq, Epoch: p.Epoch,
		Edge: p.Edge, EdgeSize: p.EdgeSize, Audit: p.Audit, AuditSize: p.AuditSize,
		Filter: p.Filter, FilterHash: p.FilterHash, Metadata: p.Metadata, Leaf: n,
	}
	lists := slices.Clone(f.Lists)
	if replaces {
		lists[i] = l
	} else {
		lists = slices.Insert(lists, i, l)
	}
	removals := make([]Removal, 0, len(f.Removals))
	for _, r := range f.Removals {
		if r.List != p.List || r.To >= p.Seq {
			removals = append(removals, r)
		}
	}
	return InForce{V: inForceVersion, Lists: lists, Removals: removals, Bypass: f.Bypass}, nil
}

func (f InForce) withdraw(w Withdraw) (InForce, error) {
	if i, ok := f.find(w.List); ok && f.Lists[i].Seq > w.SeqTo {
		return f, nil // the version in force is newer than all it speaks of
	}
	removals := make([]Removal, 0, len(f.Removals)+len(w.Entries))
	removals = append(removals, f.Removals...)
	for _, e := range w.Entries {
		removals = append(removals, Removal{List: w.List, Entry: e, Kind: match.RemovalWithdraw, Number: w.Number, From: w.SeqFrom, To: w.SeqTo})
	}
	// Stable, so that of two with the same key the one already in force stays: a repeated withdrawal changes nothing.
	slices.SortStableFunc(removals, Removal.compare)
	removals = slices.CompactFunc(removals, func(a, b Removal) bool { return a.compare(b) == 0 })
	if len(removals) > MaxRemovals {
		return f, fmt.Errorf("%d removals, at most %d: %w", len(removals), MaxRemovals, ErrTooLarge)
	}
	return InForce{V: inForceVersion, Lists: f.Lists, Removals: removals, Bypass: f.Bypass}, nil
}

func (f InForce) find(id match.ListID) (int, bool) {
	return slices.BinarySearchFunc(f.Lists, id, func(l InForceList, id match.ListID) int { return cmp.Compare(l.List, id) })
}

func (r Removal) compare(o Removal) int {
	return cmp.Or(cmp.Compare(r.List, o.List), bytes.Compare(r.Entry[:], o.Entry[:]),
		cmp.Compare(r.Kind, o.Kind), cmp.Compare(r.Number, o.Number))
}

func (f InForce) check() error {
	if f.V != inForceVersion {
		return fmt.Errorf("version %d: %w", f.V, ErrFormat)
	}
	if len(f.Lists) > MaxLists || len(f.Removals) > MaxRemovals {
		return fmt.Errorf("%d lists, %d removals: %w", len(f.Lists), len(f.Removals), ErrTooLarge)
	}
	for i, l := range f.Lists {
		if i > 0 && f.Lists[i-1].List >= l.List {
			return fmt.Errorf("lists are not sorted: %w", ErrFormat)
		}
		if err := checkListOf(l.Hotline, l.List); err != nil {
			return err
		}
		if _, err := l.Filter.Match(); err != nil {
			return err
		}
	}
	for i, r := range f.Removals {
		if i > 0 && f.Removals[i-1].compare(r) >= 0 {
			return fmt.Errorf("removals are not sorted: %w", ErrFormat)
		}
		if (r.Kind != match.RemovalWithdraw && r.Kind != match.RemovalSuppress) || r.From > r.To {
			return fmt.Errorf("removal: %w", ErrFormat)
		}
	}
	return nil
}

// Filter is a charter's limits in words, so that an auditor can read them in the log.
type Filter struct {
	Kinds         []string `cbor:"kinds" json:"kinds"`
	Bases         []string `cbor:"bases" json:"bases"`
	Jurisdictions []string `cbor:"jurisdictions" json:"jurisdictions"`
}

// FilterOf spells out a match.Filter, sorted.
func FilterOf(m match.Filter) Filter {
	var f Filter
	for _, k := range m.Kinds {
		f.Kinds = append(f.Kinds, k.String())
	}
	for _, b := range m.Bases {
		f.Bases = append(f.Bases, b.String())
	}
	f.Jurisdictions = slices.Clone(m.Jurisdictions)
	for _, words := range []*[]string{&f.Kinds, &f.Bases, &f.Jurisdictions} {
		slices.Sort(*words)
		*words = slices.Compact(*words)
	}
	return f
}

// Match reads the filter back. Unknown words, unsorted or repeated ones are ErrFormat.
func (f Filter) Match() (match.Filter, error) {
	var m match.Filter
	for _, words := range [][]string{f.Kinds, f.Bases, f.Jurisdictions} {
		if len(words) > 512 {
			return m, fmt.Errorf("charter filter: %w", ErrTooLarge)
		}
		for i, w := range words {
			if len(w) > maxWord || i > 0 && words[i-1] >= w {
				return m, fmt.Errorf("charter filter is not sorted: %w", ErrFormat)
			}
		}
	}
	for _, w := range f.Kinds {
		k, err := canon.ParseKind(w)
		if err != nil {
			return m, fmt.Errorf("charter filter kind %q: %w", clip(w), ErrFormat)
		}
		m.Kinds = append(m.Kinds, k)
	}
	for _, w := range f.Bases {
		b, err := match.ParseBasis(w)
		if err != nil {
			return m, fmt.Errorf("charter filter basis %q: %w", clip(w), ErrFormat)
		}
		m.Bases = append(m.Bases, b)
	}
	m.Jurisdictions = slices.Clone(f.Jurisdictions)
	if err := m.Check(); err != nil {
		return m, fmt.Errorf("charter filter: %w: %v", ErrFormat, err)
	}
	return m, nil
}
