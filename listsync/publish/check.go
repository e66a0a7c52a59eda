package publish

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/cordon-project/cordon/listsync/brake"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Hold is one brake that holds the list, in plain words. Of a brake about names there is one for each entry.
type Hold struct {
	Brake   string `json:"brake"`             // a brake.Word, or charter, assessors, expired, withdrawn
	Entry   string `json:"entry,omitempty"`   // id of the entry it is about; empty when it is about the version
	Address string `json:"address,omitempty"` // the entry's expression
	Text    string `json:"text"`
	Do      string `json:"do"`
	Approve bool   `json:"approve"` // officers may sign all the same, with a written reason (for the entry, when there is one)
}

// is reports whether w names the entry of a hold, by id or by address.
func (h *Hold) is(w string) bool {
	if h.Entry == "" || h.Entry == w {
		return h.Entry != ""
	}
	for _, k := range []canon.Kind{canon.KindHost, canon.KindPrefix} {
		if e, err := canon.Expression(k, w); err == nil && e == h.Address {
			return true
		}
	}
	return false
}

// CheckReport is what the brakes say about the working set.
type CheckReport struct {
	Entries    int      `json:"entries"`
	Against    uint64   `json:"against"` // the published version it was compared with, 0 for none
	Added      int      `json:"added"`
	Removed    int      `json:"removed"`
	NeverBlock string   `json:"never_block"` // version of the never-block list
	Holds      []Hold   `json:"holds"`
	More       int      `json:"more,omitempty"` // holds that are not listed
	Notes      []string `json:"notes,omitempty"`
}

// maxHolds bounds the holds that are listed; an import gone wrong can have one for every row.
const maxHolds = 1000

func (r *CheckReport) hold(h Hold) {
	if len(r.Holds) >= maxHolds {
		r.More++
		return
	}
	r.Holds = append(r.Holds, h)
}

// Err is nil when nothing holds, else a *Fault that is ErrHeld.
func (r *CheckReport) Err() error {
	n := len(r.Holds) + r.More
	if n == 0 {
		return nil
	}
	return sentence(CodeHeld, ErrHeld, "do what each line says, then check again", "%d %s the list back", n, plural(n, "brake holds", "brakes hold"))
}

// mustStop reports a hold that no reason overcomes.
func (r *CheckReport) mustStop() bool {
	return r.More > 0 || slices.ContainsFunc(r.Holds, func(h Hold) bool { return !h.Approve })
}

// Write puts the report in plain words.
func (r *CheckReport) Write(w io.Writer) {
	for _, n := range r.Notes {
		fmt.Fprintln(w, "note: "+printable(n))
	}
	if len(r.Holds) == 0 {
		fmt.Fprintf(w, "nothing holds: %d %s checked, %d added and %d removed since %s\n", r.Entries, plural(r.Entries, "entry", "entries"), r.Added, r.Removed, versionName(r.Against))
		return
	}
	for _, h := range r.Holds {
		fmt.Fprintf(w, "HELD %s: %s\n  what to do: %s\n", printable(h.Brake), printable(h.Text), printable(h.Do))
	}
	if r.More > 0 {
		fmt.Fprintf(w, "and %d more\n", r.More)
	}
}

func versionName(seq uint64) string {
	if seq == 0 {
		return "the beginning (nothing is published yet)"
	}
	return fmt.Sprintf("version %d", seq)
}

// Check holds the working set against the brakes. neverBlock names further files with one name a line. The report comes with a nil
// error when something holds, too: ask its Err.
func (h *Hotline) Check(neverBlock ...string) (*CheckReport, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	if _, err := s.accredited(); err != nil {
		return nil, err
	}
	k, err := s.newChecker(neverBlock)
	if err != nil {
		return nil, err
	}
	d, _, err := s.compare(false, onlookers{now: k.entry, was: k.published})
	if err != nil {
		return nil, err
	}
	return k.report(d)
}

// checker runs the brakes: over each entry while compare passes it, and then over the whole.
type checker struct {
	s      *session
	r      *CheckReport
	names  *brake.Names
	plain  *brake.Plain
	was    *brake.Plain // the last published version
	filter match.Filter

	withdrawn map[match.EntryID]uint64 // number of the statement
}

func (s *session) newChecker(neverBlock []string) (*checker, error) {
	names, err := s.protectedNames(neverBlock)
	if err != nil {
		return nil, err
	}
	k := &checker{s: s, names: names, plain: names.Plain(), filter: s.acc.charter.Filter()}
	k.was = k.plain.Another()
	issued, err := s.statements()
	if err != nil {
		return nil, err
	}
	k.withdrawn = map[match.EntryID]uint64{}
	for _, st := range issued {
		for _, id := range st.Entries {
			if st.SeqTo >= s.st.Seq { // else it is an addition to the last version, and shown as one that was withdrawn before
				k.withdrawn[id] = st.Number
			}
		}
	}
	k.r = &CheckReport{NeverBlock: names.Version(), Holds: []Hold{}}
	if stale := names.Popularity().Stale(s.now); stale != "" {
		k.r.Notes = append(k.r.Notes, stale)
	}
	return k, nil
}

// entry is an onlooker of compare.
func (k *checker) entry(e *list.Entry) error {
	k.s.checkEntry(k.r, e, &k.filter)
	if number, ok := k.withdrawn[e.ID]; ok {
		// Whoever lists the address again gives it a new id. This one came back with an old entries.jsonl: a new version would put it into
		// force again, and as it is in the last one too, no difference would show that.
		k.r.hold(Hold{Brake: "withdrawn", Entry: e.ID.String(), Address: e.Expression, Approve: true,
			Text: fmt.Sprintf("%s entry %s would be in force again although withdrawal %d has taken it out: entries.jsonl is older than that", e.Kind, e.Expression, number),
			Do:   "take it out with remove --reason REASON; when it is right, each officer signs with --approve \"" + e.ID.String() + "=WHY\""})
	}
	k.plain.Add(e)
	return nil
}

// published is an onlooker of compare, too.
func (k *checker) published(e *list.Entry) error {
	k.was.Add(e)
	return nil
}

// both shows an entry to two onlookers.
func both(a, b func(*list.Entry) error) func(*list.Entry) error {
	return func(e *list.Entry) error {
		if err := a(e); err != nil {
			return err
		}
		return b(e)
	}
}

// report runs the brakes that look at the whole; d is the change since the last published version.
func (k *checker) report(d *Diff) (*CheckReport, error) {
	k.r.Entries, k.r.Against, k.r.Added, k.r.Removed = d.After, d.From, d.AddedCount, d.RemovedCount
	numbers, err := k.s.numbers(d)
	if err != nil {
		return nil, err
	}
	// What was published holds nothing back again, unless it was taken out since and comes back.
	k.was.Keep(func(e *list.Entry) bool {
		_, out := d.before[keyOf(e)]
		return !out
	})
	asked, err := brake.Ask(context.Background(), &brake.Question{List: k.plain, Before: k.was, Names: k.names, Numbers: numbers, Limits: k.s.set.Limits.brakes(), Plain: true})
	if err != nil {
		return nil, err
	}
	k.r.Notes = append(k.r.Notes, asked.Notes...)
	k.add(asked)
	return k.r, nil
}

// add puts what the brakes say into words for people who know the entries.
func (k *checker) add(asked *brake.Report) {
	for _, h := range asked.Held {
		who := h.Brake.AtHotline()
		if h.Brake.AtOperator() == brake.Version {
			k.r.hold(Hold{Brake: string(h.Brake), Text: h.Text, Do: numberDo(h.Brake), Approve: who == brake.Version})
			continue
		}
		for i, hit := range h.Entries {
			if len(k.r.Holds) >= maxHolds {
				k.r.More += len(h.Entries) - i
				break
			}
			kind, expression := k.plain.Entry(hit.ID)
			what, do := heldName(h.Brake, hit.ID, hit.Name)
			k.r.hold(Hold{Brake: string(h.Brake), Entry: hit.ID.String(), Address: expression, Approve: who == brake.Entries,
				Text: fmt.Sprintf("%s entry %s %s", kind, expression, what), Do: do})
		}
	}
}

func numberDo(w brake.Word) string {
	if w == brake.Size {
		return "look for an import gone wrong; raise max_entries in hotline.json when the number is right"
	}
	return "look at diff; when it is right, each officer signs with --approve \"WHY\""
}

// heldName says why a brake about names holds an entry, and what to do.
func heldName(w brake.Word, id match.EntryID, name string) (what, do string) {
	do = "take it out with remove --reason REASON"
	pages := do + ", or list its pages as url entries"
	approve := pages + "; when it is right, each officer signs with --approve \"" + id.String() + "=WHY\""
	switch w {
	case brake.PublicSuffix:
		return "would block " + name + ", a public suffix: strangers have their sites below it", do
	case brake.Popular:
		return "would block " + name + ", which the popularity file says many people use", approve
	case brake.Shared:
		return "would block " + name + ", which carries the sites of many others", approve
	}
	return "would block " + name + ", which the never-block list protects", pages
}

// checkEntry asks the brakes about one entry that need nothing else.
func (s *session) checkEntry(r *CheckReport, e *list.Entry, filter *match.Filter) {
	remove := "take it out with remove --reason REASON"
	hold := func(brake, do, format string, a ...any) {
		r.hold(Hold{Brake: brake, Entry: e.ID.String(), Address: e.Expression, Do: do, Text: e.Kind.String() + " entry " + e.Expression + " " + fmt.Sprintf(format, a...)})
	}
	if !slices.Contains(filter.Kinds, e.Kind) || !slices.Contains(filter.Bases, e.Basis) || !slices.Contains(filter.Jurisdictions, e.Jurisdiction) {
		hold("charter", remove+"; operators would drop it", "(%s, %s) is outside of the charter", e.Basis, e.Jurisdiction)
	}
	if i, why := twoPeople(e.Assessors); why != "" { // import refuses it; this is for what came into the file another way
		hold("assessors", "have two people assess it and import it again, or "+remove, "has a wrong assessor_%d: %s", i+1, why)
	}
	if !e.ReviewBy.After(s.now) {
		hold("expired", "assess it again and say so with reattest, or take all such entries out with remove --expired",
			"had to be assessed again by %s", day(e.ReviewBy))
	}
}
