package brake

import (
	"context"
	"slices"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Tally counts entries, in the words of the closed sets; what there is none of has no key.
type Tally struct {
	Entries       int            `json:"entries"`
	Broad         int            `json:"broad"` // host and domain entries: whole sites
	Kinds         map[string]int `json:"kinds"`
	Bases         map[string]int `json:"bases"`
	Jurisdictions map[string]int `json:"jurisdictions"`
}

func newTally() Tally {
	return Tally{Kinds: map[string]int{}, Bases: map[string]int{}, Jurisdictions: map[string]int{}}
}

func (t *Tally) add(m match.Meta) {
	t.Entries++
	if m.Kind == canon.KindHost || m.Kind == canon.KindDomain {
		t.Broad++
	}
	t.Kinds[m.Kind.String()]++
	t.Bases[m.Basis.String()]++
	t.Jurisdictions[string(m.Jurisdiction[:])]++
}

// Difference is what a version would newly stop, and what it would free.
type Difference struct {
	Stops Tally `json:"stops"`
	Frees Tally `json:"frees"`
}

// entry reports the records that are entries: steer records stand for pages that are counted themselves.
func entry(m match.Meta) bool { return m.Kind != canon.KindSteer }

// Compare counts the entries that are in next and not in before, and those that are in before and not in next. before may be nil:
// nothing is in force. With the same keys an entry is its digest and kind, whatever its id. With other keys digests say nothing, so
// it is its id and kind: a hotline that gives old ids to new names while it changes the keys would not be seen here. Its error is
// ctx's. It reads both once; with other keys it takes 20 bytes an entry of memory for the time of the call.
func Compare(ctx context.Context, before, next *list.Edge) (*Difference, error) {
	d := &Difference{Stops: newTally(), Frees: newTally()}
	if before == nil {
		for i := range next.Len() {
			if m := next.Record(i).Meta; entry(m) {
				d.Stops.add(m)
			}
		}
		return d, ctx.Err()
	}
	if before.Version().Epoch == next.Version().Epoch {
		return d, d.byDigest(ctx, before, next)
	}
	return d, d.byID(ctx, before, next)
}

// merge walks two sorted sequences of n and m side by side and tells what only one of them has.
func merge(ctx context.Context, n, m int, compare func(i, j int) int, onlyA, onlyB func(int)) error {
	i, j := 0, 0
	for steps := 0; i < n || j < m; steps++ {
		if steps%(1<<20) == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		c := 0
		switch {
		case i == n:
			c = 1
		case j == m:
			c = -1
		default:
			c = compare(i, j)
		}
		switch {
		case c < 0:
			onlyA(i)
			i++
		case c > 0:
			onlyB(j)
			j++
		default:
			i, j = i+1, j+1
		}
	}
	return nil
}

// byDigest: records are in order of digest and kind, and no digest and kind is there twice but for steer records.
func (d *Difference) byDigest(ctx context.Context, before, next *list.Edge) error {
	compare := func(i, j int) int {
		a, b := before.Record(i), next.Record(j)
		if !entry(a.Meta) || !entry(b.Meta) {
			return a.Compare(&b) // steer records pair by id too; nobody counts them
		}
		a.EntryID, b.EntryID = match.EntryID{}, match.EntryID{}
		return a.Compare(&b)
	}
	return merge(ctx, before.Len(), next.Len(), compare, d.frees(before, nil), d.stops(next, nil))
}

func (d *Difference) byID(ctx context.Context, before, next *list.Edge) error {
	a, b := byID(before), byID(next)
	compare := func(i, j int) int { return a[i].compare(b[j]) }
	return merge(ctx, len(a), len(b), compare, d.frees(before, a), d.stops(next, b))
}

func (d *Difference) frees(e *list.Edge, order []placed) func(int) { return count(&d.Frees, e, order) }
func (d *Difference) stops(e *list.Edge, order []placed) func(int) { return count(&d.Stops, e, order) }

func count(t *Tally, e *list.Edge, order []placed) func(int) {
	return func(i int) {
		if order != nil {
			i = int(order[i].at)
		}
		if m := e.Record(i).Meta; entry(m) {
			t.add(m)
		}
	}
}

// placed is an entry's id and kind, and where its record is.
type placed struct {
	id   match.EntryID
	kind canon.Kind
	at   uint32
}

func (p placed) compare(q placed) int {
	if c := slices.Compare(p.id[:], q.id[:]); c != 0 {
		return c
	}
	return int(p.kind) - int(q.kind)
}

func byID(e *list.Edge) []placed {
	out := make([]placed, 0, e.Len())
	for i := range e.Len() {
		if r := e.Record(i); entry(r.Meta) {
			out = append(out, placed{r.EntryID, r.Kind, uint32(i)})
		}
	}
	slices.SortFunc(out, placed.compare)
	return out
}
