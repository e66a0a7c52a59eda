package identity

import (
	"strings"
	"testing"
)

func TestADirectoryThatIsNoneOfInitIsNamed(t *testing.T) {
	_, edge := AddEdge(t.TempDir(), EdgeNode{Name: "e2"})
	_, auditor := AddAuditor(t.TempDir(), "board")
	for _, err := range []error{edge, auditor} {
		if err == nil || !strings.Contains(err.Error(), "--dir names the directory that cordon init made") {
			t.Errorf("%v, want which directory is needed", err)
		}
	}
}

func TestAnOfficerWhoIsNotThereIsNotANodesFile(t *testing.T) {
	if _, err := LoadOfficer(t.TempDir()); err == nil || !strings.Contains(err.Error(), "cordon officer") || strings.Contains(err.Error(), "cordon init") {
		t.Errorf("%v, want what makes an officer's directory", err)
	}
}
