// Package report says in words, for people, what the operator's control nodes answer.
//
// In come answers that package operator has fetched; out comes text, the same for the same answers and time. What needs a person comes first,
// with since when and what to do; what all nodes say alike is said once. Nothing here asks anybody, and everything may be called concurrently.
package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/appliance/operator"
	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/resolver/match"
)

// Status prints what control nodes say: what is wrong and since when first, then what is in force, then everyone's state.
func Status(w io.Writer, nodes []operator.NodeStatus, now time.Time) {
	bad := problems(nodes, now)
	if len(bad) == 0 {
		fmt.Fprintln(w, "All is well.")
	} else {
		fmt.Fprintln(w, "Needs attention:")
		for _, p := range bad {
			fmt.Fprintln(w, "  -", p)
		}
	}
	best := operator.LongestLog(nodes)
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
	writeWitnesses(w, nodes)
	writeRegister(w, best.Status)
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
		writeRecursion(w, resolvers[e.Name])
		writeTraffic(w, traffics[e.Name])
		writeGuard(w, guards[e.Name])
		writeEncrypted(w, shown[e.Name])
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
