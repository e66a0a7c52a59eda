package dns

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRatiosAreOfMediansAndLeaveTheEchoOut(t *testing.T) {
	r := &Report{}
	for round, qps := range []float64{100, 300, 200} {
		r.Results = append(r.Results,
			result{Peer: contestant, Workload: "hot", Round: round, QPS: qps, CPU: 5, P99: 70},
			result{Peer: "slow", Workload: "hot", Round: round, QPS: qps / 4, CPU: 9, P99: 60},
			result{Peer: "quick", Workload: "hot", Round: round, QPS: qps / 2, CPU: 8, P99: 80},
			result{Peer: floor, Workload: "hot", Round: round, QPS: qps * 2, CPU: 4, P99: 1})
	}
	const want = "| hot (cached, unlisted) | 200/s | quick 100/s, 8.00 µs | 2.00 | 5.00 µs | 1.25 (4.00 µs) | 70 µs | slow 60 µs |"
	if got := r.Ratios(); !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestTheQuietestAttemptOfARoundCounts and only what this run has added, of this size.
func TestTheQuietestAttemptOfARoundCounts(t *testing.T) {
	b := &bench{Config: Config{Names: 10, Dir: t.TempDir()}, report: &Report{}}
	old := `{"peer":"cordon","wl":"hot","n":10,"round":0,"qps":1,"foreign":0}` + "\n"
	text := old + `{"peer":"cordon","wl":"hot","n":10,"round":0,"qps":2,"foreign":9}
{"peer":"cordon","wl":"hot","n":10,"round":0,"qps":3,"foreign":5}
{"peer":"cordon","wl":"hot","n":20,"round":1,"qps":4,"foreign":1}
{"update":"reload","peer":"cordon","n":10}
`
	if err := os.WriteFile(filepath.Join(b.Dir, "results.jsonl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.readResults(int64(len(old))); err != nil {
		t.Fatal(err)
	}
	if len(b.report.Results) != 1 || b.report.Results[0].QPS != 3 {
		t.Errorf("got %+v", b.report.Results)
	}
}
