package appliance

import (
	"errors"
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

// An owner file that is empty says nothing of whose the directory is, and is no more ours than what lies beside it.
func TestAForeignDirectoryIsRefusedUntouched(t *testing.T) {
	for _, x := range []struct {
		name  string
		files map[string]string
	}{
		{"a file", map[string]string{"letters.txt": "mine"}},
		{"a file and an empty one named owner", map[string]string{"letters.txt": "mine", "owner": ""}},
	} {
		dir := t.TempDir()
		for name, text := range x.files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var bad *InputError
		if _, err := Claim(dir, "id", "edge", "e1"); !errors.As(err, &bad) || !strings.Contains(err.Error(), "not of a Cordon node") {
			t.Errorf("a directory with %s: %v", x.name, err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != len(x.files) {
			t.Errorf("a directory with %s now holds %v, %v", x.name, entries, err)
		}
		for name, text := range x.files {
			if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != text {
				t.Errorf("a directory with %s: %s is now %q, %v", x.name, name, b, err)
			}
		}
	}
}

// A first start that ended between making the owner file and writing it has taken nothing.
func TestADirectoryWithAnEmptyOwnerFileAloneIsTaken(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "owner"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Claim(dir, "id", "edge", "e1")
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	if _, err := Claim(dir, "id", "edge", "e2"); err == nil || !strings.Contains(err.Error(), "belongs to") {
		t.Errorf("another node: %v", err)
	}
}
