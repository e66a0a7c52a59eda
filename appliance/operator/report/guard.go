package report

import (
	"fmt"
	"io"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/operator"
)

// guards are what edges last said of what they held back, to any control node.
func guards(nodes []operator.NodeStatus) map[string]*api.Guard {
	return lastSaid(nodes, func(e api.EdgeStatus) *api.Guard { return e.Guard }, func(says *api.Guard) time.Time { return says.At })
}

// writeGuard prints a line about what an edge held back, if it said anything.
func writeGuard(w io.Writer, g *api.Guard) {
	if g == nil {
		return
	}
	fmt.Fprintf(w, "    %d questions; refused to strangers %d; above a client's rate %d, of them %d of clients that met too many listed entries (%d budgets used up); answers over UDP not sent %d, sent as \"over TCP\" %d\n",
		g.Questions, g.Strangers, g.Limited, g.Slowed, g.Budgets, g.Dropped, g.Truncated)
	if g.Exempt > 0 {
		fmt.Fprintf(w, "    exempts analysts by exempt order %d\n", g.Exempt)
	}
}
