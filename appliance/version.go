package appliance

import (
	"fmt"

	"github.com/cordon-project/cordon/cluster/audit/program"
	"github.com/cordon-project/cordon/resolver/canon"
)

// Version is what this program says of itself: its version, the digest of its file (docs/auditor.md, "The same program from source") and the rules
// by which it compares names.
func Version() (string, error) {
	own, err := program.Self()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%vcanonicalisation %s\n", own, canon.RuleSet()), nil
}
