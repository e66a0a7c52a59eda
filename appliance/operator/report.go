package operator

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/resolver/match"
)

// Healthy reports whether nothing needs a person: every control node answers, nothing is alarmed, every edge serves what is in force.
func Healthy(nodes []NodeStatus, now time.Time) bool { return len(problems(nodes, now)) == 0 }

// Report prints what control nodes say: what is wrong and since when first, then what is in force, then everyone's state.
func Report(w io.Writer, nodes []NodeStatus, now time.Time) {
	bad := problems(nodes, now)
	if len(bad) == 0 {
		fmt.Fprintln(w, "All is well.")
	} else {
		fmt.Fprintln(w, "Needs attention:")
		for _, p := range bad {
			fmt.Fprintln(w, "  -", p)
		}
	}
	best := newest(nodes)
	if best == nil {
		return
	}
	n := best.Status.Node
	fmt.Fprintln(w, "\nLists in force:")
	if len(n.Lists) == 0 {
		fmt.Fprintln(w, "  none yet: edges answer SERVFAIL")
	}
	for _, l := range n.Lists {
		back := ""
		if l.Newest != l.Seq {
			back = fmt.Sprintf(" (officers went back to it from version %d)", l.Newest)
		}
		logged := "not in any public log: its charter names none"
		if l.Logged > 0 {
			logged = fmt.Sprintf("in the hotline's public log (size %d)", l.Logged)
		}
		fmt.Fprintf(w, "  %s version %d%s, %d entries with its canaries (%s), since %s, %s; the hotline must renew before %s\n", l.List, l.Seq, back, l.Entries, basesOf(l), clock(l.Since), logged, clock(l.Expires))
	}
	for _, h := range n.Held {
		state := "waits for the approval of two officers (cordon approve), or for the hotline's next version"
		if h.Approved {
			state = "is approved and being tried again"
		}
		fmt.Fprintf(w, "  %s version %d is held back since %s (%s): it %s\n", h.List, h.Seq, clock(h.Since), cmp.Or(reasons[h.Brake], h.Brake), state)
	}
	if best.Status.Removals > 0 {
		fmt.Fprintf(w, "  withdrawn by hotlines: %d\n", best.Status.Removals)
	}
	if best.Status.LeftOut > 0 {
		fmt.Fprintf(w, "  %d of their entries stay out because later versions left them out\n", best.Status.LeftOut)
	}
	for _, s := range suppressed(n.Orders.Suppressed) {
		fmt.Fprintf(w, "  %s\n", s)
	}
	for _, x := range best.Status.Owed {
		entries := "entries"
		if x.Entries == 1 {
			entries = "entry"
		}
		fmt.Fprintf(w, "  withdrawal %d of %s (%d %s, %s) lacks its second signature, owed by %s\n", x.Number, x.List, x.Entries, entries, clock(x.At), clock(x.At.Add(owedWithin)))
	}
	if e := n.Orders.Exempt; e != nil {
		fmt.Fprintf(w, "  not enforced towards %d prefixes of accredited analysts until %s (exempt order %d, file %.16s)\n", e.Prefixes, clock(e.Until), e.Number, e.File)
	}
	if p := n.Orders.Policy; p != nil {
		fmt.Fprintf(w, "  checked against the never-block list %.16s of %d names, which the officers decided on at %s\n", p.NeverBlock, p.Names, clock(p.Since))
	}
	for _, h := range n.Known {
		if h.Order > 0 {
			fmt.Fprintf(w, "  hotline %s was added by officers at %s (pin order %d, leaf %d), root %.16s\n", h.ID, clock(h.Since), h.Order, h.Leaf, h.Root)
		}
	}
	fmt.Fprintf(w, "\nLog: %d leaves, checkpoint over %d from %s, %d refusals\n", n.LogSize, n.CheckpointSize, clock(n.CheckpointAt), n.Refused)
	for _, r := range n.Refusals {
		fmt.Fprintf(w, "  refused (%s) at %s, leaf %d: %s\n", r.Reason, clock(time.Unix(r.Time, 0)), r.Leaf, cmp.Or(r.Detail, reasons[r.Reason]))
	}
	if accepted := accepted(nodes); len(accepted) > 0 {
		fmt.Fprintln(w, "\nAccepted risks:")
		for _, text := range accepted {
			fmt.Fprintln(w, "  -", text)
		}
	}
	reportWitnesses(w, nodes)
	reportRegister(w, best.Status)
	fmt.Fprintln(w, "\nControl nodes:")
	for _, x := range nodes {
		if x.Status == nil {
			fmt.Fprintf(w, "  %s: no answer\n", x.URL)
			continue
		}
		s := x.Status.Node
		fmt.Fprintf(w, "  %s: %s, log %d, checkpoint %d\n", s.Name, s.Role, s.LogSize, s.CheckpointSize)
	}
	fmt.Fprintln(w, "\nEdges:")
	resolvers, guards, shown, traffics := recursions(nodes), guards(nodes), encrypteds(nodes), traffics(nodes)
	for _, e := range best.Status.Edges {
		switch {
		case e.Counter == 0:
			fmt.Fprintf(w, "  %s: enrolled %s, no receipt yet\n", e.Name, clock(e.Since))
		case e.Foreign:
			fmt.Fprintf(w, "  %s: serves something else than what is in force, as it signed at %s\n", e.Name, clock(e.At))
		case e.Current && e.Beyond > 0:
			fmt.Fprintf(w, "  %s: serves what is in force, and beyond it what it took from the hotline without a quorum (withdrawals: %d), as it signed at %s\n", e.Name, e.Beyond, clock(e.At))
		case e.Current:
			fmt.Fprintf(w, "  %s: serves what is in force, as it signed at %s\n", e.Name, clock(e.At))
		default:
			fmt.Fprintf(w, "  %s: has not confirmed what is in force, last receipt at %s\n", e.Name, clock(e.At))
		}
		reportRecursion(w, resolvers[e.Name])
		reportTraffic(w, traffics[e.Name])
		reportGuard(w, guards[e.Name])
		reportEncrypted(w, shown[e.Name])
	}
}

// suppressed says what officers have taken out of force, a line an order.
func suppressed(all []cluster.SuppressedStatus) []string {
	type by struct {
		list   match.ListID
		number uint64
		until  time.Time
	}
	counts := map[by]int{}
	var orders []by
	for _, s := range all {
		k := by{s.List, s.Number, s.Until}
		if counts[k]++; counts[k] == 1 {
			orders = append(orders, k)
		}
	}
	slices.SortFunc(orders, func(a, b by) int { return cmp.Or(cmp.Compare(a.list, b.list), cmp.Compare(a.number, b.number)) })
	var out []string
	for _, k := range orders {
		entries := "entries are"
		if counts[k] == 1 {
			entries = "entry is"
		}
		out = append(out, fmt.Sprintf("%d %s suppressed in %s until %s (order %d)", counts[k], entries, k.list, clock(k.until), k.number))
	}
	return out
}

// ofAll are the alarms that every node reads off the same log: they are said once.
var ofAll = map[string]bool{cluster.AlarmHeld: true, cluster.AlarmBypass: true, cluster.AlarmReturned: true, cluster.AlarmAppeals: true}

// owedWithin is when the second signature of a withdrawal is due.
const owedWithin = 24 * time.Hour

// confirmWithin is how long an edge may take to fetch, compile and confirm a large list before a person is told.
const confirmWithin = 30 * time.Second

// newest is the answer of the node with the longest log.
func newest(nodes []NodeStatus) *NodeStatus {
	var best *NodeStatus
	for i := range nodes {
		if n := &nodes[i]; n.Status != nil && (best == nil || n.Status.Node.LogSize > best.Status.Node.LogSize) {
			best = n
		}
	}
	return best
}

// problems are plain sentences, each with its since where one is known; what several nodes say is said once.
func problems(nodes []NodeStatus, now time.Time) []string {
	var out []string
	say := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	failing := map[string]cluster.MemberStatus{} // the earliest sight of each failing member
	var behind unfollowed
	answering := 0
	for _, x := range nodes {
		if x.Status == nil {
			say("control node at %s does not answer (%s)", x.URL, x.Error)
			continue
		}
		answering++
		s := x.Status.Node
		if s.Halted != "" {
			say("%s has stopped applying the log since %s: %s", s.Name, clock(s.HaltedAt), s.Halted)
		}
		if s.Leader == "" && !s.LeaderlessAt.IsZero() {
			say("no leader since %s (says %s): nothing new can be agreed; edges go on with the last verified lists", clock(s.LeaderlessAt), s.Name)
		}
		for _, a := range s.Alarms {
			if a.What != cluster.AlarmLeaderless && a.What != cluster.AlarmHalted && a.What != cluster.AlarmOwed && !ofAll[a.What] { // those are said once for all
				say("%s, since %s (says %s)", strings.TrimSuffix(a.Text, "."), clock(a.Since), s.Name)
			}
		}
		for _, m := range s.Members {
			if old, seen := failing[m.Name]; !m.FailingSince.IsZero() && (!seen || m.FailingSince.Before(old.FailingSince)) {
				failing[m.Name] = m
			}
		}
		for _, text := range witnessProblems(x.Status.Witness, s.Name, now) {
			say("%s", text)
		}
		for _, h := range x.Status.Hotlines {
			behind.add(h, s.Name)
		}
	}
	if answering == 0 && len(nodes) > 0 {
		say("none of the control nodes answers here: edges go on with the last verified lists; look at the edges' own logs and metrics until a control node answers")
	}
	for _, text := range behind.said(answering) {
		say("%s", text)
	}
	names := make([]string, 0, len(failing))
	for name := range failing {
		names = append(names, name)
	}
	slices.SortFunc(names, cmp.Compare[string])
	for _, name := range names {
		say("control node %s has not answered the others since %s", name, clock(failing[name].FailingSince))
	}
	if best := newest(nodes); best != nil {
		resolvers, shown, traffics := recursions(nodes), encrypteds(nodes), traffics(nodes)
		for _, a := range best.Status.Node.Alarms {
			if ofAll[a.What] {
				say("%s, since %s", a.Text, clock(a.Since))
			}
		}
		if len(best.Status.Node.Lists) == 0 {
			say("no list is in force yet: edges answer SERVFAIL to everything")
		}
		for _, w := range best.Status.Owed {
			if due := w.At.Add(owedWithin); now.After(due) {
				say("withdrawal %d of list %s still lacks its second signature, owed since %s: ask the hotline", w.Number, w.List, clock(due))
			}
		}
		for _, e := range best.Status.Edges {
			if e.Foreign {
				say("edge %s signs a state that does not follow from the signed lists (receipt of %s): take it out of service and look at it", e.Name, clock(e.At))
			} else if !e.Behind.IsZero() && now.Sub(e.Behind) > confirmWithin {
				say("edge %s has not confirmed what is in force since %s", e.Name, clock(e.Behind))
			}
			if r := resolvers[e.Name]; r != nil && whyNoRecursion[r.State] != "" {
				say("edge %s finds no answers for names that are not listed, since %s: %s", e.Name, clock(r.Since), whyNoRecursion[r.State])
			}
			for _, what := range upstreamTrouble(traffics[e.Name]) {
				say("edge %s %s", e.Name, what)
			}
			if what := certificateTrouble(shown[e.Name], now); what != "" {
				say("edge %s: %s", e.Name, what)
			}
		}
	}
	return out
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// basesOf says how many entries have which legal basis.
func basesOf(l cluster.ListStatus) string {
	parts := make([]string, len(l.Bases))
	for i, b := range l.Bases {
		parts[i] = fmt.Sprintf("%d %s", b.N, b.Basis)
	}
	return strings.Join(parts, ", ")
}

// reasons say what a refusal's word means where the log has the word alone, and what to do.
var reasons = map[string]string{
	"keys":            "the list has no keys for this cluster: send cluster.pub to the hotline, which adds it and publishes again",
	"never_block":     "it would stop a name that nothing may stop",
	"canary":          "a canary of the list is not stopped by it: ask the hotline",
	"canon":           "made for other canonicalisation rules than these nodes have: hotline and nodes need the same version",
	"empty":           "it has no entries but canaries: ask the hotline",
	"growth":          "it more than doubles the list",
	"public_suffix":   "it would stop a public suffix, below which strangers have their sites: ask the hotline",
	"popular":         "it would stop popular names",
	"shared":          "it would stop hosts that carry many others",
	"size":            "it has more entries than this cluster's limit",
	"change":          "it changes too much of the list at once",
	"window":          "it and the versions of the last days together add too much",
	"broad":           "it adds too many whole sites at once",
	"review_by":       "an entry would outlive its review: ask the hotline",
	"hash":            "a file is not what was signed",
	"format":          "a file or statement is not in the form that the format demands",
	"too_large":       "larger than anything of its kind may be",
	"version":         "a file is of another version than the metadata says",
	"root":            "the auditor list does not commit to the edge list",
	"counts":          "the counts are not those that were signed",
	"verdicts":        "no quorum of control nodes approved its files",
	"index":           "control nodes compile different indexes of the same edge list: give all of them the same version of Cordon, and look at their memory and disks",
	"bases":           "the counts by legal basis are not those that were signed",
	"sequence":        "it does not follow what is in force",
	"unknown_hotline": "the cluster file names no such hotline, and no officers have pinned it",
	"unknown_list":    "the metadata signs no such list",
	"equivocation":    "one version number came with two contents: ask the hotline at once",
	"limit":           "a daily limit is used up",
	"expired":         "expired, or not yet valid",
	"threshold":       "too few of the officers have signed",
	"signature":       "signed by nobody whom the accreditation names",
	"rollback":        "older than what was accepted before",
	"scope":           "scope is not csam",
	"charter":         "outside of what the charter allows",
	"public_log":      "no valid proof that it is in the hotline's public log, seen by the witnesses that this cluster asks for: ask the hotline",
	"fork":            "evidence of a log with two histories that is none, or not of the hotline's log",
	"forked_log":      "the hotline's public log has signed two histories: nothing new is taken from it until its authority accredits another log key",
	"split_view":      "the hotline's public log was rewritten: somebody is shown another list than others; tell the hotline, its authority and other operators",
	"order":           "an order whose number was used, or that does not fit what is in force: look at cordon status and sign another",
	"held":            "a brake holds the version back and no two officers have approved it",
	"receipt":         "a receipt that is not true, or not the edge's",
}
