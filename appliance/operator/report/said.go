package report

import (
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/operator"
)

// lastSaid is what edges last said of something, by their names, to any control node.
func lastSaid[T any](nodes []operator.NodeStatus, of func(api.EdgeStatus) *T, at func(*T) time.Time) map[string]*T {
	out := map[string]*T{}
	for _, x := range nodes {
		if x.Status == nil {
			continue
		}
		for _, e := range x.Status.Edges {
			if says := of(e); says != nil && (out[e.Name] == nil || at(says).After(at(out[e.Name]))) {
				out[e.Name] = says
			}
		}
	}
	return out
}
