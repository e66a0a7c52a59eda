package dns

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// contestant is what Cordon is called in the tables.
const contestant = "cordon"

// result is one run of the bench: a line of its results.jsonl.
type result struct {
	Peer     string  `json:"peer"`
	Workload string  `json:"wl"`
	N        int     `json:"n"`
	Round    int     `json:"round"`
	QPS      float64 `json:"qps"`
	CPU      float64 `json:"cpu_us"` // microseconds a question
	P99      float64 `json:"p99_us"` // microseconds
	Lost     int     `json:"lost"`   // questions without an answer for a second
	Open     int     `json:"unanswered_at_end"`
	Foreign  float64 `json:"foreign"` // percent of the machine that neither peer nor load had
	Update   string  `json:"update"`  // of a change: how
}

// throughput runs the bench with Cordon among its peers.
func (b *bench) throughput(ctx context.Context) error {
	if err := b.describe(); err != nil {
		return err
	}
	args := []string{"throughput", "--size", fmt.Sprint(b.Names), "--rounds", fmt.Sprint(b.Rounds), "--secs", fmt.Sprint(b.Seconds)}
	if len(b.Only) > 0 {
		args = append(args, "--only", strings.Join(append(b.Only, contestant, floor), ","))
	}
	if len(b.Workloads) > 0 {
		args = append(args, "--workloads", strings.Join(b.Workloads, ","))
	}
	mark, err := size(b.results())
	if err != nil {
		return err
	}
	watch := watchMemory(b.instance())
	var out bytes.Buffer
	err = b.script(ctx, &out, args...)
	b.report.Memory = watch.stop()
	if err != nil {
		return err
	}
	b.report.Tables = out.String()
	return b.readResults(mark)
}

// update changes 100 names on every peer that can, and on Cordon by a new signed version that goes the whole way.
func (b *bench) update(ctx context.Context) error {
	if !b.Update {
		return nil
	}
	if err := os.Remove(b.home("ready")); err != nil { // the list will not be the peers' any more
		return err
	}
	if err := b.operator.StartControls(ctx); err != nil {
		return err
	}
	args := []string{"update", "--size", fmt.Sprint(b.Names)}
	if len(b.Only) > 0 {
		args = append(args, "--only", strings.Join(append(b.Only, contestant), ","))
	}
	var out bytes.Buffer
	if err := b.script(ctx, &out, args...); err != nil {
		return err
	}
	b.report.Changes = out.String()
	way, err := b.readWay()
	if err != nil {
		return fmt.Errorf("find the way of the change: %w", err)
	}
	b.report.Way = way
	return nil
}

func (b *bench) instance() string { return fmt.Sprintf("%s-%d-1", contestant, b.Names) }
func (b *bench) results() string  { return filepath.Join(b.Dir, "results.jsonl") }

// describe tells the bench how Cordon is started: the shipped program with the file that cordon init wrote, at the bench's address.
func (b *bench) describe() error {
	text, err := os.ReadFile(b.operator.Edge())
	if err != nil {
		return err
	}
	at, err := b.operator.DNS()
	if err != nil {
		return err
	}
	home := filepath.Dir(b.operator.Edge())
	config := strings.NewReplacer(
		"{", "{{", "}", "}}", // the bench fills in braces
		at.String(), "127.0.0.1:{port}", upstream, "{upstream}",
		"dir: data", "dir: "+filepath.Join(home, "data"), "cluster: cluster.json", "cluster: "+filepath.Join(home, "cluster.json"),
		"key: node.key", "key: "+filepath.Join(home, "node.key"), "certificate: tls.crt", "certificate: "+filepath.Join(home, "tls.crt"),
		"certificate_key: tls.key", "certificate_key: "+filepath.Join(home, "tls.key"), "ca: ca.crt", "ca: "+filepath.Join(home, "ca.crt"),
		"identity: edge.agekey", "identity: "+filepath.Join(home, "edge.agekey"),
	).Replace(string(text))
	self, err := os.Executable()
	if err != nil {
		return err
	}
	entry, err := json.MarshalIndent(map[string]any{
		"name": floor, "list_format": "names", "start": []string{self, "dns-echo", "--listen", "127.0.0.1:{port}"},
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(b.entry(floor), entry, 0o600); err != nil {
		return err
	}
	entry, err = json.MarshalIndent(map[string]any{
		"name": contestant, "list_format": "names", "files": map[string]string{"edge.yaml": config},
		"start":  []string{filepath.Join(b.Bin, "cordon"), "edge", "--config", "{dir}/edge.yaml"},
		"reload": []string{self, "dns-change", "--bin", b.Bin, "--home", b.home(), "{add}", "{remove}"}, "update_label": "signed version",
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(b.entry(contestant), entry, 0o600)
}

func (b *bench) entry(name string) string { return filepath.Join(b.Dir, name+".json") }

// script runs the peers' bench; what it prints goes to the log and, without its notes, to out.
func (b *bench) script(ctx context.Context, out io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, b.Peers, args...)
	cmd.Env = append(os.Environ(), "DNSBENCH_DIR="+b.Dir)
	if _, err := os.Stat(b.entry(contestant)); err == nil && args[0] != "gen" {
		cmd.Env = append(cmd.Env, "EXTRA="+b.entry(contestant)+","+b.entry(floor))
	}
	// A group of its own, so that a signal at the terminal does not reach it twice; SIGTERM lets it end its peers.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	b.logf("%s %s", b.Peers, strings.Join(args, " "))
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the peers' bench: %w", err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if note := strings.HasPrefix(lines.Text(), "# "); note || out == nil {
			b.logf("%s", lines.Text())
		} else {
			fmt.Fprintln(out, lines.Text())
		}
	}
	if err := errors.Join(lines.Err(), cmd.Wait()); err != nil {
		return fmt.Errorf("peers' bench, %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return nil
}

func size(path string) (int64, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// readResults takes in what the bench added behind mark: the best attempt of each round, as the bench itself counts.
func (b *bench) readResults(mark int64) error {
	f, err := os.Open(b.results())
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(mark, io.SeekStart); err != nil {
		return err
	}
	type run struct {
		peer, workload string
		round          int
	}
	best := map[run]result{}
	for dec := json.NewDecoder(f); ; {
		var r result
		err := dec.Decode(&r)
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", b.results(), err)
		}
		if r.Update != "" || r.N != b.Names {
			continue
		}
		k := run{r.Peer, r.Workload, r.Round}
		if old, ok := best[k]; !ok || r.Foreign < old.Foreign {
			best[k] = r
		}
	}
	for _, r := range best {
		b.report.Results = append(b.report.Results, r)
	}
	return nil
}
