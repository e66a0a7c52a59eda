package publish

import (
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// named looks for entries that a person has named by id or by address, in one walk over the entries. An address is written as in an
// import: one without a path names host and domain entries, and pages only when there are none.
type named struct {
	which []string
	byID  map[match.EntryID][]int // places in which
	byKey map[entryKey][]int
	sites [][]match.EntryID // found host and domain entries, for each of which; an id that was named counts as one
	pages [][]match.EntryID
}

func newNamed(which []string) *named {
	n := &named{which: which, byID: map[match.EntryID][]int{}, byKey: map[entryKey][]int{}, sites: make([][]match.EntryID, len(which)), pages: make([][]match.EntryID, len(which))}
	for i, w := range which {
		if id, err := match.ParseEntryID(w); err == nil {
			n.byID[id] = append(n.byID[id], i)
		}
		for _, k := range []canon.Kind{canon.KindHost, canon.KindDomain, canon.KindURL, canon.KindPrefix} {
			if expr, err := canon.Expression(k, w); err == nil {
				n.byKey[entryKey{k, expr}] = append(n.byKey[entryKey{k, expr}], i)
			}
		}
	}
	return n
}

// see shows it an entry, and reports whether that may be one of those that are meant.
func (n *named) see(e *list.Entry) bool {
	byID, byKey := n.byID[e.ID], n.byKey[keyOf(e)]
	for _, i := range byID {
		n.sites[i] = append(n.sites[i], e.ID)
	}
	into := n.sites
	if e.Kind.Class() == canon.ClassPage {
		into = n.pages
	}
	for _, i := range byKey {
		into[i] = append(into[i], e.ID)
	}
	return len(byID)+len(byKey) > 0
}

// found gives the ids of what was named, and the places in which of what no entry is.
func (n *named) found() (ids map[match.EntryID]bool, unknown []int) {
	ids = map[match.EntryID]bool{}
	for i := range n.which {
		hits := n.sites[i]
		if len(hits) == 0 {
			hits = n.pages[i]
		}
		if len(hits) == 0 {
			unknown = append(unknown, i)
		}
		for _, id := range hits {
			ids[id] = true
		}
	}
	return ids, unknown
}
