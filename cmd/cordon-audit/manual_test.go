package main

import (
	"os"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
)

// The manual has a line for each check that a report can print.
func TestTheManualExplainsEveryCheck(t *testing.T) {
	manual, err := os.ReadFile("../../docs/auditor.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range []string{
		audit.CheckBundle, audit.CheckTrust, audit.CheckCheckpoint, audit.CheckWitnesses, audit.CheckForks, audit.CheckConsistency, audit.CheckLog, audit.CheckReplay, audit.CheckMetadata,
		audit.CheckCharter, audit.CheckVerdicts, audit.CheckWithdrawals, audit.CheckOpenings, audit.CheckHotlines, audit.CheckLists, audit.CheckVersions, audit.CheckReceipts,
	} {
		if !strings.Contains(string(manual), "\n| "+check+" | ") {
			t.Errorf("docs/auditor.md has no line for the check %q", check)
		}
	}
}
