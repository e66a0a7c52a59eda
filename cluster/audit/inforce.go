package audit

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"

	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

const (
	inForceTag     = "cordon/in-force/v1\n"
	listRecordTag  = "cordon/in-force-list/v1\n"
	inForceVersion = 2

	// KeptVersions is how many versions of a list can be returned to, the newest among them: about two months of a weekly list. What was
	// removed from any of them is kept as long.
	KeptVersions = 8
	// MaxSuppressions is how many entries an operator may suppress at once: a power for single complaints, not for lists.
	MaxSuppressions = 1000
)

// InForce is all that decides which names an edge stops: the lists, the removals, what the operator suppresses, the kill
// switch, and whom it does not stop. It is a value: Apply returns a new one and never alters the old one's slices, so a snapshot may be
// read concurrently without locks.
type InForce struct {
	V            int           `cbor:"v"` // 2
	Lists        []InForceList `cbor:"lists"`
	Removals     []Removal     `cbor:"removals"`
	Suppressions []Suppression `cbor:"suppressions"`
	Bypass       int64         `cbor:"bypass"`           // last second (Unix time) at which everything passes; 0: lists are enforced
	Exempt       *Exemption    `cbor:"exempt,omitempty"` // towards whom lists are not enforced; nil, and left out: nobody. Never altered
}

// Exemption is the file of accredited analysts' prefixes towards which lists are not enforced, by order of the operator's officers.
type Exemption struct {
	Hash   [32]byte `cbor:"hash"`  // SHA-256 of the file
	Count  uint64   `cbor:"count"` // prefixes in it
	Until  int64    `cbor:"until"` // last second (Unix time) at which it holds
	Number uint64   `cbor:"number"`
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
	Versions   []ListVersion   `cbor:"versions"` // the last ones that came into force, ascending, this one among them
}

// ListVersion is a version that was published here and can be returned to.
type ListVersion struct {
	Seq    uint64   `cbor:"seq"`
	Leaf   uint64   `cbor:"leaf"`   // number of its publish leaf
	Edge   [32]byte `cbor:"edge"`   // SHA-256 of its edge list
	Record [32]byte `cbor:"record"` // of what InForceList said of it
}

// High is the newest version that was ever in force: nothing at or below it can be published.
func (l InForceList) High() uint64 {
	if len(l.Versions) == 0 {
		return l.Seq
	}
	return l.Versions[len(l.Versions)-1].Seq
}

// Version finds a version that can be returned to.
func (l InForceList) Version(seq uint64) (ListVersion, bool) {
	for _, v := range l.Versions {
		if v.Seq == seq {
			return v, true
		}
	}
	return ListVersion{}, false
}

// record names all that InForceList says of one version.
func (l InForceList) record() [32]byte {
	l.Versions = nil
	return sha256.Sum256(append([]byte(listRecordTag), encode(l)...))
}

// Suppression takes one entry out of force until a time, whatever the list's version, by order of the operator's officers.
type Suppression struct {
	List   match.ListID  `cbor:"list"`
	Entry  match.EntryID `cbor:"entry"`
	Until  int64         `cbor:"until"`  // last second (Unix time) at which it holds
	Number uint64        `cbor:"number"` // of the order
}

// Removal takes one entry out of force while its list's version lies in From..To, both inclusive.
type Removal struct {
	List   match.ListID  `cbor:"list"`
	Entry  match.EntryID `cbor:"entry"`
	Until  uint32        `cbor:"until"` // unix seconds; 0 for good
	Kind   uint8         `cbor:"kind"`  // match.RemovalWithdraw or match.RemovalReturn
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
	for _, s := range f.Suppressions {
		if _, ok := f.List(s.List); ok {
			out = append(out, match.Removal{List: s.List, Entry: s.Entry, Until: uint32(s.Until), Kind: match.RemovalSuppress, Number: s.Number})
		}
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
	return match.ComputeStateID(states, f.Overlay(), f.Bypass != 0), nil
}

// Apply is the one replay function: what is in force after the leaf. It is pure: same state and leaf,
// same result on every machine, no clock. It does not look at leaf.F, so that a replica can ask for
// the state before it sets F. Before a leaf of any kind, what has ended by its time goes. It checks what must hold of the leaf in
// this state (a list never goes back but by order, the caps), not signatures. Errors: ErrRollback, ErrTooLarge, ErrMismatch,
// ErrUnknownKind, ErrFormat, ErrOrder.
func (f InForce) Apply(leaf Leaf) (InForce, error) {
	was := f
	f = f.at(leaf.T)
	switch leaf.K {
	case KindPublish, KindWithdraw, KindSuppress, KindReturn, KindBypass, KindExempt:
	case KindReject, KindMember, KindReceipts, KindTrust, KindAlarm, KindHold, KindPolicy, KindApprove, KindAdmin, KindCertificate, KindOpen, KindPin, KindRekey, KindFork:
		return f, nil // recorded, but nothing in force depends on it
	default:
		return was, fmt.Errorf("apply leaf %d of kind %q: %w", leaf.N, clip(string(leaf.K)), ErrUnknownKind)
	}
	body, err := leaf.Body()
	if err != nil {
		return was, fmt.Errorf("apply leaf %d: %w", leaf.N, err)
	}
	var next InForce
	switch b := body.(type) {
	case Publish:
		next, err = f.publish(leaf.N, b)
	case Withdraw:
		next, err = f.withdraw(b)
	case Ordered:
		next, err = f.ordered(b)
	case Returned:
		next, err = f.returned(b)
	default:
		panic(fmt.Sprintf("audit: leaf of kind %q decodes to %T", leaf.K, body))
	}
	if err != nil {
		return was, fmt.Errorf("apply leaf %d %s: %w", leaf.N, leaf.K, err)
	}
	return next, nil
}

// Changes reports whether what is in force may be another after a leaf: because of its kind, or because something ends by its time.
func (f InForce) Changes(leaf Leaf) bool {
	switch leaf.K {
	case KindPublish, KindWithdraw, KindSuppress, KindReturn, KindBypass, KindExempt:
		return true
	}
	return f.Ends(leaf.T)
}

func (f InForce) publish(n uint64, p Publish) (InForce, error) {
	i, replaces := f.find(p.List)
	var versions []ListVersion
	if replaces {
		high := f.Lists[i].High()
		if p.Seq <= high {
			return f, fmt.Errorf("list %s sequence %d, in force was %d: %w", p.List, p.Seq, high, ErrRollback)
		}
		if p.Prev < high {
			return f, fmt.Errorf("list %s sequence %d follows %d, in force was %d: %w", p.List, p.Seq, p.Prev, high, ErrRollback)
		}
		versions = f.Lists[i].Versions
	}
	if !replaces && len(f.Lists) >= MaxLists {
		return f, fmt.Errorf("list %s would be one more than %d: %w", p.List, MaxLists, ErrTooLarge)
	}
	l := InForceListOf(p, n)
	l.Versions = append(slices.Clone(versions), ListVersion{Seq: p.Seq, Leaf: n, Edge: p.Edge, Record: l.record()})
	l.Versions = l.Versions[max(len(l.Versions)-KeptVersions, 0):]
	lists := slices.Clone(f.Lists)
	if replaces {
		lists[i] = l
	} else {
		lists = slices.Insert(lists, i, l)
	}
	removals := make([]Removal, 0, len(f.Removals))
	for _, r := range f.Removals {
		if r.List != p.List || r.To >= l.Versions[0].Seq {
			removals = append(removals, r)
		}
	}
	f.Lists, f.Removals = lists, removals
	return f, nil
}

// InForceListOf is what InForce says of the version that leaf n publishes, without other versions.
func InForceListOf(p Publish, n uint64) InForceList {
	return InForceList{
		List: p.List, Hotline: p.Hotline, Seq: p.Seq, Epoch: p.Epoch,
		Edge: p.Edge, EdgeSize: p.EdgeSize, Audit: p.Audit, AuditSize: p.AuditSize,
		Filter: p.Filter, FilterHash: p.FilterHash, Metadata: p.Metadata, Leaf: n,
	}
}

func (f InForce) withdraw(w Withdraw) (InForce, error) {
	if i, ok := f.find(w.List); ok && f.Lists[i].Versions[0].Seq > w.SeqTo {
		return f, nil // every version that can be in force is newer than all it speaks of
	}
	var removals []Removal
	for _, e := range w.Entries {
		removals = append(removals, Removal{List: w.List, Entry: e, Kind: match.RemovalWithdraw, Number: w.Number, From: w.SeqFrom, To: w.SeqTo})
	}
	return f.remove(removals)
}

// remove adds removals; one that is there already changes nothing.
func (f InForce) remove(more []Removal) (InForce, error) {
	removals := slices.Concat(f.Removals, more)
	// Stable, so that of two with the same key the one already in force stays: a repeated withdrawal changes nothing.
	slices.SortStableFunc(removals, Removal.compare)
	removals = slices.CompactFunc(removals, func(a, b Removal) bool { return a.compare(b) == 0 })
	if len(removals) > MaxRemovals {
		return f, fmt.Errorf("%d removals, at most %d: %w", len(removals), MaxRemovals, ErrTooLarge)
	}
	f.Removals = removals
	return f, nil
}

func (f InForce) find(id match.ListID) (int, bool) {
	return slices.BinarySearchFunc(f.Lists, id, func(l InForceList, id match.ListID) int { return cmp.Compare(l.List, id) })
}

func (r Removal) compare(o Removal) int {
	return cmp.Or(cmp.Compare(r.List, o.List), bytes.Compare(r.Entry[:], o.Entry[:]),
		cmp.Compare(r.Kind, o.Kind), cmp.Compare(r.Number, o.Number))
}

func (s Suppression) compare(o Suppression) int {
	return cmp.Or(cmp.Compare(s.List, o.List), bytes.Compare(s.Entry[:], o.Entry[:]))
}

func (f InForce) check() error {
	if f.V != inForceVersion {
		return fmt.Errorf("version %d: %w", f.V, ErrFormat)
	}
	if len(f.Lists) > MaxLists || len(f.Removals) > MaxRemovals || len(f.Suppressions) > MaxSuppressions {
		return fmt.Errorf("%d lists, %d removals, %d suppressions: %w", len(f.Lists), len(f.Removals), len(f.Suppressions), ErrTooLarge)
	}
	if f.Bypass < 0 || f.Bypass > math.MaxUint32 {
		return fmt.Errorf("bypass until %d: %w", f.Bypass, ErrFormat)
	}
	if e := f.Exempt; e != nil && (e.Count == 0 || e.Count > order.MaxExempt || e.Until <= 0 || e.Until > math.MaxUint32 || e.Number == 0) {
		return fmt.Errorf("exemption of %d prefixes until %d: %w", e.Count, e.Until, ErrFormat)
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
		if err := l.checkVersions(); err != nil {
			return err
		}
	}
	for i, s := range f.Suppressions {
		if i > 0 && f.Suppressions[i-1].compare(s) >= 0 || s.Until < 0 || s.Until > math.MaxUint32 {
			return fmt.Errorf("suppressions are not sorted, or last for ever: %w", ErrFormat)
		}
	}
	for i, r := range f.Removals {
		if i > 0 && f.Removals[i-1].compare(r) >= 0 {
			return fmt.Errorf("removals are not sorted: %w", ErrFormat)
		}
		if (r.Kind != match.RemovalWithdraw && r.Kind != match.RemovalReturn) || r.From > r.To {
			return fmt.Errorf("removal: %w", ErrFormat)
		}
	}
	return nil
}

// checkVersions holds the versions to their form: the one in force is among them, and they rise.
func (l InForceList) checkVersions() error {
	if len(l.Versions) == 0 || len(l.Versions) > KeptVersions {
		return fmt.Errorf("%d versions of list %s: %w", len(l.Versions), l.List, ErrFormat)
	}
	for i, v := range l.Versions {
		if i > 0 && l.Versions[i-1].Seq >= v.Seq {
			return fmt.Errorf("versions of list %s are not sorted: %w", l.List, ErrFormat)
		}
	}
	if v, ok := l.Version(l.Seq); !ok || v.Record != l.record() {
		return fmt.Errorf("list %s version %d is not one of its versions: %w", l.List, l.Seq, ErrMismatch)
	}
	return nil
}
