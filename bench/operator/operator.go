// Package operator runs a throw-away operator with the shipped programs, for measuring: a hotline's repository, three control nodes and an edge.
//
// In come names; out comes an edge that has them in force, each of them a host that two officers signed under a law. Everything lies in one
// directory and on loopback; the names' stop addresses are nobody's.
package operator

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cordon-project/cordon/bench/hotline"
	"github.com/cordon-project/cordon/listsync/publish"
)

// StopLaw is where listed names lead. No stop page listens there: that is another machine's affair here.
const (
	StopLaw       = "192.0.2.1"
	stopVoluntary = "192.0.2.2"
)

// Operator is one, with its hotline, in Dir. Its methods are not for concurrent use.
type Operator struct {
	Dir      string // a directory of its own, absolute
	Bin      string // directory of cordon and cordon-hotline
	Upstream string // address and port of the resolver for names that are not listed
	EdgeCPU  string // the processors that the edge runs on, as taskset(1) takes them; control nodes then give way to others on theirs; empty: all run anywhere
	Logf     func(format string, a ...any)

	server    *http.Server // any web server, for the repository
	processes []*exec.Cmd
	edge      *exec.Cmd // one of them
}

// hotline is the operator's only one.
func (o *Operator) hotline() *hotline.Hotline {
	return &hotline.Hotline{Program: filepath.Join(o.Bin, "cordon-hotline"), Dir: filepath.Join(o.Dir, "hotline"), Logf: o.Logf}
}

// Make sets up hotline and operator in an empty directory, and publishes a first version with the names of a file, one a line. The hotline may
// grow to limit entries.
func (o *Operator) Make(ctx context.Context, names string, limit int) error {
	h := o.hotline()
	if err := os.MkdirAll(h.Dir, 0o700); err != nil {
		return err
	}
	if err := h.SetUp(ctx, limit); err != nil {
		return err
	}
	if err := hosts(names, filepath.Join(h.Dir, "rows.csv")); err != nil {
		return err
	}
	if _, err := h.Do(ctx, "import", "--dir", "hotline", "rows.csv"); err != nil {
		return err
	}
	if err := o.init(ctx); err != nil {
		return err
	}
	if _, err := h.Do(ctx, "operator", "add", "--dir", "hotline", filepath.Join(o.Dir, "isp", "cluster.pub")); err != nil {
		return err
	}
	return signed(ctx, h)
}

// hosts makes an import of a file with a name a line.
func hosts(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	w := bufio.NewWriterSize(out, 1<<20)
	fmt.Fprintln(w, publish.Header)
	day := time.Now().UTC().AddDate(0, 0, 170).Format(time.DateOnly)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		fmt.Fprintf(w, "%s,host,csam-baseline,law,XA,%s,analyst-1,analyst-2,\"synthetic, for measuring\"\n", lines.Text(), day)
	}
	return errors.Join(lines.Err(), w.Flush(), out.Close())
}

// signed signs and publishes the working set.
func signed(ctx context.Context, h *hotline.Hotline) error {
	for _, step := range [][]string{
		{"sign", "--dir", "hotline", "--officer", "officer-1", "--approve", hotline.Approve},
		{"sign", "--dir", "hotline", "--officer", "officer-2", "--approve", hotline.Approve},
		{"publish", "--dir", "hotline"},
	} {
		if _, err := h.Do(ctx, step...); err != nil {
			return err
		}
	}
	return nil
}

func (o *Operator) init(ctx context.Context) error {
	ports, err := freePorts(8)
	if err != nil {
		return err
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	args := []string{
		"init", "--dir", "isp", "--name", "isp.example", "--upstream", o.Upstream, "--stop-law", StopLaw, "--stop-voluntary", stopVoluntary,
		"--implementer", "https://isp.example/blocking", "--contact", "mailto:complaints@isp.example",
		"--hotline", hotline.ID + "," + o.hotline().Root() + ",http://" + at(7), "--edge", "e1," + at(6),
	}
	for i := range 3 {
		args = append(args, "--control", fmt.Sprintf("c%d,%s,%s", i+1, at(2*i), at(2*i+1)))
	}
	if _, _, err := hotline.Run(ctx, o.Dir, filepath.Join(o.Bin, "cordon"), args...); err != nil {
		return err
	}
	for i := range 3 { // an operator in a hurry
		if err := edit(o.control(i), "\npoll: 30s\n", "\npoll: 1s\n"); err != nil {
			return err
		}
	}
	return edit(o.Edge(), "ipv4: "+StopLaw, "ipv4: "+StopLaw+"\n    listen: []", "ipv4: "+stopVoluntary, "ipv4: "+stopVoluntary+"\n    listen: []")
}

func (o *Operator) control(i int) string {
	return filepath.Join(o.Dir, "isp", fmt.Sprintf("c%d", i+1), "control.yaml")
}

// Edge is the edge's file.
func (o *Operator) Edge() string { return filepath.Join(o.Dir, "isp", "e1", "edge.yaml") }

// DNS is where the edge answers, as its file says.
func (o *Operator) DNS() (netip.AddrPort, error) {
	text, err := os.ReadFile(o.Edge())
	if err != nil {
		return netip.AddrPort{}, err
	}
	_, rest, _ := strings.Cut(string(text), "\ndns_listen:\n  - ")
	address, _, _ := strings.Cut(rest, "\n")
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return at, fmt.Errorf("find dns_listen in %s: %w", o.Edge(), err)
	}
	return at, nil
}

// serve is any web server for the repository.
func (o *Operator) serve() error {
	text, err := os.ReadFile(o.Edge())
	if err != nil {
		return err
	}
	_, rest, ok := strings.Cut(string(text), "    url: http://")
	address, _, _ := strings.Cut(rest, "\n")
	if !ok {
		return fmt.Errorf("find the repository's address in %s", o.Edge())
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	o.server = &http.Server{Handler: http.FileServer(http.Dir(o.hotline().Repository())), ReadHeaderTimeout: 5 * time.Second}
	go o.server.Serve(ln) //nolint:errcheck // it ends with Close
	return nil
}

// Start starts repository, control nodes and edge.
func (o *Operator) Start(ctx context.Context) error {
	if err := o.StartControls(ctx); err != nil {
		return err
	}
	if err := o.run(ctx, "edge", o.Edge()); err != nil {
		return err
	}
	o.edge = o.processes[len(o.processes)-1]
	return nil
}

// StartControls starts all but the edge.
func (o *Operator) StartControls(ctx context.Context) error {
	if err := o.serve(); err != nil {
		return err
	}
	for i := range 3 {
		if err := o.run(ctx, "control", o.control(i)); err != nil {
			return err
		}
	}
	return nil
}

// run starts a node; its output goes to a file beside its configuration.
func (o *Operator) run(ctx context.Context, kind, config string) error {
	out, err := os.OpenFile(filepath.Join(filepath.Dir(config), "output"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	args := []string{filepath.Join(o.Bin, "cordon"), kind, "--config", config}
	switch {
	case o.EdgeCPU == "":
	case kind == "edge":
		args = append([]string{"taskset", "--cpu-list", o.EdgeCPU}, args...)
	default:
		args = append([]string{"nice"}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	o.processes = append(o.processes, cmd)
	return nil
}

// Stop ends all that was started. It may be called again.
func (o *Operator) Stop() error {
	for _, p := range o.processes {
		_ = p.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range o.processes {
		_ = p.Wait() // a node that ends by a signal says so with its code
	}
	o.processes, o.edge = nil, nil
	if o.server != nil {
		_ = o.server.Close()
		o.server = nil
	}
	return nil
}

// patience is how long a cluster may take to agree on a list that is new to it.
const patience = 5 * time.Minute

// Wait returns when the edge serves the newest list.
func (o *Operator) Wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if s, err := o.State(ctx); err == nil && s != "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until the edge has the list in force: %w; see the files called output below %s", ctx.Err(), filepath.Join(o.Dir, "isp"))
		case <-time.After(time.Second):
		}
	}
}

// State is the state id that the edge serves, from its receipts; empty while it does not serve the newest list.
func (o *Operator) State(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(o.Bin, "cordon"), "status", "--json", "--profile", filepath.Join(o.Dir, "isp", "operator", "profile.json"))
	out, _ := cmd.Output() // which fails when anything needs attention, and gives its answers too
	var nodes []struct {
		Status struct {
			Node struct {
				Lists []struct{ Seq, Newest uint64 }
			}
			Edges []struct {
				State   string
				Current bool
			}
		}
	}
	if err := json.Unmarshal(out, &nodes); err != nil {
		return "", fmt.Errorf("read cordon status: %w", err)
	}
	for _, n := range nodes {
		s := n.Status
		if len(s.Node.Lists) == 1 && s.Node.Lists[0].Seq == s.Node.Lists[0].Newest && len(s.Edges) == 1 && s.Edges[0].Current {
			return s.Edges[0].State, nil
		}
	}
	return "", nil
}

// Config is the edge's file without its comments: what was measured.
func (o *Operator) Config() (string, error) {
	text, err := os.ReadFile(o.Edge())
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		if t := strings.TrimSpace(line); t != "" && !strings.HasPrefix(t, "#") {
			b.WriteString(line)
		}
	}
	return b.String(), nil
}

// edit replaces texts in a file, each of which it has once.
func edit(path string, pairs ...string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(b)
	for i := 0; i < len(pairs); i += 2 {
		if strings.Count(text, pairs[i]) != 1 {
			return fmt.Errorf("edit %s: it does not have %q once", path, pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

// freePorts finds ports of 127.0.0.1 that are free for UDP and TCP, no two of them the same. They lie below those that the kernel hands
// out by itself.
func freePorts(n int) (ports []uint16, err error) {
	for tries := 0; tries < 1000 && len(ports) < n; tries++ {
		port := uint16(20000 + rand.IntN(12000)) // not the same as somebody else's who looks at the same time
		if slices.Contains(ports, port) {
			continue
		}
		at := fmt.Sprintf("127.0.0.1:%d", port)
		tcp, err := net.Listen("tcp", at)
		if err != nil {
			continue
		}
		tcp.Close()
		udp, err := net.ListenPacket("udp", at)
		if err != nil {
			continue
		}
		udp.Close()
		ports = append(ports, port)
	}
	if len(ports) < n {
		return nil, errors.New("no free ports on 127.0.0.1")
	}
	return ports, nil
}
