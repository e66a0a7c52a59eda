package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/cordon-project/cordon/appliance/operator"
	"github.com/cordon-project/cordon/cluster/audit/order"
)

// Decision says in words what became of an order, and what comes next.
func Decision(w io.Writer, d operator.Decision) {
	fmt.Fprintf(w, "%s\nReason: %s. Signed by: %s.\n", d.Text, d.Reason, cmp.Or(strings.Join(d.Signers, ", "), "nobody"))
	switch {
	case d.Again:
		fmt.Fprintf(w, "The cluster had decided this before.\n")
	case d.Leaf > 0:
		fmt.Fprintf(w, "Decided: leaf %d of the log.\n", d.Leaf)
	case d.File != "" && len(d.Signers) < order.Threshold:
		fmt.Fprintf(w, "%s waits for one more officer, who must sign before %s:\n  cordon countersign --officer DIR %s\n", d.File, clock(d.Expires), d.File)
	case d.File != "":
		fmt.Fprintf(w, "%s is to be handed in before %s:\n  cordon submit %s\n", d.File, clock(d.Expires), d.File)
	}
}
