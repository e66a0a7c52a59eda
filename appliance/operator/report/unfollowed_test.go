package report

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/operator"
	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/listsync"
)

// A hotline that is away is one sentence, whenever each node noticed; what one node alone says has its name.
func TestAHotlineThatIsAwayIsSaidOnce(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	node := func(name string, after time.Duration, h ...listsync.Health) operator.NodeStatus {
		for i := range h {
			h[i].FailingSince = at.Add(after)
		}
		s := &api.Status{Node: cluster.Status{Name: name, Leader: "c1", Lists: []cluster.ListStatus{{List: "hotline-one/main", Seq: 1}}}, Hotlines: h}
		return operator.NodeStatus{URL: "https://" + name + ".test", Status: s}
	}
	one := listsync.Health{Hotline: "hotline-one", Problem: "it is away"}
	two := listsync.Health{Hotline: "hotline-two", Problem: "it cannot be reached from here"}
	well := operator.NodeStatus{URL: "https://c3.test", Status: &api.Status{Node: cluster.Status{Name: "c3", Leader: "c1", Lists: []cluster.ListStatus{{List: "hotline-one/main", Seq: 1}}},
		Hotlines: []listsync.Health{{Hotline: "hotline-one"}, {Hotline: "hotline-two"}}}}

	got := problems([]operator.NodeStatus{node("c1", 2*time.Second, one, two), node("c2", time.Second, one)}, at.Add(time.Minute))
	want := []string{"hotline hotline-one cannot be followed since 2030-01-02 03:04:06Z: it is away",
		"hotline hotline-two cannot be followed since 2030-01-02 03:04:07Z: it cannot be reached from here (says c1)"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	got = problems([]operator.NodeStatus{node("c1", 0, one), node("c2", 0, one), well}, at.Add(time.Minute))
	if want := []string{"hotline hotline-one cannot be followed since 2030-01-02 03:04:05Z: it is away (says c1, c2)"}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := problems([]operator.NodeStatus{{URL: "https://c1.test", Error: "refused"}, {URL: "https://c2.test", Error: "refused"}}, at); len(got) != 3 || !strings.HasPrefix(got[2], "none of the control nodes answers here: edges go on") {
		t.Errorf("without control nodes: %q", got)
	}
}
