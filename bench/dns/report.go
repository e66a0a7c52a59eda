package dns

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/bench/machine"
)

// Report is what a run found.
type Report struct {
	Names   int
	Rounds  int
	Seconds float64
	Machine string
	Load    string
	Commit  string
	Date    time.Time
	State   string // state id of the edge
	Config  string // edge.yaml without comments
	Tables  string // of the peers' bench
	Changes string // of its measurement of a change
	Way     Way    // of Cordon's change
	Results []result
	Memory  Memory
}

func newReport(c Config) *Report {
	return &Report{
		Names: c.Names, Rounds: c.Rounds, Seconds: c.Seconds,
		Machine: machine.Describe(), Load: machine.Load(), Commit: machine.Commit(), Date: time.Now().UTC(),
	}
}

func (r *Report) finish() { r.Load += " before, " + machine.Load() + " after" }

// workloads in the order of the page, and what they are.
var workloads = []struct{ name, what string }{
	{"hot", "cached, unlisted"}, {"mix", "5 % listed"}, {"listed", "100 % listed"}, {"miss", "every name new"}, {"lat", "fixed rate"},
}

// floor is the echo that does nothing but receive and send in batches.
const floor = "go-echo"

// Ratios is a table: Cordon beside the best peer and beside the floor of the sockets, medians of the rounds.
func (r *Report) Ratios() string {
	var b strings.Builder
	fmt.Fprintln(&b, "| workload | Cordon | best peer | ratio | CPU a question | of the echo's | p99 | best peer's p99 |\n|---|---|---|---|---|---|---|---|")
	for _, w := range workloads {
		ours := r.median(contestant, w.name)
		if ours.QPS == 0 {
			continue
		}
		var best, quick result
		for _, p := range r.peers() {
			if p == contestant || p == floor {
				continue
			}
			m := r.median(p, w.name)
			if m.QPS > best.QPS {
				best = m
			}
			if m.P99 > 0 && (quick.P99 == 0 || m.P99 < quick.P99) {
				quick = m
			}
		}
		echo := "-"
		if e := r.median(floor, w.name); e.CPU > 0 {
			echo = fmt.Sprintf("%.2f (%.2f µs)", ours.CPU/e.CPU, e.CPU)
		}
		peer, ratio := "-", "-"
		if best.QPS > 0 {
			peer, ratio = fmt.Sprintf("%s %.0f/s, %.2f µs", best.Peer, best.QPS, best.CPU), fmt.Sprintf("%.2f", ours.QPS/best.QPS)
		}
		p99 := "-"
		if quick.P99 > 0 {
			p99 = fmt.Sprintf("%s %.0f µs", quick.Peer, quick.P99)
		}
		fmt.Fprintf(&b, "| %s (%s) | %.0f/s | %s | %s | %.2f µs | %s | %.0f µs | %s |\n", w.name, w.what, ours.QPS, peer, ratio, ours.CPU, echo, ours.P99, p99)
	}
	return b.String()
}

func (r *Report) peers() (out []string) {
	for _, x := range r.Results {
		if !slices.Contains(out, x.Peer) {
			out = append(out, x.Peer)
		}
	}
	slices.Sort(out)
	return out
}

// median takes each figure's median over the rounds.
func (r *Report) median(peer, workload string) result {
	var qps, cpu, p99 []float64
	for _, x := range r.Results {
		if x.Peer == peer && x.Workload == workload {
			qps, cpu, p99 = append(qps, x.QPS), append(cpu, x.CPU), append(p99, x.P99)
		}
	}
	if len(qps) == 0 {
		return result{Peer: peer}
	}
	return result{Peer: peer, Workload: workload, QPS: middle(qps), CPU: middle(cpu), P99: middle(p99)}
}

func middle(all []float64) float64 {
	slices.Sort(all)
	if n := len(all); n%2 == 0 {
		return (all[n/2-1] + all[n/2]) / 2
	}
	return all[len(all)/2]
}

// Markdown is the report as a page.
func (r *Report) Markdown(command string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# DNS servers with a list of %d names\n\n", r.Names)
	fmt.Fprintf(&b, "One core for the server, the other for load and upstream; %d rounds of %g s; a run is repeated while other processes have 4 %% of the machine or more.\n\n", r.Rounds, r.Seconds)
	fmt.Fprintf(&b, "- command: `%s`\n- commit: %s\n- date: %s\n- machine: %s\n- load average: %s\n- state id of Cordon's edge: `%s`\n", command, r.Commit, r.Date.Format("2006-01-02 15:04 UTC"), r.Machine, r.Load, r.State)
	m := r.Memory
	fmt.Fprintf(&b, "- memory of Cordon's edge, without a file behind it: %d MB after loading, %d MB after the runs (most: %d MB); mapped files beside it, list and program: %d and %d MB\n\n",
		m.LoadedAnon>>20, m.LastAnon>>20, m.MostAnon>>20, m.LoadedFile>>20, m.LastFile>>20)
	fmt.Fprint(&b, "All questions come from loopback, which an edge's rate limits and budget exempt by default: of its guards, access by prefix is in the figures.\n\n")
	fmt.Fprintf(&b, "%s\n%s\n", r.Ratios(), strings.TrimSpace(r.Tables))
	if r.Changes != "" {
		fmt.Fprintf(&b, "\n## 100 names added, 100 removed\n\nCordon's change is a new version: import, two signatures, publication, three control nodes' agreement, a delta to the edge.\n\n%s\n\n%v\n", strings.TrimSpace(r.Changes), r.Way)
	}
	fmt.Fprintf(&b, "\n## Cordon's configuration\n\n```yaml\n%s```\n", r.Config)
	return b.String()
}
