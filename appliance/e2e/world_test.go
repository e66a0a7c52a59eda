package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cordon-project/cordon/resolver/upstream/devupstream"
)

// binaries is the directory with the three commands, built once for all stories.
var binaries string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "cordon-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binaries = dir
	build := exec.Command("go", "build", "-o", dir, "./cmd/cordon", "./cmd/cordon-hotline", "./cmd/cordon-audit")
	build.Dir = "../.."
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOEXPERIMENT=runtimesecret")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	writeTable()
	os.RemoveAll(dir)
	os.Exit(code)
}

const (
	csvHeader = "expression,kind,category,basis,jurisdiction,review_by,assessor_1,assessor_2,reason"
	hotlineID = "hotline-one"
	canary    = "canary.hotline-one.test"
)

// The names of the stories. leaked is what no operator's disk may hold: every label that is not also in a configuration file.
var (
	listed   = []string{"a-listed-domain.test", "www.a-listed-domain.test", "a-listed-host.test", "listed-by-agreement.test"}
	unlisted = []string{"www.fine.test", "fine.test", "hosts-a-page.test"}
	secrets  = []string{"a-listed-domain", "a-listed-host", "listed-by-agreement", "hosts-a-page", "added-later", "a-second-epoch", "a-third-epoch", "/one/page"}
)

// world is one story's machine room: directories, addresses, processes.
type world struct {
	t          *testing.T
	dir        string
	repository string // directory
	repoURL    string
	hotlines   []string                                                      // further ones, as cordon init takes them
	resolver   string                                                        // what edges ask, as cordon init takes it; a made-up one when left out
	initFlags  []string                                                      // further flags of cordon init
	lie        atomic.Pointer[func(http.ResponseWriter, *http.Request) bool] // answers instead of the web server when it returns true
	officers   []string
	profile    string
	trust      string
	dns        map[string]string // edge name to address
	law, vol   netip.AddrPort    // stop pages
	api        map[string]string
	procs      map[string]*process
	env        map[string][]string // what a server's environment has besides
}

func (w *world) join(elem ...string) string {
	return filepath.Join(append([]string{w.dir}, elem...)...)
}

// run runs a command to its end and fails the test unless it exits with code 0.
func (w *world) run(name string, args ...string) string {
	w.t.Helper()
	out, code := w.try(name, args...)
	if code != 0 {
		w.t.Fatalf("%s %s: exit %d\n%s", name, strings.Join(args, " "), code, out)
	}
	return out
}

// try runs a command to its end, bounded, and returns all it printed and its exit code.
func (w *world) try(name string, args ...string) (string, int) {
	w.t.Helper()
	out, errs, code := w.command(name, args...)
	return out + errs, code
}

// printed is what a command wrote to its standard output alone, for programs.
func (w *world) printed(name string, args ...string) []byte {
	w.t.Helper()
	out, _, _ := w.command(name, args...)
	return []byte(out)
}

func (w *world) command(name string, args ...string) (out, errs string, code int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	path := name
	if !strings.Contains(name, "/") {
		if built := filepath.Join(binaries, name); exists(built) {
			path = built
		}
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = w.dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// process is a server that a story started; it is ended by its own handle only.
type process struct {
	cmd  *exec.Cmd
	done chan error
}

// start runs a server whose output goes to a log file below logs/.
func (w *world) start(name, command string, args ...string) {
	w.t.Helper()
	log, err := os.OpenFile(w.join("logs", name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(binaries, command), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = w.dir, log, log
	cmd.Env = append(os.Environ(), w.env[name]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	p := &process{cmd, make(chan error, 1)}
	go func() { p.done <- cmd.Wait(); log.Close() }()
	w.procs[name] = p
}

// kill ends a server as a power cut would.
func (w *world) kill(name string) { w.end(name, syscall.SIGKILL) }

// stop ends a server as systemd would and fails the test unless it goes with code 0.
func (w *world) stop(name string) {
	w.t.Helper()
	if err := w.end(name, syscall.SIGTERM); err != nil {
		w.t.Errorf("%s did not end cleanly: %v\n%s", name, err, w.log(name))
	}
}

func (w *world) end(name string, sig syscall.Signal) error {
	w.t.Helper()
	p := w.procs[name]
	delete(w.procs, name)
	p.cmd.Process.Signal(sig)
	select {
	case err := <-p.done:
		return err
	case <-time.After(patience):
		p.cmd.Process.Kill()
		return fmt.Errorf("still running %v after its signal", patience)
	}
}

func (w *world) log(name string) string {
	b, _ := os.ReadFile(w.join("logs", name+".log"))
	return string(b)
}

// patience is how long a story waits for one thing, on a machine that may have much else to do: a bound for what hangs, not a measurement. It is more
// than the two minutes that pass at most until a garbage collection.
const patience = 4 * time.Minute

// await repeats ask until it says nil, and fails with its last error when patience ends.
func (w *world) await(what string, ask func() error) {
	w.t.Helper()
	start := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var err error
	for time.Since(start) < patience {
		if err = ask(); err == nil {
			w.t.Logf("%s after %v", what, time.Since(start).Round(10*time.Millisecond))
			return
		}
		<-tick.C
	}
	for name := range w.procs {
		w.t.Logf("--- %s\n%s", name, tail(w.log(name), 4000))
	}
	w.t.Fatalf("%s: not within %v: %v", what, patience, err)
}

func tail(s string, n int) string {
	if len(s) > n {
		return "..." + s[len(s)-n:]
	}
	return s
}

// newWorld makes a hotline with officers and accreditation, an operator with three control nodes and two edges, a web server for the
// repository and an upstream resolver; more may add a hotline. Nothing of Cordon runs yet and nothing is published.
func newWorld(t *testing.T, more ...func(*world)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), procs: map[string]*process{}, env: map[string][]string{}, dns: map[string]string{}, api: map[string]string{}}
	t.Cleanup(func() {
		for name := range w.procs {
			w.kill(name)
		}
	})
	if err := os.Mkdir(w.join("logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.makeHotline()
	w.serveRepository()
	for _, f := range more {
		f(w)
	}
	if w.resolver == "" {
		w.resolver = w.upstream()
	}
	w.makeOperator(w.resolver)
	w.run("cordon-hotline", "operator", "add", "--dir", "hotline", w.join("isp", "cluster.pub"))
	return w
}

func (w *world) makeHotline() {
	w.run("cordon-hotline", "authority", "init", "--dir", "authority")
	init := []string{"init", "--dir", "hotline", "--id", hotlineID, "--name", "Hotline One", "--list", hotlineID + "/main", "--canary", canary}
	for i := range 3 {
		officer := fmt.Sprintf("officer-%d", i+1)
		w.run("cordon-hotline", "officer", "--dir", officer)
		w.officers = append(w.officers, officer)
		init = append(init, "--officer", filepath.Join(officer, "officer.pub"))
	}
	w.run("cordon-hotline", init...)
	w.run("cordon-hotline", "authority", "accredit", "--dir", "authority", "--request", "hotline/request.json", "--jurisdiction", "XA",
		"--basis", "law,order,voluntary", "--kind", "url,prefix,host,domain", "--valid-days", "365", "--out", "accreditation")
	for _, key := range []string{"root-1", "root-2", "root-3"} {
		w.run("cordon-hotline", "authority", "sign", "--key", "authority/"+key, "accreditation/1.root.json")
	}
	for _, key := range []string{"accreditation-1", "accreditation-2"} {
		w.run("cordon-hotline", "authority", "sign", "--key", "authority/"+key, "accreditation/1.targets.json")
	}
	w.run("cordon-hotline", "accept", "--dir", "hotline", "accreditation")
	w.repository = w.join("hotline", "repository")
}

// serveRepository is any web server.
func (w *world) serveRepository() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if lie := w.lie.Load(); lie == nil || !(*lie)(rw, r) {
			http.FileServer(http.Dir(w.repository)).ServeHTTP(rw, r)
		}
	})}
	go server.Serve(ln)
	w.t.Cleanup(func() { server.Close() })
	w.repoURL = "http://" + ln.Addr().String()
}

func (w *world) upstream() string {
	up, err := devupstream.Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- up.Run(ctx) }()
	w.t.Cleanup(func() { cancel(); <-done })
	return up.Addr().String()
}

// makeOperator writes the operator's files and shortens the poll, as an operator in a hurry would.
func (w *world) makeOperator(upstream string) {
	page := freePort(w.t, "127.0.0.61", "127.0.0.62")
	w.law, w.vol = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.61"), page), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.62"), page)
	args := []string{"init", "--dir", "isp", "--name", "isp.example", "--upstream", upstream,
		"--stop-law", "127.0.0.61", "--stop-voluntary", "127.0.0.62", "--stop-port", fmt.Sprint(page),
		"--implementer", "https://isp.example/blocking", "--contact", "mailto:complaints@isp.example",
		"--hotline", hotlineID + "," + w.join("accreditation", "1.root.json") + "," + w.repoURL}
	for _, h := range w.hotlines {
		args = append(args, "--hotline", h)
	}
	for i := range 3 {
		name := fmt.Sprintf("c%d", i+1)
		api := fmt.Sprintf("127.0.0.1:%d", freePort(w.t, "127.0.0.1"))
		w.api[name] = "https://" + api
		args = append(args, "--control", fmt.Sprintf("%s,127.0.0.1:%d,%s", name, freePort(w.t, "127.0.0.1"), api))
	}
	// The second edge has addresses of its own: two edges of one machine cannot share a stop page's port.
	w.dns["e1"] = fmt.Sprintf("127.0.0.1:%d", freePort(w.t, "127.0.0.1"))
	w.dns["e2"] = fmt.Sprintf("127.0.0.2:%d", freePort(w.t, "127.0.0.2"))
	args = append(args, "--edge", "e1,"+w.dns["e1"], "--edge", "e2,"+w.dns["e2"])
	for _, name := range []string{"ada", "grace"} {
		w.run("cordon", "officer", "--dir", name, "--name", name)
		args = append(args, "--officer", filepath.Join(name, "officer.pub"))
	}
	w.run("cordon", append(args, w.initFlags...)...)
	w.profile, w.trust = w.join("isp", "operator", "profile.json"), w.join("isp", "trust.json")
	for i := range 3 {
		w.edit(filepath.Join("isp", fmt.Sprintf("c%d", i+1), "control.yaml"), "poll:", "poll: 1s")
	}
	w.edit("isp/e2/edge.yaml", "listen_port:", fmt.Sprintf("  listen_port: %d", freePort(w.t, "127.0.0.61", "127.0.0.62")))
}

// edit replaces the one line of a file that begins, after blanks or a comment sign, with start; a missing line is added.
func (w *world) edit(file, start, line string) {
	w.t.Helper()
	b, err := os.ReadFile(w.join(file))
	if err != nil {
		w.t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	for i, l := range lines {
		if strings.HasPrefix(strings.TrimLeft(l, " #"), start) {
			lines[i] = line
			line = ""
			break
		}
	}
	if line != "" {
		lines = append(lines, line, "")
	}
	if err := os.WriteFile(w.join(file), []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// nextPort is where freePort looks next: no port is given twice, for a port is free until whoever asked for it listens.
var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(1 << 20)) }

// freePort finds a port free on all addresses, below those the kernel hands out by itself.
func freePort(t *testing.T, addrs ...string) uint16 {
	t.Helper()
next:
	for range 1000 {
		port := uint16(20000 + nextPort.Add(1)%12000)
		for _, a := range addrs {
			at := net.JoinHostPort(a, fmt.Sprint(port))
			tcp, err := net.Listen("tcp", at)
			if err != nil {
				continue next
			}
			tcp.Close()
			udp, err := net.ListenPacket("udp", at)
			if err != nil {
				continue next
			}
			udp.Close()
		}
		return port
	}
	t.Fatal("no free port")
	return 0
}

// rows is an import's text.
func rows(lines ...string) string { return csvHeader + "\n" + strings.Join(lines, "\n") + "\n" }

func entry(expression, kind, basis string) string {
	return strings.Join([]string{expression, kind, "csam-baseline", basis, "XA",
		time.Now().UTC().AddDate(0, 0, 120).Format(time.DateOnly), "assessor-a", "assessor-b", "synthetic"}, ",")
}

func firstList() string {
	return rows(entry("a-listed-domain.test", "domain", "law"), entry("a-listed-host.test", "host", "order"),
		entry("listed-by-agreement.test", "host", "voluntary"), entry("http://hosts-a-page.test/one/page?x=1", "url", "law"))
}

// audited has the operator write a bundle and an auditor pass it, and returns what the auditor reads. What is in force has a quorum of the control nodes;
// the one that is asked may still fetch its files, and the auditor, who misses them, comes again.
func (w *world) audited(bundle string) (says string) {
	w.t.Helper()
	w.await("an auditor passes the bundle", func() error {
		w.run("cordon", "bundle", "--profile", w.profile, "--out", bundle)
		var code int
		if says, code = w.try("cordon-audit", "verify", "--trust", w.trust, bundle); code != 0 {
			return fmt.Errorf("exit %d\n%s", code, says)
		}
		return nil
	})
	return says
}

// publish imports rows, has two officers sign and publishes.
func (w *world) publish(csv string) {
	w.t.Helper()
	if err := os.WriteFile(w.join("import.csv"), []byte(csv), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.run("cordon-hotline", "import", "--dir", "hotline", "import.csv")
	w.run("cordon-hotline", "sign", "--dir", "hotline", "--officer", w.officers[0])
	w.run("cordon-hotline", "sign", "--dir", "hotline", "--officer", w.officers[1])
	w.run("cordon-hotline", "publish", "--dir", "hotline")
}

func (w *world) startControl(name string) {
	w.start(name, "cordon", "control", "--config", w.join("isp", name, "control.yaml"))
}

func (w *world) startEdge(name string) {
	w.start(name, "cordon", "edge", "--config", w.join("isp", name, "edge.yaml"))
}

func (w *world) startAll() {
	for _, c := range []string{"c1", "c2", "c3"} {
		w.startControl(c)
	}
	for _, e := range []string{"e1", "e2"} {
		w.startEdge(e)
	}
}
