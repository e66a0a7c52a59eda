package listtest

import (
	"syscall"
	"testing"
)

// CPU reports a benchmark's processor time beside its time: what is left of a figure on a machine that others work on too. Call it when
// the benchmark begins, and what it returns when it ends. Time while the timer is stopped counts.
func CPU(b *testing.B) func() {
	before := processor(b)
	return func() { b.ReportMetric(float64(processor(b)-before)/float64(b.N), "cpu-ns/op") }
}

func processor(b *testing.B) int64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
