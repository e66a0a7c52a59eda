package unbound

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestUnboundAnswersAndEndsWithRun(t *testing.T) {
	needUnbound(t)
	g := begin(t, Config{Threads: 3, CacheMB: 4})
	s := g.until(t, "answering", func(s State) bool { return s.Answering && s.Process > 0 })
	if !g.Addr().Addr().IsLoopback() || g.Addr().Port() == 0 {
		t.Errorf("its address is %v", g.Addr())
	}
	conf, err := os.Stat(filepath.Join(g.config.Dir, "unbound.conf"))
	if err != nil || conf.Mode().Perm() != 0o600 {
		t.Errorf("configuration: %v, %v", conf, err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Process))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CapEff:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("the process has not %q:\n%s", want, status)
		}
	}
	if strings.Contains(string(status), "Uid:\t0\t") {
		t.Error("the process runs as root")
	}
	ended := pidfd(t, s.Process)
	g.close()
	wait(t, ended)
	if _, err := os.Stat(g.config.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder is still there: %v", err)
	}
	if strings.Contains(g.log.String(), "ERROR") {
		t.Errorf("log:\n%s", g.log)
	}
}

func TestAProcessThatEndsOrHangsIsStartedAgain(t *testing.T) {
	needUnbound(t)
	g := begin(t, Config{Every: quick})
	starts := uint64(0) // more than are asked for, on a machine that stands still for long
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGTERM} {
		s := g.until(t, "answering", func(s State) bool { return s.Answering && s.Starts > starts })
		before := pidfd(t, s.Process)
		if err := unix.PidfdSendSignal(before, signal, nil, 0); err != nil {
			t.Fatal(err)
		}
		wait(t, before)
		starts = s.Starts
	}
	g.until(t, "answering a last time", func(s State) bool { return s.Answering && s.Starts > starts && s.Err == nil })
	g.until(t, "answering for who asks often", func(State) bool { return g.Answering() })
	for _, want := range []string{"signal: killed", "does not answer", "ended by itself: exit status 0"} {
		if !strings.Contains(g.log.String(), want) {
			t.Errorf("no %q in the log:\n%s", want, g.log)
		}
	}
}

func TestFailedStartsAreEverFurtherApart(t *testing.T) {
	var delay time.Duration
	for i, want := range []time.Duration{100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000} {
		delay = next(delay, time.Second)
		if delay != want*time.Millisecond {
			t.Errorf("wait %d is %v, want %v", i, delay, want*time.Millisecond)
		}
	}
	if got := next(delay, time.Minute); got != firstDelay {
		t.Errorf("after a minute of answers the wait is %v, want %v", got, firstDelay)
	}
}

// TestCountersGoOnOverRestarts, whoever is the cause: on a machine that stands still for a second and a half Unbound is taken for hanging, and
// what it had counted since it was last asked is gone. Then that start is no test, and the next one is.
func TestCountersGoOnOverRestarts(t *testing.T) {
	needUnbound(t)
	g := begin(t, Config{Every: quick})
	counted := uint64(0)
	for good := 0; good < 2; {
		s := g.until(t, "answering", func(s State) bool { return s.Answering })
		if s.Counts.Queries < counted {
			t.Fatalf("%d questions are counted after start %d, and were %d before", s.Counts.Queries, s.Starts, counted)
		}
		before := s.Counts.Queries
		for range 3 {
			askLocalhost(t, g.Addr().String())
		}
		now := g.until(t, "counting all", func(now State) bool { return now.Counts.Queries >= before+3 || now.Starts != s.Starts })
		if counted = now.Counts.Queries; now.Starts != s.Starts || now.Process != s.Process {
			continue
		}
		good++
		gone := pidfd(t, s.Process)
		if err := unix.PidfdSendSignal(gone, unix.SIGKILL, nil, 0); err != nil {
			t.Fatal(err)
		}
		wait(t, gone)
		g.until(t, "answering again", func(now State) bool { return now.Answering && now.Starts > s.Starts })
	}
	if s := g.State(); s.Counts.Queries < counted || counted < 6 {
		t.Errorf("%d questions are counted, and %d were before the last restart, want 6 at least", s.Counts.Queries, counted)
	}
}

// askLocalhost asks for what is answered without asking anybody (RFC 6761). Whether the answer comes is not its affair.
func askLocalhost(t *testing.T, at string) {
	t.Helper()
	conn, err := net.Dial("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write([]byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x09localhost\x00\x00\x01\x00\x01"))
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second)) // whoever is started again does not answer
	_, _ = conn.Read(make([]byte, 512))
}

func TestWhatIsWrongIsSaidWithWhatToDo(t *testing.T) {
	needUnbound(t)
	dir := openFolder(t)
	garbage := filepath.Join(dir, "garbage.key")
	if err := os.WriteFile(garbage, []byte("this is no key\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	taken, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct {
		name   string
		config Config
		want   []string
	}{
		{"no program", Config{Program: "no-such-unbound"}, []string{ErrMissing.Error()}},
		{"no anchor", Config{TrustAnchor: filepath.Join(dir, "gone.key")}, []string{ErrAnchor.Error(), "gone.key"}},
		{"a bad anchor", Config{TrustAnchor: garbage}, []string{ErrRefused.Error(), "garbage.key"}},
		{"a taken address", Config{Listen: taken.LocalAddr().(*net.UDPAddr).AddrPort()}, []string{ErrRefused.Error(), "in use"}},
		{"another program", Config{Program: "/bin/false"}, []string{ErrRefused.Error(), "exit status 1"}},
		{"a file that cannot be run", Config{Program: garbage}, []string{ErrRefused.Error(), "permission denied"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := begin(t, tt.config)
			// The state is there a moment before the log has it.
			s := g.until(t, "saying what is wrong", func(s State) bool { return s.Err != nil && strings.Contains(g.log.String(), "level=ERROR") })
			g.close()
			for _, want := range tt.want {
				if !strings.Contains(s.Err.Error(), want) {
					t.Errorf("%q says nothing of %q", s.Err, want)
				}
			}
			if s.Answering || s.Process != 0 || g.Answering() {
				t.Errorf("state is %+v", s)
			}
			if got := strings.Count(g.log.String(), "level=ERROR"); got != 1 {
				t.Errorf("said %d times:\n%s", got, g.log)
			}
		})
	}
	if os.Geteuid() == 0 {
		g := begin(t, Config{User: "no-such-user"})
		g.until(t, "saying that there is no such user", func(s State) bool { return s.Err != nil && strings.Contains(s.Err.Error(), "no user no-such-user") })
	}
}

func TestAProgramThatIsInstalledLaterIsStarted(t *testing.T) {
	needUnbound(t)
	program, err := find(DefaultProgram)
	if err != nil {
		t.Fatal(err)
	}
	later := filepath.Join(openFolder(t), "later")
	g := begin(t, Config{Program: later})
	g.until(t, "missing", func(s State) bool { return errors.Is(s.Err, ErrMissing) })
	if err := os.Symlink(program, later); err != nil {
		t.Fatal(err)
	}
	g.until(t, "answering", func(s State) bool { return s.Answering })
}

func TestAChangedTrustAnchorIsTaken(t *testing.T) {
	needUnbound(t)
	text, err := os.ReadFile(DefaultTrustAnchor)
	if err != nil {
		t.Fatal(err)
	}
	anchor := filepath.Join(openFolder(t), "root.key")
	write := func(b []byte) {
		t.Helper()
		if err := errors.Join(os.WriteFile(anchor+".new", b, 0o644), os.Rename(anchor+".new", anchor)); err != nil { // never half of it
			t.Fatal(err)
		}
	}
	write(text)
	g := begin(t, Config{TrustAnchor: anchor})
	g.until(t, "answering", func(s State) bool { return s.Answering })
	write(append(text, "; one more line\n"...))
	g.until(t, "answering with the new one", func(s State) bool { return s.Answering && s.Starts >= 2 })
	if strings.Contains(g.log.String(), "level=ERROR") {
		t.Errorf("log:\n%s", g.log)
	}
}

// TestWhoeverElseAnswersIsNotTakenForUnbound has another program answer at the address, with any identity but the right one.
func TestWhoeverElseAnswersIsNotTakenForUnbound(t *testing.T) {
	other, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	say := make(chan string, 1)
	go func() {
		var buf [512]byte
		for {
			n, from, err := other.ReadFromUDP(buf[:])
			if err != nil {
				return
			}
			word := <-say
			reply := append([]byte(nil), buf[:n]...)
			reply[2], reply[7] = 0x80, 1
			reply = append(reply[:n-11:n-11], "\xc0\x0c\x00\x10\x00\x03\x00\x00\x00\x00\x00"...)
			reply[11] = 0
			reply = append(reply, byte(len(word)+1), byte(len(word)))
			_, _ = other.WriteToUDP(append(reply, word...), from)
		}
	}()
	at := other.LocalAddr().(*net.UDPAddr).AddrPort()
	say <- "another"
	if err := probe(t.Context(), at, "right", time.Minute); err == nil {
		t.Error("somebody else is taken for it")
	}
	say <- "right"
	if err := probe(t.Context(), at, "right", time.Minute); err != nil {
		t.Errorf("with the right word: %v", err)
	}
}

const helperDir = "CORDON_UNBOUND_HELPER"

// TestUnboundDoesNotOutliveItsParent has a process of its own run a Resolver, and kills that one.
func TestUnboundDoesNotOutliveItsParent(t *testing.T) {
	if dir := os.Getenv(helperDir); dir != "" {
		g := begin(t, Config{Dir: dir})
		s := g.until(t, "answering", func(s State) bool { return s.Answering })
		fmt.Println("process", s.Process)
		select {}
	}
	needUnbound(t)
	dir := filepath.Join(openFolder(t), "run")
	parent := exec.Command(os.Args[0], "-test.run=^TestUnboundDoesNotOutliveItsParent$")
	parent.Env = append(os.Environ(), helperDir+"="+dir)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var process int
	if _, err := fmt.Fscanf(out, "process %d\n", &process); err != nil {
		t.Errorf("the helper says nothing: %v", err)
	}
	child := -1
	if process > 0 {
		child = pidfd(t, process)
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	if child >= 0 {
		wait(t, child)
	}
	// what the killed one left is no hindrance
	g := begin(t, Config{Dir: dir})
	g.until(t, "answering", func(s State) bool { return s.Answering })
}

// TestAnOlderUnboundGetsNoLinesThatItDoesNotKnow has a program that refuses a line of newer versions as Unbound 1.17.0 does.
func TestAnOlderUnboundGetsNoLinesThatItDoesNotKnow(t *testing.T) {
	needUnbound(t)
	program, err := find(DefaultProgram)
	if err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(openFolder(t), "old")
	script := "#!/bin/sh\nfor conf; do :; done\nif line=$(/bin/grep -n wait-limit \"$conf\"); then\n  echo \"$conf:${line%%:*}: error: unknown keyword 'wait-limit'\" >&2\n" +
		"  echo '[1790000000] unbound[1:0] fatal error: Could not read config file: '$conf >&2\n  exit 1\nfi\nexec " + program + " \"$@\"\n"
	if err := os.WriteFile(old, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	g := begin(t, Config{Program: old})
	g.until(t, "answering", func(s State) bool { return s.Answering && s.Starts >= 2 })
	if !strings.Contains(g.log.String(), "unknown keyword 'wait-limit'") {
		t.Errorf("log:\n%s", g.log)
	}
}

func TestAnUnboundThatFindsNothingIsCalledBlind(t *testing.T) {
	log := new(logBuffer)
	r, err := Open(Config{Dir: "/nowhere", Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	var c Counts
	for i, step := range []struct {
		queries, hits, found uint64
		blind                bool
	}{
		{100, 20, 90, false}, {9, 0, 0, false}, {100, 0, 0, false}, {100, 0, 50, false}, // once is not enough
		{100, 0, 1, false}, {5, 0, 0, false}, {100, 5, 3, true}, {3, 0, 3, true}, {0, 0, 0, true}, // too few say nothing, either way
		{100, 0, 5, false}, {100, 0, 0, false}, {100, 0, 0, true},
	} {
		c.Queries, c.Hits, c.Found = c.Queries+step.queries, c.Hits+step.hits, c.Found+step.found
		r.count(t.Context(), c)
		if got := errors.Is(r.State().Err, ErrBlind); got != step.blind {
			t.Errorf("step %d: blind is %v, want %v", i, got, step.blind)
		}
	}
	if e, again := strings.Count(log.String(), "level=ERROR"), strings.Count(log.String(), "again"); e != 2 || again != 1 {
		t.Errorf("log:\n%s", log)
	}
}

// Somebody who tries a new edge by hand asks a few questions; they are judged once there are enough of them.
func TestAnUnboundOfWhichLittleIsAskedIsCalledBlindToo(t *testing.T) {
	r, err := Open(Config{Dir: "/nowhere", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var c Counts
	for _, blind := range []bool{false, false, false, false, false, true} { // 12 questions are one judgement, 24 are two
		c.Queries += 4
		r.count(t.Context(), c)
		if got := errors.Is(r.State().Err, ErrBlind); got != blind {
			t.Errorf("after %d questions without an answer: blind is %v, want %v", c.Queries, got, blind)
		}
	}
	for i, blind := range []bool{true, true, false} {
		c.Queries, c.Found = c.Queries+4, c.Found+4
		r.count(t.Context(), c)
		if got := errors.Is(r.State().Err, ErrBlind); got != blind {
			t.Errorf("after %d answers: blind is %v, want %v", 4*(i+1), got, blind)
		}
	}
}

func TestCountersAreRead(t *testing.T) {
	good := "num.query.class.CH=1\nnum.answer.rcode.NOERROR=8\nnum.answer.rcode.NXDOMAIN=1\ntotal.num.queries=7\ntotal.num.cachehits=2\nnum.query.udpout=10\nnum.query.tcpout=1\nnum.answer.rcode.SERVFAIL=3\n" +
		"num.answer.bogus=2\nnum.answer.secure=4\nunwanted.replies=5\nmem.cache.rrset=1\n"
	want := Counts{Queries: 6, Hits: 1, Found: 8, Asked: 11, ServFail: 3, Bogus: 2, Secure: 4, Unwanted: 5}
	if got, err := readCounts(strings.NewReader(good)); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", "error unknown command\n", "total.num.queries=many\n", strings.Repeat("x", 70_000), strings.Repeat("a=b\n", maxStats/2)} {
		if got, err := readCounts(strings.NewReader(bad)); err == nil {
			t.Errorf("%.40q gives %+v", bad, got)
		}
	}
}

func TestOpenRefusesWhatCannotWork(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for name, c := range map[string]Config{
		"no folder":     {Log: log},
		"no log":        {Dir: "/tmp/x"},
		"a long folder": {Dir: "/" + strings.Repeat("x", 100), Log: log},
	} {
		if _, err := Open(c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
