// Package brake says what holds a list version back, and why (P11): names that no list may stop, and numbers that no honest
// version has.
//
// In come a list version that can be asked about a name, the protected names, the version's numbers beside those of the one in
// force, and limits. Out comes a Report. The hotline asks its plain entries before anybody signs; an operator asks the compiled
// index with the list's keys and learns entry ids and kinds, never a name. Both go through the same code. All functions are pure;
// nothing here reads a clock or a network.
package brake

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Word names a brake. Words stand in verdicts and leaves: never change one.
type Word string

// The brakes, in the order in which a verdict names the first that holds: those that nobody overrules come first.
const (
	PublicSuffix Word = "public_suffix" // strangers have their sites below it
	NeverBlock   Word = "never_block"   // on the never-block list: shipped categories and the names of who asks
	Popular      Word = "popular"       // on the signed popularity file
	Shared       Word = "shared"        // a host that carries many others, by the same file
	Size         Word = "size"          // more entries than the limit
	Growth       Word = "growth"        // more than doubled
	Change       Word = "change"        // too many added or removed in one step
	Window       Word = "window"        // too many added in many small steps
	Broad        Word = "broad"         // too many whole sites added
)

var words = []Word{PublicSuffix, NeverBlock, Popular, Shared, Size, Growth, Change, Window, Broad}

// Overrule is who may let a version pass although a brake holds it.
type Overrule string

// Who overrules a brake.
const (
	Nobody  Overrule = "nobody"
	Entries Overrule = "entries" // people with a written reason, naming each entry
	Version Overrule = "version" // people with a written reason, for the version as a whole
)

// AtHotline is who overrules a brake when a hotline signs: its officers, each with a written reason.
func (w Word) AtHotline() Overrule {
	if w == NeverBlock {
		return Nobody
	}
	return w.AtOperator()
}

// AtOperator is who overrules a brake in an operator's verdict: two of its officers. A public suffix is held for nobody to
// release: no hotline that ran the check signs one, and both sides know the same list of them (canon.ID).
func (w Word) AtOperator() Overrule {
	switch w {
	case PublicSuffix:
		return Nobody
	case NeverBlock, Popular, Shared:
		return Entries
	case Size, Growth, Change, Window, Broad:
		return Version
	}
	return Nobody
}

// Hit is an entry that a brake holds.
type Hit struct {
	ID   match.EntryID `json:"id"`
	Kind canon.Kind    `json:"-"`
	// Name is the protected name that the entry would stop. It is left empty at an operator, where it would say what is listed.
	Name string `json:"-"`
	// Category is that of the never-block list; empty for other brakes.
	Category Category `json:"category,omitempty"`
}

// Held is one brake that holds.
type Held struct {
	Brake Word   `json:"brake"`
	Text  string `json:"text"` // what, in plain words, without any name
	Do    string `json:"do"`   // what to do
	// Of brakes about names: how many entries, of which kinds, and the first of them by id, at most MaxHits.
	Count   int            `json:"count,omitempty"`
	Kinds   map[string]int `json:"kinds,omitempty"`
	Entries []Hit          `json:"entries,omitempty"`
}

// Report is what the brakes say about a version.
type Report struct {
	Held  []Held   `json:"held"`  // in the order of the brakes
	Notes []string `json:"notes"` // what a person should know although nothing holds for it
}

// First is the word of the first brake that holds, or "".
func (r *Report) First() Word {
	if len(r.Held) == 0 {
		return ""
	}
	return r.Held[0].Brake
}

// MaxHits bounds the entries that a brake counts; beyond it, Count says "at least". A version with so many is not one of mistakes
// in single entries.
const MaxHits = 65536

// List is a list version that can be asked.
type List interface {
	// Stopping appends the entries that would stop all of the canonical name: host entries of it, domain entries of it or of a name
	// above it, prefix entries of its root. It may be called by one goroutine at a time and does not keep name.
	Stopping(dst []Hit, name []byte) []Hit
}

// Question is all that Ask needs.
type Question struct {
	List    List
	Names   *Names
	Numbers Numbers
	// Before is what is in force of the same list; nil for nothing. A name that it stops already holds nothing back: a version is not
	// better for being refused what the one before it does, and who let an entry pass once would have to do so for every version.
	Before List
	Limits Limits
	// Exempt reports an entry that people have overruled a brake for; nil exempts none.
	Exempt func(Word, match.EntryID) bool
	// Waived reports a brake that people have overruled for the version as a whole; nil waives none.
	Waived func(Word) bool
	// Plain: the asker holds the entries in plain text anyway, so hits carry the names they would stop.
	Plain bool
}

// Ask asks a list version about every protected name and looks at its numbers. Its error is ctx's. With a million popular names
// and a million entries it takes about a second; memory is that of MaxHits entries.
func Ask(ctx context.Context, q *Question) (*Report, error) {
	r := &Report{Held: []Held{}, Notes: []string{}}
	a := asker{q: q, ctx: ctx, report: r}
	for _, ask := range []func() error{a.suffixes, a.neverBlock, a.popular, a.shared} {
		if err := ask(); err != nil {
			return nil, err
		}
	}
	for _, h := range q.Numbers.held(&q.Limits) {
		if q.Waived == nil || !q.Waived(h.Brake) || h.Brake.AtOperator() != Version {
			r.Held = append(r.Held, h)
		}
	}
	slices.SortStableFunc(r.Held, func(a, b Held) int { return cmp.Compare(slices.Index(words, a.Brake), slices.Index(words, b.Brake)) })
	return r, nil
}

// asker works through one Question.
type asker struct {
	q      *Question
	ctx    context.Context
	report *Report
	asked  int
	buf    []Hit
	before []Hit
	name   []byte
}

// found collects the entries of one brake.
type found struct {
	brake Word
	hits  map[match.EntryID]Hit
	full  bool
	known int // names that are stopped already
}

// ask asks about one name, and with www about the same name with "www." before it: sites are listed under the one and reached under
// the other.
func (a *asker) ask(f *found, c Category, name string, www bool) error {
	if a.asked++; a.asked%4096 == 0 {
		if err := a.ctx.Err(); err != nil {
			return err
		}
	}
	a.name = append(append(a.name[:0], "www."...), name...)
	known := a.one(f, c, a.name[4:], name)
	if www && len(a.name) <= match.MaxName {
		known = a.one(f, c, a.name, name) || known
	}
	if known {
		f.known++
	}
	return nil
}

// one asks about one spelling and reports one that is stopped already.
func (a *asker) one(f *found, c Category, name []byte, protected string) (known bool) {
	a.buf = a.q.List.Stopping(a.buf[:0], name)
	if len(a.buf) > 0 && a.stopped(name) {
		return true
	}
	for _, h := range a.buf {
		h.Category = c
		if a.q.Plain {
			h.Name = protected
		}
		a.add(f, h)
	}
	return false
}

// stopped reports a name that what is in force stops already.
func (a *asker) stopped(name []byte) bool {
	if a.q.Before == nil {
		return false
	}
	a.before = a.q.Before.Stopping(a.before[:0], name)
	return len(a.before) > 0
}

// add notes an entry once, unless people have overruled the brake for it.
func (a *asker) add(f *found, h Hit) {
	switch _, known := f.hits[h.ID]; {
	case known, a.q.Exempt != nil && f.brake.AtOperator() == Entries && a.q.Exempt(f.brake, h.ID):
	case len(f.hits) >= MaxHits:
		f.full = true
	default:
		f.hits[h.ID] = h
	}
}

// hold puts what was found into the report.
func (a *asker) hold(f *found, text, do string) {
	if f.known > 0 {
		a.report.Notes = append(a.report.Notes, fmt.Sprintf("%d of the names that the brake %s protects are stopped by what is in force already: they hold nothing back", f.known, f.brake))
	}
	n := len(f.hits)
	if n == 0 {
		return
	}
	h := Held{Brake: f.brake, Do: do, Count: n, Kinds: map[string]int{}, Entries: make([]Hit, 0, n)}
	for _, e := range f.hits {
		h.Kinds[e.Kind.String()]++
		h.Entries = append(h.Entries, e)
	}
	slices.SortFunc(h.Entries, func(a, b Hit) int { return slices.Compare(a.ID[:], b.ID[:]) })
	count := fmt.Sprint(n)
	if f.full {
		count = "at least " + count
	}
	what := "entries"
	if n == 1 {
		what = "entry"
	}
	h.Text = fmt.Sprintf("%s %s would stop %s", count, what, text)
	a.report.Held = append(a.report.Held, h)
}

const (
	askHotline = "ask the hotline about these entry ids; "
	correct    = "the hotline publishes a version without them"
)

func (a *asker) suffixes() error {
	f := &found{brake: PublicSuffix, hits: map[match.EntryID]Hit{}}
	for name := range canon.Suffixes() {
		if err := a.ask(f, "", name, false); err != nil {
			return err
		}
	}
	if p, ok := a.q.List.(*Plain); ok {
		p.suffixes(func(h Hit) bool {
			if !a.stopped([]byte(h.Name)) {
				a.add(f, h)
			}
			return !f.full && a.ctx.Err() == nil
		})
	}
	a.hold(f, "a public suffix, below which strangers have their sites", correct)
	return nil
}

func (a *asker) neverBlock() error {
	f := &found{brake: NeverBlock, hits: map[match.EntryID]Hit{}}
	for _, p := range a.q.Names.protected {
		if err := a.ask(f, p.category, p.name, p.category != Special); err != nil {
			return err
		}
	}
	a.hold(f, "a name of the never-block list", askHotline+correct)
	return nil
}

func (a *asker) popular() error {
	f := &found{brake: Popular, hits: map[match.EntryID]Hit{}}
	for name := range a.q.Names.popularity.Popular() {
		if err := a.ask(f, "", name, true); err != nil {
			return err
		}
	}
	a.hold(f, "a popular name", askHotline+correct)
	return nil
}

func (a *asker) shared() error {
	f := &found{brake: Shared, hits: map[match.EntryID]Hit{}}
	for name := range a.q.Names.popularity.Shared() {
		if err := a.ask(f, "", name, true); err != nil {
			return err
		}
	}
	a.hold(f, "a host that carries many others", askHotline+"single pages of such a host can be listed")
	return nil
}
