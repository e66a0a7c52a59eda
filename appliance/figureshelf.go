package appliance

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit/figures"
)

// figureShelf keeps the figures that edges handed in to this control node, a file a day; cluster/audit/figures says in which form. It may be
// used concurrently.
type figureShelf struct {
	dir   string
	clock func() time.Time

	mu   sync.Mutex                    // guards seen and the files
	seen map[string]map[figureKey]bool // hours of edges that are there, by file name; only the last days'
}

type figureKey struct {
	edge string
	hour int64
}

const (
	// figureDays is how long figures are kept.
	figureDays = 400
	// figureLate is how late an hour may be handed in: as long as edges keep it, and some time more.
	figureLate = (maxWaiting + 2) * time.Hour
	// maxFigureFile bounds a day's file: 24 hours of 10,000 edges with three lists.
	maxFigureFile = 256 << 20
)

func openFigures(dir string, clock func() time.Time) (*figureShelf, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("figures: %w", err)
	}
	return &figureShelf{dir: dir, clock: clock, seen: map[string]map[figureKey]bool{}}, nil
}

func dayFile(hour int64) string { return time.Unix(hour, 0).UTC().Format("20060102") }

// Add keeps an edge's figures, verified by whoever calls. An hour of an edge that is there is not written again. cluster.ErrRequest for an hour
// that is not over, or too long ago.
func (s *figureShelf) Add(f figures.Figures, signed figures.Signed) error {
	now := s.clock()
	if end := time.Unix(f.Hour+figures.Hour, 0); end.After(now.Add(5*time.Minute)) || now.Sub(end) > figureLate {
		return fmt.Errorf("figures of the hour from %s are not over, or too late: %w", time.Unix(f.Hour, 0).UTC().Format(time.RFC3339), cluster.ErrRequest)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name := dayFile(f.Hour)
	seen, err := s.load(name)
	if err != nil {
		return err
	}
	key := figureKey{f.Edge, f.Hour}
	if seen[key] {
		return nil
	}
	file, err := os.OpenFile(filepath.Join(s.dir, name), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("keep figures: %w", err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Size() > maxFigureFile {
		return errors.Join(fmt.Errorf("keep figures: %s is full: %w", name, cluster.ErrBusy), err)
	}
	if _, err := file.Write(figures.AppendRecord(nil, signed)); err != nil {
		delete(s.seen, name) // a record may be cut off: the file is read anew
		return fmt.Errorf("keep figures: %w", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("keep figures: %w", err)
	}
	seen[key] = true
	return nil
}

// load reads which hours a day's file has, once, cuts off a record that was not written whole, and lets old files go.
func (s *figureShelf) load(name string) (map[figureKey]bool, error) {
	if seen, ok := s.seen[name]; ok {
		return seen, nil
	}
	path := filepath.Join(s.dir, name)
	seen := map[figureKey]bool{}
	whole := int64(0)
	f, err := os.Open(path)
	if err == nil {
		for signed, rerr := range figures.Read(bufio.NewReader(f)) {
			if rerr != nil {
				break
			}
			if x, xerr := signed.Figures(); xerr == nil {
				seen[figureKey{x.Edge, x.Hour}] = true
			}
			whole += int64(len(figures.AppendRecord(nil, signed)))
		}
		if info, ierr := f.Stat(); ierr == nil && info.Size() > whole {
			err = os.Truncate(path, whole)
		}
		f.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read figures: %w", err)
	}
	for other := range s.seen { // hours come for two days and no longer
		if other < dayFile(s.clock().Add(-figureLate-24*time.Hour).Unix()) {
			delete(s.seen, other)
		}
	}
	s.seen[name] = seen
	return seen, s.prune()
}

func (s *figureShelf) prune() error {
	all, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("read figures: %w", err)
	}
	oldest := dayFile(s.clock().AddDate(0, 0, -figureDays).Unix())
	for _, e := range all {
		if e.Name() < oldest {
			if err := os.Remove(filepath.Join(s.dir, e.Name())); err != nil {
				return fmt.Errorf("let figures go: %w", err)
			}
		}
	}
	return nil
}

// Write writes the records of the hours from from until before to, in the order of days.
func (s *figureShelf) Write(w io.Writer, from, to time.Time) error {
	now := s.clock()
	if oldest := now.AddDate(0, 0, -figureDays-1); from.Before(oldest) {
		from = oldest
	}
	if to.After(now) {
		to = now
	}
	for day := from.UTC().Truncate(24 * time.Hour); day.Before(to); day = day.AddDate(0, 0, 1) {
		b, err := os.ReadFile(filepath.Join(s.dir, dayFile(day.Unix())))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return fmt.Errorf("read figures: %w", err)
		}
		out := bufio.NewWriter(w)
		for signed, rerr := range figures.Read(bytes.NewReader(b)) {
			if rerr != nil {
				break // cut off in the middle of writing: the next Add mends it
			}
			if x, err := signed.Figures(); err == nil && x.Hour >= from.Unix() && x.Hour < to.Unix() {
				if _, err := out.Write(figures.AppendRecord(nil, signed)); err != nil {
					return err
				}
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}
