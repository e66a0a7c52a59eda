package report

import (
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/operator"
	"github.com/cordon-project/cordon/cluster"
)

// A second signature that is owed is shown from the first moment, and is a problem when it is overdue: said once, whoever says it.
func TestAnOwedSignatureIsShownAndThenAProblem(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	node := func(name string, now time.Time) operator.NodeStatus {
		s := &api.Status{Node: cluster.Status{Name: name, Leader: name, Lists: []cluster.ListStatus{{List: "hotline-one/main", Seq: 1}}}}
		s.Owed = []api.Owed{{List: "hotline-one/main", Number: 3, Entries: 1, At: at}, {List: "hotline-one/main", Number: 7, Entries: 2, At: now}}
		if now.Sub(at) > owedWithin {
			s.Node.Alarms = []cluster.Alarm{{What: cluster.AlarmOwed, Text: "withdrawal 3 of list hotline-one/main still lacks its second signature", Since: at.Add(owedWithin)}}
		}
		return operator.NodeStatus{URL: "https://" + name + ".test", Status: s}
	}
	report := func(now time.Time) (string, bool) {
		nodes := []operator.NodeStatus{node("c1", now), node("c2", now)}
		var b strings.Builder
		Status(&b, nodes, now)
		return b.String(), Healthy(nodes, now)
	}
	text, well := report(at.Add(23 * time.Hour))
	if !well || !strings.Contains(text, "withdrawal 3 of hotline-one/main (1 entry, 2030-01-02 03:04:05Z) lacks its second signature, owed by 2030-01-03 03:04:05Z") ||
		!strings.Contains(text, "withdrawal 7 of hotline-one/main (2 entries") {
		t.Errorf("well %v, report:\n%s", well, text)
	}
	text, well = report(at.Add(25 * time.Hour))
	if well || strings.Count(text, "withdrawal 3 of list hotline-one/main still lacks its second signature, owed since 2030-01-03 03:04:05Z: ask the hotline") != 1 {
		t.Errorf("a day later: well %v, report:\n%s", well, text)
	}
}
