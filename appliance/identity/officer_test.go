package identity

import (
	"strings"
	"testing"
)

func TestAnOfficerWhoIsNotThereIsNotANodesFile(t *testing.T) {
	if _, err := LoadOfficer(t.TempDir()); err == nil || !strings.Contains(err.Error(), "cordon officer") || strings.Contains(err.Error(), "cordon init") {
		t.Errorf("%v, want what makes an officer's directory", err)
	}
}
