package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Addresses of the private network (RFC 5737, RFC 3849): one for each server.
const (
	rootServer  = "192.0.2.1"
	tldServer   = "192.0.2.2"
	zoneServer  = "192.0.2.3"
	slowServer  = "192.0.2.4"
	edgeAddress = "192.0.2.53"
	edgeIPv6    = "2001:db8::53"
	forwarder   = "192.0.2.54"
)

// patience is the bound for what hangs.
const patience = 2 * time.Minute

// tools are the programs that the tests of this package run.
var tools = []string{"ip", "unbound", "nsd", "named", "dnssec-keygen", "dnssec-signzone", "dnssec-dsfromkey", "dig", "delv", "kdig", "drill", "stubby", resolvedProgram}

const inside = "CORDON_INTEROP_INSIDE"

// TestMain runs the tests in a network of their own: this program again, in a new network namespace.
func TestMain(m *testing.M) {
	if os.Getenv(inside) != "" {
		if err := network(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		code := m.Run()
		closeTree()
		os.Exit(code)
	}
	var missing []string
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	if len(missing) > 0 {
		fmt.Fprintf(os.Stderr, "interoperation is not tested: %s needed (tools/deps installs the programs)\n", strings.Join(missing, ", "))
		if os.Getenv("CI") != "" {
			os.Exit(1)
		}
		os.Exit(0)
	}
	again := exec.Command(os.Args[0], os.Args[1:]...)
	again.Env = append(os.Environ(), inside+"=1")
	again.Stdout, again.Stderr = os.Stdout, os.Stderr
	runtime.LockOSThread() // as in spawn
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err := again.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "a network of its own:", err)
		os.Exit(1)
	}
}

// network gives the namespace's loopback the addresses of all servers.
func network() error {
	for _, args := range [][]string{
		{"link", "set", "lo", "up"}, {"addr", "add", "192.0.2.0/24", "dev", "lo"}, {"route", "add", "local", "192.0.2.0/24", "dev", "lo"},
		{"addr", "add", forwarder + "/32", "dev", "lo"}, // BIND listens on what interfaces have
		{"addr", "add", edgeIPv6 + "/128", "dev", "lo", "nodad"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil && !strings.Contains(string(out), "exists") {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

// output runs a client to its end and returns all it printed; a client may well exit with an error.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return string(out)
}

// spawn starts a process that does not outlive this one, and closes done when it has ended. The thread that started it waits for it: the
// kernel would take that thread's end for its parent's.
func spawn(cmd *exec.Cmd) (done chan struct{}, err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	done = make(chan struct{})
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	return done, <-started
}

// daemon starts a server that ends with the test that started it, and returns when up says nil.
func daemon(t testing.TB, up func() error, name string, args ...string) *exec.Cmd {
	t.Helper()
	var said strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	done, err := spawn(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-done
	})
	await(t, name+" "+strings.Join(args, " "), func() error {
		select {
		case <-done:
			t.Fatalf("%s %v has ended: %s", name, args, said.String())
		default:
		}
		return up()
	})
	return cmd
}

// openFolder is a folder that another user can reach.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// await repeats ask until it says nil: the bound is for what hangs.
func await(t testing.TB, what string, ask func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		if err = ask(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// has checks that a text holds all of want and nothing that begins with "!" there.
func has(t *testing.T, what, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if not, ok := strings.CutPrefix(w, "!"); ok && strings.Contains(text, not) {
			t.Errorf("%s: has %q:\n%s", what, not, text)
		} else if !ok && !strings.Contains(text, w) {
			t.Errorf("%s: no %q:\n%s", what, w, text)
		}
	}
}
