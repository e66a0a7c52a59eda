package report

import (
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/operator"
	"github.com/cordon-project/cordon/cluster"
)

func TestStatusShowsWhoseKeysAreOnDisk(t *testing.T) {
	now := time.Unix(1790000000, 0).UTC()
	node := func(name, store, memory string, edges ...api.EdgeStatus) operator.NodeStatus {
		return operator.NodeStatus{Status: &api.Status{
			Node: cluster.Status{Name: name, Lists: []cluster.ListStatus{{List: "hotline-one/main"}}}, Keys: api.KeyCare{Store: store, Memory: memory}, Edges: edges,
		}}
	}
	edge := func(name, store, memory string, age time.Duration) api.EdgeStatus {
		e := api.EdgeStatus{Name: name, Since: now, Current: true, Counter: 1}
		if store != "" {
			e.Keys = api.KeyCare{Store: store, Memory: memory, At: now.Add(-age)}
		}
		return e
	}
	report := func(nodes ...operator.NodeStatus) (string, bool) {
		var b strings.Builder
		Status(&b, nodes, now)
		return b.String(), Healthy(nodes, now)
	}
	text, healthy := report(
		node("c1", "disk", "secret", edge("e1", "disk", "secret", time.Hour), edge("e2", "", "", 0)),
		node("c2", "tpm", "pinned", edge("e1", "tpm", "secret", time.Minute), edge("e2", "disk", "plain", time.Hour)),
		node("c3", "credential", "secret"),
	)
	for _, want := range []string{"Accepted risks:", "keys of c1 and e2 are plain files (accept_key_on_disk)", "cordon seal", "keys of e2 are in memory that may be swapped"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if !healthy || !strings.HasPrefix(text, "All is well.") {
		t.Errorf("an accepted risk is a problem:\n%s", text)
	}
	if text, _ := report(node("c1", "tpm", "secret", edge("e1", "credential", "pinned", 0))); strings.Contains(text, "Accepted") {
		t.Errorf("risks where there are none:\n%s", text)
	}
}
