package audit

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/match"
)

// wanted is one list file that the log names, with the versions that name it (one, in an honest log).
type wanted struct {
	hash  [32]byte
	size  int64
	edge  bool // else an auditor list
	need  bool // the bundle must have it
	of    []*version
	found bool
}

// files are the list files of a bundle while they are read, by list and version: an edge list, then its auditor list, or a delta that
// makes both of the version before. They are checked one version at a time; deltas are applied beside the reading of the next.
type files struct {
	v     *verifier
	order []*wanted
	index map[[32]byte]int
	place int     // in order, of the member read last
	last  *made   // the version read last; nil when its edge list did not pass
	queue []*made // deltas being applied, oldest first
	rooms rooms
}

func (v *verifier) newFiles() *files {
	f := &files{v: v, index: make(map[[32]byte]int), place: -1}
	add := func(hash [32]byte, size int64, edge bool, at *version) {
		if i, ok := f.index[hash]; ok {
			f.order[i].of = append(f.order[i].of, at)
			return
		}
		f.index[hash] = len(f.order)
		f.order = append(f.order, &wanted{hash: hash, size: size, edge: edge, need: v.all, of: []*version{at}})
	}
	all := v.known()
	slices.SortStableFunc(all, func(a, b *version) int { return cmp.Or(cmp.Compare(a.List, b.List), cmp.Compare(a.Seq, b.Seq)) })
	for _, at := range all {
		add(at.Edge, at.EdgeSize, true, at)
		add(at.Audit, at.AuditSize, false, at)
	}
	need := func(hash [32]byte) {
		if i, ok := f.index[hash]; ok && !f.order[i].of[0].Checked {
			f.order[i].need = true
		}
	}
	for _, l := range v.h.InForce.Lists {
		need(l.Edge)
		need(l.Audit)
	}
	for _, r := range v.returns {
		if v.stands(r) {
			need(r.b.HighEdge)
		}
	}
	return f
}

// known are the versions that files can be held to: those of this run's leaves, and earlier ones that can still be in force.
func (v *verifier) known() []*version {
	var all []*version
	for i := range v.h.Versions {
		if at := &v.h.Versions[i]; at.Leaf < v.began {
			all = append(all, at)
		}
	}
	for i := range v.versions {
		all = append(all, &v.versions[i])
	}
	return all
}

// lists reads the list files, starting with member m, and compiles the index of each edge list: receipts are judged by the result.
func (v *verifier) lists(b *bundleReader, m *member) error {
	f := v.newFiles()
	defer f.settle(0)
	v.wantEntries()
	for m != nil {
		i, ok := f.index[m.hash]
		switch {
		case m.class == classDelta && !v.all:
			return fmt.Errorf("member %q is not one of a bundle of what is in force: %w", m.name, ErrFormat)
		case !ok || m.class == classDelta && !f.order[i].edge:
			v.fail(CheckVersions, "the bundle has a file %x of %d bytes that the log does not name: a hidden version", m.hash[:8], m.size)
		case i <= f.place:
			return fmt.Errorf("member %q is not in the order of the log: %w", m.name, ErrFormat)
		default:
			f.place = i
			if err := f.take(b, i, m); err != nil {
				return err
			}
		}
		var err error
		if m, err = v.next(b); err != nil {
			return err
		}
	}
	f.settle(0)
	read, seen := map[*version]int{}, map[*version]bool{} // seen: both files
	for _, w := range f.order {
		switch {
		case w.need && !w.found:
			v.fail(CheckLists, "%s is missing from the bundle", w)
		case w.found:
			if read[w.of[0]]++; read[w.of[0]] == 2 {
				seen[w.of[0]] = true
			}
		}
	}
	v.checkReturns()
	before := 0 // versions that can be in force whose files passed at an earlier visit
	for i := range v.h.Versions {
		if at := &v.h.Versions[i]; at.Checked && !seen[at] {
			before++
		}
	}
	if n := v.h.Tally.Versions - uint64(len(seen)+before); !v.all && n > 0 {
		v.note("the files of %d other versions are not in this bundle: what is in force was checked; ask for --all to have every version checked", n)
	}
	if v.o.All && !v.all {
		v.fail(CheckLists, "the files of every version were asked for, and the bundle has only those in force: make it with cordon bundle --all")
	}
	if c := v.check(CheckLists); len(c.Causes) == 0 {
		v.checked(seen)
	}
	if before > 0 {
		v.pass(CheckLists, "the files of %d versions are the signed and logged ones; those of %d others were at an earlier visit", len(seen), before)
		return nil
	}
	v.pass(CheckLists, "the files of %d versions are the signed and logged ones", len(seen))
	return nil
}

// checked marks versions that can be in force and whose files passed: a later visit needs them no more.
func (v *verifier) checked(seen map[*version]bool) {
	for at := range seen {
		if kept := v.h.version(at.Edge); kept != nil {
			kept.Checked = true
		}
	}
}

// take reads one member, which is order[i] or the delta to it.
func (f *files) take(b *bundleReader, i int, m *member) error {
	v, w := f.v, f.order[i]
	w.found = true
	if m.class == classDelta {
		return f.delta(b, i)
	}
	f.settle(0) // one version at a time
	if w.edge {
		f.last = nil
	}
	if m.size != w.size {
		v.fail(CheckLists, "%s has %d bytes, the log says %d", w, m.size, w.size)
		return nil
	}
	data, err := b.read()
	if err != nil {
		return err
	}
	if got := sha256.Sum256(data); got != w.hash {
		v.fail(CheckLists, "%s was changed: it hashes to %x, the log says %x", w, got[:8], w.hash[:8])
		return nil
	}
	if w.edge {
		e, err := list.OpenEdge(data)
		if err != nil {
			v.fail(CheckLists, "%s: %v", w, err)
			return nil
		}
		f.last = v.wholeEdge(w, e)
		return nil
	}
	a, err := list.OpenAudit(data)
	if err != nil {
		v.fail(CheckLists, "%s: %v", w, err)
		return nil
	}
	for _, cause := range auditCauses(w, a) {
		v.fail(CheckLists, "%s", cause)
	}
	if f.last == nil || f.last.at != w.of[0] {
		f.last = nil // an auditor list whose edge list is not there is no base for a delta
		return nil
	}
	if err := a.Fits(f.last.e); err != nil {
		v.fail(CheckLists, "%s: %v", w, err)
		return nil
	}
	f.last.a = a
	return nil
}

// wholeEdge checks an edge list that is there whole. nil: it did not pass.
func (v *verifier) wholeEdge(w *wanted, e *list.Edge) *made {
	if causes := edgeCauses(w, e); len(causes) > 0 {
		for _, cause := range causes {
			v.fail(CheckLists, "%s", cause)
		}
		return nil
	}
	ix, err := compile(e)
	if err != nil {
		v.fail(CheckLists, "%s: %v", w, err)
		return nil
	}
	m := &made{at: w.of[0], w: w, e: e, ix: ix}
	v.keep(m)
	return m
}

// keep takes in what is known of an edge list that passed: its index, and its entries where a return is about it.
func (v *verifier) keep(m *made) {
	v.indexes[m.w.hash] = m.ix.Hash()
	v.watchEdge(m)
	if _, ok := v.entries[m.w.hash]; ok {
		v.entries[m.w.hash] = list.EntryIDs(m.e)
	}
	for _, cause := range indexCauses(m.w, m.ix.Hash()) {
		v.lied = true
		v.fail(CheckLists, "%s", cause)
	}
}

// edgeCauses is what is wrong with an edge list, held to the leaves that name it.
func edgeCauses(w *wanted, e *list.Edge) (causes []string) {
	for _, at := range w.of {
		if !sameVersion(e.Version(), at) {
			causes = append(causes, fmt.Sprintf("%s says inside that it is list %s", w, listSeq(e.Version().List, e.Version().Seq)))
		}
		if !sameKinds(e, at.Counts) {
			causes = append(causes, fmt.Sprintf("%s has other counts than were signed", w))
		}
		if at.Head != [32]byte{} && at.Head != e.Hash() {
			causes = append(causes, fmt.Sprintf("%s has another head than was signed: edges that follow by deltas would have another list", w))
		}
	}
	if len(causes) == 0 {
		causes = append(basesCauses(w, e), reviewCauses(w, e)...)
	}
	return causes
}

// auditCauses is what is wrong with an auditor list, held to the leaves that name it.
func auditCauses(w *wanted, a *list.Audit) (causes []string) {
	for _, at := range w.of {
		switch {
		case !sameVersion(a.Version(), at):
			causes = append(causes, fmt.Sprintf("%s says inside that it is list %s", w, listSeq(a.Version().List, a.Version().Seq)))
		case a.Root() != at.EntriesRoot:
			root := a.Root()
			causes = append(causes, fmt.Sprintf("%s has entries root %x, signed was %x", w, root[:8], at.EntriesRoot[:8]))
		}
	}
	return causes
}

func compile(e *list.Edge) (*match.Index, error) {
	b, err := match.Compile(e)
	if err != nil {
		return nil, err
	}
	return match.OpenHead(b)
}

func sameVersion(h match.Header, p *version) bool {
	return h.List == p.List && h.Seq == p.Seq && h.Epoch == p.Epoch && h.CanonID == p.Canon
}

// sameKinds compares the entries of each kind with the signed counts, and the records that are no
// entries of their own (steer, canary, decoy) where the hotline counted them.
func sameKinds(e *list.Edge, counts []KindCount) bool {
	c := e.Counts()
	extra := map[string]uint32{"steer": c.Steer, "canary": c.Canary, "decoy": c.Decoy}
	signed := make(map[string]int)
	for _, k := range counts {
		if n, ok := extra[k.Kind]; ok {
			if uint64(n) != k.N {
				return false
			}
		} else if k.N > 0 {
			signed[k.Kind] = int(k.N)
		}
	}
	return maps.Equal(signed, e.Kinds())
}

func (w *wanted) String() string {
	p := w.of[0]
	what := "auditor list"
	if w.edge {
		what = "edge list"
	}
	return fmt.Sprintf("%s of %s (file %x)", what, listSeq(p.List, p.Seq), w.hash[:8])
}
