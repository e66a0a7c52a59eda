package report

import (
	"bytes"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/operator"
)

func TestStatusShowsWhatTheNewestWordOfAnEdgeSays(t *testing.T) {
	say := func(n uint64, at int64) operator.NodeStatus {
		return operator.NodeStatus{Status: &api.Status{Edges: []api.EdgeStatus{
			{Name: "e1", Guard: &api.Guard{Questions: n, Strangers: 1, Limited: 3, Slowed: 2, Dropped: 4, Truncated: 5, Budgets: 6, At: time.Unix(at, 0)}}, {Name: "e2"},
		}}}
	}
	all := guards([]operator.NodeStatus{say(10, 100), {}, say(30, 300), say(20, 200)})
	var out bytes.Buffer
	writeGuard(&out, all["e1"])
	writeGuard(&out, all["e2"])
	want := "    30 questions; refused to strangers 1; above a client's rate 3, of them 2 of clients that met too many listed entries (6 budgets used up); answers over UDP not sent 4, sent as \"over TCP\" 5\n"
	if out.String() != want {
		t.Errorf("got  %swant %s", out.String(), want)
	}
}
