package report

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cordon-project/cordon/appliance/operator"
	"github.com/cordon-project/cordon/listsync/witness"
)

// WitnessPolicy prints a piece of a witness policy with every control node that answers as a witness, and the keys of the cluster's
// log; what is missing goes to warn. With hybrid a node counts when both of its cosignatures are there.
func WitnessPolicy(w, warn io.Writer, nodes []operator.NodeStatus, hybrid bool) error {
	var names, log []string
	cluster := ""
	for _, n := range nodes {
		if n.Status == nil {
			fmt.Fprintf(warn, "cordon: the control node at %s does not answer and is left out: %s\n", n.URL, n.Error)
			continue
		}
		s := n.Status.Witness
		keys := s.Keys
		if len(keys) == 0 {
			fmt.Fprintf(warn, "cordon: the control node at %s is no witness: it is of an older version\n", n.URL)
			continue
		}
		first, err := witness.ParseWitnessKey(keys[0])
		if err != nil {
			return fmt.Errorf("control node at %s: %w", n.URL, err)
		}
		if cluster == "" {
			log = s.Log
			cluster = first.Name[:strings.LastIndex(first.Name, "/")]
			fmt.Fprintf(w, "# %s: its control nodes as witnesses. Behind these lines, write a quorum: the group, or a group of several such groups.\n", cluster)
		}
		if !hybrid || len(keys) == 1 {
			fmt.Fprintf(w, "witness %s %s %s\n", first.Name, keys[0], n.URL)
		} else {
			for i, k := range keys {
				fmt.Fprintf(w, "witness %s#%d %s %s\n", first.Name, i+1, k, n.URL)
			}
			fmt.Fprintf(w, "group %s all %s#1 %s#2\n", first.Name, first.Name, first.Name)
		}
		names = append(names, first.Name)
	}
	if len(names) == 0 {
		return errors.New("no control node answers")
	}
	fmt.Fprintf(w, "group %s %d %s\n", cluster, len(names)/2+1, strings.Join(names, " "))
	fmt.Fprintf(w, "# %s: the keys of its own log. Who witnesses it puts all of them under witness: logs: of control.yaml.\n", cluster)
	for _, k := range log {
		fmt.Fprintf(w, "#   - %s\n", k)
	}
	return nil
}
