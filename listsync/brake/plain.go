package brake

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Plain is a List of entries in plain text, as a hotline has them. The entries pass by once and are not kept, but for those whose
// name is protected or lies above a protected one; with a million popular names it takes about 20 MB, whatever the list's size.
type Plain struct {
	seed  maphash.Seed
	watch filter // protected names, and all names above them
	kept  []list.Entry

	sorted bool
	names  filter // of kept
}

// Plain makes a List to which entries are then added. It asks about the names that are protected now.
func (n *Names) Plain() *Plain {
	popular, shared := n.popularity.Counts()
	p := &Plain{seed: maphash.MakeSeed(), watch: newFilter(3 * (len(n.protected) + popular + shared + 10_000))}
	var www []byte
	add := func(name string) {
		for at := name; at != ""; _, at, _ = strings.Cut(at, ".") {
			p.watch.add(maphash.String(p.seed, at))
		}
		www = append(append(www[:0], "www."...), name...)
		p.watch.add(maphash.Bytes(p.seed, www))
	}
	for _, one := range n.protected {
		add(one.name)
	}
	for _, names := range []func(func(string) bool){canon.Suffixes(), n.popularity.Popular(), n.popularity.Shared()} {
		for name := range names {
			add(name)
		}
	}
	return p
}

// Another is an empty List that asks about the same names.
func (p *Plain) Another() *Plain { return &Plain{seed: p.seed, watch: p.watch} }

// Keep forgets the entries that keep says no to.
func (p *Plain) Keep(keep func(*list.Entry) bool) {
	p.kept = slices.DeleteFunc(p.kept, func(e list.Entry) bool { return !keep(&e) })
	p.sorted = false
}

// Add lets an entry pass by. It keeps a copy when it must keep it.
func (p *Plain) Add(e *list.Entry) {
	if !stopsAll(e) {
		return
	}
	host := canon.HostOf(e.Expression)
	if p.watch.has(maphash.String(p.seed, host)) || namelessSuffix(host) {
		kept := *e
		kept.Expression = strings.Clone(e.Expression)
		p.kept, p.sorted = append(p.kept, kept), false
	}
}

// wildcards are the names whose every child is a public suffix.
var wildcards = sync.OnceValue(func() map[string]bool {
	out := map[string]bool{}
	for name := range canon.Suffixes() {
		if canon.PublicSuffix("x." + name) {
			out[name] = true
		}
	}
	return out
})

// namelessSuffix reports a public suffix that Suffixes cannot name: a child of a wildcard, or a top-level name that nobody knows. It is
// asked of every entry, so the public suffix list is only asked where it may say yes.
func namelessSuffix(host string) bool {
	_, parent, found := strings.Cut(host, ".")
	return (!found || wildcards()[parent]) && canon.PublicSuffix(host)
}

// Entry gives kind and expression of an entry that a Hit names.
func (p *Plain) Entry(id match.EntryID) (canon.Kind, string) {
	i := slices.IndexFunc(p.kept, func(e list.Entry) bool { return e.ID == id })
	if i < 0 {
		return 0, ""
	}
	return p.kept[i].Kind, p.kept[i].Expression
}

// stopsAll reports an entry that stops all of a host.
func stopsAll(e *list.Entry) bool {
	switch e.Kind {
	case canon.KindHost, canon.KindDomain:
		return true
	case canon.KindPrefix:
		return strings.IndexByte(e.Expression, '/') == len(e.Expression)-1
	}
	return false
}

// sort puts the kept entries in order of expression, when something was added.
func (p *Plain) sort() {
	if p.sorted {
		return
	}
	slices.SortFunc(p.kept, func(a, b list.Entry) int { return strings.Compare(a.Expression, b.Expression) })
	p.names = newFilter(len(p.kept))
	for i := range p.kept {
		p.names.add(maphash.String(p.seed, canon.HostOf(p.kept[i].Expression)))
	}
	p.sorted = true
}

// Stopping implements List.
func (p *Plain) Stopping(dst []Hit, name []byte) []Hit {
	p.sort()
	for at, whole := name, true; ; whole = false {
		if p.names.has(maphash.Bytes(p.seed, at)) {
			dst = p.find(dst, string(at), whole)
		}
		dot := slices.Index(at, '.')
		if dot < 0 {
			return dst
		}
		at = at[dot+1:]
	}
}

// find looks for entries of one name. whole: it is the name that was asked, not one above it.
func (p *Plain) find(dst []Hit, name string, whole bool) []Hit {
	expressions := []string{name}
	if whole {
		expressions = append(expressions, name+"/")
	}
	for _, expression := range expressions {
		i, _ := slices.BinarySearchFunc(p.kept, expression, func(e list.Entry, x string) int { return strings.Compare(e.Expression, x) })
		for ; i < len(p.kept) && p.kept[i].Expression == expression; i++ {
			if e := &p.kept[i]; whole || e.Kind == canon.KindDomain {
				dst = append(dst, Hit{ID: e.ID, Kind: e.Kind})
			}
		}
	}
	return dst
}

// suffixes gives the entries whose name is a public suffix, also by a rule that no list of names can tell: a child of a wildcard, a
// top-level name that nobody knows.
func (p *Plain) suffixes(yield func(Hit) bool) {
	p.sort()
	for i := range p.kept {
		e := &p.kept[i]
		if host := canon.HostOf(e.Expression); canon.PublicSuffix(host) && !yield(Hit{ID: e.ID, Kind: e.Kind, Name: host}) {
			return
		}
	}
}

// filter says of most hashes that were not added that they were not.
type filter []uint64

// newFilter has room for n hashes: 16 to 32 bits each and two of them set, so that at most one stranger in sixty passes.
func newFilter(n int) filter {
	words := 1
	for words*4 < n {
		words *= 2
	}
	return make(filter, words)
}

// place gives the word of a hash, so that it costs one cache line, and its two bits.
func (f filter) place(h uint64) (word int, bits uint64) {
	return int(h>>12) & (len(f) - 1), 1<<(h&63) | 1<<(h>>6&63)
}

func (f filter) add(h uint64) {
	word, bits := f.place(h)
	f[word] |= bits
}

func (f filter) has(h uint64) bool {
	word, bits := f.place(h)
	return f[word]&bits == bits
}
