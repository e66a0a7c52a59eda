package edge

import (
	"flag"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
)

// entries is how many the list of the benchmarks has.
var entries = flag.Int("entries", 1<<20, "entries of the list in benchmarks")

// BenchmarkSwap is what an edge does from a manifest to a set that answers: fetch (from memory), verify, compute the index, self-test. The whole
// list, and one that came as a delta of 1,000 entries; settle is what follows a delta before anything is kept. What edges hold beside the
// mapped files is B/op.
func BenchmarkSwap(b *testing.B) {
	e := newEdgeDisk(b)
	c := &counting{control: e.src}
	n := *entries
	e.log.Publish(n)
	peak := peakOver(b, e.log.InForce.Lists[0].EdgeSize)
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		defer peak(b)()
		for range b.N {
			b.StopTimer()
			e.shelf.tidy(audit.InForce{})
			b.StartTimer()
			l, err := e.shelf.load(b.Context(), e.opened(), c, nil, e.log.Now)
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			l.Close()
			b.StartTimer()
		}
	})
	if err := e.settled(c).Close(); err != nil { // as it leaves the disk: the index lies there
		b.Fatal(err)
	}
	b.Run("restart", func(b *testing.B) {
		for range b.N {
			l, err := e.shelf.load(b.Context(), e.opened(), nil, nil, e.log.Now)
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			l.Close()
			b.StartTimer()
		}
	})
	before, err := e.load(c)
	if err != nil {
		b.Fatal(err)
	}
	n += 1000
	e.log.Publish(n)
	o := e.opened()
	peak = peakOver(b, e.log.InForce.Lists[0].EdgeSize) // the list before is in force, and counts only where it is touched
	b.Run("delta", func(b *testing.B) {
		b.ReportAllocs()
		defer peak(b)()
		for range b.N {
			l, err := e.shelf.load(b.Context(), o, c, nil, e.log.Now)
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			l.Close()
			b.StartTimer()
		}
	})
	b.Run("settle", func(b *testing.B) {
		defer peak(b)()
		for range b.N {
			b.StopTimer()
			if err := e.shelf.files.Remove(e.log.InForce.Lists[0].Edge); err != nil {
				b.Fatal(err)
			}
			l, err := e.shelf.load(b.Context(), o, c, nil, e.log.Now)
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if err := l.settle(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			l.Close()
			b.StartTimer()
		}
	})
	if c.whole == 0 {
		b.Error("no whole list was fetched")
	}
	before.Close()
}

// peakOver measures the most memory that is resident at once, mapped files included, over what is now, in lengths of the file.
func peakOver(b *testing.B, file int64) func(b *testing.B) func() {
	b.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	base := resident(b, "VmRSS:")
	return func(b *testing.B) func() {
		debug.FreeOSMemory()
		if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // resets VmHWM
			b.Fatal(err)
		}
		return func() { b.ReportMetric(float64(resident(b, "VmHWM:")-base)/float64(file), "peak/file") }
	}
}

func resident(b *testing.B, what string) int64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), what)
	kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return kb << 10
}
