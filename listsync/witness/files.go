package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// ErrDamaged and ErrGone: a file of a witness's memory is not what was written, or is not there any more. Starting without it would be to forget
// what was signed.
var (
	ErrDamaged = errors.New("is damaged")
	ErrGone    = errors.New("is gone")
)

// files is a folder with one file for each log: a line that names the format, a line with the SHA-256 of the rest, the rest.
// A file is replaced whole and is on the disk when write returns. Beside the folder, so that it outlives it, DIR.logs names the file of each log,
// a line for each: one that is named there and is gone was taken away.
type files struct {
	dir, format string
	max         int64 // bytes of a file

	mu    *sync.Mutex       // guards named and its file
	named map[string]string // origin by file, as DIR.logs has them
}

const (
	headSuffix  = ".head"
	namedSuffix = ".logs"
	tempPrefix  = "new-" // of files that are being written
	maxNamed    = 1 << 20
)

// openFiles makes the folder, or takes it with what a crash left of files that were being written.
func openFiles(dir, format string, max int64) (files, error) {
	f := files{dir: filepath.Clean(dir), format: format, max: max, mu: new(sync.Mutex), named: map[string]string{}}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return f, fmt.Errorf("memory of checkpoints: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(f.dir, tempPrefix+"*"))
	if err != nil {
		return f, fmt.Errorf("memory of checkpoints: %w", err)
	}
	for _, path := range append(left, f.namedFile()+".new") {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return f, fmt.Errorf("memory of checkpoints: %w", err)
		}
	}
	return f, f.readNamed()
}

func (f files) namedFile() string { return f.dir + namedSuffix }

// readNamed reads DIR.logs; it is not there before the first log is.
func (f files) readNamed() error {
	b, err := readAtMost(f.namedFile(), maxNamed)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("memory of checkpoints: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		name, origin, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !ok || f.name(origin) != name {
			return fmt.Errorf("%s %w: its line %q is not the name of a file in %s and the log that it is of", f.namedFile(), ErrDamaged, clip(line), f.dir)
		}
		f.named[name] = origin
	}
	return nil
}

// remember adds a log to DIR.logs, on the disk when it returns. Its file is written before: one without a line is not missed.
func (f files) remember(origin string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.named[f.name(origin)]; ok {
		return nil
	}
	var b strings.Builder
	for _, o := range slices.Sorted(maps.Values(f.named)) {
		fmt.Fprintf(&b, "%s %s\n", f.name(o), o)
	}
	fmt.Fprintf(&b, "%s %s\n", f.name(origin), origin)
	tmp, err := os.OpenFile(f.namedFile()+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := f.replace(tmp, []byte(b.String()), f.namedFile()); err != nil {
		return err
	}
	f.named[f.name(origin)] = origin
	return nil
}

// all reads every file of the folder: the rests, by name of the file.
func (f files) all() (map[string][]byte, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("memory of checkpoints: %w", err)
	}
	out := make(map[string][]byte)
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), headSuffix) {
			continue
		}
		if len(out) == maxItems {
			return nil, fmt.Errorf("%s has more than %d files: %w", f.dir, maxItems, ErrTooLarge)
		}
		rest, err := f.read(filepath.Join(f.dir, e.Name()))
		if err != nil {
			return nil, err
		}
		out[e.Name()] = rest
	}
	for name, origin := range f.named {
		if _, ok := out[name]; !ok {
			return nil, fmt.Errorf("%s %w, and with it what is known of log %s: restore it from a backup, newest first; without it this witness no longer knows what it has signed. "+
				"Only when there is none, take its line out of %s: the log's next checkpoint is then taken as the first", filepath.Join(f.dir, name), ErrGone, clip(origin), f.namedFile())
		}
	}
	return out, nil
}

func (f files) read(path string) ([]byte, error) {
	b, err := readAtMost(path, f.max)
	if err != nil {
		return nil, fmt.Errorf("memory of checkpoints: %w", err)
	}
	text, ok := strings.CutPrefix(string(b), f.format+"\n")
	sum, rest, cut := strings.Cut(text, "\n")
	if !ok || !cut || int64(len(b)) > f.max || sum != sumOf(rest) {
		return nil, f.damaged(path)
	}
	return []byte(rest), nil
}

// readAtMost reads a file, and one byte of what is beyond max.
func readAtMost(path string, max int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, max+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

func (f files) damaged(path string) error {
	return fmt.Errorf("%s %w: restore it from a backup, newest first; without it this witness no longer knows what it has signed. "+
		"Only when there is none, remove the file: the log's next checkpoint is then taken as the first", path, ErrDamaged)
}

func sumOf(rest string) string {
	sum := sha256.Sum256([]byte(rest))
	return hex.EncodeToString(sum[:])
}

// name is the file of the log with this origin.
func (f files) name(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:16]) + headSuffix
}

func (f files) write(origin string, rest []byte) (err error) {
	b := f.format + "\n" + sumOf(string(rest)) + "\n" + string(rest)
	if int64(len(b)) > f.max {
		return fmt.Errorf("checkpoints of %s: %d bytes, at most %d: %w", clip(origin), len(b), f.max, ErrTooLarge)
	}
	if err := f.room(origin); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(f.dir, tempPrefix+"*")
	if err == nil {
		err = f.replace(tmp, []byte(b), filepath.Join(f.dir, f.name(origin)))
	}
	if err == nil {
		err = f.remember(origin)
	}
	if err != nil {
		return fmt.Errorf("keep checkpoint: %w", err)
	}
	return nil
}

// room refuses one log more than all reads.
func (f files) room(origin string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.named[f.name(origin)]; !ok && len(f.named) >= maxItems {
		return fmt.Errorf("checkpoints of %s: more than %d logs: %w", clip(origin), maxItems, ErrTooLarge)
	}
	return nil
}

// replace fills a new file and puts it in the place of another one, on the disk when it returns. Of a new file that did not get there nothing is left.
func (f files) replace(tmp *os.File, b []byte, path string) error {
	_, err := tmp.Write(b)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
