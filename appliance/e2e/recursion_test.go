package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/dns"
)

// TestARecursiveEdgeKeepsItsUnboundRunning: an edge with upstream: recursive starts Unbound by itself, starts it again when it is killed, takes it along when
// it is killed itself, and without the program stops what is listed and says what to install.
func TestARecursiveEdgeKeepsItsUnboundRunning(t *testing.T) {
	if _, err := exec.LookPath("unbound"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("unbound is missing; install it to run this test")
	}
	w := newWorld(t, func(w *world) { w.resolver = "recursive" })
	for _, name := range []string{"c1", "c2", "c3"} {
		w.startControl(name)
	}
	w.startEdge("e1")
	w.publish(firstList())
	listed := func() error { return w.stopped("e1", "a-listed-domain.test", true) }
	w.await("list in force", listed)
	// Unbound answers localhost by itself (RFC 6761): what comes back has gone through it, and no network is needed.
	resolved := func() error {
		a, err := ask(w.dns["e1"], "localhost", dns.TypeA)
		if err != nil {
			return err
		}
		if a.rcode != dns.RcodeSuccess || len(a.addrs) != 1 || a.addrs[0] != "127.0.0.1" {
			return fmt.Errorf("localhost: %v", a)
		}
		return nil
	}
	w.await("unbound behind the edge", resolved)
	first := w.unbound("e1")
	w.await("its state in cordon status", func() error { return w.statusSays("its unbound: answering since", "started once") })

	w.inheritsNothing(first)
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.await("another unbound", func() error {
		a, err := ask(w.dns["e1"], "localhost", dns.TypeAAAA) // not in the edge's cache
		if err != nil || a.rcode != dns.RcodeSuccess {
			return fmt.Errorf("localhost: %v, %v", a, err)
		}
		return nil
	})
	second := w.unbound("e1")
	if second == first {
		t.Errorf("unbound is still %d", first)
	}
	w.kill("e1")
	w.await("no unbound without its edge", func() error {
		if err := syscall.Kill(second, 0); !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("%d is still there: %v", second, err)
		}
		return nil
	})

	other := w.upstream() // has the address meanwhile, and whatever it says is no answer
	w.edit("isp/e1/edge.yaml", "recursion:", "recursion:\n  program: no-such-unbound\n  listen: "+other)
	w.startEdge("e1")
	w.await("listed names stopped without unbound", listed)
	if a, err := ask(w.dns["e1"], "www.fine.test", dns.TypeA); err != nil || a.rcode != dns.RcodeServerFailure || a.ede != dns.ExtendedErrorCodeNetworkError {
		t.Errorf("an unlisted name without unbound: %v, %v", a, err)
	}
	w.publish(rows(entry("another.test", "host", "law"))) // the edge reports when something is new
	w.await("cordon status says what to install", func() error {
		return w.statusSays("edge e1 finds no answers", "install Debian's package unbound")
	})
	w.edit("isp/e1/edge.yaml", "program:", "  program: unbound")
	w.edit("isp/e1/edge.yaml", "listen: "+other, "  # any address")
	w.stop("e1")
	w.startEdge("e1")
	w.await("unbound again", resolved)
	third := w.unbound("e1")
	w.stop("e1")
	if err := syscall.Kill(third, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("unbound outlives its edge: %v", err)
	}
	for _, secret := range []string{"fine.test", "localhost", "a-listed-domain"} {
		if strings.Contains(w.log("e1"), secret) {
			t.Errorf("the edge's log holds %s:\n%s", secret, w.log("e1"))
		}
	}
}

// inheritsNothing checks what a child of an edge has of it.
func (w *world) inheritsNothing(process int) {
	w.t.Helper()
	proc := fmt.Sprintf("/proc/%d/", process)
	limits, err := os.ReadFile(proc + "limits")
	if err != nil {
		w.t.Fatal(err)
	}
	core := ""
	for line := range strings.Lines(string(limits)) {
		if strings.HasPrefix(line, "Max core file size") {
			core = strings.Join(strings.Fields(line)[4:6], " ")
		}
	}
	if core != "0 0" {
		w.t.Errorf("unbound may write core files: %q", core)
	}
	if env, err := os.ReadFile(proc + "environ"); err != nil || len(env) != 0 {
		w.t.Errorf("its environment is %q, %v", env, err)
	}
	open, err := filepath.Glob(proc + "fd/*")
	if err != nil || len(open) < 4 {
		w.t.Fatalf("its open files are %v, %v", open, err)
	}
	for _, fd := range open {
		to, err := os.Readlink(fd)
		if err != nil {
			continue // closed meanwhile
		}
		if strings.Contains(to, w.dir) || strings.Contains(to, "memfd") || strings.Contains(to, "secret") {
			w.t.Errorf("it has %s open", to)
		}
	}
}

// statusSays reports nil when cordon status prints all of these.
func (w *world) statusSays(wants ...string) error {
	out, _ := w.try("cordon", "status", "--profile", w.profile)
	for _, want := range wants {
		if !strings.Contains(out, want) {
			return fmt.Errorf("no %q in:\n%s", want, out)
		}
	}
	return nil
}

// unbound is the id of the one child of an edge.
func (w *world) unbound(edge string) int {
	w.t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", w.procs[edge].cmd.Process.Pid))
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, path := range tasks {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		all = append(all, strings.Fields(string(b))...)
	}
	if len(all) != 1 {
		w.t.Fatalf("the children of %s are %v, want one", edge, all)
	}
	id, err := strconv.Atoi(all[0])
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}
