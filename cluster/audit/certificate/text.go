package certificate

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/period"
)

// WriteText writes the document for people. It has no more in it than the document.
func (d Document) WriteText(w io.Writer) error {
	b := bufio.NewWriter(w)
	say := func(format string, args ...any) {
		for i, a := range args {
			if s, ok := a.(string); ok {
				args[i] = audit.Escape(s)
			}
		}
		fmt.Fprintf(b, format+"\n", args...)
	}
	f := d.Facts
	say("SCOPE CERTIFICATE of %s, cluster %s", d.Name, d.Cluster)
	say("From %s until before %s (UTC).", d.From.String(), d.To.String())
	say("Log %s: %d leaves when it began (root %s), %d at the end (root %s).", d.Origin, d.Begin.Size, d.Begin.Root.String(), d.End.Size, d.End.Root.String())
	say("SHA-256 of this document: %x", d.Hash())
	say("\nScope: child sexual abuse material (%s), nothing else.", d.Scope)
	for _, c := range f.Charters {
		say("Charter of hotline %s, %s: kinds %s; legal bases %s; jurisdictions %s.", string(c.Hotline), c.Charter.String(),
			strings.Join(c.Kinds, ", "), strings.Join(c.Bases, ", "), strings.Join(c.Jurisdictions, ", "))
	}
	for _, l := range f.Lists {
		say("\nList %s: %d versions came into force, %d entries added, %d removed.", string(l.List), len(l.Versions), l.Added, l.Removed)
		if l.After != nil {
			say("  At the end version %d: %s; by legal basis %s.", l.After.Seq, words(l.After.Kinds), words(l.After.Bases))
		}
	}
	say("\nReceipts of edges: %d, of which %d name exactly what follows from the log, %d more had withdrawals straight from a hotline; %d of %d edges reported.",
		f.Receipts.N, f.Receipts.Right, f.Receipts.Ahead, f.Receipts.Edges, len(f.Nodes.Edges))
	say("Refusals: %s. Alarms: %s.", refusals(f.Refusals), words(f.Alarms))
	say("Suppression orders: %d, of %d entries. Bypass: %d orders, everything passed for %s. Returns to an earlier version: %d.",
		f.Suppress.Orders, f.Suppress.Entries, f.Bypass.Orders, time.Duration(f.Bypass.Seconds)*time.Second, len(f.Returns))
	for _, e := range f.Exemptions {
		if e.Until == 0 {
			say("At %s the exemption of analysts' prefixes was ended.", e.At.String())
		} else {
			say("At %s %d prefixes of accredited analysts were exempted until %s (file with SHA-256 %x).", e.At.String(), e.Prefixes, e.Until.String(), e.File)
		}
	}
	say("Hotlines added: %d. Entries opened to reviewers: %d. Two stories of a log met (fork): %d.", len(f.Pins), f.Openings.Records, count(f.Leaves, string(audit.KindFork)))
	say("Appeals: %d received, decided: %s; %d open at the end, %d of them overdue.", f.Appeals.Received, words(f.Appeals.Decided), f.Appeals.Open, f.Appeals.Overdue)
	for _, o := range f.Withdrawals.Owed {
		say("Withdrawal %d of list %s lacks its second signature since %s.", o.Number, string(o.List), o.Since.String())
	}
	say("Time to block: median %ds, 95%% within %ds, worst %ds. Time to unblock: median %ds, 95%% within %ds, worst %ds.",
		f.ToBlock.Median, f.ToBlock.P95, f.ToBlock.Worst, f.ToUnblock.Median, f.ToUnblock.P95, f.ToUnblock.Worst)
	if len(d.Programs) > 0 {
		say("\nPrograms, as nodes signed:")
	}
	for _, p := range d.Programs {
		say("  %s %s: %s %s, SHA-256 %s", p.Role, p.Name, p.Program, p.Version, p.SHA256.String())
	}
	say("\nIt claims:")
	for _, c := range d.Claims {
		say("  - %s", c)
	}
	say("It does not claim:")
	for _, c := range d.NoClaims {
		say("  - %s", c)
	}
	return b.Flush()
}

func words(all []period.Count) string {
	if len(all) == 0 {
		return "none"
	}
	parts := make([]string, len(all))
	for i, c := range all {
		parts[i] = fmt.Sprintf("%d %s", c.N, c.Word)
	}
	return strings.Join(parts, ", ")
}

func count(all []period.Count, word string) uint64 {
	for _, c := range all {
		if c.Word == word {
			return c.N
		}
	}
	return 0
}

func refusals(all []period.Refusal) string {
	var sums []period.Count
	for _, r := range all {
		for i := range sums {
			if sums[i].Word == r.Reason {
				sums[i].N += r.N
				r.N = 0
			}
		}
		if r.N > 0 {
			sums = append(sums, period.Count{Word: r.Reason, N: r.N})
		}
	}
	return words(sums)
}
