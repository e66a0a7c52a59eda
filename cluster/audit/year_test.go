package audit_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

// A year of a cluster, for benchmarks: make bench-audit. Everything is real but the names: formats, signatures, files.
var (
	yearVersions = flag.Int("year.versions", 40, "list versions of a year")
	yearLeaves   = flag.Int("year.leaves", 4000, "leaves of a year")
	yearEntries  = flag.Int("year.entries", 20_000, "entries of the newest version, and of each of year.whole")
	yearWhole    = flag.Int("year.whole", 4, "versions of year.entries, of each of which every file is checked")
	yearDir      = flag.String("year.dir", "", "where bundles, trust file and state are left, to be verified again by hand; else nowhere")
	yearTool     = flag.String("year.tool", "", "cordon-audit to run, for its memory; else the verifier in this process")
)

// year is a log whose tree grows with it.
type year struct {
	*audittest.Log
	tree *audit.Tree
}

func newYear() *year { return &year{audittest.New("year"), new(audit.Tree)} }

func (y *year) Tree() *audit.Tree {
	for n := y.tree.Size(); n < uint64(len(y.Leaves)); n++ {
		y.tree.Append(y.Leaves[n])
	}
	return y.tree
}

// receipts logs one receipt a leaf, of each edge in turn.
func (y *year) receipts(n int) {
	state := y.State(y.InForce)
	for i := range n {
		edge := []string{audittest.E1, audittest.E2}[i%2]
		y.Counters[edge]++
		size, root := y.Tree().Head()
		y.Now = y.Now.Add(10 * time.Second)
		y.Append(audit.Receipts{Items: []audit.SignedReceipt{audit.SignReceipt(audit.Receipt{
			Cluster: y.Desc.ID(), Edge: edge, Counter: y.Counters[edge], State: state, Size: size, Root: root, Time: y.Now.Unix(),
		}, y.Edges[edge])}})
	}
}

func (y *year) bundle(p audit.Part) []byte {
	var b bytes.Buffer
	if err := audit.WriteBundle(context.Background(), &b, y, p, y.Now); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// look verifies as cordon-audit does, or with it, and gives what the next visit goes on from.
func (y *year) look(b *testing.B, dir, what string, bundle []byte, o audit.Options) *audit.Visit {
	b.Helper()
	o.Now, o.Lean = y.Now.Add(time.Minute), true
	if *yearTool == "" {
		start := time.Now()
		r, err := audit.Verify(b.Context(), bytes.NewReader(bundle), y.TrustFile(), o)
		if err != nil || !r.Pass {
			b.Fatalf("%s: %v\n%s", what, err, reportText(r))
		}
		b.ReportMetric(time.Since(start).Seconds(), strings.ReplaceAll(what, " ", "-")+"-s")
		return r.Visit()
	}
	name := filepath.Join(dir, strings.ReplaceAll(strings.ReplaceAll(what, ",", ""), " ", "-"))
	for file, data := range map[string][]byte{name + ".tar": bundle, name + ".trust.json": y.TrustFile()} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	args := []string{"verify", "--trust", name + ".trust.json", name + ".tar"}
	if o.All {
		args = append(args, "--all")
	} else {
		args = append(args, "--state", filepath.Join(dir, "state"))
	}
	cmd := exec.CommandContext(b.Context(), *yearTool, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan struct{})
	peak := peakOf(cmd.Process.Pid, ended)
	err := cmd.Wait()
	wall := time.Since(start)
	close(ended)
	if err != nil {
		b.Fatalf("%s: %v\n%s", what, err, out.String())
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	fmt.Printf("%-28s %8.2f s  %8.2f s of processor  %6d MB  bundle %d MB\n", what, wall.Seconds(), cpu.Seconds(), <-peak>>10, len(bundle)>>20)
	b.ReportMetric(wall.Seconds(), strings.ReplaceAll(what, " ", "-")+"-s")
	return nil
}

// peakOf is the most memory that a process had, in KiB, as long as it could be asked. (What wait says begins with that of whoever started it.)
func peakOf(pid int, ended <-chan struct{}) <-chan int {
	out := make(chan int, 1)
	go func() {
		most := 0
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				out <- most
				return
			case <-tick.C:
			}
			b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if _, rest, ok := strings.Cut(string(b), "VmHWM:"); ok {
				n := 0
				if _, err := fmt.Sscan(rest, &n); err == nil {
					most = max(most, n)
				}
			}
		}
	}()
	return out
}

// BenchmarkYear verifies a year's log with the newest files, then what came since, then versions of full size, every file of them.
func BenchmarkYear(b *testing.B) {
	for b.Loop() {
		dir := *yearDir
		if dir == "" {
			dir = b.TempDir()
		}
		if err := os.RemoveAll(filepath.Join(dir, "state")); err != nil { // of an earlier run's log
			b.Fatal(err)
		}
		y := newYear()
		for i := range *yearVersions - 1 {
			y.Publish(200 + i%50)
			y.receipts(*yearLeaves / *yearVersions - 1)
			if i%5 == 0 {
				y.Renew()
			}
		}
		y.Publish(*yearEntries)
		y.receipts(*yearLeaves - len(y.Leaves))
		first := y.look(b, dir, "log and newest files", y.bundle(audit.Part{}), audit.Options{})
		known := uint64(len(y.Leaves))
		y.receipts(100)
		y.look(b, dir, "visit after 100 leaves", y.bundle(audit.Part{Since: known}), audit.Options{Before: first})
		y = newYear()
		for i := range *yearWhole {
			y.Publish(*yearEntries + 100*i)
			y.receipts(2)
		}
		one := newYear()
		one.Publish(*yearEntries)
		one.receipts(2)
		one.look(b, dir, "one version, every file", one.bundle(audit.Part{All: true}), audit.Options{All: true})
		y.look(b, dir, fmt.Sprintf("%d versions, every file", *yearWhole), y.bundle(audit.Part{All: true}), audit.Options{All: true})
	}
}
