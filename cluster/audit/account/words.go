package account

import (
	"fmt"
	"strings"
	"time"

	"github.com/cordon-project/cordon/cluster/audit/period"
)

// writer turns facts into sentences. Everything that is not a number comes from closed sets or from bounded words of signed leaves.
type writer struct {
	d *Document
	f *period.Facts
}

func head(title string, shows, cannot []string, tables ...Table) Heading {
	if shows == nil {
		shows = []string{}
	}
	if cannot == nil {
		cannot = []string{}
	}
	return Heading{Title: title, Shows: shows, Cannot: cannot, Tables: tables}
}

func say(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// directive answers Article 25(2) of Directive 2011/93/EU.
func (w writer) directive() Part {
	f := w.f
	return Part{
		Title:  "Directive 2011/93/EU, Article 25(2)",
		Source: "Measures to block access must be set by transparent procedures and provide adequate safeguards: limited to what is necessary and proportionate, users informed of the reason, the possibility of judicial redress.",
		Heads: []Heading{
			head("Transparent procedures", []string{
				say("Every change of what is blocked is a record in an append-only log of %d records, %d of them in this period, cosigned by a quorum of the operator's control nodes.", f.End, f.End-f.Begin),
				say("%d list versions came into force, each signed by officers of an accredited hotline, and checked by a quorum of control nodes before.", w.versions()),
				say("%d offers were refused, and the log says why.", w.refused()),
			}, []string{
				"How a hotline's analysts judged single pages: the log has ids, counts and hashes. A reviewer can have entries opened (cordon-audit sample).",
			}, w.leaves(), w.refusals()),
			head("Adequate safeguards", []string{
				w.holds(),
				w.orders(),
				say("%d of %d receipts of edges name the state that follows from the log they saw; %d more name withdrawals that they took straight from the hotline, which the verification compares.", f.Receipts.Right, f.Receipts.N-f.Receipts.Ahead, f.Receipts.Ahead),
				w.silence(),
			}, []string{
				"Whether a server that answers subscribers is one of the enrolled edges: ask it from a subscriber's line (cordon-audit probe).",
			}, w.alarms(), w.nodes()),
			head("Necessary and proportionate", append(w.sizes(), w.reach()...), []string{
				"Whether each entry is what it is said to be: the sample and its error bound say that, not the log.",
			}, w.kinds()),
			head("Users informed of the reason", []string{
				"The legal basis of an entry is signed with it; edges answer with the Extended DNS Error of that basis and lead to a stop page that says why, on which law, and how to complain.",
			}, []string{
				"What a subscriber saw: ask from a subscriber's line, with the stop page's address (cordon-audit probe --page).",
			}),
			head("Possibility of judicial redress", w.redress(), []string{
				"What a court was asked or said beyond the reasons and outcomes that were logged, and complaints that the operator did not register.",
			}),
		},
	}
}

// court answers what Kharitonov v. Russia (no. 10795/14, 23 June 2020) asks of a blocking measure.
func (w writer) court() Part {
	f := w.f
	return Part{
		Title:  "European Court of Human Rights, Kharitonov v. Russia",
		Source: "No. 10795/14, 23 June 2020: a blocking measure needs a foreseeable basis in law, a decision of known scope, no collateral effect on lawful sites, notification, review, and an appeal.",
		Heads: []Heading{
			head("Legal basis", []string{
				say("%d charters of accredited hotlines were in force, of the one scope csam; each names the jurisdictions, legal bases and kinds of entries that may be enforced.", len(f.Charters)),
			}, []string{"The text of the laws and agreements themselves."}, w.charters()),
			head("Foreseeability", []string{
				"What is blocked is a pure function of signed lists, logged removals and the charters' filters: whoever has the lists computes the same state, and edges sign which state they serve.",
				say("%d never-block policies were set by two officers.", len(f.Policies)),
			}, nil),
			head("Scope of the decision", w.sizes(), []string{"The names: nothing in a log can be tested against a guess without a key."}, w.versionTable()),
			head("Collateral blocking", append(w.reach(),
				"There is no action on an IP address, and entries for single pages never become a block of a whole host.",
				w.holds()), []string{
				"Lawful pages on a host or domain that is listed as a whole; how many there are nobody can know from a log.",
			}),
			head("Notification", []string{
				"Hotlines publish every version in a log of its own where their charter names one; the operator's log is open to anyone.",
			}, []string{"Whether the owner of a listed site was told: that is the hotline's to do, and no part of this log."}),
			head("Review", append(w.review(), w.unblock()...), []string{"How an entry was assessed again."}, w.reviewTable(), w.removals()),
			head("Appeal", w.redress(), []string{"Appeals that were not registered, and what the persons concerned think of the outcome."}),
		},
	}
}

func (w writer) versions() (n int) {
	for _, l := range w.f.Lists {
		n += len(l.Versions)
	}
	return n
}

func (w writer) refused() (n uint64) {
	for _, r := range w.f.Refusals {
		n += r.N
	}
	return n
}

func (w writer) holds() string {
	h := w.f.Holds
	var n uint64
	for _, b := range h.Brakes {
		n += b.N
	}
	return say("Brakes held a signed version back %d times (%s); officers let one in %d times; %d are held back at the end.", n, counts(h.Brakes), h.Approved, len(h.Open))
}

func (w writer) orders() string {
	f := w.f
	s := say("The operator's officers, two at a time, took %d entries out of force for a time in %d orders (%s), lifted %d; %d are suppressed at the end. %d returns to an earlier version. %d orders let everything pass, for %s in all.",
		f.Suppress.Entries, f.Suppress.Orders, counts(f.Suppress.Reasons), f.Suppress.Lifted, f.Suppress.InForce, len(f.Returns), f.Bypass.Orders, duration(f.Bypass.Seconds))
	if f.Bypass.Until != 0 {
		s += " AT THE END OF THE PERIOD EVERYTHING PASSES, until " + f.Bypass.Until.String() + "."
	}
	if n := len(f.Exemptions); n > 0 {
		s += say(" %d orders were about prefixes of accredited analysts, towards which lists are not enforced.", n)
	}
	return s
}

func (w writer) silence() string {
	s := w.f.Silence
	if s.Seconds == 0 {
		return "There was no time without a record."
	}
	return say("The longest time without any record was %s, from %s: nothing changed then, or nobody could agree on a change.", duration(s.Seconds), s.From)
}

func (w writer) sizes() []string {
	var out []string
	for _, l := range w.f.Lists {
		switch {
		case l.After == nil:
			out = append(out, say("List %s was not in force at the end.", l.List))
		case l.Before == nil:
			out = append(out, say("List %s came into force in this period and has %s at the end (version %d); %d entries added, %d left out by versions.", l.List, entries(l.After), l.After.Seq, l.Added, l.Removed))
		default:
			out = append(out, say("List %s had %s (version %d) and has %s at the end (version %d); %d entries added, %d left out by versions.",
				l.List, entries(l.Before), l.Before.Seq, entries(l.After), l.After.Seq, l.Added, l.Removed))
		}
	}
	if len(out) == 0 {
		out = append(out, "No list was in force.")
	}
	return out
}

// reach says what DNS cannot enforce.
func (w writer) reach() []string {
	var out []string
	for _, l := range w.f.Lists {
		if l.After != nil {
			pages := of(l.After.Kinds, "url") + of(l.After.Kinds, "prefix")
			out = append(out, say("Of list %s, %d entries are single pages or paths: DNS does not enforce them, and no whole host is blocked for them.", l.List, pages))
		}
	}
	return out
}

func (w writer) redress() []string {
	a, f := w.f.Appeals, w.f
	out := []string{
		say("%d appeals were registered and %s; %d are open at the end, %d of them overdue. %s", a.Received, decided(a.Decided), a.Open, a.Overdue, delay("From receipt to decision", f.ToDecide)),
	}
	if n := of(f.Withdrawals.Reasons, "court") + of(f.Withdrawals.Reasons, "appeal"); n > 0 {
		out = append(out, say("%d entries were withdrawn by hotlines because of a court or an appeal.", n))
	}
	return out
}

func (w writer) review() []string {
	var out []string
	for _, r := range w.d.Review {
		out = append(out, say("List %s version %d, in force when this was made: %d of %d entries are past their review date, so edges let them pass; %d more are due within 30 days.", r.List, r.Seq, r.Past, r.Entries, r.Soon))
	}
	if len(out) == 0 {
		out = append(out, "No list in force could be read, so nothing is said of review dates.")
	}
	return append(out, "Every entry has a review date at most 180 days ahead and ends by itself without a new assessment.")
}

func (w writer) unblock() []string {
	x, f := w.f.Withdrawals, w.f
	return []string{
		say("%d urgent withdrawals of %d entries (%s); %d lack a second signature at the end.", x.N, x.Entries, counts(x.Reasons), len(x.Owed)),
		delay("From a withdrawal's issue to the log", f.ToLog), delay("From a withdrawal's issue to each edge's receipt", f.ToUnblock), delay("From a version's record to each edge's receipt", f.ToBlock),
	}
}

// entries says how many entries a version has; canary, steer and decoy records are no kinds of their own.
func entries(v *period.Version) string {
	var n uint64
	for _, k := range v.Kinds {
		switch k.Word {
		case "url", "prefix", "host", "domain":
			n += k.N
		}
	}
	return say("%d entries", n)
}

func of(c []period.Count, word string) uint64 {
	for _, x := range c {
		if x.Word == word {
			return x.N
		}
	}
	return 0
}

func counts(c []period.Count) string {
	if len(c) == 0 {
		return "none"
	}
	parts := make([]string, len(c))
	for i, x := range c {
		parts[i] = say("%d %s", x.N, x.Word)
	}
	return strings.Join(parts, ", ")
}

func decided(c []period.Count) string {
	if len(c) == 0 {
		return "none was decided"
	}
	return counts(c)
}

func delay(what string, d period.Delay) string {
	if d.N == 0 {
		return say("%s: no case was done, %d waiting at the end.", what, d.Waiting)
	}
	return say("%s: median %s, 95 %% within %s, worst %s, of %d; %d waiting at the end.", what, duration(d.Median), duration(d.P95), duration(d.Worst), d.N, d.Waiting)
}

func duration(seconds int64) string { return (time.Duration(seconds) * time.Second).String() }
