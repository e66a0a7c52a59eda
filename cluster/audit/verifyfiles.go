package audit

import (
	"crypto/sha256"
	"fmt"
	"maps"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/match"
)

// wanted is one list file that the log names, with the versions that name it (one, in an honest log).
type wanted struct {
	hash  [32]byte
	size  int64
	edge  bool // else an auditor list
	of    []*version
	found bool
}

// wantedFiles are the files the log names, in its order.
func (v *verifier) wantedFiles() ([]*wanted, map[[32]byte]int) {
	var order []*wanted
	index := make(map[[32]byte]int)
	add := func(hash [32]byte, size int64, edge bool, at *version) {
		if i, ok := index[hash]; ok {
			order[i].of = append(order[i].of, at)
			return
		}
		index[hash] = len(order)
		order = append(order, &wanted{hash: hash, size: size, edge: edge, of: []*version{at}})
	}
	for i := range v.versions {
		at := &v.versions[i]
		add(at.Edge, at.EdgeSize, true, at)
		add(at.Audit, at.AuditSize, false, at)
	}
	return order, index
}

// lists reads the list files, starting with member m, one at a time, and compiles the index of each edge
// list: receipts are judged by the result.
func (v *verifier) lists(b *bundleReader, m *member) error {
	order, index := v.wantedFiles()
	v.wantEntries()
	var last *list.Edge // of the file before this one
	place := -1
	for m != nil {
		i, ok := index[m.hash]
		if !ok {
			v.fail(CheckVersions, "the bundle has a file %x of %d bytes that the log does not name: a hidden version", m.hash[:8], m.size)
		} else {
			if i <= place {
				return fmt.Errorf("member %q is not in the order of the log: %w", m.name, ErrFormat)
			}
			place = i
			edge, err := v.file(b, order[i], m, last)
			if err != nil {
				return err
			}
			last = edge
		}
		var err error
		if m, err = v.next(b); err != nil {
			return err
		}
	}
	for _, w := range order {
		if !w.found {
			v.fail(CheckLists, "%s is missing from the bundle", w)
		}
	}
	v.checkReturns()
	v.pass(CheckLists, "%d files of %d versions are the signed and logged ones", len(order), len(v.versions))
	return nil
}

// file checks one list file. For an edge list it returns the open list, so that the auditor list that
// comes next can be held to it.
func (v *verifier) file(b *bundleReader, w *wanted, m *member, last *list.Edge) (*list.Edge, error) {
	w.found = true
	if m.size != w.size {
		v.fail(CheckLists, "%s has %d bytes, the log says %d", w, m.size, w.size)
		return nil, nil
	}
	data, err := b.read()
	if err != nil {
		return nil, err
	}
	if got := sha256.Sum256(data); got != w.hash {
		v.fail(CheckLists, "%s was changed: it hashes to %x, the log says %x", w, got[:8], w.hash[:8])
		return nil, nil
	}
	if w.edge {
		return v.edge(w, data), nil
	}
	v.audit(w, data, last)
	return nil, nil
}

func (v *verifier) edge(w *wanted, data []byte) *list.Edge {
	e, err := list.OpenEdge(data)
	if err != nil {
		v.fail(CheckLists, "%s: %v", w, err)
		return nil
	}
	ok := true
	for _, at := range w.of {
		if !sameVersion(e.Version(), at) {
			v.fail(CheckLists, "%s says inside that it is list %s", w, listSeq(e.Version().List, e.Version().Seq))
			ok = false
		}
		if !sameKinds(e, at.Counts) {
			v.fail(CheckLists, "%s has other counts than were signed", w)
			ok = false
		}
		if at.Head != [32]byte{} && at.Head != e.Hash() {
			v.fail(CheckLists, "%s has another head than was signed: edges that follow by deltas would have another list", w)
			ok = false
		}
	}
	if !ok {
		return nil
	}
	if _, ok := v.entries[w.hash]; ok {
		v.entries[w.hash] = list.EntryIDs(e)
	}
	if err := v.compile(e, w.hash); err != nil {
		v.fail(CheckLists, "%s: %v", w, err)
	}
	v.follows(w, e)
	return e
}

// compile makes the index of the edge list with this file hash and keeps the index's own.
func (v *verifier) compile(e *list.Edge, file [32]byte) error {
	b, err := match.Compile(e)
	if err != nil {
		return err
	}
	ix, err := match.OpenHead(b)
	if err != nil {
		return err
	}
	v.indexes[file] = ix.Hash()
	return nil
}

func (v *verifier) audit(w *wanted, data []byte, edge *list.Edge) {
	a, err := list.OpenAudit(data)
	if err != nil {
		v.fail(CheckLists, "%s: %v", w, err)
		return
	}
	for _, at := range w.of {
		switch {
		case !sameVersion(a.Version(), at):
			v.fail(CheckLists, "%s says inside that it is list %s", w, listSeq(a.Version().List, a.Version().Seq))
		case a.Root() != at.EntriesRoot:
			root := a.Root()
			v.fail(CheckLists, "%s has entries root %x, signed was %x", w, root[:8], at.EntriesRoot[:8])
		}
	}
	if edge != nil && edge.Version() == a.Version() {
		if err := a.Fits(edge); err != nil {
			v.fail(CheckLists, "%s: %v", w, err)
		}
	}
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
