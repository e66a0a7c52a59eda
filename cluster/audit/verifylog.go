package audit

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/resolver/match"
)

// maxLogBytes bounds the leaves of a bundle.
const maxLogBytes = 1 << 30

// log reads the entry bundles and the metadata before each of them, starting with member m, follows the leaves and holds them to the
// checkpoint. It returns the first member after them.
func (v *verifier) log(b *bundleReader, m *member) (*member, error) {
	const why = "the log is not the checkpoint's"
	total, odd := 0, ""
	for m != nil && (m.class == classEntries || m.class == classMetadata) {
		var err error
		if m, err = v.documents(b, m); err != nil {
			return nil, err
		}
		if m == nil || m.class != classEntries {
			break
		}
		data, err := b.read()
		if err != nil {
			return nil, err
		}
		if total += len(data); total > maxLogBytes {
			return nil, fmt.Errorf("log of more than %d bytes: %w", maxLogBytes, ErrTooLarge)
		}
		leaves, err := splitEntries(data, m.tile.width)
		if err != nil {
			v.forget()
			return nil, v.stop(CheckLog, why, "%s: %v", m.name, err)
		}
		from := m.tile.n * tileWidth
		if from+uint64(len(leaves)) > v.cp.Size || from+uint64(len(leaves)) > MaxLeaves {
			v.forget()
			return nil, v.stop(CheckLog, why, "the bundle has more leaves than the checkpoint's %d", v.cp.Size)
		}
		if err := v.tile(leaves, from); err != nil {
			return nil, err
		}
		if v.broken && odd == "" {
			odd = oddity(leaves, from)
		}
		if m, err = v.next(b); err != nil {
			return nil, err
		}
	}
	if size := v.tree.size(); size != v.cp.Size {
		v.forget()
		return nil, v.stop(CheckLog, why, "the bundle has %d leaves, the checkpoint says %d%s", size, v.cp.Size, odd)
	} else if root := v.tree.rootAt(size); root != v.cp.Root && v.since > 0 {
		v.forget()
		return nil, v.stop(CheckLog, why, "the leaves from %d on do not lead from the log of the last visit to the checkpoint's root: a leaf was changed, or the log has another past", v.since)
	} else if root != v.cp.Root {
		v.forget()
		return nil, v.stop(CheckLog, why, "the leaves hash to %x, the checkpoint says %x: a leaf was changed, removed or moved%s", root[:8], v.cp.Root[:8], odd)
	}
	v.consistency()
	if v.broken {
		return nil, errStop
	}
	if genesis := len(v.genesis); v.h.Size < uint64(genesis) {
		return nil, v.stop(CheckLog, why, "the log has %d leaves, the cluster's first %d are not all there", v.h.Size, genesis)
	}
	v.forward()
	if v.began > 0 {
		v.pass(CheckLog, "%d leaves hash to the checkpoint's root; the first %d of them were verified at an earlier visit", v.h.Size, v.began)
	} else {
		v.pass(CheckLog, "%d leaves hash to the checkpoint's root", v.h.Size)
	}
	return m, nil
}

// maxForward is how far a leaf may be dated after the time at which the quorum signed: members cosign nothing that is 60 s ahead of their clocks.
const maxForward = 5 * time.Minute

// forward holds the log's time to that of its checkpoint: what ends by time (a suppression, the bypass, a charter, a review) would else last as
// long as whoever dates the leaves likes.
func (v *verifier) forward() {
	fresh := v.rcp.Fresh
	if until := fresh.Add(maxForward).Unix(); v.h.Time > until {
		n, at := v.h.Size-1, v.h.Time
		for i := len(v.leaves) - 1; i >= 0 && v.leaves[i].T > until; i-- {
			n, at = v.leaves[i].N, v.leaves[i].T
		}
		v.fail(CheckLog, "leaf %d is dated %s, and the checkpoint over it was signed at %s: the clock was set forward, so that what ends by time lasts longer",
			n, stamp(at), stamp(fresh.Unix()))
	}
}

// maxBack is how long before the last visit's checkpoint a leaf may be dated that was not in its log: what a leader has dated may wait for
// the next one when members cannot agree on any, and they go on signing checkpoints meanwhile.
const maxBack = 24 * time.Hour

// lookBack finds the first leaf after the last visit dated before it.
func (v *verifier) lookBack(l Leaf) {
	if b := v.o.Before; b != nil && l.N == b.Size && l.T < b.Fresh-int64(maxBack/time.Second) {
		v.backdated = &l
	}
}

// forget drops all that leaves said which turned out not to be the log's.
func (v *verifier) forget() {
	for _, name := range fromLeaves {
		delete(v.checks, name)
	}
	v.notes, v.leaves = nil, nil
}

// fromLeaves are the checks that look at leaves.
var fromLeaves = []string{CheckLog, CheckReplay, CheckMetadata, CheckCharter, CheckVerdicts, CheckWithdrawals, CheckOrders, CheckAdmin, CheckVersions, CheckReceipts}

// oddity says where a wrong log first looks wrong, as a hint behind the message.
func oddity(leaves [][]byte, from uint64) string {
	for i, raw := range leaves {
		l, err := DecodeLeaf(raw)
		if err != nil {
			return fmt.Sprintf(" (position %d holds no leaf)", from+uint64(i))
		}
		if l.N != from+uint64(i) {
			return fmt.Sprintf(" (position %d holds a leaf numbered %d)", from+uint64(i), l.N)
		}
	}
	return ""
}

// consistency holds the log to the last visit's.
func (v *verifier) consistency() {
	b := v.o.Before
	if b == nil {
		return
	}
	root, err := parseHash(b.Root)
	switch {
	case err != nil || b.Cluster != v.trust.Cluster.ID():
		v.fail(CheckConsistency, "the state of the last visit is of cluster %s", b.Cluster)
	case b.Size > v.cp.Size:
		v.fail(CheckConsistency, "rollback: the log has %d leaves, at the last visit it had %d", v.cp.Size, b.Size)
	default:
		if v.tree.rootAt(b.Size) != root {
			v.fail(CheckConsistency, "fork: the first %d leaves are not those of the last visit", b.Size)
			return
		}
		if v.backdated != nil {
			v.fail(CheckConsistency, "leaf %d is dated %s, and at the last visit, when the log had %d leaves, its checkpoint was signed at %s: the clock was held back, so that what had ended could still be used",
				v.backdated.N, stamp(v.backdated.T), b.Size, stamp(b.Fresh))
		}
		v.pass(CheckConsistency, "%d leaves since the last visit, none before it changed", v.cp.Size-b.Size)
	}
}

// order follows what officers and brakes decide. A leaf that does not stand is a cause; its order then counts for nothing.
func (v *verifier) order(o Orders, f InForce, l Leaf, body Body) Orders {
	next, err := o.Apply(&v.trust.Cluster, v.cluster, f, l, body)
	if err != nil {
		v.fail(CheckOrders, "leaf %d, %s: %v", l.N, l.Describe(), err)
		return o
	}
	switch b := body.(type) {
	case Ordered:
		v.h.Tally.Orders++
		v.note("leaf %d: %s, signed by %s, reason %s", l.N, l.Describe(), strings.Join(b.Signers, " and "), b.Order.Reason)
	case Returned:
		v.h.Tally.Orders++
		if r, ok := b.Order.Body.(order.Return); ok {
			v.returns = append(v.returns, returnAt{l.N, r})
		}
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
		f.Bypass, f.Exempt = before.Bypass, before.Exempt
	}
	returned := func(f *InForce) {
		f.Removals = slices.DeleteFunc(f.Removals, func(r Removal) bool { return r.Kind == match.RemovalReturn })
	}
	switch {
	case before.Ends(l.T) && without(ended):
		return ": a suppression, bypass or exemption that has ended is kept in force"
	case honest.Bypass != 0 && without(func(f *InForce) { f.Bypass = 0 }):
		return ": a bypass is left out"
	case honest.Exempt != nil && without(func(f *InForce) { f.Exempt = nil }):
		return ": an exemption is left out"
	case len(honest.Suppressions) > 0 && without(func(f *InForce) { f.Suppressions = nil }):
		return ": suppressions are left out"
	case l.K == KindReturn && without(returned):
		return ": the return puts back what later versions left out"
	case len(honest.Removals) > 0 && without(func(f *InForce) { f.Removals = nil }):
		return ": removals are left out"
	}
	return ": something is in force, or taken out of force, that no leaf says"
}

// skipAt is where the log says that versions up to seq never came into force.
type skipAt struct {
	Leaf uint64
	List match.ListID
	Seq  uint64
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
	case p.Prev > cur.High() && v.h.Skipped == (skipAt{l.N - 1, p.List, p.Prev}):
		v.note("leaf %d: list %s goes from sequence %d to %d; the log says that nothing between them came into force here", l.N, p.List, cur.High(), p.Seq)
	case p.Prev > cur.High():
		v.fail(CheckVersions, "leaf %d: list %s goes from sequence %d to %d, the version before it at the hotline is %d, and the log does not say why: a version is hidden",
			l.N, p.List, cur.High(), p.Seq, p.Prev)
	}
}
