package publish

import (
	"io"
	"os"
)

// Progress is told how far long work is, so that a person need not wonder. cmd/progress.Bar satisfies it.
type Progress interface {
	// Begin starts a step of total units and ends the one before; 0 says that nobody knows how many there are. One goroutine calls it.
	Begin(step string, total int64)
	// Add says that n more units are done. Any goroutine may call it, a few thousand times a second.
	Add(n int64)
	// Done ends the last step: what follows is the result.
	Done()
}

// untold is the Progress of nobody.
type untold struct{}

func (untold) Begin(string, int64) {}
func (untold) Add(int64)           {}
func (untold) Done()               {}

func (c Config) progress() Progress {
	if c.Progress == nil {
		return untold{}
	}
	return c.Progress
}

// passed counts the bytes that pass it.
type passed struct{ Progress }

func (p passed) Write(b []byte) (int, error) {
	p.Add(int64(len(b)))
	return len(b), nil
}

// readsOf begins a step that is over when r has been read, and counts.
func (c Config) readsOf(r io.Reader, step string) io.Reader {
	if c.Progress == nil {
		return r
	}
	total := int64(0)
	if f, ok := r.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			total = info.Size()
		}
	}
	c.Progress.Begin(step, total)
	return io.TeeReader(r, passed{c.Progress})
}

// sizes is how many bytes the files have together; one that is not there has none.
func sizes(paths ...string) (n int64) {
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			n += info.Size()
		}
	}
	return n
}

// every tells of one thing after the other, each of so many units, in steps of 4,096.
type every struct {
	Progress
	units int64
	n     int64
}

func (e *every) one() {
	if e.n++; e.n%4096 == 0 {
		e.Add(4096 * e.units)
	}
}
