package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/operator"
)

// accepted are the risks that somebody has taken knowingly, in a configuration file: shown as long as they last. They are no problems:
// what is always wrong is soon not looked at.
func accepted(nodes []operator.NodeStatus) []string {
	care := map[string]api.KeyCare{}
	for _, x := range nodes {
		if x.Status == nil {
			continue
		}
		care[x.Status.Node.Name] = x.Status.Keys
		for _, e := range x.Status.Edges { // each control node knows what the edges that ask it say
			if have, ok := care[e.Name]; e.Keys.Store != "" && (!ok || e.Keys.At.After(have.At)) {
				care[e.Name] = e.Keys
			}
		}
	}
	var disk, swapped []string
	for _, name := range slices.Sorted(maps.Keys(care)) {
		if care[name].Store == "disk" {
			disk = append(disk, name)
		}
		if care[name].Memory == "plain" {
			swapped = append(swapped, name)
		}
	}
	var out []string
	if len(disk) > 0 {
		out = append(out, fmt.Sprintf("keys of %s are plain files (accept_key_on_disk): whoever steals such a disk, or a backup of it, can test names against the lists; cordon seal moves them to the TPM", enumerate(disk)))
	}
	if len(swapped) > 0 {
		out = append(out, fmt.Sprintf("keys of %s are in memory that may be swapped: give the unit LimitMEMLOCK=8M", enumerate(swapped)))
	}
	return out
}

// enumerate writes names as a sentence does: a, b and c.
func enumerate(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
