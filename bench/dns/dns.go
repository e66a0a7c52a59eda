// Package dns measures the shipped edge beside other DNS servers that have a block list, with the peers' own bench.
//
// In come the programs, the bench's script and a number of names; out comes a page with its tables, ratios, and Cordon's configuration
// and state id. Everything is real: a hotline's two officers sign the names, three control nodes agree on them, an edge with its
// defaults fetches, verifies and keeps them, and it is this edge that is measured, from its own disk. All traffic stays on loopback.
//
// The script is not part of this project (see docs/developer.md); it names its peers, loads and repetitions itself.
package dns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/cordon-project/cordon/bench/operator"
)

// Config says what is measured and with what. All fields but Log and Extra are needed.
type Config struct {
	Names     int      // on the list, 0 < Names
	Bin       string   // directory of cordon, cordon-hotline and cordon-bench
	Peers     string   // the bench's script
	Dir       string   // where everything is made, and left: an absolute path. What lies there for as many names is used again
	Rounds    int      // of each peer and workload; the median counts
	Seconds   float64  // of one run
	Only      []string // of the peers; all without
	Workloads []string // of the bench; all without
	Update    bool     // also measure a change of 100 names
	Log       io.Writer
}

// Run measures. It ends early with ctx, and leaves no process behind.
func Run(ctx context.Context, c Config) (*Report, error) {
	if c.Names < 1 || c.Rounds < 1 {
		return nil, fmt.Errorf("measure %d names in %d rounds: give at least 1 of both", c.Names, c.Rounds)
	}
	for _, f := range []string{filepath.Join(c.Bin, "cordon"), filepath.Join(c.Bin, "cordon-hotline"), c.Peers} {
		if _, err := os.Stat(f); err != nil {
			return nil, fmt.Errorf("%w: run make build, and name the peers' bench with --peers (make bench-dns PEERS=...)", err)
		}
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	b := &bench{Config: c, report: newReport(c)}
	for _, step := range []func(context.Context) error{b.names, b.prepare, b.throughput, b.update} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, b.close())
		}
	}
	b.report.finish()
	return b.report, b.close()
}

// bench is one run.
type bench struct {
	Config
	report   *Report
	operator *operator.Operator
}

func (b *bench) close() error {
	if b.operator == nil {
		return nil
	}
	return b.operator.Stop()
}

func (b *bench) logf(format string, a ...any) {
	if b.Log != nil {
		fmt.Fprintf(b.Log, "%s "+format+"\n", append([]any{time.Now().Format("15:04:05")}, a...)...)
	}
}

// home is where hotline, operator and edge of this size lie.
func (b *bench) home(elem ...string) string {
	return filepath.Join(append([]string{b.Dir, fmt.Sprintf("cordon-%d", b.Names)}, elem...)...)
}

// upstream is where the peers' bench has its own.
const upstream = "127.0.0.1:5399"

// names lets the bench make its list.
func (b *bench) names(ctx context.Context) error {
	b.logf("the peers' bench makes its list of %d names", b.Names)
	return b.script(ctx, nil, "gen", "--size", fmt.Sprint(b.Names))
}

// prepare makes hotline, cluster and edge, unless they are there from an earlier run, and waits until the edge has the list on its disk.
func (b *bench) prepare(ctx context.Context) (err error) {
	o := &operator.Operator{Dir: b.home(), Bin: b.Bin, Upstream: upstream, Logf: b.logf}
	b.operator = o
	if _, err := os.Stat(b.home("ready")); err == nil {
		b.logf("%s is used again; remove it to begin anew", b.home())
	} else {
		if err := os.RemoveAll(b.home()); err != nil {
			return err
		}
		if err := o.Make(ctx, filepath.Join(b.Dir, "data", fmt.Sprintf("names-%d", b.Names)), 2*b.Names+1000); err != nil {
			return err
		}
	}
	b.logf("three control nodes and an edge come up")
	if err := o.Start(ctx); err != nil {
		return err
	}
	if err := o.Wait(ctx); err != nil {
		return err
	}
	if b.report.State, err = o.State(ctx); err != nil {
		return err
	}
	if b.report.Config, err = o.Config(); err != nil {
		return err
	}
	if err := os.WriteFile(b.home("ready"), nil, 0o600); err != nil {
		return err
	}
	return o.Stop()
}
