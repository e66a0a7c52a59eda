package soak

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestTheListChangesUnderLoad is the short form of make soak: no lost question, no wrong answer, no memory that grows with each version.
func TestTheListChangesUnderLoad(t *testing.T) {
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin, "../../cmd/cordon", "../../cmd/cordon-hotline")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	r, err := Run(t.Context(), Config{
		Names: 2000, Change: 100, Rate: 2000, Time: time.Minute, Every: 5 * time.Second, Bin: bin, Dir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if early, late := r.Halves(); late > early+early/4+8<<20 {
		t.Errorf("memory grew from %d MB to %d MB", early>>20, late>>20)
	}
}
