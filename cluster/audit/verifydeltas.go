package audit

import (
	"crypto/sha256"
	"fmt"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/match"
)

// made is a version whose files passed, or are being made of those of the version before: a base for the delta to the next.
type made struct {
	at *version
	w  *wanted // its edge list

	from *made // what it is made of, until it is there

	// Each is written by one goroutine and read when its channel is closed. nil channels: all is there. nil values: it did not pass.
	edge, audit chan struct{}
	e           *list.Edge
	ix          *match.Index
	a           *list.Audit
	hashes      *list.Hashes // of a, handed on to the version after it; nil: not made yet
	said        [2][]string  // causes
}

// maxApplying is how many deltas may be waiting or under way when the next is read: its edge list is made beside the auditor list of the one
// before. More would hold more lists in memory and gain nothing, both being made on all processors.
const maxApplying = 1

// delta reads the delta to order[i], an edge list, and begins to apply it.
func (f *files) delta(b *bundleReader, i int) error {
	v, w := f.v, f.order[i]
	at := w.of[0]
	aud, ok := f.index[at.Audit]
	if !ok {
		panic("audit: a version without an auditor list")
	}
	f.order[aud].found = true
	f.place = max(f.place, aud)
	data, err := b.read()
	if err != nil {
		return err
	}
	from := f.last
	f.last = nil
	var before *version
	if i > 0 {
		before = f.order[i-1].of[0]
	}
	if from == nil || from.at != before || before.List != at.List {
		v.fail(CheckLists, "%s: there is a delta to it, and the version before it is not in the bundle or did not pass", w)
		return nil
	}
	d, err := list.OpenDelta(data)
	if err != nil {
		v.fail(CheckLists, "%s: delta: %v", w, err)
		return nil
	}
	m := &made{at: at, w: w, from: from, edge: make(chan struct{}), audit: make(chan struct{})}
	go m.applyEdge(d, from, &f.rooms)
	go m.applyAudit(d, from, f.order[aud], &f.rooms)
	f.queue = append(f.queue, m)
	f.last = m
	f.settle(maxApplying)
	return nil
}

// settle waits until at most so many deltas are being applied, and takes in what came of the others.
func (f *files) settle(left int) {
	for len(f.queue) > left {
		m := f.queue[0]
		f.queue = f.queue[1:]
		<-m.edge
		<-m.audit
		for _, causes := range m.said {
			for _, cause := range causes {
				f.v.fail(CheckLists, "%s", cause)
			}
		}
		if m.e != nil {
			f.v.keep(m)
		}
		f.give(m.from) // it was taken in before, and there is one delta from a version
		m.from = nil
		if f.last == m && (m.e == nil || m.a == nil) {
			f.last = nil
		}
	}
}

// give gives the memory of a version's files back.
func (f *files) give(m *made) {
	if m.e != nil {
		f.rooms.back(m.e.Bytes())
	}
	if m.a != nil {
		f.rooms.back(m.a.Bytes())
	}
	m.e, m.ix, m.a = nil, nil, nil
}

// applyEdge makes the edge list and its index.
func (m *made) applyEdge(d *list.Delta, from *made, rooms *rooms) {
	defer close(m.edge)
	from.waitEdge()
	if from.e == nil {
		m.said[0] = []string{fmt.Sprintf("%s: the version before it did not pass", m.w)}
		return
	}
	e, err := d.Apply(from.e, match.Memory{Room: rooms.lend})
	if err != nil {
		m.said[0] = []string{fmt.Sprintf("%s: %v", m.w, err)}
		return
	}
	if got := sha256.Sum256(e.Bytes()); got != m.w.hash {
		m.said[0] = []string{fmt.Sprintf("%s: the delta leads to another list: it hashes to %x, the log says %x", m.w, got[:8], m.w.hash[:8])}
		return
	}
	if m.said[0] = edgeCauses(m.w, e); len(m.said[0]) > 0 {
		return
	}
	b, err := d.Recompile(from.ix, from.e, e)
	if err == nil {
		m.ix, err = match.OpenHead(b)
	}
	if err != nil {
		m.said[0] = []string{fmt.Sprintf("%s: %v", m.w, err)}
		return
	}
	m.e = e
}

// applyAudit makes the auditor list.
func (m *made) applyAudit(d *list.Delta, from *made, w *wanted, rooms *rooms) {
	defer close(m.audit)
	from.waitAudit()
	if from.a == nil {
		m.said[1] = []string{fmt.Sprintf("%s: the version before it did not pass", w)}
		return
	}
	hashes := from.hashes
	if from.hashes = nil; hashes == nil {
		hashes = list.NewHashes(from.a)
	}
	b, err := d.FollowAudit(from.a, hashes, rooms.lend)
	if err != nil {
		m.said[1] = []string{fmt.Sprintf("%s: %v", w, err)}
		return
	}
	if got := sha256.Sum256(b); got != w.hash {
		m.said[1] = []string{fmt.Sprintf("%s: the delta leads to another list: it hashes to %x, the log says %x", w, got[:8], w.hash[:8])}
		return
	}
	a, err := list.OpenAuditHead(b) // FollowAudit has computed the root
	if err != nil {
		m.said[1] = []string{fmt.Sprintf("%s: %v", w, err)}
		return
	}
	if m.said[1] = auditCauses(w, a); len(m.said[1]) == 0 {
		m.a, m.hashes = a, hashes
	}
}

func (m *made) waitEdge() {
	if m.edge != nil {
		<-m.edge
	}
}

func (m *made) waitAudit() {
	if m.audit != nil {
		<-m.audit
	}
}
