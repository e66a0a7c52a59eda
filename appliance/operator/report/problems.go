package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/appliance/operator"
	"github.com/cordon-project/cordon/cluster"
)

// Healthy reports whether nothing needs a person: every control node answers, nothing is alarmed, every edge serves what is in force.
func Healthy(nodes []operator.NodeStatus, now time.Time) bool { return len(problems(nodes, now)) == 0 }

// problems are plain sentences, each with its since where one is known; what several nodes say is said once.
func problems(nodes []operator.NodeStatus, now time.Time) []string {
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
	if best := operator.LongestLog(nodes); best != nil {
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

// ofAll are the alarms that every node reads off the same log: they are said once.
var ofAll = map[string]bool{cluster.AlarmHeld: true, cluster.AlarmBypass: true, cluster.AlarmReturned: true, cluster.AlarmAppeals: true}

// owedWithin is when the second signature of a withdrawal is due.
const owedWithin = 24 * time.Hour

// confirmWithin is how long an edge may take to fetch, compile and confirm a large list before a person is told.
const confirmWithin = 30 * time.Second
