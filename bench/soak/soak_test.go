package soak

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/cordon-project/cordon/bench/operator"
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
	if len(r.Changes) < r.Versions {
		t.Errorf("the edge tells of %d changes, want %d or more", len(r.Changes), r.Versions)
	}
	for _, step := range r.Steps {
		if len(step.Took) < r.Versions {
			t.Errorf("the edge tells %d times how long %s took, want %d or more", len(step.Took), step.Name, r.Versions)
		}
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if early, late := r.Halves(); late > early+early/4+8<<20 {
		t.Errorf("memory grew from %d MB to %d MB", early>>20, late>>20)
	}
}

func TestQuestionsBesideAChangeAreThoseAroundIt(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ms := time.Millisecond
	r := Result{Changes: []operator.Change{{Active: at, Took: 50 * ms}, {Active: at.Add(time.Second), Took: 50 * ms}}}
	for after, want := range map[time.Duration]bool{
		-151 * ms: false, -150 * ms: true, 0: true, 100 * ms: true, 101 * ms: false, 500 * ms: false, 849 * ms: false, 850 * ms: true, 1100 * ms: true, 1101 * ms: false,
	} {
		if got := r.during(at.Add(after)); got != want {
			t.Errorf("%v after the first: %t, want %t", after, got, want)
		}
	}
}
