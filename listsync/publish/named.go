package publish

import (
	"slices"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// named looks for entries that a person has named by id or by address, in one walk over the entries. What reads as an id is one. An
// address is written as in an import: one without a path names host and domain entries, and pages only when there are none. A million
// ids take about 100 MB.
type named struct {
	byID  map[match.EntryID]idPlace
	byKey map[entryKey][]int      // places of addresses
	sites map[int][]match.EntryID // host and domain entries found, by place
	pages map[int][]match.EntryID
}

// idPlace is where an id was named first, and whether an entry has it.
type idPlace struct {
	place int32
	found bool
}

func newNamed(which []string) *named {
	n := &named{byID: map[match.EntryID]idPlace{}, byKey: map[entryKey][]int{}, sites: map[int][]match.EntryID{}, pages: map[int][]match.EntryID{}}
	for i, w := range which {
		if id, err := match.ParseEntryID(w); err == nil {
			if _, twice := n.byID[id]; !twice {
				n.byID[id] = idPlace{place: int32(i)}
			}
			continue
		}
		for _, k := range []canon.Kind{canon.KindHost, canon.KindDomain, canon.KindURL, canon.KindPrefix} {
			if expr, err := canon.Expression(k, w); err == nil {
				n.byKey[entryKey{k, expr}] = append(n.byKey[entryKey{k, expr}], i)
			}
		}
		n.sites[i] = nil // named, and nothing found yet
	}
	return n
}

// see shows it an entry, and reports whether that may be one of those that are meant.
func (n *named) see(e *list.Entry) bool {
	p, byID := n.byID[e.ID]
	if byID && !p.found {
		n.byID[e.ID] = idPlace{p.place, true}
	}
	byKey := n.byKey[keyOf(e)]
	into := n.sites
	if e.Kind.Class() == canon.ClassPage {
		into = n.pages
	}
	for _, i := range byKey {
		into[i] = append(into[i], e.ID)
	}
	return byID || len(byKey) > 0
}

// found gives the ids of what was named, and the places of what no entry is, in order.
func (n *named) found() (ids map[match.EntryID]bool, unknown []int) {
	ids = make(map[match.EntryID]bool, len(n.byID))
	for id, p := range n.byID {
		if p.found {
			ids[id] = true
		} else {
			unknown = append(unknown, int(p.place))
		}
	}
	for i := range n.sites {
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
	slices.Sort(unknown)
	return ids, unknown
}
