package progress

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudo-terminal: what is written to slave is read from master.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	must(err)
	must(unix.IoctlSetPointerInt(int(m.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(m.Fd()), unix.TIOCGPTN)
	must(err)
	s, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	must(err)
	must(unix.IoctlSetWinsize(int(s.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 60}))
	t.Cleanup(func() { s.Close(); m.Close() })
	return m, s
}

// work is a step of 100 units, one every tenth of a second.
func work(b *Bar, clock *time.Time) {
	b.Begin("sorting rows", 100)
	for range 100 {
		*clock = clock.Add(100 * time.Millisecond)
		b.Add(1)
	}
	b.Done()
}

func TestATerminalSeesALineThatGoesAwayAgain(t *testing.T) {
	t.Setenv("TERM", "xterm")
	master, slave := terminal(t)
	b, now := On(slave), time.Unix(0, 0)
	if b.out == nil {
		t.Fatal("a terminal is not seen as one")
	}
	b.now = func() time.Time { return now }
	work(b, &now)
	fmt.Fprintln(slave, "done")
	seen := ""
	for buf := make([]byte, 4096); !strings.Contains(seen, "done"); {
		n, err := master.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		seen += string(buf[:n])
	}
	for _, want := range []string{"sorting rows [#...................] 5%, 10 s left", "[##########..........] 50%, 5 s left"} {
		if !strings.Contains(seen, want) {
			t.Errorf("got %q, want %q in it", seen, want)
		}
	}
	lines := strings.Split(seen, "\r\x1b[K")
	if last := lines[len(lines)-1]; strings.TrimSpace(last) != "done" {
		t.Errorf("the line is still there: %q", last)
	}
	for _, l := range lines {
		if len(l) >= 60 {
			t.Errorf("a line of %d characters wraps: %q", len(l), l)
		}
	}
}

func TestNobodyElseSeesAnything(t *testing.T) {
	_, slave := terminal(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	now := time.Unix(0, 0)
	for name, b := range map[string]*Bar{"nil": nil, "zero": {}, "a pipe": On(w), "no file": On(&buf), "dumb": func() *Bar { t.Setenv("TERM", "dumb"); return On(slave) }()} {
		if b != nil && b.out != nil {
			t.Errorf("%s: it would draw", name)
		}
		work(b, &now)
	}
	w.Close()
	if n, _ := r.Read(make([]byte, 1)); n > 0 || buf.Len() > 0 {
		t.Error("something was written")
	}
}

func TestShortStepsDrawNothing(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	b := &Bar{out: &out, now: func() time.Time { return now }, width: func() int { return 80 }}
	for range 50 {
		b.Begin("a step", 2)
		now = now.Add(200 * time.Millisecond)
		b.Add(1)
		b.Add(1)
	}
	b.Done()
	if out.Len() > 0 {
		t.Errorf("got %q", out.String())
	}
	b.Begin("a step", 0)
	now = now.Add(75 * time.Second)
	b.Add(1)
	if got := out.String(); got != "\r\x1b[Ka step: 1 min 15 s" {
		t.Errorf("a step without a total: got %q", got)
	}
}

func TestManyMayAddAtOnce(t *testing.T) {
	var out bytes.Buffer
	b := &Bar{out: &out, now: time.Now, width: func() int { return 80 }}
	b.Begin("a step", 8000)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				b.Add(1)
			}
		})
	}
	wg.Wait()
	if n := b.done.Load(); n != 8000 {
		t.Errorf("got %d", n)
	}
	b.Done()
}
