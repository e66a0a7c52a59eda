package list

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"sync"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Builder makes the edge list and the auditor list of one version from entries that come one after the other. The order
// of entries and decoy hosts does not matter: the same entries give the same bytes.
//
// Entries are sealed on all processors while more are added, so what a Builder holds is records (88 bytes each) and no
// text. It keeps inner states of both keys, as secret as they are, until Close. Its methods are for one goroutine.
type Builder struct {
	v       Version
	workers int
	seal    *sealer // for decoys
	decoys  []string
	added   int // entries

	batch  *batch
	work   chan *batch
	idle   chan *batch
	queued sync.WaitGroup // batches that are not sealed yet
	ended  sync.WaitGroup // workers
	closed bool

	rows buckets[row]    // by the first bits of the digest
	ids  buckets[uint64] // the first 8 bytes of each entry id, by their first bits

	mu         sync.Mutex // guards the fields below
	lastReview uint32
	err        error // of the first entry that cannot be in a list
	errAt      int   // its place in the order of Add
}

// batch is some entries in the order they came, to be sealed by one worker.
type batch struct {
	at      int // place of the first
	entries []Entry
}

const batchSize = 512 // entries: sealing them takes about half a millisecond

// rowsPerBucket is about how many rows are sorted at a time: they stay in a second-level cache.
const rowsPerBucket = 2048

// NewBuilder starts a version. sizeHint is about how many records there will be (an entry is one, a page entry two, a decoy
// host one); a wrong one costs time and memory and nothing else. Close it in any case.
func NewBuilder(v Version, keys *match.Keys, open *[32]byte, sizeHint int) (*Builder, error) {
	if _, err := match.ParseListID(string(v.List)); err != nil {
		return nil, buildError(v, err)
	}
	if keys == nil || open == nil {
		return nil, buildError(v, errors.New("keys are missing"))
	}
	sizeHint = max(min(sizeHint, MaxRecords), 0)
	workers := runtime.GOMAXPROCS(0)
	b := &Builder{
		v: v, workers: workers, seal: newSealer(v, keys, open),
		work: make(chan *batch, workers), idle: make(chan *batch, 2*workers),
		rows: newBuckets[row](sizeHint), ids: newBuckets[uint64](sizeHint),
	}
	b.batch = &batch{entries: make([]Entry, 0, min(batchSize, sizeHint+1))}
	for range workers {
		b.ended.Go(func() {
			s := newSealer(v, keys, open)
			defer s.close()
			b.sealBatches(s)
		})
	}
	return b, nil
}

func buildError(v Version, err error) error {
	return fmt.Errorf("build list %s seq %d: %w", v.List, v.Seq, err)
}

// Close ends what the builder runs and clears what it knows of the keys. It may be called again, and after Finish.
func (b *Builder) Close() {
	if !b.closed {
		b.closed = true
		close(b.work)
		b.ended.Wait()
		b.seal.close()
	}
}

// Add takes one more entry. A url or prefix entry becomes a match record and a steer record of its host with the same entry
// id. It does not keep e. The error is that of an earlier entry, the first that cannot be in a list: an expression
// that is not canonical, no entry id, a value outside of its closed set (ErrFormat); or ErrTooLarge. Finish gives it too.
func (b *Builder) Add(e *Entry) error {
	if b.added++; b.added > MaxRecords {
		return buildError(b.v, fmt.Errorf("more than %d entries: %w", MaxRecords, ErrTooLarge))
	}
	b.batch.entries = append(b.batch.entries, *e)
	if len(b.batch.entries) < batchSize {
		return nil
	}
	b.flush()
	b.mu.Lock()
	failed := b.err != nil
	b.mu.Unlock()
	if !failed {
		return nil
	}
	return b.failure()
}

// AddDecoy takes one more decoy host, which becomes a steer record that belongs to no entry.
func (b *Builder) AddDecoy(host string) { b.decoys = append(b.decoys, host) }

// flush hands what was added to the workers.
func (b *Builder) flush() {
	if len(b.batch.entries) == 0 {
		return
	}
	b.queued.Add(1)
	next := b.batch.at + len(b.batch.entries)
	b.work <- b.batch
	select {
	case b.batch = <-b.idle:
		b.batch.entries = b.batch.entries[:0]
	default:
		b.batch = &batch{entries: make([]Entry, 0, batchSize)}
	}
	b.batch.at = next
}

// failure waits for the workers, so that the first bad entry is known and not just a bad one, and gives its error or nil.
func (b *Builder) failure() error {
	b.queued.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return buildError(b.v, b.err)
	}
	return nil
}

func (b *Builder) sealBatches(s *sealer) {
	var rows []row
	for batch := range b.work {
		rows = b.sealBatch(s, batch, rows[:0])
		clear(batch.entries) // no text stays here
		select {
		case b.idle <- batch:
		default:
		}
		b.queued.Done()
	}
}

func (b *Builder) sealBatch(s *sealer, batch *batch, rows []row) []row {
	var lastReview uint32
	for i := range batch.entries {
		e := &batch.entries[i]
		var err error
		from := len(rows)
		if rows, err = s.entry(e, rows); err != nil {
			b.mu.Lock()
			if b.err == nil || batch.at+i < b.errAt {
				b.err, b.errAt = err, batch.at+i
			}
			b.mu.Unlock()
			return rows
		}
		lastReview = max(lastReview, rows[from].ReviewBy)
		b.keep(rows[from:])
	}
	b.mu.Lock()
	b.lastReview = max(b.lastReview, lastReview)
	b.mu.Unlock()
	return rows
}

// keep puts the rows of one entry or decoy where they belong.
func (b *Builder) keep(rows []row) {
	for _, r := range rows {
		b.rows.add(binary.BigEndian.Uint32(r.Digest[:]), r)
	}
	id := rows[0].EntryID
	b.ids.add(binary.BigEndian.Uint32(id[:]), binary.BigEndian.Uint64(id[:]))
}

// Finish makes the two files and closes the builder. It refuses what Add refuses, and an entry id or a (kind, expression)
// that is there twice (ErrOrder). Errors name entries by id, never by expression.
func (b *Builder) Finish() (edge, audit []byte, sum Summary, err error) {
	defer b.Close()
	fail := func(err error) ([]byte, []byte, Summary, error) { return nil, nil, Summary{}, buildError(b.v, err) }
	if b.closed {
		return fail(errors.New("the builder is closed"))
	}
	b.flush()
	if err := b.failure(); err != nil {
		return nil, nil, Summary{}, err
	}
	slices.Sort(b.decoys)
	for _, host := range slices.Compact(b.decoys) {
		r, err := b.seal.decoy(host, b.lastReview)
		if err != nil {
			return fail(err)
		}
		b.keep([]row{r})
	}
	if err := b.refuseEqualIDs(); err != nil {
		return fail(err)
	}
	files, err := b.write()
	if err != nil {
		return fail(err)
	}
	sum = Summary{Entries: b.added, Records: files.edge.Len(), Kinds: files.edge.Kinds(), Bases: Bases(files.edge), EntriesRoot: files.root, EdgeHead: files.edge.Hash()}
	return files.edge.Bytes(), files.audit, sum, nil
}

// Build is a Builder for entries that are in memory anyway. keys and open are not kept.
func Build(v Version, entries []Entry, decoyHosts []string, keys *match.Keys, open *[32]byte) (edge, audit []byte, sum Summary, err error) {
	records := len(entries) + len(decoyHosts)
	for i := range entries {
		if entries[i].Kind.Class() == canon.ClassPage {
			records++
		}
	}
	b, err := NewBuilder(v, keys, open, records)
	if err != nil {
		return nil, nil, Summary{}, err
	}
	defer b.Close()
	for i := range entries {
		if err := b.Add(&entries[i]); err != nil {
			return nil, nil, Summary{}, err
		}
	}
	for _, host := range decoyHosts {
		b.AddDecoy(host)
	}
	return b.Finish()
}

// buckets part values by leading bits that are as good as random. Several goroutines may add at once.
type buckets[T any] struct {
	shift uint
	room  int // what a bucket is made for
	all   []bucket[T]
}

type bucket[T any] struct {
	mu     sync.Mutex // guards values
	values []T
}

func newBuckets[T any](size int) buckets[T] {
	n := max(bits.Len(uint(size/rowsPerBucket)), 0)
	mean := size>>n + 1
	return buckets[T]{shift: uint(32 - n), room: mean + 5*int(math.Sqrt(float64(mean))), all: make([]bucket[T], 1<<n)}
}

func (b *buckets[T]) add(bits uint32, v T) {
	c := &b.all[uint64(bits)>>b.shift]
	c.mu.Lock()
	if c.values == nil {
		c.values = make([]T, 0, b.room)
	}
	c.values = append(c.values, v)
	c.mu.Unlock()
}

// each calls do for every bucket, on several goroutines, and returns the error of the first bucket that has one.
func (b *buckets[T]) each(workers int, do func(i int, values []T) error) error {
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := len(b.all) * w / workers; i < len(b.all)*(w+1)/workers && errs[w] == nil; i++ {
				errs[w] = do(i, b.all[i].values)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
