package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/operator"
	"github.com/cordon-project/cordon/cluster"
)

func TestStatusShowsTheResolversOfEdges(t *testing.T) {
	now := time.Unix(1790000000, 0).UTC()
	edge := func(name, state string, age time.Duration) api.EdgeStatus {
		e := api.EdgeStatus{Name: name, Since: now, Current: true, Counter: 1}
		if state != "" {
			e.Recursion = &api.Recursion{State: state, Since: now.Add(-time.Hour), Starts: 2, Queries: 100, Hits: 40, Asked: 300, ServFail: 7, Bogus: 3, Secure: 50, At: now.Add(-age)}
		}
		return e
	}
	report := func(edges ...[]api.EdgeStatus) string {
		var nodes []operator.NodeStatus
		for i, e := range edges {
			nodes = append(nodes, operator.NodeStatus{Status: &api.Status{Node: cluster.Status{Name: fmt.Sprintf("c%d", i+1), Lists: []cluster.ListStatus{{List: "hotline-one/main"}}}, Edges: e}})
		}
		var b strings.Builder
		Status(&b, nodes, now)
		return b.String()
	}
	// each control node knows what the edges say that ask it, and the newest word counts
	text := report([]api.EdgeStatus{edge("e1", "answering", time.Minute), edge("e2", "", 0)}, []api.EdgeStatus{edge("e1", "missing", time.Hour), edge("e2", "", 0)})
	if !strings.HasPrefix(text, "All is well.") || strings.Count(text, "its unbound") != 1 ||
		!strings.Contains(text, "its unbound: answering since 2026-09-21 13:13:20Z, started twice; 100 questions, 40 of them from its cache, 300 to other servers; 7 failed, 3 of them bogus; 50 signed and valid") {
		t.Errorf("an edge whose resolver answers, and one without:\n%s", text)
	}
	for state, want := range map[string]string{
		"missing": "install Debian's package unbound", "anchor": "install Debian's package dns-root-data", "refused": "does not start",
		"silent": "does not answer", "ended": "ended by itself", "blind": "port 53",
	} {
		if text := report([]api.EdgeStatus{edge("e1", state, 0)}); !strings.Contains(text, "edge e1 finds no answers for names that are not listed, since 2026-09-21 13:13:20Z: ") || !strings.Contains(text, want) {
			t.Errorf("%s: no %q in:\n%s", state, want, text)
		}
	}
	for _, state := range api.RecursionStates { // of an edge of this version
		if well := state == "answering" || state == "starting"; well == (whyNoRecursion[state] != "") {
			t.Errorf("%s: what to do is %q", state, whyNoRecursion[state])
		}
	}
}
