package brake

import (
	"bytes"
	"sort"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Index is a List of records: names can be asked of it with the list's keys, and none can be read from it.
type Index struct {
	set  *match.Set
	edge *list.Edge
	keys *match.Keys
	live func(*match.Record) bool
}

// NewIndex asks an edge list. set is that list alone, compiled, without removals: it answers fast that a name is not listed; the edge
// list tells which entries stop one that is. It keeps what it is given.
func NewIndex(set *match.Set, e *list.Edge, keys *match.Keys) *Index {
	return &Index{set: set, edge: e, keys: keys, live: func(*match.Record) bool { return true }}
}

// NewStopped is a List of what an edge list in force stops: of its records, those that are live. It has no filter before it and takes a
// few microseconds a name, which is enough for the few names that another version would stop.
func NewStopped(e *list.Edge, keys *match.Keys, live func(*match.Record) bool) *Index {
	return &Index{edge: e, keys: keys, live: live}
}

// beforeAnyReview asks for entries whatever their review date.
const beforeAnyReview = 0

// Stopping implements List. A miss takes a few hundred nanoseconds.
func (x *Index) Stopping(dst []Hit, name []byte) []Hit {
	v := match.Verdict{Listed: true, Steer: true}
	if x.set != nil {
		v = x.set.Name(name, beforeAnyReview)
	}
	if v.Listed {
		for at := name; len(at) > 0; {
			dst = x.records(dst, canon.ClassName, at, func(k canon.Kind) bool {
				return k == canon.KindDomain || k == canon.KindHost && len(at) == len(name)
			})
			_, at, _ = bytes.Cut(at, []byte("."))
		}
	}
	if v.Steer { // some page of the host is listed: is it all of them?
		root := append(append(make([]byte, 0, match.MaxName+1), name...), '/')
		dst = x.records(dst, canon.ClassPage, root, func(k canon.Kind) bool { return k == canon.KindPrefix })
	}
	return dst
}

// records appends the entries of one expression.
func (x *Index) records(dst []Hit, c canon.Class, expression []byte, want func(canon.Kind) bool) []Hit {
	d := x.keys.Digest(x.edge.Version().List, c, expression)
	n := x.edge.Len()
	at := sort.Search(n, func(i int) bool {
		r := x.edge.Record(i)
		return bytes.Compare(r.Digest[:], d[:]) >= 0
	})
	for ; at < n; at++ {
		r := x.edge.Record(at)
		if r.Digest != d {
			break
		}
		if want(r.Kind) && x.live(&r) { // a canary too: whoever holds all keys could call any name one
			dst = append(dst, Hit{ID: r.EntryID, Kind: r.Kind})
		}
	}
	return dst
}
