package operator

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAnEditThatDoesNotFitIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("a b b"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := edit(path, "b", "c"); err == nil {
		t.Error("a text that is there twice was edited")
	}
	if err := edit(path, "a", "c"); err != nil {
		t.Error(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "c b b" {
		t.Errorf("got %q", got)
	}
}
