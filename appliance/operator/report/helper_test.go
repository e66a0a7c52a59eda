package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/operator"
	"github.com/cordon-project/cordon/cluster"
)

// statusOf is the status of as many control nodes as there are edges, each of which tells of one.
func statusOf(now time.Time, edges ...api.EdgeStatus) string {
	var nodes []operator.NodeStatus
	for i, e := range edges {
		nodes = append(nodes, operator.NodeStatus{Status: &api.Status{
			Node:  cluster.Status{Name: fmt.Sprintf("c%d", i+1), Lists: []cluster.ListStatus{{List: "hotline-one/main"}}},
			Edges: []api.EdgeStatus{e},
		}})
	}
	var b strings.Builder
	Status(&b, nodes, now)
	return b.String()
}
