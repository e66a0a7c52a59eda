package control

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/figures"
)

// figureShelf keeps the figures that edges handed in to this control node, a file a day; cluster/audit/figures says in which form. It may be
// used concurrently.
type figureShelf struct {
	dir   string
	clock func() time.Time
	log   *slog.Logger
	sync  func(*os.File) error // (*os.File).Sync but in tests

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
	figureLate = (api.FigureHours + 2) * time.Hour
	// maxFigureFile bounds a day's file: 24 hours of 10,000 edges with three lists.
	maxFigureFile = 256 << 20
)

func openFigures(dir string, clock func() time.Time, log *slog.Logger) (*figureShelf, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("figures: %w", err)
	}
	return &figureShelf{dir: dir, clock: clock, log: log, sync: (*os.File).Sync, seen: map[string]map[figureKey]bool{}}, nil
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
	if err := s.append(name, figures.AppendRecord(nil, signed)); err != nil {
		return fmt.Errorf("keep figures: %w", err)
	}
	seen[key] = true
	return nil
}

// append puts a record behind a day's file; it is on the disk, or as if it had never been written.
func (s *figureShelf) append(name string, record []byte) error {
	file, err := os.OpenFile(filepath.Join(s.dir, name), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() > maxFigureFile {
		return fmt.Errorf("%s is full: %w", name, cluster.ErrBusy)
	}
	_, err = file.Write(record)
	if err == nil {
		err = s.sync(file)
	}
	if err != nil { // the edge hands it in again
		return errors.Join(err, file.Truncate(info.Size()))
	}
	return nil
}

// load reads which hours a day's file has, once, and lets old files go. What is damaged stays where it is, and so does what is behind it.
func (s *figureShelf) load(name string) (map[figureKey]bool, error) {
	if seen, ok := s.seen[name]; ok {
		return seen, nil
	}
	seen := map[figureKey]bool{}
	err := s.read(name, func(_ figures.Signed, x figures.Figures) error {
		seen[figureKey{x.Edge, x.Hour}] = true
		return nil
	}, func(err error) {
		s.log.Warn("figures on disk are damaged in a place", slog.String("day", name), slog.Any("error", err))
	})
	if err != nil {
		return nil, err
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
		out := bufio.NewWriter(w)
		err := s.read(dayFile(day.Unix()), func(signed figures.Signed, x figures.Figures) error {
			if x.Hour < from.Unix() || x.Hour >= to.Unix() {
				return nil
			}
			_, err := out.Write(figures.AppendRecord(nil, signed))
			return err
		}, func(error) {})
		if err := errors.Join(err, out.Flush()); err != nil {
			return err
		}
	}
	return nil
}

// read gives the records of a day's file that can be read, one at a time; no file has none.
func (s *figureShelf) read(name string, each func(figures.Signed, figures.Figures) error, damaged func(error)) error {
	f, err := os.Open(filepath.Join(s.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("read figures: %w", err)
	}
	defer f.Close()
	for signed, err := range figures.Salvage(f) {
		if errors.Is(err, audit.ErrFormat) {
			damaged(err)
			continue
		} else if err != nil {
			return fmt.Errorf("read figures: %w", err)
		}
		x, err := signed.Figures()
		if err != nil {
			return fmt.Errorf("read figures: %w", err)
		}
		if err := each(signed, x); err != nil {
			return err
		}
	}
	return nil
}
