package dns

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cordon-project/cordon/bench/hotline"
	"github.com/cordon-project/cordon/listsync/publish"
)

// Where listed names lead, as the peers' bench expects it. No stop page listens there: that is another machine's affair here.
const (
	stopLaw       = "192.0.2.1"
	stopVoluntary = "192.0.2.2"
)

// operator is a hotline's repository, three control nodes and an edge, all of them processes of the shipped programs (but the repository's web
// server, which may be any).
type operator struct {
	dir       string
	bin       string
	hotline   *hotline.Hotline
	server    *http.Server
	processes []*exec.Cmd
	dns       netip.AddrPort
}

// names lets the bench make its list, and reads where it is.
func (b *bench) names(ctx context.Context) error {
	b.logf("the peers' bench makes its list of %d names", b.Names)
	return b.script(ctx, nil, "gen", "--size", fmt.Sprint(b.Names))
}

// prepare makes hotline, cluster and edge, unless they are there from an earlier run, and waits until the edge has the list on its disk.
func (b *bench) prepare(ctx context.Context) error {
	o := &operator{dir: b.home(), bin: b.Bin}
	o.hotline = &hotline.Hotline{Program: filepath.Join(b.Bin, "cordon-hotline"), Dir: b.home("hotline"), Logf: b.logf}
	b.operator = o
	if _, err := os.Stat(b.home("ready")); err == nil {
		b.logf("%s is used again; remove it to begin anew", b.home())
	} else if err := b.make(ctx); err != nil {
		return err
	}
	if err := o.read(); err != nil {
		return err
	}
	b.logf("three control nodes and an edge come up")
	if err := o.start(ctx); err != nil {
		return err
	}
	if err := o.wait(ctx); err != nil {
		return err
	}
	state, err := o.state(ctx)
	if err != nil {
		return err
	}
	b.report.State = state
	if b.report.Config, err = o.config(); err != nil {
		return err
	}
	if err := os.WriteFile(b.home("ready"), nil, 0o600); err != nil {
		return err
	}
	return o.stop()
}

// make sets up the hotline with the bench's names, each of them a host, and an operator's files.
func (b *bench) make(ctx context.Context) error {
	if err := os.RemoveAll(b.home()); err != nil {
		return err
	}
	h := b.operator.hotline
	if err := os.MkdirAll(h.Dir, 0o700); err != nil {
		return err
	}
	if err := h.SetUp(ctx, 2*b.Names+1000); err != nil {
		return err
	}
	if err := hosts(filepath.Join(b.Dir, "data", fmt.Sprintf("names-%d", b.Names)), filepath.Join(h.Dir, "rows.csv")); err != nil {
		return err
	}
	if _, err := h.Do(ctx, "import", "--dir", "hotline", "rows.csv"); err != nil {
		return err
	}
	if err := b.operator.make(ctx); err != nil {
		return err
	}
	if _, err := h.Do(ctx, "operator", "add", "--dir", "hotline", filepath.Join(b.home(), "isp", "cluster.pub")); err != nil {
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

func (o *operator) make(ctx context.Context) error {
	ports, err := freePorts(8)
	if err != nil {
		return err
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	args := []string{
		"init", "--dir", "isp", "--name", "isp.example", "--upstream", "127.0.0.1:5399", "--stop-law", stopLaw, "--stop-voluntary", stopVoluntary,
		"--implementer", "https://isp.example/blocking", "--contact", "mailto:complaints@isp.example",
		"--hotline", hotline.ID + "," + o.hotline.Root() + ",http://" + at(7), "--edge", "e1," + at(6),
	}
	for i := range 3 {
		args = append(args, "--control", fmt.Sprintf("c%d,%s,%s", i+1, at(2*i), at(2*i+1)))
	}
	if _, _, err := hotline.Run(ctx, o.dir, filepath.Join(o.bin, "cordon"), args...); err != nil {
		return err
	}
	for i := range 3 { // an operator in a hurry
		if err := edit(o.control(i), "\npoll: 30s\n", "\npoll: 1s\n"); err != nil {
			return err
		}
	}
	return edit(o.edge(), "ipv4: "+stopLaw, "ipv4: "+stopLaw+"\n    listen: []", "ipv4: "+stopVoluntary, "ipv4: "+stopVoluntary+"\n    listen: []")
}

func (o *operator) control(i int) string {
	return filepath.Join(o.dir, "isp", fmt.Sprintf("c%d", i+1), "control.yaml")
}
func (o *operator) edge() string { return filepath.Join(o.dir, "isp", "e1", "edge.yaml") }

// read finds the address in the edge's file.
func (o *operator) read() error {
	text, err := os.ReadFile(o.edge())
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(text), "\ndns_listen:\n  - ")
	address, _, _ := strings.Cut(rest, "\n")
	if o.dns, err = netip.ParseAddrPort(address); err != nil {
		return fmt.Errorf("find dns_listen in %s: %w", o.edge(), err)
	}
	return nil
}

// serve is any web server for the repository.
func (o *operator) serve() error {
	text, err := os.ReadFile(o.edge())
	if err != nil {
		return err
	}
	_, rest, ok := strings.Cut(string(text), "    url: http://")
	address, _, _ := strings.Cut(rest, "\n")
	if !ok {
		return fmt.Errorf("find the repository's address in %s", o.edge())
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	o.server = &http.Server{Handler: http.FileServer(http.Dir(o.hotline.Repository())), ReadHeaderTimeout: 5 * time.Second}
	go o.server.Serve(ln) //nolint:errcheck // it ends with Close
	return nil
}

// start starts repository, control nodes and edge.
func (o *operator) start(ctx context.Context) error {
	if err := o.startControls(ctx); err != nil {
		return err
	}
	return o.run(ctx, "edge", o.edge())
}

func (o *operator) startControls(ctx context.Context) error {
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
func (o *operator) run(ctx context.Context, kind, config string) error {
	out, err := os.OpenFile(filepath.Join(filepath.Dir(config), "output"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.CommandContext(ctx, filepath.Join(o.bin, "cordon"), kind, "--config", config)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	o.processes = append(o.processes, cmd)
	return nil
}

// stop ends all that was started.
func (o *operator) stop() error {
	for _, p := range o.processes {
		_ = p.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range o.processes {
		_ = p.Wait() // a node that ends by a signal says so with its code
	}
	o.processes = nil
	if o.server != nil {
		_ = o.server.Close()
		o.server = nil
	}
	return nil
}

// patience is how long a cluster may take to agree on a list that is new to it.
const patience = 5 * time.Minute

// wait returns when the edge stops the last name of the list.
func (o *operator) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if s, err := o.state(ctx); err == nil && s != "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until the edge has the list in force: %w; see the files called output below %s", ctx.Err(), filepath.Join(o.dir, "isp"))
		case <-time.After(time.Second):
		}
	}
}

// state is the state id that the edge serves, from its receipts; empty while it does not serve the newest list.
func (o *operator) state(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(o.bin, "cordon"), "status", "--json", "--profile", filepath.Join(o.dir, "isp", "operator", "profile.json"))
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

// config is the edge's file without its comments: what was measured.
func (o *operator) config() (string, error) {
	text, err := os.ReadFile(o.edge())
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
	for port := uint16(31000); port < 32700 && len(ports) < n; port++ {
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
