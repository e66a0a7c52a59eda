package dns

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cordon-project/cordon/bench/operator"
)

// Memory of the edge, in bytes: what no file stands behind (RssAnon) and what of mapped files is resident (RssFile).
type Memory struct {
	LoadedAnon, LoadedFile int64 // when it was first seen with the list in force
	LastAnon, LastFile     int64
	MostAnon               int64
}

// watcher reads the memory of the process whose configuration lies in a directory of the bench, as long as there is one.
type watcher struct {
	end  chan struct{}
	done chan Memory
}

// settled is how long after its start an edge has the list in force and has not been asked much yet: the bench waits 0.3 s itself.
const settled = 1500 * time.Millisecond

func watchMemory(instance string) *watcher {
	w := &watcher{make(chan struct{}), make(chan Memory)}
	go func() {
		var m Memory
		var born time.Time
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-w.end:
				w.done <- m
				return
			case <-tick.C:
			}
			anon, file, ok := residentOf(instance)
			if !ok {
				continue
			}
			if born.IsZero() {
				born = time.Now()
			}
			if m.LoadedAnon == 0 && time.Since(born) > settled {
				m.LoadedAnon, m.LoadedFile = anon, file
			}
			m.LastAnon, m.LastFile, m.MostAnon = anon, file, max(m.MostAnon, anon)
		}
	}()
	return w
}

func (w *watcher) stop() Memory {
	close(w.end)
	return <-w.done
}

// residentOf finds a cordon edge by the directory in its command line.
func residentOf(instance string) (anon, file int64, ok bool) {
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range processes {
		line, err := os.ReadFile(p)
		if err != nil || !bytes.Contains(line, []byte("/"+instance+"/")) || !bytes.Contains(line, []byte("\x00edge\x00")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(p)))
		if err != nil {
			continue
		}
		return operator.MemoryOf(pid)
	}
	return 0, 0, false
}
