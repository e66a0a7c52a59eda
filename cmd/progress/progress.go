// Package progress shows a person at a terminal how far long work is, and shows nobody else anything.
//
// A [Bar] draws one line on standard error while work takes long and takes it away again, so that what a command prints is the same with
// it and without. In a pipe, in a log, with TERM=dumb and with --json (the caller gives no terminal) it writes no byte.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	quiet  = 500 * time.Millisecond // a step that is shorter draws nothing: small lists never flicker
	redraw = 100 * time.Millisecond
)

// Bar is the line. The zero value and nil draw nothing. Begin and Done belong to one goroutine; Add may be called from any number at once.
type Bar struct {
	out   io.Writer // nil: nobody looks
	width func() int
	now   func() time.Time

	done atomic.Int64
	next atomic.Int64 // Unix nanoseconds before which nothing is drawn

	mu    sync.Mutex // guards what follows, and writing
	step  string
	total int64
	began time.Time
	drawn bool
}

// On gives a bar on w, which draws when w is a terminal that can take a line back.
func On(w io.Writer) *Bar {
	if behind, ok := w.(interface{ Unwrap() io.Writer }); ok {
		w = behind.Unwrap()
	}
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return &Bar{}
	}
	fd := int(f.Fd())
	if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
		return &Bar{}
	}
	return &Bar{out: f, now: time.Now, width: func() int {
		if size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			return int(size.Col)
		}
		return 80
	}}
}

// Begin starts a step of total units and ends the one before; a total of 0 says that nobody knows how many there are.
func (b *Bar) Begin(step string, total int64) {
	if b == nil || b.out == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clear()
	b.step, b.total, b.began = step, total, b.now()
	b.done.Store(0)
	b.next.Store(b.began.Add(quiet).UnixNano())
}

// Add says that n more units of the step are done. It is cheap enough for every few thousand entries, not for each.
func (b *Bar) Add(n int64) {
	if b == nil || b.out == nil {
		return
	}
	b.done.Add(n)
	now, due := b.now(), b.next.Load()
	if now.UnixNano() < due || !b.next.CompareAndSwap(due, now.Add(redraw).UnixNano()) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.draw(now)
}

// Done takes the line away. The bar may begin again.
func (b *Bar) Done() {
	if b == nil || b.out == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clear()
	b.next.Store(1<<63 - 1)
}

func (b *Bar) clear() {
	if b.drawn {
		io.WriteString(b.out, "\r\x1b[K")
		b.drawn = false
	}
}

// draw writes the line: a step whose total is not known shows how long it has taken.
func (b *Bar) draw(now time.Time) {
	took := now.Sub(b.began)
	line := fmt.Sprintf("%s: %s", b.step, short(took))
	if b.total > 0 {
		const cells = 20
		done := min(b.done.Load(), b.total)
		full := int(done * cells / b.total)
		left := "" // at the very beginning a guess is worth nothing
		if done*50 > b.total {
			left = ", " + short(time.Duration(float64(took)*float64(b.total-done)/float64(done))) + " left"
		}
		line = fmt.Sprintf("%s [%s%s] %d%%%s", b.step, strings.Repeat("#", full), strings.Repeat(".", cells-full), done*100/b.total, left)
	}
	line = line[:min(len(line), b.width()-1)] // a line that wraps cannot be taken back
	io.WriteString(b.out, "\r\x1b[K"+line)
	b.drawn = true
}

// short is a time as a person says it: to the second, to the minute from 10 minutes on.
func short(d time.Duration) string {
	switch s := int(d.Round(time.Second).Seconds()); {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 600:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	default:
		return fmt.Sprintf("%d min", (s+30)/60)
	}
}
