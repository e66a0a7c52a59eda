package appliance

import (
	"runtime"
	"testing"
)

func TestProcessorsAreSparedWhileListsAreWorkedOnUnlessTheOperatorSaysHowMany(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	want := func(what string, places int) {
		t.Helper()
		if got := runtime.GOMAXPROCS(0); got != places {
			t.Errorf("%s: %d places for goroutines, want %d", what, got, places)
		}
	}
	t.Setenv("GOMAXPROCS", "3")
	end := spareProcessors()
	want("GOMAXPROCS is set", before)
	end()
	want("GOMAXPROCS was set", before)
	t.Setenv("GOMAXPROCS", "")
	first, second := spareProcessors(), spareProcessors()
	want("two lists", 2*before)
	first()
	first()
	want("one of two", 2*before)
	second()
	want("none any more", before)
}
