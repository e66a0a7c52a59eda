package unbound

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a child that does not outlive this one.
type process struct {
	done chan struct{} // closed when it has ended and been waited for, or could not be started
	cmd  *exec.Cmd
	said opening
	err  error // how it ended; to be read when done is closed
}

// start runs the program with an empty environment, as credential says. It stays on one thread of the kernel from start to end, because
// PR_SET_PDEATHSIG is about the thread that started a child, and because that thread gives up what a child must not inherit.
func start(program string, args []string, dir string, credential *syscall.Credential) *process {
	p := &process{done: make(chan struct{})}
	started := make(chan struct{})
	p.cmd = exec.Command(program, args...)
	p.cmd.Dir, p.cmd.Env = dir, []string{}
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	p.cmd.WaitDelay = time.Second
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: credential}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, and so does what was taken from it
		defer close(p.done)
		// An edge may hold the capability to bind low ports; Unbound needs none. Where there is none to give up, these fail.
		_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
		_ = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		err := p.cmd.Start()
		close(started)
		if err == nil {
			err = p.cmd.Wait()
		}
		p.err = err
	}()
	<-started
	return p
}

// end asks the process to end, and makes it when it does not within the time. It returns when it has ended.
func (p *process) end(within time.Duration) {
	if p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Process.Signal(syscall.SIGCONT) // a stopped process does not hear
		select {
		case <-p.done:
		case <-time.After(within):
			_ = p.cmd.Process.Kill()
		}
	}
	<-p.done
}

// why says how it ended.
func (p *process) why() string {
	if p.err == nil {
		return "exit status 0"
	}
	return p.err.Error()
}

// opening keeps the first of what a process writes until it is told to stop. What Unbound says of its start is about its configuration; what
// it says later is not kept, since it may be about a question.
type opening struct {
	mu   sync.Mutex // guards all
	text []byte
	over bool
}

const maxOpening = 4 << 10

func (o *opening) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over {
		o.text = append(o.text, b[:min(len(b), maxOpening-len(o.text))]...)
	}
	return len(b), nil
}

func (o *opening) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over = true
}

func (o *opening) lines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Split(strings.TrimSpace(string(o.text)), "\n")
}

// whyRefused is the error of a process that ended before it answered.
func (r *Resolver) whyRefused(p *process) error {
	var said []string
	for _, line := range p.said.lines() {
		if strings.Contains(line, "error") {
			if _, text, ok := strings.Cut(line, "] unbound["); ok { // [TIME] unbound[PID:THREAD] TEXT
				_, line, _ = strings.Cut(text, "] ")
			}
			said = append(said, line)
		}
	}
	text := strings.Join(said, "; ")
	if text == "" {
		text = p.why()
	}
	if !r.bare && strings.Contains(text, "conf:") && strings.Contains(text, "error") {
		r.bare = true // tried once more without the lines that only newer versions know
	}
	hint := ""
	if strings.Contains(text, "ermission denied") && appArmor() {
		hint = "; AppArmor may forbid it: see Recursion in the operator's manual"
	}
	return fmt.Errorf("%w: %s%s", ErrRefused, text, hint)
}

func appArmor() bool {
	b, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	return err == nil && len(b) > 0 && b[0] == 'Y'
}

// runAs is whom the process runs as: nil means as this one.
func runAs(name string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if errors.As(err, new(user.UnknownUserError)) {
		return nil, fmt.Errorf("%w: there is no user %s to run it as; Debian's package unbound makes it, or name another one as recursion.user", ErrRefused, name)
	} else if err != nil {
		return nil, fmt.Errorf("%w: look up user %s: %w", ErrRefused, name, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("%w: user %s: %w", ErrRefused, name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("%w: user %s: %w", ErrRefused, name, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
