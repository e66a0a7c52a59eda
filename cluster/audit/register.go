package audit

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"fmt"
	"iter"
	"slices"
	"time"
)

const (
	// MaxOpenAppeals is how many appeals may wait for a decision at once, MaxAppeals how many a cluster registers in its life.
	MaxOpenAppeals = 10_000
	MaxAppeals     = 100_000
	// MaxBuildsADay is how often a node may say in one day of cluster time that it runs another program: a machine that restarts with two
	// versions in turn must not fill the log.
	MaxBuildsADay = 8
)

// Register is what the log says so far of appeals and of the programs that nodes run: a pure function of the leaves, the same for replicas
// and auditors. It is a value: Apply never alters the old one's slices.
type Register struct {
	Appeals [][]AppealState // by reference, each once, decided ones stay; in pages, so that one more copies a page and not all
	Count   int             // appeals
	Open    int             // of them, those without a decision
	Builds  []BuildState    // the last of each node, by role and name
}

// AppealState is what became of an appeal.
type AppealState struct {
	Appeal
	Leaf    uint64 // that registered it
	Outcome Outcome
	By      []string // officers who decided; empty while it is open
	At      int64    // when they did
	Decided uint64   // leaf that says so
}

// Overdue reports whether it should have been decided by now.
func (a AppealState) Overdue(now int64) bool { return a.Outcome == "" && now > a.Due }

// BuildState is the last that a node said of its program.
type BuildState struct {
	Build
	Leaf  uint64
	Day   int64 // of cluster time
	Today int   // statements on it
}

// Keys finds the key of a control node or an edge that is a member now; nil for a stranger.
type Keys func(role, name string) ed25519.PublicKey

// Find finds an appeal.
func (r Register) Find(ref AppealRef) (AppealState, bool) {
	p, i, ok := r.find(ref)
	if !ok {
		return AppealState{}, false
	}
	return r.Appeals[p][i], true
}

// appealPage is how many appeals a page holds at most.
const appealPage = 256

// find is the page and the place of an appeal, or where it would be; the first page need not exist.
func (r Register) find(ref AppealRef) (page, at int, ok bool) {
	page, ok = slices.BinarySearchFunc(r.Appeals, ref, func(p []AppealState, ref AppealRef) int { return cmp.Compare(p[0].Ref, ref) })
	if !ok && page > 0 {
		page-- // the last page that begins before it
	}
	if page == len(r.Appeals) {
		return page, 0, false
	}
	at, ok = slices.BinarySearchFunc(r.Appeals[page], ref, func(a AppealState, ref AppealRef) int { return cmp.Compare(a.Ref, ref) })
	return page, at, ok
}

// All are the appeals, by reference.
func (r Register) All() iter.Seq[AppealState] {
	return func(yield func(AppealState) bool) {
		for _, p := range r.Appeals {
			for _, a := range p {
				if !yield(a) {
					return
				}
			}
		}
	}
}

// Overdue are the open appeals that should have been decided by now, by reference.
func (r Register) Overdue(now int64) []AppealState {
	var out []AppealState
	for a := range r.All() {
		if a.Overdue(now) {
			out = append(out, a)
		}
	}
	return out
}

// Build is the last that a node said of its program.
func (r Register) Build(role, name string) (BuildState, bool) {
	i, ok := r.build(role, name)
	if !ok {
		return BuildState{}, false
	}
	return r.Builds[i], true
}

func (r Register) build(role, name string) (int, bool) {
	return slices.BinarySearchFunc(r.Builds, Build{Role: role, Name: name}, func(s BuildState, b Build) int {
		return cmp.Or(cmp.Compare(s.Role, b.Role), cmp.Compare(s.Name, b.Name))
	})
}

// Apply is the register after the leaf, whose body it is given. keys are those of members before it. It verifies the signatures of
// decisions and builds. Errors: ErrAdmin for what does not fit, ErrSignature, ErrTooLarge.
func (r Register) Apply(c *Cluster, id string, keys Keys, leaf Leaf, body Body) (Register, error) {
	a, ok := body.(Admin)
	if !ok {
		return r, nil
	}
	var err error
	next := r
	switch said := a.Said.(type) {
	case Appeal:
		err = next.appeal(leaf, said)
	case Decision:
		err = next.decide(c, id, leaf, said)
	case Builds:
		next.Builds = slices.Clone(r.Builds)
		for _, item := range said.Items {
			if _, err = next.say(id, keys, leaf.T, leaf.N, item); err != nil {
				break
			}
		}
	}
	if err != nil {
		return r, err
	}
	return next, nil
}

func (r *Register) appeal(leaf Leaf, a Appeal) error {
	p, i, there := r.find(a.Ref)
	switch {
	case there:
		return fmt.Errorf("appeal %s is registered already: %w", a.Ref, ErrAdmin)
	case a.Received > leaf.T+adminSkew || leaf.T-a.Received > int64(MaxAppealTime/time.Second):
		return fmt.Errorf("appeal %s received at %s and registered at %s: %w", a.Ref, stamp(a.Received), stamp(leaf.T), ErrAdmin)
	case r.Open >= MaxOpenAppeals || r.Count >= MaxAppeals:
		return fmt.Errorf("%d appeals, %d of them open: %w", r.Count, r.Open, ErrTooLarge)
	}
	pages := slices.Clone(r.Appeals)
	if p == len(pages) {
		pages = append(pages, nil)
	}
	pages[p] = slices.Insert(slices.Clone(pages[p]), i, AppealState{Appeal: a, Leaf: leaf.N})
	if half := len(pages[p]) / 2; len(pages[p]) > appealPage {
		pages = slices.Insert(pages, p+1, slices.Clone(pages[p][half:]))
		pages[p] = pages[p][:half:half]
	}
	r.Appeals, r.Count, r.Open = pages, r.Count+1, r.Open+1
	return nil
}

func (r *Register) decide(c *Cluster, id string, leaf Leaf, d Decision) error {
	said, err := d.Ruling()
	if err != nil {
		return err
	}
	p, i, there := r.find(said.Ref)
	var a AppealState
	if there {
		a = r.Appeals[p][i]
	}
	switch {
	case said.Cluster != id:
		return fmt.Errorf("decision of another cluster: %w", ErrAdmin)
	case !there:
		return fmt.Errorf("decision on appeal %s, which nobody has registered: %w", said.Ref, ErrAdmin)
	case a.Outcome != "":
		return fmt.Errorf("decision on appeal %s, which was decided at leaf %d: %w", said.Ref, a.Decided, ErrAdmin)
	case said.At < a.Received || said.At > leaf.T+adminSkew:
		return fmt.Errorf("decision on appeal %s at %s, received at %s, handed in at %s: %w", said.Ref, stamp(said.At), stamp(a.Received), stamp(leaf.T), ErrAdmin)
	}
	if err := d.verify(c.Officers); err != nil {
		return err
	}
	a.Outcome, a.By, a.At, a.Decided = said.Outcome, d.Officers(), said.At, leaf.N
	r.Appeals = slices.Clone(r.Appeals)
	r.Appeals[p] = slices.Clone(r.Appeals[p])
	r.Appeals[p][i] = a
	r.Open--
	return nil
}

// CheckBuild says whether a node's statement would be accepted at this time: signed by a member, later than its last one, about another
// program. again, with ErrAdmin: it says what the node's last one says; nothing is wrong, and nothing was verified.
func (r Register) CheckBuild(id string, keys Keys, now int64, item SignedBuild) (again bool, err error) {
	_, _, _, again, err = r.next(id, keys, now, 0, item)
	return again, err
}

// Accept picks the statements that would be accepted one after the other, and says whether one of the others was the node's last one again.
func (r Register) Accept(id string, keys Keys, now int64, items []SignedBuild) (good []SignedBuild, again bool) {
	r.Builds = slices.Clone(r.Builds)
	for _, item := range items {
		same, err := r.say(id, keys, now, 0, item)
		if again = again || same; err == nil {
			good = append(good, item)
		}
	}
	return good, again
}

// say enters a node's statement; the slice must be the caller's own.
func (r *Register) say(id string, keys Keys, t int64, n uint64, item SignedBuild) (again bool, err error) {
	next, i, there, again, err := r.next(id, keys, t, n, item)
	switch {
	case err != nil:
		return again, err
	case there:
		r.Builds[i] = next
	default:
		r.Builds = slices.Insert(r.Builds, i, next)
	}
	return false, nil
}

// next is what a node's statement makes of its place among the builds.
func (r Register) next(id string, keys Keys, t int64, n uint64, item SignedBuild) (next BuildState, i int, there, again bool, err error) {
	refuse := func(format string, args ...any) (BuildState, int, bool, bool, error) {
		return BuildState{}, 0, false, again, fmt.Errorf(format, args...)
	}
	b, err := item.Build()
	if err != nil {
		return BuildState{}, 0, false, false, err
	}
	key := keys(b.Role, b.Name)
	if b.Cluster != id || key == nil {
		return refuse("build of %s %s, which is no member: %w", b.Role, b.Name, ErrAdmin)
	}
	next = BuildState{Build: b, Leaf: n, Day: t / (24 * 60 * 60), Today: 1}
	if i, there = r.build(b.Role, b.Name); there {
		last := r.Builds[i]
		switch {
		case last.Digest == b.Digest && last.Program == b.Program && last.Version == b.Version:
			again = true
			return refuse("build of %s %s is its last one again: %w", b.Role, b.Name, ErrAdmin)
		case b.Time <= last.Time:
			return refuse("build of %s %s at %s, its last one was at %s: %w", b.Role, b.Name, stamp(b.Time), stamp(last.Time), ErrAdmin)
		case last.Day == next.Day && last.Today >= MaxBuildsADay:
			return refuse("more than %d builds of %s %s in a day: %w", MaxBuildsADay, b.Role, b.Name, ErrAdmin)
		case last.Day == next.Day:
			next.Today += last.Today
		}
	}
	if b.Time > t+adminSkew {
		return refuse("build of %s %s at %s, handed in at %s: %w", b.Role, b.Name, stamp(b.Time), stamp(t), ErrAdmin)
	}
	if _, err := VerifyBuild(item, key); err != nil {
		return BuildState{}, 0, false, false, err
	}
	return next, i, there, false, nil
}

// Says reports whether an appeal or a decision is there already, in the same words: the command came twice.
func (r Register) Says(act Act) bool {
	switch said := act.(type) {
	case Appeal:
		a, ok := r.Find(said.Ref)
		return ok && bytes.Equal(encode(a.Appeal), encode(said))
	case Decision:
		ruling, err := said.Ruling()
		if err != nil {
			return false
		}
		a, ok := r.Find(ruling.Ref)
		return ok && a.Outcome == ruling.Outcome && a.At == ruling.At && slices.Equal(a.By, said.Officers())
	}
	return false
}
