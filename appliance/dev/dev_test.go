package dev

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAForeignDirectoryIsRefusedUntouched(t *testing.T) {
	dir := t.TempDir()
	letters := filepath.Join(dir, "letters.txt")
	if err := os.WriteFile(letters, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := freshDir(dir); err == nil || !strings.Contains(err.Error(), "give --dir an empty or new directory") {
		t.Errorf("cordon dev in a foreign directory: %v", err)
	}
	if b, err := os.ReadFile(letters); err != nil || string(b) != "mine" {
		t.Errorf("foreign file: %q, %v", b, err)
	}
}

func TestADevelopmentDirectoryIsMadeAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dev")
	for range 2 {
		if err := freshDir(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, "hotline", "keys"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := freshDir(dir); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("emptied directory holds %v, %v", entries, err)
	}
}
