package appliance

import (
	"runtime"
	"testing"
)

func TestProcessorsAreSparedUnlessTheOperatorSaysHowMany(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	t.Setenv("GOMAXPROCS", "3")
	SpareProcessors()
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("GOMAXPROCS was set, and is changed from %d to %d", before, got)
	}
	t.Setenv("GOMAXPROCS", "")
	SpareProcessors()
	if got := runtime.GOMAXPROCS(0); got != 2*before {
		t.Errorf("%d places, want twice %d", got, before)
	}
}
