package audit

import (
	"bytes"
	"errors"
	"fmt"
	"github.com/cordon-project/cordon/resolver/match"
	"maps"
	"slices"
	"strings"
)

// maxLogBytes bounds the leaves an auditor holds in memory.
const maxLogBytes = 1 << 30

// log reads the entry bundles, starting with member m, and holds them to the checkpoint. It returns the
// first member after them.
func (v *verifier) log(b *bundleReader, m *member) (*member, error) {
	total := 0
	for m != nil && m.class == classEntries {
		data, err := b.read()
		if err != nil {
			return nil, err
		}
		if total += len(data); total > maxLogBytes {
			return nil, fmt.Errorf("log of more than %d bytes: %w", maxLogBytes, ErrTooLarge)
		}
		leaves, err := splitEntries(data, m.tile.width)
		if err != nil {
			return nil, v.stop(CheckLog, "the log is not the checkpoint's", "%s: %v", m.name, err)
		}
		if v.raw = append(v.raw, leaves...); uint64(len(v.raw)) > v.cp.Size || len(v.raw) > MaxLeaves {
			return nil, v.stop(CheckLog, "the log is not the checkpoint's", "the bundle has more leaves than the checkpoint's %d", v.cp.Size)
		}
		if m, err = v.next(b); err != nil {
			return nil, err
		}
	}
	if err := v.checkLog(); err != nil {
		return nil, err
	}
	return m, v.consistency()
}

func (v *verifier) checkLog() error {
	const why = "the log is not the checkpoint's"
	v.tree = NewTree(v.raw)
	if size, root := v.tree.Head(); size != v.cp.Size {
		return v.stop(CheckLog, why, "the bundle has %d leaves, the checkpoint says %d%s", size, v.cp.Size, v.oddity())
	} else if root != v.cp.Root {
		return v.stop(CheckLog, why, "the leaves hash to %x, the checkpoint says %x: a leaf was changed, removed or moved%s", root[:8], v.cp.Root[:8], v.oddity())
	}
	genesis := v.trust.Cluster.Genesis()
	if len(v.raw) < len(genesis) {
		return v.stop(CheckLog, why, "the log has %d leaves, the cluster's first %d are not all there", len(v.raw), len(genesis))
	}
	for i, raw := range v.raw {
		l, err := DecodeLeaf(raw)
		if err != nil {
			return v.stop(CheckLog, why, "leaf %d: %v", i, err)
		}
		if l.N != uint64(i) {
			return v.stop(CheckLog, why, "position %d holds a leaf numbered %d", i, l.N)
		}
		if i > 0 && l.T < v.leaves[i-1].T {
			return v.stop(CheckLog, why, "leaf %d is dated %s, before the leaf in front of it (%s)", i, stamp(l.T), stamp(v.leaves[i-1].T))
		}
		if i < len(genesis) {
			if want, err := EncodeLeaf(genesis[i]); err != nil || !bytes.Equal(raw, want) {
				return v.stop(CheckLog, why, "leaf %d is not the one that the trusted cluster file begins with", i)
			}
		}
		v.leaves = append(v.leaves, l)
	}
	v.pass(CheckLog, "%d leaves hash to the checkpoint's root", len(v.leaves))
	return nil
}

// oddity says where a wrong log first looks wrong, as a hint behind the message.
func (v *verifier) oddity() string {
	for i, raw := range v.raw {
		l, err := DecodeLeaf(raw)
		if err != nil {
			return fmt.Sprintf(" (position %d holds no leaf)", i)
		}
		if l.N != uint64(i) {
			return fmt.Sprintf(" (position %d holds a leaf numbered %d)", i, l.N)
		}
	}
	return ""
}

// consistency holds the log to the last visit's.
func (v *verifier) consistency() error {
	b := v.o.Before
	if b == nil {
		return nil
	}
	root, err := parseHash(b.Root)
	switch {
	case err != nil || b.Cluster != v.trust.Cluster.ID():
		v.fail(CheckConsistency, "the state of the last visit is of cluster %s", b.Cluster)
	case b.Size > v.cp.Size:
		v.fail(CheckConsistency, "rollback: the log has %d leaves, at the last visit it had %d", v.cp.Size, b.Size)
	default:
		now, err := v.tree.RootAt(b.Size)
		if err != nil {
			return err
		}
		if now != root {
			v.fail(CheckConsistency, "fork: the first %d leaves are not those of the last visit", b.Size)
			return nil
		}
		v.pass(CheckConsistency, "%d leaves since the last visit, none before it changed", v.cp.Size-b.Size)
	}
	return nil
}

// replay recomputes what is in force after each leaf and gathers what later checks need.
func (v *verifier) replay() error {
	f := Genesis()
	hash := f.Hash()
	var orders Orders
	var members []MemberKey
	edges := map[string][32]byte{}
	v.states = []stateAt{{0, f}}
	for _, l := range v.leaves {
		body, err := l.Body()
		if err != nil {
			return v.stop(CheckReplay, "the log could not be replayed", "leaf %d: %v", l.N, err)
		}
		switch b := body.(type) {
		case Member:
			members, edges = v.enrol(l, b, members, edges)
		case Reject:
			if b.Reason == ReasonSuperseded {
				v.skipped = skipAt{l.N, b.List, b.Seq}
			}
		case Publish:
			v.sequence(f, l, b)
			v.publishes = append(v.publishes, &publishAt{leaf: l, p: b, members: members, orders: orders})
		case Trust:
			if b.Metadata != ([32]byte{}) {
				v.renewals = append(v.renewals, int(l.N))
			}
		case Withdraw:
			v.withdraws = append(v.withdraws, int(l.N))
		case Receipts:
			v.receipts = append(v.receipts, int(l.N))
		case Unknown:
			return v.stop(CheckReplay, "the log could not be replayed", "leaf %d is of kind %q, which this version cannot replay", l.N, string(b.Kind))
		}
		orders = v.order(orders, f, l, body)
		next, err := f.Apply(l)
		if errors.Is(err, ErrRollback) { // the cause is with the versions
			v.why = fmt.Sprintf("a list was rolled back at leaf %d", l.N)
			return errStop
		}
		if err != nil {
			return v.stop(CheckReplay, "the log could not be replayed", "leaf %d: %v", l.N, err)
		}
		before := f
		if f.Changes(l) {
			f, hash = next, next.Hash()
			v.states = append(v.states, stateAt{l.N + 1, f})
		}
		if l.F != hash {
			v.fail(CheckReplay, "leaf %d (%s) says that %x is in force after it, replay yields %x%s", l.N, l.K, l.F[:8], hash[:8], v.mischief(before, next, l))
		}
	}
	v.pass(CheckOrders, "%d orders of the operator, each signed by two officers; %d versions held back now", v.orders, len(orders.Held))
	if f.Bypass != 0 {
		v.note("BYPASS: everything passes until %s", stamp(f.Bypass))
	}
	v.pass(CheckReplay, "%d lists, %d removals and %d suppressions in force, as every leaf says", len(f.Lists), len(f.Removals), len(f.Suppressions))
	return nil
}

// order follows what officers and brakes decide. A leaf that does not stand is a cause; its order then counts for nothing.
func (v *verifier) order(o Orders, f InForce, l Leaf, body Body) Orders {
	next, err := o.Apply(&v.trust.Cluster, v.trust.Cluster.ID(), f, l, body)
	if err != nil {
		v.fail(CheckOrders, "leaf %d, %s: %v", l.N, l.Describe(), err)
		return o
	}
	switch b := body.(type) {
	case Ordered:
		v.orders++
		v.note("leaf %d: %s, signed by %s, reason %s", l.N, l.Describe(), strings.Join(b.Signers, " and "), b.Order.Reason)
	case Returned:
		v.orders++
		v.returns = append(v.returns, int(l.N))
		v.note("leaf %d: %s, signed by %s, reason %s", l.N, l.Describe(), strings.Join(b.Signers, " and "), b.Order.Reason)
	case Hold:
		v.note("leaf %d: %s", l.N, l.Describe())
	}
	return next
}

// mischief guesses what a leaf that is wrong about what is in force is hiding, as words behind the message.
func (v *verifier) mischief(before, honest InForce, l Leaf) string {
	without := func(change func(f *InForce)) bool {
		f := honest
		f.Removals, f.Suppressions = slices.Clone(f.Removals), slices.Clone(f.Suppressions)
		change(&f)
		return f.Hash() == l.F
	}
	ended := func(f *InForce) {
		f.Suppressions = slices.Clone(before.Suppressions)
		f.Bypass = before.Bypass
	}
	returned := func(f *InForce) {
		f.Removals = slices.DeleteFunc(f.Removals, func(r Removal) bool { return r.Kind == match.RemovalReturn })
	}
	switch {
	case before.Ends(l.T) && without(ended):
		return ": a suppression or bypass that has ended is kept in force"
	case honest.Bypass != 0 && without(func(f *InForce) { f.Bypass = 0 }):
		return ": a bypass is left out"
	case len(honest.Suppressions) > 0 && without(func(f *InForce) { f.Suppressions = nil }):
		return ": suppressions are left out"
	case l.K == KindReturn && without(returned):
		return ": the return puts back what later versions left out"
	case len(honest.Removals) > 0 && without(func(f *InForce) { f.Removals = nil }):
		return ": removals are left out"
	}
	return ": something is in force, or taken out of force, that no leaf says"
}

// enrol follows who is a member. The maps and slices handed out before are never altered.
func (v *verifier) enrol(l Leaf, m Member, members []MemberKey, edges map[string][32]byte) ([]MemberKey, map[string][32]byte) {
	if m.Role == RoleEdge {
		edges = maps.Clone(edges)
		delete(edges, m.Name)
		if m.Action == ActionAdd {
			edges[m.Name] = m.Key
		}
		v.edges = append(v.edges, edgesAt{l.N + 1, edges})
		return members, edges
	}
	members = slices.DeleteFunc(slices.Clone(members), func(k MemberKey) bool { return k.Name == m.Name })
	if m.Action == ActionAdd {
		members = append(members, MemberKey{Name: m.Name, Key: m.Key[:]})
	}
	if int(l.N) >= len(v.trust.Cluster.Members) {
		v.note("leaf %d: control node %s, %s since the trust file was made", l.N, m.Name, map[string]string{ActionAdd: "added", ActionDrop: "removed"}[m.Action])
	}
	return members, edges
}

// skipAt is where the log says that versions up to seq never came into force.
type skipAt struct {
	leaf uint64
	list match.ListID
	seq  uint64
}

// sequence holds a publish leaf to the list's chain of versions.
func (v *verifier) sequence(f InForce, l Leaf, p Publish) {
	cur, ok := f.List(p.List)
	switch {
	case !ok:
	case p.Seq <= cur.High():
		v.fail(CheckVersions, "leaf %d: list %s rolled back from sequence %d to %d", l.N, p.List, cur.High(), p.Seq)
	case p.Prev < cur.High():
		v.fail(CheckVersions, "leaf %d: list %s follows sequence %d at the hotline, but %d was in force: two histories", l.N, listSeq(p.List, p.Seq), p.Prev, cur.High())
	case p.Prev > cur.High() && v.skipped == (skipAt{l.N - 1, p.List, p.Prev}):
		v.note("leaf %d: list %s goes from sequence %d to %d; the log says that nothing between them came into force here", l.N, p.List, cur.High(), p.Seq)
	case p.Prev > cur.High():
		v.fail(CheckVersions, "leaf %d: list %s goes from sequence %d to %d, the version before it at the hotline is %d, and the log does not say why: a version is hidden",
			l.N, p.List, cur.High(), p.Seq, p.Prev)
	}
}

// at is what was in force in the log of this size.
func (v *verifier) at(size uint64) (int, InForce) {
	i, ok := slices.BinarySearchFunc(v.states, size, func(s stateAt, size uint64) int {
		switch {
		case s.size < size:
			return -1
		case s.size > size:
			return 1
		}
		return 0
	})
	if !ok {
		i-- // the change before; states begins at size 0
	}
	return i, v.states[i].f
}

// enrolledAt is who was an edge in the log of this size.
func (v *verifier) enrolledAt(size uint64) map[string][32]byte {
	for i := len(v.edges) - 1; i >= 0; i-- {
		if v.edges[i].size <= size {
			return v.edges[i].keys
		}
	}
	return nil
}
