package appliance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestADataDirectoryBelongsToOneNode(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	dir := filepath.Join(t.TempDir(), "data")
	d, err := Claim(dir, id, "edge", "e1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Claim(dir, id, "edge", "e1"); err == nil || !strings.Contains(err.Error(), "in use by another running process") {
		t.Errorf("second process: %v", err)
	}
	d.Close()
	if _, err := Claim(dir, id, "edge", "e2"); err == nil || !strings.Contains(err.Error(), "belongs to") {
		t.Errorf("another node: %v", err)
	}
	again, err := Claim(dir, id, "edge", "e1")
	if err != nil {
		t.Fatalf("same node again: %v", err)
	}
	again.Close()
}

func TestAForeignDirectoryIsRefusedUntouched(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "letters.txt"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Claim(dir, "id", "edge", "e1"); err == nil || !strings.Contains(err.Error(), "not of a Cordon node") {
		t.Errorf("foreign directory: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("directory now holds %v, %v", entries, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "letters.txt")); err != nil || string(b) != "mine" {
		t.Errorf("foreign file: %q, %v", b, err)
	}
}
