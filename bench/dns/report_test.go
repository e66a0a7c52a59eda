package dns

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/bench/operator"
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

// TestTheWayOfAChangeIsReadFromTheLogs, the last one of several.
func TestTheWayOfAChangeIsReadFromTheLogs(t *testing.T) {
	b := &bench{Config: Config{Names: 10, Dir: t.TempDir()}, report: &Report{}}
	for path, text := range map[string]string{
		operator.Published(b.home()):  "2026-01-02T10:00:00Z",
		b.home("isp", "c1", "output"): `time=2026-01-02T09:00:01Z level=INFO msg="list agreed" node=c1 seq=1` + "\n",
		b.home("isp", "c2", "output"): `time=2026-01-02T10:00:01.5Z level=INFO msg="list agreed" node=c2 seq=2` + "\n" + `time=2026-01-02T10:00:01.6Z level=INFO msg="list version agreed" node=c2` + "\n",
		b.home("isp", "c3", "output"): "",
		filepath.Join(b.Dir, "inst", b.instance(), "out"): `time=2026-01-02T09:00:02Z level=INFO msg="lists active" node=e1 took=900ms` + "\n" +
			`time=2026-01-02T10:00:02.25Z level=INFO msg="lists active" node=e1 state=00 took=80.5ms` + "\n",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	way, err := b.readWay()
	if err != nil {
		t.Fatal(err)
	}
	if got := way.String(); !strings.Contains(got, "agreement 1.50 s") || !strings.Contains(got, "first answer 0.75 s") || !strings.Contains(got, "it took 80 ms") {
		t.Errorf("got %s", got)
	}
	if err := os.WriteFile(operator.Published(b.home()), []byte("2026-01-02T11:00:00Z"), 0o600); err != nil {
		t.Fatal(err)
	}
	if way, err := b.readWay(); err == nil {
		t.Errorf("a change that is nowhere in force: %v", way)
	}
}
