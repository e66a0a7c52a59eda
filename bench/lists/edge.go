package lists

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/bench/hotline"
	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// EdgeResult is what one process of the edge's steps prints.
type EdgeResult struct {
	Records int           `json:"records"`
	File    int64         `json:"file"`    // bytes of the edge list
	Index   int64         `json:"index"`   // bytes of the index
	Blocks  int64         `json:"blocks"`  // bytes of block starts, which a hit reads
	Delta   int64         `json:"delta"`   // bytes of the delta
	Verify  time.Duration `json:"verify"`  // hash and OpenEdge
	Compile time.Duration `json:"compile"` // index
	Swap    time.Duration `json:"swap"`    // the whole: from the file to the swapped pointer
	CPU     time.Duration `json:"cpu"`     // of the whole, on all processors
	Lookup  float64       `json:"lookup"`  // ns, an unlisted 4-label name
	Allocs  float64       `json:"allocs"`  // a lookup
	Peak    int64         `json:"peak"`    // VmHWM
	Anon    int64         `json:"anon"`    // of it, at the end: memory that no file stands behind
}

// edge measures both ways to the second version, each in a process of its own.
func (b *bench) edge() error {
	var full, delta EdgeResult
	for _, step := range []struct {
		what string
		to   *EdgeResult
	}{{"full", &full}, {"delta", &delta}} {
		b.logf("edge: %s", step.what)
		out, _, err := hotline.Run(b.ctx, b.dir, b.Self, "edge", step.what, b.dir)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(out, step.to); err != nil {
			return fmt.Errorf("read what the edge's step says: %w", err)
		}
	}
	b.report.edge(&full, &delta)
	return nil
}

// edgeRuns is how often a step is measured; the median counts.
const edgeRuns = 5

// Edge is a process of its own: it does one of the edge's steps in dir as Run has left it.
func Edge(what, dir string) (*EdgeResult, error) {
	e := &edgeBench{dir: dir, keys: new(match.Keys)}
	if err := e.open(); err != nil {
		return nil, err
	}
	defer os.RemoveAll(e.shelf)
	step, ok := map[string]func() error{"full": e.full, "delta": e.delta}[what]
	if !ok {
		return nil, fmt.Errorf("%q is not a step of an edge: full or delta", what)
	}
	if err := step(); err != nil {
		return nil, err
	}
	return &e.res, nil
}

type edgeBench struct {
	dir    string
	shelf  string // directory of the edge's files
	store  *fetch.Store
	paths  [2]string // the edge lists of both versions
	keys   *match.Keys
	set    atomic.Pointer[match.Set]
	index  *match.Index
	list   *list.Edge
	mapped io.Closer // list
	res    EdgeResult
}

// open finds the files of both versions and reads the list's keys where the hotline has them.
func (e *edgeBench) open() error {
	for i := range e.paths {
		var err error
		if e.paths[i], err = e.published(fmt.Sprintf("*.main.%d.edge", i+1)); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(filepath.Join(e.dir, "hotline", "keys", "epoch-1.json"))
	if err != nil {
		return err
	}
	var k struct{ Match, Gate string }
	if err := json.Unmarshal(text, &k); err != nil {
		return fmt.Errorf("read the list's keys: %w", err)
	}
	if _, err := hex.Decode(e.keys.Match[:], []byte(k.Match)); err != nil {
		return fmt.Errorf("read the list's keys: %w", err)
	}
	if _, err := hex.Decode(e.keys.Gate[:], []byte(k.Gate)); err != nil {
		return fmt.Errorf("read the list's keys: %w", err)
	}
	if e.shelf, err = os.MkdirTemp(e.dir, "shelf-*"); err != nil {
		return err
	}
	e.store, err = fetch.OpenStore(e.shelf)
	return err
}

// published is the path of the one file in the repository's lists whose name fits.
func (e *edgeBench) published(pattern string) (string, error) {
	files, err := filepath.Glob(filepath.Join(e.dir, "hotline", "repository", "targets", "csam", "hotline-one", pattern))
	if err != nil || len(files) != 1 {
		return "", fmt.Errorf("find the published %s: %d files: %w", pattern, len(files), errors.Join(err, os.ErrNotExist))
	}
	return files[0], nil
}

// put brings a version onto the shelf, as a download does.
func (e *edgeBench) put(version int) (sum [32]byte, err error) {
	name := filepath.Base(e.paths[version-1])
	hash, _, _ := strings.Cut(name, ".")
	if b, err := hex.DecodeString(hash); err != nil || copy(sum[:], b) != len(sum) {
		return sum, fmt.Errorf("read the hash in %s: %w", name, err)
	}
	f, err := os.Open(e.paths[version-1])
	if err != nil {
		return sum, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return sum, err
	}
	e.res.File = info.Size()
	return sum, e.store.Put(context.Background(), sum, info.Size(), f)
}

// load does what the shelf of appliance/edge does with a file that has arrived: map, hash, verify, compile, make a set, swap. What was mapped before
// is given up.
func (e *edgeBench) load(sum [32]byte) error {
	began, used := time.Now(), processor()
	b, closer, err := e.store.Map(sum)
	if err != nil {
		return err
	}
	if err := e.store.Check(sum); err != nil {
		return err
	}
	edge, err := list.OpenEdge(b)
	if err != nil {
		return err
	}
	e.res.Verify = time.Since(began)
	at := time.Now()
	compiled, err := match.Compile(edge)
	if err != nil {
		return err
	}
	e.res.Compile = time.Since(at)
	if err := e.swap(edge, compiled); err != nil {
		return err
	}
	e.res.Swap, e.res.CPU = time.Since(began), processor()-used
	before := e.mapped
	e.mapped = closer
	if before != nil {
		return before.Close()
	}
	return nil
}

func (e *edgeBench) swap(edge *list.Edge, compiled []byte) error {
	index, err := match.OpenHead(compiled)
	if err != nil {
		return err
	}
	set, err := match.NewSet([]match.Member{{Edge: edge, Index: index, Filter: charter, Keys: e.keys}}, nil)
	if err != nil {
		return err
	}
	if v := set.Name([]byte(hotline.Canary), 0); !v.Listed || !v.Canary {
		return errors.New("the canary is not stopped")
	}
	e.set.Store(set)
	e.list, e.index = edge, index
	n := edge.Len()
	e.res.Records, e.res.Index = n, int64(len(compiled))
	e.res.Blocks = 4 * int64(n/64) // at most: SIZING.md, block bits
	return nil
}

// charter is that of setUp.
var charter = match.Filter{
	Kinds: []canon.Kind{canon.KindURL, canon.KindPrefix, canon.KindHost, canon.KindDomain}, Bases: []match.Basis{match.BasisLaw}, Jurisdictions: []string{"XA"},
}

func (e *edgeBench) full() error {
	sum, err := e.put(2)
	if err != nil {
		return err
	}
	var all [4][]time.Duration
	for run := range edgeRuns {
		if err := e.load(sum); err != nil {
			return err
		}
		if run == 0 { // the later ones map the file a second time
			e.res.Peak, e.res.Anon = memory("VmHWM"), memory("RssAnon")
		}
		for i, d := range []time.Duration{e.res.Verify, e.res.Compile, e.res.Swap, e.res.CPU} {
			all[i] = append(all[i], d)
		}
	}
	e.res.Verify, e.res.Compile, e.res.Swap, e.res.CPU = median(all[0]), median(all[1]), median(all[2]), median(all[3])
	e.lookup()
	return nil
}

// delta applies the difference between the versions to the first one, which is in force. The new list is written into a mapped file.
func (e *edgeBench) delta() error {
	path, err := e.published("*.main.1.2.delta")
	if err != nil {
		return err
	}
	delta, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	sum, err := e.put(1)
	if err != nil {
		return err
	}
	if err := e.load(sum); err != nil {
		return err
	}
	from, old := e.list, e.index
	var applied, compiled, swapped, cpu []time.Duration
	for run := range edgeRuns {
		began, used := time.Now(), processor()
		d, err := list.OpenDelta(delta)
		if err != nil {
			return err
		}
		var room []byte
		to, err := d.Apply(from, match.Memory{
			Room: func(size int) (_ []byte, err error) {
				room, err = e.mapNew(size)
				return room, err
			},
			Copied: func() { _ = unix.Madvise(from.Bytes(), unix.MADV_DONTNEED) }, // as the appliance does: lookups read again what they need
		})
		if err != nil {
			return err
		}
		applied = append(applied, time.Since(began))
		at := time.Now()
		index, err := d.Recompile(old, from, to)
		if err != nil {
			return err
		}
		compiled = append(compiled, time.Since(at))
		if err := e.swap(to, index); err != nil {
			return err
		}
		swapped, cpu = append(swapped, time.Since(began)), append(cpu, processor()-used)
		e.res.File = int64(len(to.Bytes()))
		if run == 0 { // before the whole list is read below
			e.res.Peak, e.res.Anon = memory("VmHWM"), memory("RssAnon")
		}
		if want, err := match.OpenEdge(to.Bytes()); err != nil || want.Hash() != to.Hash() {
			return fmt.Errorf("the delta does not give a good list: %w", err)
		}
		if err := unix.Munmap(room); err != nil {
			return err
		}
	}
	e.res.Verify, e.res.Compile, e.res.Swap, e.res.CPU, e.res.Delta = median(applied), median(compiled), median(swapped), median(cpu), int64(len(delta))
	return nil
}

// mapNew maps a new file that goes when it is unmapped.
func (e *edgeBench) mapNew(size int) ([]byte, error) {
	f, err := os.CreateTemp(e.shelf, "new-*")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := errors.Join(os.Remove(f.Name()), f.Truncate(int64(size))); err != nil {
		return nil, err
	}
	return unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// lookup asks 65,536 different unlisted names of four labels, several times.
func (e *edgeBench) lookup() {
	const names = 1 << 16
	slab, ends := make([]byte, 0, names*40), make([]int, 1, names+1)
	for i := range names {
		slab = append(slab, "www.img."...)
		slab = strconv.AppendUint(slab, scatter(uint64(i)), 36)
		ends = append(ends, len(append(slab, ".test"...)))
		slab = append(slab, ".test"...)
	}
	set := e.set.Load()
	var took []time.Duration
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const rounds = 11
	for range rounds {
		began := time.Now()
		for i := range names {
			if v := set.Name(slab[ends[i]:ends[i+1]], 0); v.Listed {
				panic("lists: a name that is not on the list is stopped")
			}
		}
		took = append(took, time.Since(began))
	}
	runtime.ReadMemStats(&after)
	e.res.Lookup = float64(median(took).Nanoseconds()) / names
	e.res.Allocs = float64((after.Mallocs - before.Mallocs) / (rounds * names)) // what the measuring itself allocates is far below one
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// processor is the time that this process has had of all processors.
func processor() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memory is a line of /proc/self/status, in bytes; 0 where there is none.
func memory(what string) int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, what+":"); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n << 10
		}
	}
	return 0
}
